import { Fault } from "@soldier/kernel/fault";
import { throwIfCancelled } from "./cancelled.ts";
import type { Health } from "./health.ts";
import {
  isModelFault,
  type LanguageModel,
  modelFault,
  type ModelRequest,
} from "./language-model.ts";

/** A model of a chain, with its health: one for all the chains that it is in. */
export interface Link {
  readonly model: LanguageModel;
  readonly health: Health;
}

/**
 * Asks one model after the other, until one answers. Those at their limits are passed over, those
 * that keep failing come last. A stream moves on only before its first text: what was given stays.
 * When all fail, the fault has the last one's reason and names them all.
 */
export function chainedModel(links: readonly [Link, ...Link[]]): LanguageModel {
  async function ask<T>(
    req: ModelRequest,
    signal: AbortSignal,
    run: (model: LanguageModel) => Promise<T>,
  ): Promise<T> {
    throwIfCancelled(signal);
    const round = roundOf(links, req);
    for (const { model, health } of round.order) {
      try {
        const answer = await run(model);
        health.answered();
        return answer;
      } catch (error) {
        round.failed({ model, health }, error);
      }
    }
    throw round.fault();
  }

  return {
    id: links[0].model.id,
    generate: (req, signal) => ask(req, signal, (model) => model.generate(req, signal)),
    structured: (req, signal) => ask(req, signal, (model) => model.structured(req, signal)),
    async *stream(req, signal) {
      throwIfCancelled(signal);
      const round = roundOf(links, req);
      for (const { model, health } of round.order) {
        let given = false;
        try {
          for await (const chunk of model.stream(req, signal)) {
            if (chunk.kind === "text") given = true;
            else health.answered();
            yield chunk;
          }
          return;
        } catch (error) {
          round.failed({ model, health }, error);
          if (given) throw error;
        }
      }
      throw round.fault();
    },
  };
}

/** One request's way along the chain. */
function roundOf(links: readonly Link[], { onCall }: ModelRequest) {
  const tried: { readonly id: string; readonly fault: Fault }[] = [];
  const awake = links.filter(({ model, health }) => {
    const rest = health.rest();
    if (!rest) return true;
    const { leftMs, reason } = rest;
    const seconds = Math.ceil(leftMs / 1000);
    const message = `${model.id} is left alone for another ${seconds} s after ${reason}`;
    const fault = modelFault(reason, message, { retryAfterMs: Math.ceil(leftMs) });
    tried.push({ id: model.id, fault });
    onCall?.({ model: model.id, failed: reason, durationMs: 0 });
    return false;
  });
  const failing = new Set(awake.filter(({ health }) => health.failing()));

  return {
    order: [...awake.filter((link) => !failing.has(link)), ...failing],
    /** Notes the failure; throws the error when it isn't one that another model may mend. */
    failed({ model, health }: Link, error: unknown): void {
      if (!(error instanceof Fault)) throw error;
      health.failed(error);
      if (!isModelFault(error)) throw error;
      tried.push({ id: model.id, fault: error });
    },
    fault(): Fault {
      const last = tried.at(-1)?.fault;
      if (!last) throw new Error("a chain of models has tried none");
      if (tried.length === 1) return last;
      const names = tried.map(({ id, fault: { reason } }) => `${id} (${reason})`).join(", ");
      const waits = tried.flatMap(({ fault: { retryAfterMs } }) => retryAfterMs ?? []);
      return new Fault(last.kind, `none of the models has answered: ${names}; ${last.message}`, {
        reason: last.reason,
        cause: last,
        ...(waits.length > 0 && { retryAfterMs: Math.min(...waits) }),
      });
    },
  };
}
