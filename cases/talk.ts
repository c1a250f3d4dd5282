import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import {
  AlignmentService,
  type TurnCompleted,
} from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { customerName } from "./given.ts";
import type { CaseMessage } from "./case-file.ts";

/** What became of one message. */
export interface Said {
  readonly text: string;
  /** "acknowledged", "processing", "typing", "ready", "cancelled", "error", in the order in which they were known. */
  readonly statuses: readonly string[];
  readonly completed: TurnCompleted | undefined;
  readonly fault: Fault | undefined;
}

/** Sends a message, or asks the agent to open when there is none. `begun` is called when its turn runs. */
export async function say(
  message: CaseMessage | undefined,
  { call, sessionId }: { call: Call; sessionId: string },
  begun: (sessionId: string) => void = () => {},
): Promise<Said> {
  const statuses: string[] = [];
  const note = (status: string) => statuses.at(-1) !== status && statuses.push(status);
  const text = message?.text ?? "";
  let completed: TurnCompleted | undefined;
  try {
    const events = call(AlignmentService).processTurn({
      ...(sessionId
        ? { sessionId }
        : { agent: "desk", customer: { externalId: customerName }, channel: Channel.WEBCHAT }),
      text,
      opening: message === undefined,
      idempotencyKey: message?.key ?? "",
    });
    for await (const { event } of events) {
      if (event.case === "started") {
        note("acknowledged");
        note("processing");
        begun(event.value.sessionId);
      }
      if (event.case === "delta") note("typing");
      if (event.case === "completed") {
        note("ready");
        completed = event.value;
      }
    }
    return { text, statuses, completed, fault: undefined };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    note(error.reason === "TURN_SUPERSEDED" ? "cancelled" : "error");
    return { text, statuses, completed, fault: error };
  }
}
