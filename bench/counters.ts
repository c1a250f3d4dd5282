/** Sums over every process. */
export interface Counters {
  readonly sql: number;
  readonly rpc: number;
}

/** Reads /metrics of every process and adds up what a bench counts. */
export async function counters(urls: readonly string[]): Promise<Counters> {
  const texts = await Promise.all(urls.map((url) => fetch(url).then((res) => res.text())));
  const all = texts.join("\n");
  return {
    sql: sumOf(all, "soldier_sql_statements_total"),
    rpc: sumOf(all, "soldier_rpc_server_requests_total"),
  };
}

function sumOf(text: string, metric: string): number {
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
