import { createInterface, type Interface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";
import { styleText } from "node:util";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import type { SendMessageResponse } from "@soldier/proto/chat/v1/chat_service";
import { ReplySourceSchema, TurnOutcome } from "@soldier/proto/session/v1/session";
import { type Conversation, conversation } from "./conversation.ts";
import { failureText } from "./failure.ts";

export interface ChatOptions {
  /** Id or slug; needed unless a session goes on. */
  readonly agent?: string | undefined;
  readonly session?: string | undefined;
  /** One message; its answer is all that is printed. */
  readonly once?: string | undefined;
  /** The agent may speak first. */
  readonly opening?: boolean;
  /** Says what each answer came from. */
  readonly verbose?: boolean;
}

/** Where a person writes and reads. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable;
  readonly errors: Writable;
}

const help = "/new begins anew, /session says which session this is, /quit leaves";

/**
 * A conversation in the terminal, until the input ends. With `once` a failure is thrown; otherwise
 * it is told and the conversation goes on.
 */
export async function chat(call: Call, options: ChatOptions, terminal: Terminal): Promise<void> {
  const { agent = "", session = "", once } = options;
  if (agent === "" && session === "")
    throw new Fault("invalid", "say whom to talk to by --agent, or --session to go on", {
      reason: "AGENT_MISSING",
    });
  const begin = (id: string) => conversation(call, agent, id);
  if (once !== undefined) {
    const talk = begin(session);
    if (options.opening) await open(talk, options, terminal);
    return answer(talk, once, options, terminal);
  }

  const { input, output } = terminal;
  const lines = createInterface({ input, output, terminal: input.isTTY === true });
  try {
    await converse(begin, lines, options, terminal);
  } finally {
    lines.close();
  }
}

async function converse(
  begin: (sessionId: string) => Conversation,
  lines: Interface,
  options: ChatOptions,
  terminal: Terminal,
): Promise<void> {
  const { output, errors } = terminal;
  const isTerminal = terminal.input.isTTY === true;
  let talk = begin(options.session ?? "");
  let running: AbortController | undefined;
  let isOver = false;
  lines.once("close", () => (isOver = true));
  // While an answer comes, Ctrl-C ends the answer; otherwise it ends the conversation.
  lines.on("SIGINT", () => (running ? running.abort() : lines.close()));
  lines.setPrompt("> ");
  const prompt = () => isTerminal && !isOver && lines.prompt();
  if (isTerminal) output.write(`${dim(help, output)}\n`);
  const attempt = async (turn: (signal: AbortSignal) => Promise<void>) => {
    running = new AbortController();
    const { signal } = running;
    await turn(signal).catch((error: unknown) => {
      if (!(error instanceof Fault)) throw error;
      errors.write(signal.aborted ? "\n" : `${failureText(error)}\n`);
    });
    running = undefined;
  };
  const opened = async () => {
    if (options.opening) await attempt((signal) => open(talk, options, terminal, signal));
  };
  const written = lines[Symbol.asyncIterator](); // before anything is waited for, or lines are lost
  await opened();
  prompt();
  for await (const line of written) {
    const text = line.trim();
    if (text === "/quit") break;
    if (text === "/new") {
      talk = begin("");
      await opened();
    } else if (text === "/session") output.write(`${talk.sessionId || "none yet"}\n`);
    else if (text === "/help") output.write(`${help}\n`);
    else if (text !== "") await attempt((signal) => answer(talk, text, options, terminal, signal));
    prompt();
  }
  if (isTerminal && talk.sessionId !== "")
    output.write(`\n${dim(`to go on: --session ${talk.sessionId}`, output)}\n`);
}

function answer(
  talk: Conversation,
  text: string,
  options: ChatOptions,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<void> {
  return heard((hear) => talk.say(text, hear, signal), options, terminal);
}

/** Nothing is printed when the agent has nothing to open with. */
function open(
  talk: Conversation,
  options: ChatOptions,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<void> {
  return heard((hear) => talk.open(hear, signal), options, terminal);
}

async function heard(
  turn: (hear: (piece: string) => void) => Promise<SendMessageResponse>,
  { verbose }: ChatOptions,
  { output, errors }: Terminal,
): Promise<void> {
  let pieces = 0;
  try {
    const completed = await turn((piece) => {
      pieces += 1;
      output.write(printable(piece));
    });
    if (completed.outcome !== TurnOutcome.SILENT) output.write("\n");
    if (verbose) errors.write(`${dim(`  ${about(completed)}`, errors)}\n`);
  } catch (error) {
    if (pieces > 0) output.write("\n"); // what went wrong is no part of the answer
    throw error;
  }
}

/** What an answer came from: "turn 3 · template · rules: greeting · step ask-order · trace 4bf…" */
function about(answered: SendMessageResponse): string {
  const { turnNumber, replySource, outcome, rules, position, traceId, replayed } = answered;
  const isSilent = outcome === TurnOutcome.SILENT;
  const source = isSilent
    ? "silent"
    : (ReplySourceSchema.value[replySource]?.localName.toLowerCase() ?? "");
  const parts = [
    `turn ${turnNumber}`,
    source,
    rules.length > 0 ? `rules: ${rules.join(", ")}` : "no rule",
    position ? `step ${position.stepId}` : "no scenario",
    traceId && `trace ${traceId}`,
    replayed && "said before",
  ];
  return printable(parts.filter(Boolean).join(" · "));
}

/** Without the control characters by which an answer could take over the terminal. */
function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, "");
}

/** Dim on a terminal that may show it, else as it is. */
function dim(text: string, stream: Writable): string {
  return styleText("dim", text, { stream });
}
