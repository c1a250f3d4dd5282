import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { checkedMessage } from "@soldier/kernel/checksum";
import { Fault } from "@soldier/kernel/fault";
import { type Bundle, BundleSchema } from "@soldier/proto/config/v1/bundle";
import type {
  BundleHead,
  ConfigService,
  StreamBundleRequestSchema,
} from "@soldier/proto/config/v1/config_service";
import type { VariableValue } from "@soldier/proto/config/v1/template";

type Config = Pick<Client<typeof ConfigService>, "streamBundle">;
type Wish = MessageInitShape<typeof StreamBundleRequestSchema>;

export interface FetchOptions {
  /** A larger bundle is refused (BUNDLE_TOO_LARGE) before any of it is held. */
  readonly maxBytes: number;
  /** How often a stream is begun that breaks, or that nobody answers. */
  readonly attemptsMax: number;
}

export interface Fetched {
  /** Undefined when the version known is the one. */
  readonly bundle: Bundle | undefined;
  /** Serialised, as config has sent it. */
  readonly bytes: Uint8Array;
  readonly variableValues: readonly VariableValue[];
}

/** Of the whole stream; tens of megabytes take about a second. */
const timeoutMs = 60_000;
const firstPauseMs = 50;

/** A bundle from config, put together of its pieces and checked; begun anew when the stream breaks. */
export async function fetchBundle(
  config: Config,
  wish: Wish,
  { maxBytes, attemptsMax }: FetchOptions,
): Promise<Fetched> {
  for (let attempt = 1; ; attempt++) {
    const stream = { begun: false };
    try {
      return await assembled(config, wish, maxBytes, stream);
    } catch (error) {
      if (attempt >= attemptsMax || !mayMend(error, stream.begun)) throw error;
      await pause(firstPauseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2));
    }
  }
}

/** A stream that had begun can break in more ways than one that nobody answered. */
function mayMend(error: unknown, begun: boolean): boolean {
  if (!(error instanceof Fault)) return false;
  return error.kind === "unavailable" || (begun && error.kind === "internal");
}

async function assembled(
  config: Config,
  wish: Wish,
  maxBytes: number,
  stream: { begun: boolean },
): Promise<Fetched> {
  let head: BundleHead | undefined;
  let bytes = new Uint8Array(0);
  let filled = 0;
  let sha256: Uint8Array | undefined;
  const hash = createHash("sha256");
  for await (const { part } of config.streamBundle(wish, { timeoutMs })) {
    stream.begun = true;
    if (part.case === "head") {
      head = part.value;
      bytes = new Uint8Array(roomFor(Number(head.sizeBytes), maxBytes));
    } else if (part.case === "piece") {
      if (filled + part.value.byteLength > bytes.byteLength)
        throw broken("more than was announced");
      bytes.set(part.value, filled);
      filled += part.value.byteLength;
      hash.update(part.value);
    } else if (part.case === "end") {
      ({ sha256 } = part.value);
    }
  }
  if (!head) throw broken("nothing");
  const { variableValues } = head;
  const sizeBytes = bytes.byteLength;
  if (sizeBytes === 0) return { bundle: undefined, bytes, variableValues };
  if (filled !== sizeBytes) throw broken(`${filled} of ${sizeBytes} bytes`);
  if (!sha256 || !hash.digest().equals(sha256)) throw broken("other bytes than were sent");
  return { bundle: bundleFrom(bytes, wish), bytes, variableValues };
}

function bundleFrom(bytes: Uint8Array, { agentId = "" }: Wish): Bundle {
  try {
    return fromBinary(BundleSchema, checkedMessage(bytes));
  } catch (error) {
    throw new Fault(
      "data-loss",
      `the bundle that config keeps for the agent ${agentId} can't be read: publish the agent again`,
      { cause: error, reason: "BUNDLE_DAMAGED" },
    );
  }
}

function roomFor(sizeBytes: number, maxBytes: number): number {
  if (sizeBytes <= maxBytes) return sizeBytes;
  throw new Fault(
    "precondition",
    `the bundle has ${sizeBytes} bytes, more than the ${maxBytes} that [bundles] max_bytes allows: set it to the same in every service`,
    { reason: "BUNDLE_TOO_LARGE" },
  );
}

function broken(what: string): Fault {
  return new Fault("unavailable", `of the bundle there came ${what}`, { reason: "BUNDLE_BROKEN" });
}
