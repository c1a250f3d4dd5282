import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { ChatService, type SendMessageResponse } from "@soldier/proto/chat/v1/chat_service";

/** One session, a turn for each message. */
export interface Conversation {
  /** The session; "" before the first answer begins. */
  readonly sessionId: string;
  /** Sends a message; hears the pieces of the answer as they come, together the whole of it. */
  say(
    text: string,
    hear: (piece: string) => void,
    signal?: AbortSignal,
  ): Promise<SendMessageResponse>;
  /** Lets the agent speak first; hears nothing when it has nothing to say. */
  open(hear: (piece: string) => void, signal?: AbortSignal): Promise<SendMessageResponse>;
}

export function conversation(call: Call, agent: string, sessionId: string): Conversation {
  const client = call(ChatService);
  let session = sessionId;

  async function turn(
    said: { readonly message: string } | { readonly opening: true },
    hear: (piece: string) => void,
    signal?: AbortSignal,
  ): Promise<SendMessageResponse> {
    const message = { agent, sessionId: session, ...said, idempotencyKey: newId() };
    let isHeard = false;
    let answer: SendMessageResponse | undefined;
    for await (const { event } of client.sendMessageStream({ message }, signal && { signal }))
      switch (event.case) {
        case "started":
          session = event.value.sessionId;
          break;
        case "delta":
          isHeard = true;
          hear(event.value.text);
          break;
        case "completed":
          // An answer that came in no pieces comes whole.
          if (!isHeard && event.value.reply !== "") hear(event.value.reply);
          answer = event.value;
          break;
        case undefined: // of a newer contract
      }
    if (answer) return answer;
    throw new Fault("internal", "the answer ended before it was complete");
  }

  return {
    get sessionId() {
      return session;
    },
    say: (text, hear, signal) => turn({ message: text }, hear, signal),
    open: (hear, signal) => turn({ opening: true }, hear, signal),
  };
}
