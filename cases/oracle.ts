import { type AnthropicServer, anthropicServer, type WireRequest } from "@soldier/ai/testing";
import type { CaseNames } from "./names.ts";
import { type Question, questionOf } from "./oracle-question.ts";
import { replyTo, structuredAnswer } from "./oracle-answers.ts";
import type { Plan } from "./plan.ts";
import type { Called } from "./tool-server.ts";

/** One request to a model, as the stand-in got it. */
export interface Asked {
  /** Names of what the answer's shape holds; empty for free text. */
  readonly shape: readonly string[];
  /** The whole prompt. */
  readonly prompt: string;
  /** The last message alone. */
  readonly question: string;
}

/** Holds back the answer to one request. */
export interface Hold {
  /** Resolves when the request is there. */
  readonly arrived: Promise<void>;
  release(): void;
}

/**
 * A stand-in for a model that answers as a sensible one would, because it knows what the case expects.
 * It gives only a model's answers, by a provider's own protocol: what the engine makes of them is what
 * is checked.
 */
export interface Oracle extends AsyncDisposable {
  readonly url: string;
  /** From now on it answers for this case; returns what it is asked, as it comes. */
  answerFor(plan: Plan, names: CaseNames, called: readonly Called[]): readonly Asked[];
  holdNext(): Hold;
  /** Throws what went wrong in it since it was last asked. */
  check(): void;
}

const holdMaxMs = 1_500;

interface Current {
  readonly plan: Plan;
  readonly names: CaseNames;
  readonly called: readonly Called[];
  readonly asked: Asked[];
}

export async function startOracle(): Promise<Oracle> {
  let current: Current | undefined;
  let failure: unknown;
  let holding: { arrived: () => void; released: Promise<void> } | undefined;

  const server: AnthropicServer = await anthropicServer(async (request: WireRequest) => {
    const held = holding;
    holding = undefined;
    if (held) {
      held.arrived();
      await held.released;
    }
    if (!current) return { status: 500, error: "api_error" };
    try {
      return { pieces: pieces(answer(questionOf(request), current)) };
    } catch (error) {
      failure = error;
      return { status: 500, error: "api_error" };
    }
  });

  return {
    url: server.url,
    answerFor(plan, names, called) {
      const asked: Asked[] = [];
      current = { plan, names, called, asked };
      return asked;
    },
    holdNext() {
      const arrived = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const timer = setTimeout(() => released.resolve(), holdMaxMs);
      holding = { arrived: arrived.resolve, released: released.promise };
      return {
        arrived: arrived.promise,
        release() {
          clearTimeout(timer);
          released.resolve();
        },
      };
    },
    check() {
      const thrown = failure;
      failure = undefined;
      if (thrown !== undefined) throw thrown;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function answer(question: Question, { asked, ...known }: Current): string {
  const writtenBefore = asked.filter(({ shape }) => shape.length === 0).length;
  asked.push({
    shape: Object.keys(question.schema?.properties ?? {}),
    prompt: question.prompt,
    question: question.text,
  });
  const knowledge = { ...known, question, writtenBefore };
  return question.schema
    ? JSON.stringify(structuredAnswer(question.schema, knowledge))
    : replyTo(knowledge);
}

function pieces(text: string): readonly string[] {
  return text.match(/[\s\S]{1,40}/g) ?? [""];
}
