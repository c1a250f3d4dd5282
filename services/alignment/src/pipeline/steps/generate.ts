import { create } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { SpeculationRecordSchema } from "@soldier/proto/audit/v1/turn_record";
import { checked, constraintsOf } from "../../domain/checks.ts";
import { bindingsOf } from "../../domain/expressions.ts";
import { Gate } from "../../domain/gate.ts";
import { profileUse } from "../../domain/profile-use.ts";
import { isField, type Remembered, usesOf } from "../../domain/remembered.ts";
import { fallbackReply, type PlannedReply, withArrival } from "../../domain/reply.ts";
import { replyMode } from "../../domain/reply-mode.ts";
import { isAlwaysOn } from "../../domain/rule-filters.ts";
import { templateRecords } from "../../domain/template-records.ts";
import { type TemplateCandidate, templateCandidates } from "../../domain/templates.ts";
import { placeOf } from "../../domain/turn-values.ts";
import { chosenReply } from "../choose-template.ts";
import type { Means } from "../means.ts";
import { knowsOwnModel, type ModelCalls, modelCalls, together } from "../model-calls.ts";
import {
  agentsFallback,
  asksOf,
  replyWithoutModel,
  stepOf,
  templateQuestion,
} from "../reply-plan.ts";
import { type ReplyNeeds, replyRequest } from "../reply-request.ts";
import type { Step } from "../step.ts";
import type { Draft, Turn } from "../turn.ts";

type Needs = ReplyNeeds | "outlet" | "navigation" | "speculation" | "budget" | "rung" | "recorder";

/**
 * Writes the reply into a gate that lets out what may be seen. An EXCLUSIVE template is said as it
 * stands; otherwise a model writes, and without one templates and questions are put together. What was
 * begun while the message was judged is gone on with when it is what would be asked for now.
 */
