import { type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import {
  Comparison as MessageComparison,
  type QueryFactsRequest,
  type TimeConditions,
} from "@soldier/proto/memory/v1/memory_service";
import type {
  AttributeCondition,
  Comparison,
  FactFilters,
  TimeCondition,
} from "../store/fact-filters.ts";

/** Reads the filters of a query. Throws an "invalid" Fault that names every bad field. */
export function factFilters(req: QueryFactsRequest): FactFilters {
  const fields: FieldViolation[] = [];
  const from = req.validFrom.map((group, i) => times(group, `valid_from[${i}]`, fields));
  const to = req.validTo.map((group, i) => times(group, `valid_to[${i}]`, fields));
  const attributes = req.attributes.map(({ name, comparison, value }, i): AttributeCondition => {
    const field = `attributes[${i}].value`;
    const json = value && jsonOf(value);
    const read = comparisonOf(comparison);
    check(read, json, field, fields);
    if (isOrder(read) && typeof json !== "number" && typeof json !== "string")
      fields.push({ field, description: "must be a number or a text, to be before or after" });
    return { name, comparison: read, value: json ?? undefined };
  });
  if (fields.length > 0)
    throw new Fault("invalid", "a filter cannot be read", { reason: "FILTER_INVALID", fields });
  return { from, to, attributes, subjectTypes: req.subjectTypes, objectTypes: req.objectTypes };
}

function times({ all }: TimeConditions, place: string, fields: FieldViolation[]) {
  return all.map(({ comparison, time }, i): TimeCondition => {
    const read = comparisonOf(comparison);
    const field = `${place}.all[${i}].time`;
    check(read, time, field, fields);
    return { comparison: read, time: time && dateOf(time, field, fields) };
  });
}

function dateOf(time: Timestamp, field: string, fields: FieldViolation[]): Date {
  const date = timestampDate(time);
  if (Number.isNaN(date.getTime())) fields.push({ field, description: "must be a time" });
  return date;
}

function check(comparison: Comparison, value: unknown, field: string, fields: FieldViolation[]) {
  const alone = comparison === "is null" || comparison === "is not null";
  if (alone && value !== undefined)
    fields.push({ field, description: "must be unset where only presence is asked for" });
  if (!alone && (value === undefined || value === null))
    fields.push({ field, description: "must be set: use IS_NULL for what is absent" });
}

function isOrder(comparison: Comparison): boolean {
  return ["<", "<=", ">", ">="].includes(comparison);
}

/** Null for what JSON has no word for. */
function jsonOf(value: Parameters<typeof toJson<typeof ValueSchema>>[1]): JsonValue {
  try {
    const json = toJson(ValueSchema, value);
    return JSON.stringify(json).includes(String.raw`\u0000`) ? null : json;
  } catch {
    return null;
  }
}

function comparisonOf(comparison: MessageComparison): Comparison {
  const read = comparisons[comparison];
  if (read) return read;
  throw new Fault("invalid", "a comparison is not known", {
    reason: "FILTER_INVALID",
    fields: [{ field: "comparison", description: "must be one of Comparison" }],
  });
}

const comparisons: Readonly<Record<number, Comparison | undefined>> = {
  [MessageComparison.EQUAL]: "=",
  [MessageComparison.NOT_EQUAL]: "<>",
  [MessageComparison.LESS]: "<",
  [MessageComparison.LESS_OR_EQUAL]: "<=",
  [MessageComparison.GREATER]: ">",
  [MessageComparison.GREATER_OR_EQUAL]: ">=",
  [MessageComparison.IS_NULL]: "is null",
  [MessageComparison.IS_NOT_NULL]: "is not null",
};
