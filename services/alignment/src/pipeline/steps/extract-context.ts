import { create } from "@bufbuild/protobuf";
import { embedOne } from "@soldier/ai/embedder";
import {
  ContextRecordSchema,
  type ExtractedEntity,
  ExtractedEntitySchema,
  ScenarioSignal,
} from "@soldier/proto/audit/v1/turn_record";
import type { SessionState } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import { type Context, type Entity, plainContext } from "../../domain/context.ts";
import { exitSignal } from "../../domain/exit-signal.ts";
import { answerFor, fieldsIn, type FoundField } from "../../domain/fields.ts";
import { valueOf } from "../../domain/json.ts";
import { pattern } from "../../domain/patterns.ts";
import { tried } from "../degrade.ts";
import { contextJudged } from "../judgement.ts";
import type { ContextAnswer } from "../judgement-shapes.ts";
import type { Means } from "../means.ts";
import { modelCalls } from "../model-calls.ts";
import type { Step } from "../step.ts";

type Needs =
  | "incoming"
  | "bundle"
  | "state"
  | "turnNumber"
  | "history"
  | "budget"
  | "rung"
  | "recorder";

/**
 * What the message means, as far as it can be told before it is compared with anything: its vector,
 * the values in it, a wish to leave. Only when asked for by itself does a model read it here; fused,
 * that is part of the judgement.
 */
export function extractContext(means: Means): Step<Needs, "context"> {
  const { embedder } = means;
  return {
    name: "extract-context",
    async run(turn, signal) {
      const { incoming, bundle, state, budget } = turn;
      if (incoming.opening) {
        const context = plainContext("");
        return {
          context,
          record: { skipped: "an opening has no message", ...recorded(context, bundle) },
        };
      }
      if (bundle.settings.context === "disabled") {
        const embedded = await tried(
          () => embedOne(embedder, incoming.text, budget, "query"),
          signal,
        );
        const context = { ...plainContext(incoming.text), vector: embedded.value };
        return { context, record: { skipped: "disabled", ...recorded(context, bundle) } };
      }
      const embedded = await tried(
        () => embedOne(embedder, incoming.text, budget, "query"),
        signal,
      );
      const plain: Context = {
        ...plainContext(incoming.text),
        entities: entitiesIn(incoming.text, bundle),
        fields: fields(incoming.text, bundle, state, turn.turnNumber),
        exitSignal: exitSignal(incoming.text),
        mode: "embedding_only",
        vector: embedded.value,
      };
      const separate =
        bundle.settings.context === "llm" && bundle.settings.judgement === "separate";
      const calls = separate ? modelCalls(means, turn, "context") : undefined;
      if (!calls)
        return {
          context: plain,
          record: {
            ...recorded(plain, bundle),
            ...(embedded.fault && { degraded: embedded.fault.reason }),
          },
        };
      const read = await tried(() => contextJudged(turn, calls), signal);
      const context = read.value ? understanding(plain, read.value) : plain;
      const fault = read.fault ?? embedded.fault;
      return {
        context,
        record: {
          ...recorded(context, bundle),
          ...calls.record,
          ...(fault && { degraded: fault.reason }),
        },
      };
    },
    off: ({ incoming }) => ({ context: plainContext(incoming.text) }),
  };
}

/** The context with what a model made of the message. */
export function understanding(plain: Context, read: ContextAnswer): Context {
  return {
    ...plain,
    intent: read.intent || plain.intent,
    topic: read.topic,
    sentiment: read.sentiment,
    signal: signals[read.signal],
    // What patterns have found goes before what a model calls by the same name.
    entities: [...plain.entities, ...read.entities.flatMap((each) => entity(each, plain))],
    // A model that hears the wish to leave is believed; words alone are heard, too.
    exitSignal: read.signal === "exit" ? Math.max(plain.exitSignal, 0.9) : plain.exitSignal,
    mode: "llm",
  };
}

function entity(
  { name, text }: ContextAnswer["entities"][number],
  { entities }: Context,
): Entity[] {
  if (name === "" || text === "" || entities.some((other) => other.name === name)) return [];
  return [{ name, text, value: text }];
}

const signals = {
  none: ScenarioSignal.UNSPECIFIED,
  start: ScenarioSignal.START,
  continue: ScenarioSignal.CONTINUE,
  exit: ScenarioSignal.EXIT,
} as const;

/** What the message holds by the patterns of tools' arguments. */
function entitiesIn(text: string, bundle: CompiledBundle): readonly Entity[] {
  const found = new Map<string, Entity>();
  for (const tool of bundle.toolsById.values())
    for (const [name, source] of Object.entries(tool.arguments)) {
      if (!source.pattern || found.has(name)) continue;
      const part = pattern(source.pattern)?.capture(text)?.trim();
      if (part) found.set(name, { name, text: part, value: part });
    }
  return [...found.values()];
}

/** What the message gives for fields: by their patterns, or as the answer to our last question. */
function fields(
  text: string,
  bundle: CompiledBundle,
  { awaited }: SessionState,
  turnNumber: number,
): readonly FoundField[] {
  const found = fieldsIn(text, bundle.fields.values());
  const asked = awaited?.for.case === "field" ? awaited.for.value : undefined;
  const definition = asked === undefined ? undefined : bundle.fields.get(asked);
  const justAsked = awaited?.askedTurn === turnNumber - 1;
  if (!definition || !justAsked || found.some(({ name }) => name === asked)) return found;
  if (exitSignal(text) > 0) return found;
  const answer = answerFor(definition, text);
  return answer ? [...found, answer] : found;
}

export function recorded(context: Context, bundle: CompiledBundle) {
  const { intent, topic, sentiment, signal, mode } = context;
  const isPrivate = (name: string) => bundle.fields.get(name)?.pii === true;
  const entities = [...context.entities, ...context.fields].map(
    ({ name, text, value }): ExtractedEntity =>
      create(ExtractedEntitySchema, {
        name,
        text: isPrivate(name) ? redacted : text,
        value: valueOf(isPrivate(name) ? redacted : value),
      }),
  );
  return {
    facts: {
      context: create(ContextRecordSchema, {
        intent,
        topic,
        sentiment,
        scenarioSignal: signal,
        mode,
        entities,
      }),
    },
  };
}

const redacted = "[redacted]";
