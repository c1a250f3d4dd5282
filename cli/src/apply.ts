import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import {
  type ApplyAgentResponse,
  ChangeKind,
  ConfigService,
} from "@soldier/proto/config/v1/config_service";
import { type AgentFiles, readAgentFiles } from "./agent-files.ts";

export interface ApplyOptions {
  /** Only says what would change. */
  readonly dryRun: boolean;
  /** Makes it live once it is applied. */
  readonly publish: boolean;
  /** Told how far a long publish is. */
  readonly progress?: (text: string) => unknown;
}

/**
 * Makes an agent's draft what the folder's files say, publishes it, and returns what to tell. Throws
 * a Fault with the place in the files of everything that is wrong, whoever has found it.
 */
export async function apply(call: Call, directory: string, options: ApplyOptions): Promise<string> {
  const files = await readAgentFiles(directory);
  const { document } = files;
  const { dryRun, publish } = options;
  const request = { document, dryRun, publish: publish && !dryRun };
  try {
    const applied = await toTheEnd(() => call(ConfigService).applyAgent(request), options);
    return appliedText(document.agent?.slug ?? "", applied, options);
  } catch (error) {
    throw error instanceof Fault ? withPlaces(error, files) : error;
  }
}

/** Repeats a publish that has more to embed than one call can: each goes on where the last one was. */
async function toTheEnd<T>(publish: () => Promise<T>, { progress }: ApplyOptions): Promise<T> {
  let embedded = -1;
  for (;;) {
    try {
      return await publish();
    } catch (error) {
      if (!(error instanceof Fault) || error.reason !== "EMBEDDING_UNFINISHED") throw error;
      const { texts_embedded: now = "", texts = "" } = error.metadata;
      if (!(Number(now) > embedded)) throw error; // it does not come any further
      embedded = Number(now);
      progress?.(`${now} of ${texts} texts are embedded; the draft is saved, going on`);
    }
  }
}

function withPlaces(fault: Fault, files: AgentFiles): Fault {
  if (fault.fields.length === 0) return fault;
  const { kind, reason, metadata, retryAfterMs } = fault;
  const fields = fault.fields.map(({ field, description }) => {
    const place = files.placeOf(field);
    return { field: place === undefined ? field : `${place}: ${field}`, description };
  });
  const delay = retryAfterMs !== undefined && { retryAfterMs };
  // The service's message is the first problem, which the list has with its place.
  const count = fields.length === 1 ? "a problem" : `${fields.length} problems`;
  return new Fault(kind, `the agent has ${count}`, {
    reason,
    metadata,
    fields,
    ...delay,
    cause: fault,
  });
}

const signs: Readonly<Record<ChangeKind, string>> = {
  [ChangeKind.UNSPECIFIED]: "?",
  [ChangeKind.CREATED]: "+",
  [ChangeKind.UPDATED]: "~",
  [ChangeKind.DELETED]: "-",
};

/** What changed, a line for each thing, and how it ended. */
function appliedText(
  slug: string,
  { changes, version }: ApplyAgentResponse,
  { dryRun, publish }: ApplyOptions,
): string {
  const lines = changes.map(({ kind, collection, name, fields }) => {
    const which = fields.length > 0 ? ` (${fields.join(", ")})` : "";
    return `${signs[kind]} ${collection}/${name}${which}`;
  });
  const count = (kind: ChangeKind) => changes.filter((change) => change.kind === kind).length;
  const counts = [
    `${count(ChangeKind.CREATED)} created`,
    `${count(ChangeKind.UPDATED)} updated`,
    `${count(ChangeKind.DELETED)} deleted`,
  ].join(", ");
  const what = changes.length === 0 ? "nothing changes" : counts;
  return [...lines, `${slug}: ${what}; ${ending()}`].join("\n");

  function ending(): string {
    if (dryRun) return "only a dry run, nothing was written";
    return publish ? `version ${version} is live` : "the draft is saved, not published";
  }
}
