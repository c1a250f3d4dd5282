import { create } from "@bufbuild/protobuf";
import {
  type TemplateCandidate as TemplateRecord,
  TemplateCandidateSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { TemplateCandidate } from "./templates.ts";

/** What became of each template, those that were used first; `notes` say by id why a choice fell as it did. */
export function templateRecords(
  candidates: readonly TemplateCandidate[],
  used: readonly string[],
  notes: ReadonlyMap<string, string> = new Map(),
): TemplateRecord[] {
  const isUsed = ({ id }: TemplateCandidate) => used.includes(id);
  return candidates
    .toSorted((a, b) => Number(isUsed(b)) - Number(isUsed(a)))
    .map((candidate) => {
      const { id, name, mode, text, reason } = candidate;
      const idle = isUsed(candidate) || text === undefined ? reason : "not needed";
      return create(TemplateCandidateSchema, {
        templateId: id,
        name,
        mode,
        used: isUsed(candidate),
        reason: notes.get(id) ?? idle,
      });
    });
}
