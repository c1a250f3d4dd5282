import { setTimeout as pause } from "node:timers/promises";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import type { Session, Turn } from "@soldier/proto/session/v1/session";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import type { Case } from "./case-file.ts";
import { documentOf } from "./document.ts";
import type { Engine } from "./engine.ts";
import { givenCustomer, givenSession, givenValues, hasBegun } from "./given.ts";
import { type CaseNames, caseNames } from "./names.ts";
import type { Asked, Oracle } from "./oracle.ts";
import { type Plan, planOf } from "./plan.ts";
import { type Said, say } from "./talk.ts";
import type { Called, ToolServer } from "./tool-server.ts";

/** Everything that a case's expectations are held against. */
export interface Ran {
  readonly plan: Plan;
  readonly names: CaseNames;
  /** Why the config service did not take the agent; nothing was said then. */
  readonly refused: Fault | undefined;
  readonly said: readonly Said[];
  /** Records of the turns that were committed, in order. */
  readonly records: readonly TurnRecord[];
  readonly session: Session | undefined;
  readonly turns: readonly Turn[];
  readonly bundle: Bundle | undefined;
  readonly called: readonly Called[];
  /** What the stand-in for a model was asked; undefined with a real one, or with none. */
  readonly asked: readonly Asked[] | undefined;
}

export interface Surroundings {
  readonly engine: Engine;
  readonly tools: ToolServer;
  /** The stand-in for a model that answers this engine. */
  readonly oracle: Oracle | undefined;
}

/** Makes the case's agent and its past, says what is to be said, and gathers what came of it. */
export async function runCase(given: Case, around: Surroundings): Promise<Ran> {
  const { engine, tools, oracle } = around;
  const plan = planOf(given);
  const names = caseNames();
  const key = newId();
  const called = tools.serve(key, given.agent.tools, given.given.tools_down);
  const call = engine.freshTenant();
  const document = documentOf(plan, names, tools.urlFor(key));
  const before = { plan, names, called, asked: undefined };
  try {
    await call(ConfigService).applyAgent({ document, publish: true });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const nothing = { said: [], records: [], session: undefined, turns: [], bundle: undefined };
    return { ...before, ...nothing, refused: error };
  }
  const asked = oracle?.answerFor(plan, names, called);
  try {
    const { bundle } = await call(ConfigService).getBundle({ agentId: "desk" });
    if (!bundle) throw new Error("the config service answered without a bundle");
    engine.clock.set(moment(given.given.value_written_at ?? given.given.now));
    const profile = await givenCustomer(given, names, call);
    await givenValues(given, names, profile, call);
    engine.clock.set(moment(given.given.now));
    const sessionId = hasBegun(plan)
      ? await givenSession(plan, names, { bundle, profile, call })
      : "";
    const said = await converse(plan, sessionId, call, oracle);
    oracle?.check();
    return {
      ...before,
      refused: undefined,
      bundle,
      said,
      asked,
      ...(await left(said, sessionId, call)),
    };
  } finally {
    engine.clock.set(undefined);
  }
}

function moment(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}

/** The messages one after the other, but for those that arrive while the one before is answered. */
async function converse(
  { live }: Plan,
  known: string,
  call: Call,
  oracle: Oracle | undefined,
): Promise<readonly Said[]> {
  let sessionId = known;
  // A client that tries again sends the same request.
  const sentTo = new Map<string, string>();
  const said: Promise<Said>[] = [];
  for (const [i, message] of (live.length > 0 ? live : [undefined]).entries()) {
    const next = live[i + 1];
    const begun = Promise.withResolvers<void>();
    const held = next?.arrives ? oracle?.holdNext() : undefined;
    const target = (message?.key && sentTo.get(message.key)) ?? sessionId;
    if (message?.key) sentTo.set(message.key, target);
    const saying = say(message, { call, sessionId: target }, (id) => {
      sessionId = id;
      begun.resolve();
    });
    said.push(saying);
    if (!next?.arrives) {
      await Promise.all(said);
      held?.release();
      continue;
    }
    await Promise.race([saying, begun.promise]);
    if (held) await Promise.race([saying, held.arrived]);
  }
  return Promise.all(said);
}

/** What a conversation left behind; the record of a turn arrives moments after it. */
async function left(said: readonly Said[], known: string, call: Call) {
  const completed = said.flatMap((each) => each.completed?.turn ?? []);
  const records: TurnRecord[] = [];
  for (const { id } of completed) {
    const record = await recordOf(id, call);
    if (record) records.push(record);
  }
  const sessionId = completed.at(-1)?.sessionId ?? known;
  if (!sessionId) return { records, session: undefined, turns: [] };
  const { session } = await call(SessionService).getSession({ sessionId });
  const { turns } = await call(SessionService).listTurns({ sessionId });
  return { records, session, turns };
}

const recordWaitMs = 5_000;

export async function recordOf(turnId: string, call: Call): Promise<TurnRecord | undefined> {
  const untilMs = performance.now() + recordWaitMs;
  for (;;) {
    try {
      return (await call(AlignmentService).explain({ turnId })).record;
    } catch (error) {
      if (!(error instanceof Fault) || error.kind !== "not-found") throw error;
      if (performance.now() > untilMs) return undefined;
      await pause(10);
    }
  }
}
