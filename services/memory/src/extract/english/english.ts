import type { EpisodeRole } from "../../domain/episode.ts";
import type { Finding, FoundClaim } from "../../domain/finding.ts";
import type { LanguagePatterns } from "../language.ts";
import { readSentence } from "./clause.ts";
import { cue, isEnglish, speaker } from "./cues.ts";
import { correctionIn } from "./corrections.ts";
import { statedLength } from "./guards.ts";
import { sentencesOf, withoutQuotations } from "./sentences.ts";
import { identifiersIn, peopleIn, persons, relationsIn, templateReader } from "./templates.ts";

const authorities: Record<EpisodeRole, FoundClaim["authority"]> = {
  user: "user",
  agent: "agent",
  event: "inferred",
  document: "inferred",
};

const ofFirst = templateReader(persons.first);
const ofSecond = templateReader(persons.second);

export const english: LanguagePatterns = {
  language: "en",

  speaks: isEnglish,

  find({ text, role, occurredAt, customerId }, context) {
    const authority = authorities[role];
    const masked = withoutQuotations(text);
    const known = customerId !== "" && (role === "user" || role === "agent");
    const findings: Finding[] = [];
    for (const { text: whole, start } of sentencesOf(masked)) {
      const stated = whole.slice(0, statedLength(whole));
      if (stated.trim() === "") continue;
      const sentence = readSentence({ text: stated, start, saidAt: occurredAt, context });
      if (role === "user" && known) {
        const correction = correctionIn(sentence, authority);
        if (correction) {
          findings.push(correction);
          continue;
        }
      }
      if (known) findings.push(...identifiersIn(sentence, authority));
      if (!cue.test(stated)) continue;
      if (known && speaker.test(stated)) {
        findings.push(...(role === "user" ? ofFirst : ofSecond)(sentence, authority));
        if (role === "user") findings.push(...relationsIn(sentence, authority));
      }
      findings.push(...peopleIn(sentence, authority));
    }
    return distinct(findings);
  },
};

/** Two templates may say the same of the same words. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const byContent = new Map<string, Finding>();
  for (const finding of findings) {
    const { kind } = finding;
    const key =
      finding.kind === "correction"
        ? JSON.stringify([kind, finding.spanStart])
        : JSON.stringify([kind, finding.subject, finding.predicate, finding.value]);
    if (!byContent.has(key)) byContent.set(key, finding);
  }
  return [...byContent.values()];
}
