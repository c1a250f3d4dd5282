import { canary, ghostPrefix, namePrefix } from "./voice.ts";

const uuids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const names = new RegExp(`${namePrefix}[a-z0-9_]+`, "g");

/** Every id and name that a text holds. */
export function idsIn(text: string): ReadonlySet<string> {
  return new Set([...(text.match(uuids) ?? []), ...(text.match(names) ?? [])]);
}

/** What must not be found in anybody else's answers. */
export interface Secrets {
  /** Ids and names; texts are known by their canary. */
  readonly ids: ReadonlySet<string>;
}

/**
 * What of the secrets a text holds, at most a few. Ids that the caller sent may come back; a text of
 * theirs never may.
 */
export function leaksIn(text: string, secrets: Secrets, sent: ReadonlySet<string>): string[] {
  const at = text.toUpperCase().indexOf(canary);
  const texts = at < 0 ? [] : [`the text "${text.slice(at, at + 40)}"`];
  const ids = [...idsIn(text)].filter((id) => secrets.ids.has(id) && !sent.has(id));
  return [...texts, ...ids.slice(0, 3).map((id) => `the id ${id}`)];
}

/** The text with each secret id in it replaced by one of nobody, always the same. */
export function ghosted(text: string, { ids }: Secrets): string {
  return text
    .replaceAll(uuids, (id) => (ids.has(id) ? ghostOf(id) : id))
    .replaceAll(names, (name) => name.replace(namePrefix, ghostPrefix));
}

/** As a UUIDv7 as ever, and told from the original at a glance. */
function ghostOf(id: string): string {
  return `${id.slice(0, 24)}dead${id.slice(28)}`;
}

/**
 * The text without what differs between any two calls: ids, times, traces, hashes, and the size
 * of what holds these. Two answers that
 * are equal so tell the caller the same.
 */
export function gist(text: string): string {
  return text
    .replaceAll(uuids, "<id>")
    .replaceAll(new RegExp(`(${namePrefix}|${ghostPrefix})[a-z0-9_]+`, "g"), "<name>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>")
    .replaceAll(/"[\d.]+s"/g, '"<duration>"')
    .replaceAll(/(Ms|Micros|sizeBytes)":"?[\d.e+-]+"?/g, '$1":0')
    .replaceAll(/\b[0-9a-f]{16,}\b/g, "<hex>")
    .replaceAll(/"[A-Za-z0-9+/]{40,}={0,2}"/g, '"<bytes>"');
}
