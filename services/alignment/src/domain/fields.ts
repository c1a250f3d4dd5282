import { type FieldDefinition, FieldType } from "@soldier/proto/config/v1/tool";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { type Json, type JsonRecord, jsonOf } from "./json.ts";
import { pattern } from "./patterns.ts";
import { schemaProblem } from "./tool-schema.ts";

/** A value for a field, found in what the customer wrote. */
export interface FoundField {
  readonly name: string;
  readonly text: string;
  readonly value: Json;
  readonly confidence: number;
  /** "pattern", "answer" (to our question), or a model's identity. */
  readonly extractor: string;
}

/** What a message says of fields by their own patterns, without a model. */
export function fieldsIn(text: string, definitions: Iterable<FieldDefinition>): FoundField[] {
  const found: FoundField[] = [];
  for (const definition of definitions) {
    if (!definition.extractionPattern) continue;
    const part = pattern(definition.extractionPattern)?.capture(text)?.trim();
    if (!part) continue;
    const value = fieldValue(part, definition);
    if (value === undefined) continue;
    found.push({ name: definition.name, text: part, value, confidence: 0.9, extractor: "pattern" });
  }
  return found;
}

/** A whole message as the answer to a question for a field; undefined when it can't be one. */
export function answerFor(definition: FieldDefinition, text: string): FoundField | undefined {
  const answer = text.trim().replace(/[.!]+$/, "");
  // A field with a pattern says itself what its values look like.
  if (definition.extractionPattern || answer === "" || answer.length > answerLengthMax)
    return undefined;
  if (answer.endsWith("?")) return undefined;
  const value = fieldValue(answer, definition);
  if (value === undefined) return undefined;
  const { name } = definition;
  return { name, text: answer, value, confidence: 0.85, extractor: "answer" };
}

const answerLengthMax = 200;

/** The text as a value of the field's type that keeps to its rules; undefined when it is none. */
export function fieldValue(text: string, definition: FieldDefinition): Json | undefined {
  const value = typed(text, definition.type);
  if (value === undefined) return undefined;
  const { validation } = definition;
  return validation && schemaProblem(validation, value) !== undefined ? undefined : value;
}

function typed(text: string, type: FieldType): Json | undefined {
  switch (type) {
    case FieldType.NUMBER: {
      const plain = text.replaceAll(/[\s,](?=\d{3}\b)/g, "").replace(/^[$€£]/, "");
      // "49,90" is how much of the world writes it.
      const number = Number(plain.replace(/,(?=\d{1,2}$)/, "."));
      return Number.isFinite(number) ? number : undefined;
    }
    case FieldType.BOOLEAN:
      if (/^(?:yes|yep|yeah|true|sure|ok(?:ay)?|correct)\b/i.test(text)) return true;
      return /^(?:no|nope|false|not)\b/i.test(text) ? false : undefined;
    case FieldType.EMAIL:
      return /[^\s@,;<>]+@[^\s@,;<>]+\.[a-z]{2,}/i.exec(text)?.[0].toLowerCase();
    case FieldType.PHONE: {
      const digits = /\+?[\d\s().-]{7,20}\d/.exec(text)?.[0].replaceAll(/[\s().-]/g, "");
      return digits && digits.length >= 8 ? digits : undefined;
    }
    case FieldType.DATE:
      return /\b\d{4}-\d{2}-\d{2}\b/.exec(text)?.[0];
    case FieldType.STRING:
    case FieldType.JSON:
    case FieldType.UNSPECIFIED:
    default:
      return text;
  }
}

/** The profile as names and values, without what has expired. */
export function profileValues(profile: CustomerProfile | undefined, now: Date): JsonRecord {
  const values: JsonRecord = {};
  for (const [name, field] of Object.entries(profile?.fields ?? {})) {
    if (field.expiresAt && Number(field.expiresAt.seconds) * 1_000 <= now.getTime()) continue;
    const value = jsonOf(field.value);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** Why a field is held back. */
export interface Withheld {
  /** The consent that it needs. */
  readonly purpose: string;
  readonly reason: "consent_missing" | "consent_withdrawn";
}

/**
 * Fields that are neither shown to a model nor said: their consent has not been given, or not for
 * longer. Of a customer whose profile could not be read no consent is known.
 */
export function withheldFields(
  definitions: ReadonlyMap<string, FieldDefinition>,
  profile: CustomerProfile | undefined,
): ReadonlyMap<string, Withheld> {
  const granted = new Map(profile?.consents.map((one) => [one.purpose, one.granted]));
  return new Map(
    [...definitions.values()]
      .filter(({ consentPurpose: purpose }) => purpose !== "" && granted.get(purpose) !== true)
      .map(({ name, consentPurpose: purpose }) => {
        const reason = granted.has(purpose) ? "consent_withdrawn" : "consent_missing";
        return [name, { purpose, reason }];
      }),
  );
}
