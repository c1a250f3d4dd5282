import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";

/** A message, and the names of the rules that apply to it; none when no rule does. */
export interface LabelledMessage {
  readonly message: string;
  readonly rules: readonly string[];
}

const several = z.union([z.string(), z.array(z.string())]).nullish();
const rowShape = z
  .object({
    message: z.string().optional(),
    text: z.string().optional(),
    rule: several,
    rules: several,
  })
  .refine((row) => (row.message ?? row.text ?? "").trim() !== "", "a message is needed");

/**
 * Reads a .jsonl (one object a line), .json (a list, or its `utterances`) or .csv file with a header:
 * `message` (or `text`) and `rule` (or `rules`): a name, several (a list, or joined by ";"), or nothing.
 */
export async function readLabelledMessages(path: string): Promise<readonly LabelledMessage[]> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw unreadable(path, "it is not there, or may not be read", cause);
  });
  return rowsOf(path, text).map(({ at, row }) => {
    const parsed = rowShape.safeParse(row);
    if (!parsed.success) throw unreadable(`${path}:${at}`, z.prettifyError(parsed.error));
    const { message, text: said, rule, rules } = parsed.data;
    const named = [rule ?? rules ?? []].flat().flatMap((name) => name.split(";"));
    return {
      message: message ?? said ?? "",
      rules: [...new Set(named.map((name) => name.trim()).filter((name) => name !== ""))],
    };
  });
}

interface Row {
  /** Its line, or its number in a list. */
  readonly at: number;
  readonly row: unknown;
}

function rowsOf(path: string, text: string): readonly Row[] {
  switch (extname(path).toLowerCase()) {
    case ".jsonl":
      return text
        .split(/\r?\n/)
        .map((line, i) => ({ line, at: i + 1 }))
        .filter(({ line }) => line.trim() !== "")
        .map(({ line, at }) => ({ at, row: json(`${path}:${at}`, line) }));
    case ".json": {
      const read = json(path, text);
      const list = z.union([z.array(z.unknown()), z.object({ utterances: z.array(z.unknown()) })]);
      const parsed = list.safeParse(read);
      if (!parsed.success) throw unreadable(path, "it holds no list of messages");
      const rows = Array.isArray(parsed.data) ? parsed.data : parsed.data.utterances;
      return rows.map((row, i) => ({ at: i + 1, row }));
    }
    case ".csv": {
      const [header, ...records] = recordsOf(path, text);
      const names = header?.cells.map((name) => name.trim().toLowerCase()) ?? [];
      return records.map(({ at, cells }) => ({
        at,
        row: Object.fromEntries(names.map((name, i) => [name, cells[i] ?? ""])),
      }));
    }
    default:
      throw unreadable(path, "its name must end in .jsonl, .json or .csv");
  }
}

function json(place: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(place, "it is not JSON", cause);
  }
}

/** As RFC 4180 has it: cells may be in quotes, and then hold commas, line ends and doubled quotes. */
function recordsOf(path: string, text: string): { at: number; cells: string[] }[] {
  const records: { at: number; cells: string[] }[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let line = 1;
  let cells: string[] = [];
  let at = line;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) throw unreadable(`${path}:${line}`, "a quote is not closed, or closes too early");
    const [whole, quoted, plain = "", end] = found;
    cells.push(quoted?.replaceAll('""', '"') ?? plain);
    line += whole.split("\n").length - 1;
    if (end === ",") continue;
    if (cells.some((each) => each.trim() !== "")) records.push({ at, cells });
    cells = [];
    at = line;
  }
  if (cells.length > 0) records.push({ at, cells }); // the last line ends in a comma
  return records;
}

function unreadable(place: string, why: string, cause?: unknown): Fault {
  return new Fault("invalid", `${place}: ${why}`, { reason: "LABELS_INVALID", cause });
}
