import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Embedder, embedOne } from "@soldier/ai/embedder";
import { tenantOf } from "@soldier/chassis/identity";
import type { route } from "@soldier/chassis/service";
import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { isId, newId } from "@soldier/kernel/ids";
import type { SummarySchema } from "@soldier/proto/memory/v1/memory";
import type { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { storableText, textLengthMax } from "../domain/episode.ts";
import type { Summary } from "../domain/summary.ts";
import type { SummaryStore } from "../store/summary-store.ts";
import { idOf, idToken } from "./page-token.ts";

const pageDefault = 50;
const inputsMax = 1_000;

export interface SummariesRpcOptions {
  readonly summaries: Pick<SummaryStore, "list" | "bring">;
  readonly embedder: Embedder;
}

type Handlers = Parameters<typeof route<typeof MemoryService>>[1];

/** The handlers of summaries. */
export function summariesRpc({ summaries, embedder }: SummariesRpcOptions) {
  return {
    async addSummary({ summary }, ctx) {
      const { groupId, text, inputIds } = checked(summary);
      const vector = await embedOne(embedder, text, ctx.signal, "document");
      const made = { model: embedder.model, vector };
      const brought = { id: newId(), groupId, text, inputIds };
      const kept = await summaries.bring(tenantOf(ctx), brought, made);
      if (!("missing" in kept)) return { summary: summaryMessage(kept) };
      const { missing, taken } = kept;
      if (missing.length > 0)
        throw invalid([
          { field: "summary.input_ids", description: `not in the group: ${missing.join(", ")}` },
        ]);
      throw new Fault("precondition", `summed up already: ${taken.join(", ")}`, {
        reason: "SUMMARY_INPUTS_TAKEN",
      });
    },

    async listSummaries({ groupId, pageSize, pageToken }, ctx) {
      const limit = pageSize || pageDefault;
      const page = await summaries.list(tenantOf(ctx), groupId, limit, idOf(pageToken));
      return { summaries: page.items.map(summaryMessage), nextPageToken: idToken(page.next) };
    },
  } satisfies Handlers;
}

type SummaryFields = Pick<Summary, "groupId" | "text" | "inputIds">;

/** Throws an "invalid" Fault that names every bad field. */
function checked(summary: SummaryFields | undefined): SummaryFields {
  const { groupId = "", inputIds = [] } = summary ?? {};
  const text = storableText(summary?.text ?? "");
  const fields: FieldViolation[] = [];
  const bad = (field: string, description: string) =>
    fields.push({ field: `summary.${field}`, description });
  if (groupId === "") bad("group_id", "must name a group");
  if (text.trim() === "" || text.length > textLengthMax)
    bad("text", `must say something, in at most ${textLengthMax} characters`);
  if (inputIds.length === 0 || inputIds.length > inputsMax || !inputIds.every((id) => isId(id)))
    bad("input_ids", `must be 1 to ${inputsMax} ids of episodes or summaries`);
  if (fields.length > 0) throw invalid(fields);
  return { groupId, text, inputIds };
}

function invalid(fields: readonly FieldViolation[]): Fault {
  return new Fault("invalid", "the summary cannot be stored", {
    reason: "SUMMARY_INVALID",
    fields,
  });
}

export function summaryMessage(summary: Summary): MessageInitShape<typeof SummarySchema> {
  const { tenantId, id, groupId, level, text, madeBy, inputIds, turns } = summary;
  return {
    tenantId,
    id,
    groupId,
    level,
    text,
    madeBy,
    inputIds: [...inputIds],
    turns,
    inputHash: summary.inputHash,
    coversFrom: timestampFromDate(summary.coversFrom),
    coversTo: timestampFromDate(summary.coversTo),
    recordedAt: timestampFromDate(summary.recordedAt),
  };
}
