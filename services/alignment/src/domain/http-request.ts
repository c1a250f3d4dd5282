import type { HttpTool } from "@soldier/proto/config/v1/tool";
import type { JsonRecord } from "./json.ts";
import { spoken } from "./templates.ts";

export type PreparedRequest =
  | {
      readonly url: URL;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | undefined;
    }
  | { readonly refused: string; readonly because: string };

/**
 * A tool's request with its arguments: those that the address names go there, the others into the
 * query of a GET or DELETE and into the JSON body of everything else. ${name} is a setting of the
 * deployment; no setting is ever taken from an argument.
 */
export function prepared(
  tool: HttpTool,
  values: JsonRecord,
  settings: Readonly<Record<string, string>>,
): PreparedRequest {
  const lacking = settingsLacking([tool.url, ...Object.values(tool.headers)], settings);
  if (lacking) return lacking;

  const used = new Set<string>();
  const bad: string[] = [];
  const address = withSettings(tool.url, settings).replaceAll(argumentName, (_, name: string) => {
    used.add(name);
    const text = spoken(values[name]);
    // A path of dots would lead to another address.
    if (text === undefined || /^\.{1,2}$/.test(text)) bad.push(name);
    return encodeURIComponent(text ?? "");
  });
  if (bad.length > 0)
    return { refused: "TOOL_ADDRESS_INVALID", because: `${bad.join(", ")} can't be part of it` };
  const url = URL.parse(address);
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
    return { refused: "TOOL_ADDRESS_INVALID", because: "it is no http address" };

  const rest = Object.entries(values).filter(([name]) => !used.has(name));
  const bodiless = tool.method === "GET" || tool.method === "DELETE";
  if (bodiless)
    for (const [name, value] of rest)
      url.searchParams.append(name, spoken(value) ?? JSON.stringify(value));
  return {
    url,
    headers: headersWith(tool.headers, settings),
    body: bodiless ? undefined : JSON.stringify(Object.fromEntries(rest)),
  };
}

export type Address =
  | { readonly url: URL; readonly headers: Readonly<Record<string, string>> }
  | { readonly refused: string; readonly because: string };

/** Where a server is and what it is told with every call: an http address, or host:port in the clear. */
export function addressOf(
  address: string,
  headers: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
): Address {
  const lacking = settingsLacking([address, ...Object.values(headers)], settings);
  if (lacking) return lacking;
  const text = withSettings(address, settings);
  const url = URL.parse(/^https?:/i.test(text) ? text : `http://${text}`);
  if (!url || !url.host || url.username || url.password)
    return { refused: "TOOL_ADDRESS_INVALID", because: "it is no http address and no host:port" };
  return { url, headers: headersWith(headers, settings) };
}

function settingsLacking(
  texts: readonly string[],
  settings: Readonly<Record<string, string>>,
): { refused: string; because: string } | undefined {
  const lacking = texts
    .flatMap((text) => [...text.matchAll(settingName)])
    .flatMap(([, name = ""]) => (settings[name] === undefined ? [name] : []));
  return lacking.length > 0
    ? { refused: "TOOL_SETTING_MISSING", because: `no setting ${lacking.join(", ")}` }
    : undefined;
}

function headersWith(
  headers: Readonly<Record<string, string>>,
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, text]) => [name, withSettings(text, settings)]),
  );
}

const settingName = /\$\{([A-Za-z0-9_]+)\}/g;
const argumentName = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

function withSettings(text: string, settings: Readonly<Record<string, string>>): string {
  return text.replaceAll(settingName, (_, name: string) => settings[name] ?? "");
}
