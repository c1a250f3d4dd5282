import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Clock, systemClock } from "@soldier/kernel/clock";
import { silentLog } from "@soldier/kernel/log";
import { newId } from "@soldier/kernel/ids";
import { ToolSchema } from "@soldier/proto/config/v1/tool";
import type { JsonRecord } from "../domain/json.ts";
import type { ToolAnswer, ToolRequest } from "../pipeline/tool-transport.ts";
import { egress, type Resolve } from "./egress.ts";
import { toolTransport } from "./tool-transport.ts";

export interface TransportUnderTest extends AsyncDisposable {
  call(tool: MessageInitShape<typeof ToolSchema>, over?: Calling): Promise<ToolAnswer>;
  onlyReads(tool: MessageInitShape<typeof ToolSchema>): Promise<boolean>;
}

export interface Calling extends Partial<Omit<ToolRequest, "tool">> {
  readonly signal?: AbortSignal;
}

/** Every kind of transport, as the service opens them. */
export function transportUnderTest(over: {
  readonly allowed: readonly string[];
  readonly resolve?: Resolve;
  readonly answerSizeMaxBytes?: number;
  readonly settings?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
}): TransportUnderTest {
  const opened = new AsyncDisposableStack();
  const { allowed, resolve, answerSizeMaxBytes = 4_096, settings = {}, clock = systemClock } = over;
  const transport = toolTransport(
    {
      egress: egress({ allowedPrivateHosts: allowed, ...(resolve && { resolve }) }, opened),
      answerSizeMaxBytes,
      settings,
      breakerFailures: 3,
      breakerOpenMs: 10_000,
      clock,
      log: silentLog,
    },
    opened,
  );
  const requestOf = (tool: MessageInitShape<typeof ToolSchema>, calling: Calling): ToolRequest => ({
    tenantId: "tenant-1",
    tool: create(ToolSchema, tool),
    arguments: { order_id: "L-17" } satisfies JsonRecord,
    key: newId(),
    timeoutMs: 5_000,
    ...calling,
  });
  const never = new AbortController().signal;
  return {
    call: (tool, { signal = never, ...calling } = {}) =>
      transport.call(requestOf(tool, calling), signal),
    onlyReads: (tool) => transport.onlyReads(requestOf(tool, {}), never),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