export function generate(means: Means): Step<Needs, "draft"> {
  return {
    name: "generate",
    async run(turn, signal) {
      const { bundle, outlet, known, applied, speculation } = turn;
      if (isSilent(turn)) {
        await speculation?.discard();
        return { draft: silence(), record: { skipped: "no rule calls for an opening" } };
      }
      const bindings = bindingsOf(known);
      const candidates = templateCandidates(templateQuestion(turn, bindings));
      const constraints = constraintsOf(applied, known);
      const gate = new Gate(
        constraints,
        (constraint, text) => checked(constraint, text, bundle.expressions, bindings),
        (piece) => outlet.delta(piece),
        bundle.settings.generation.self_critique, // what was shown can't be looked at again
      );
      const draft = (planned: PlannedReply): Draft => ({
        gate,
        candidates,
        source: planned.source,
        templateIds: planned.templateIds,
        fallbackReason: planned.reason,
        failed: false,
        isGenerated: false,
        rewrite: undefined,
      });

      const written = async (run: () => Promise<unknown>): Promise<string | undefined> => {
        try {
          await run();
          return gate.written.trim() === "" ? "MODEL_SAID_NOTHING" : undefined;
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof Fault) return error.reason;
          throw error;
        }
      };
      const choosing = modelCalls(means, turn, "choose");
      const step = stepOf(turn);
      const question = { candidates, asks: asksOf(turn), constraints, bindings, step };
      const chosen = await chosenReply(question, turn, choosing);
      const calls = chosen ? undefined : modelCalls(means, turn, "generate");
      const asked = (stressed: readonly string[]) =>
        replyRequest(turn, candidates, { stressed, shown: gate.shown });
      const request = (stressed: readonly string[]) => asked(stressed).request;
      const kept = calls && speculation?.isFor(request([])) ? speculation : undefined;
      const against = chosen ? "a template answers" : "the reply is asked for otherwise";
      if (!kept) await speculation?.discard();
      const record = {
        ...together(choosing, calls, speculation),
        facts: {
          templates: templateRecords(candidates, [], undefined),
          ...(speculation && {
            speculation: create(SpeculationRecordSchema, {
              used: kept !== undefined,
              reason: kept ? "" : against,
            }),
          }),
        },
      };

      const said = (ids: readonly string[]) => {
        const seen = (record.modelCalls ?? []).length > 0 ? Object.keys(known.profile) : undefined;
        const saying = candidates.filter(({ id }) => ids.includes(id));
        return uses(turn, candidates, saying, seen, undefined);
      };
      if (chosen) {
        signal.throwIfAborted();
        const { reason, failed, isGenerated, notes, again } = chosen;
        const arrived =
          turn.navigation.entered.length > 0 &&
          replyMode(bundle, placeOf(turn.state)) !== "EXCLUSIVE";
        const own = arrived && chosen.planned && withArrival(chosen.planned, candidates);
        const planned =
          (own || chosen.planned) ??
          fallbackReply(candidates, agentsFallback(turn, bindings), reason);
        const isDown = failed !== "" && chosen.planned === undefined;
        // Where a model's failure is the reason, enforce says the fallback.
        if (!isDown) gate.write(planned.text);
        const templates = templateRecords(candidates, planned.templateIds, notes);
        return {
          draft: {
            ...draft(planned),
            isGenerated,
            rewrite:
              again &&
              ((to, stressed) => written(async () => void gate.write(await again(to, stressed)))),
            failed: isDown,
            ...(isDown && { fallbackReason: failed }),
          },
          record: {
            ...record,
            ...(failed !== "" && { degraded: failed }),
            facts: { ...record.facts, templates, ...said(planned.templateIds) },
          },
        };
      }
      if (!calls) {
        const planned = replyWithoutModel(turn, candidates, bindings);
        gate.write(planned.text);
        const templates = templateRecords(candidates, planned.templateIds, undefined);
        return {
          draft: draft(planned),
          record: {
            ...record,
            facts: { ...record.facts, templates, ...said(planned.templateIds) },
          },
        };
      }

      const { told } = asked([]);
      const toldFields = told.flatMap(({ use }) => (isField(use) ? [use.name] : []));
      const take = (piece: string) => gate.write(piece);
      const write = (to: ModelCalls, stressed: readonly string[], until: AbortSignal) =>
        written(() => to.write("generate", request(stressed), until, take));
      const failure = kept
        ? await written(() => kept.into(take))
        : await write(calls, [], turn.budget);
      const degraded = failure ?? (knowsOwnModel(means, turn) ? undefined : "AGENT_MODEL_UNKNOWN");
      return {
        draft: {
          gate,
          candidates,
          source: "model",
          templateIds: [],
          fallbackReason: failure ?? "",
          failed: failure !== undefined,
          isGenerated: true,
          rewrite: write,
        },
        record: {
          ...record,
          ...together(choosing, calls, speculation),
          ...(degraded !== undefined && { degraded }),
          facts: {
            ...record.facts,
            ...uses(turn, candidates, [], toldFields, told),
          },
        },
      };
    },
    off: () => ({ draft: silence() }),
  };
}

/** What of the customer the reply was made of, for the record. */
function uses(
  turn: Pick<Turn, "known" | "remembered">,
  candidates: readonly TemplateCandidate[],
  said: readonly TemplateCandidate[],
  seen: readonly string[] | undefined,
  told: readonly Remembered[] | undefined,
) {
  const ofProfile = profileUse(turn, candidates, said, seen);
  const unused = told ? "the prompt had no room for it" : "no model was asked to write the reply";
  const fields = ofProfile.profileFieldsUsed;
  return { ...ofProfile, ...usesOf(turn.remembered, { shown: told ?? [], fields, unused }) };
}

/** An opening is made only where a rule calls for it: constraints that are always on call for nothing. */
function isSilent({ incoming, applied }: Pick<Turn, "incoming" | "applied">): boolean {
  return incoming.opening && applied.every(isAlwaysOn);
}

function silence(): Draft {
  const check = () => {
    throw new Error("a silent turn has nothing to check");
  };
  return {
    gate: new Gate([], check, () => {}), // nothing is ever written into it
    candidates: [],
    source: "none",
    templateIds: [],
    fallbackReason: "",
    failed: false,
    isGenerated: false,
    rewrite: undefined,
  };
}
