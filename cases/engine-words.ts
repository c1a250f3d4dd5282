import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { TemplateMode } from "@soldier/proto/config/v1/template";

/** A case names something that the engine has no word for. */
export class CannotBuild extends Error {
  constructor(what: string) {
    super(`cannot check: ${what}`);
  }
}

const modes: Readonly<Record<string, TemplateMode>> = {
  EXCLUSIVE: TemplateMode.EXCLUSIVE,
  SUGGEST: TemplateMode.SUGGEST,
  FALLBACK: TemplateMode.FALLBACK,
};

export function modeOf(mode: string | null | undefined): TemplateMode {
  if (!mode) return TemplateMode.UNSPECIFIED;
  const known = modes[mode.toUpperCase()];
  if (known === undefined) throw new CannotBuild(`mode ${mode}`);
  return known;
}

export function valueOf(value: unknown): Value {
  return fromJson(ValueSchema, value as JsonValue); // cases are JSON
}

export function jsonOfValue(value: Value | undefined): JsonValue | undefined {
  return value && toJson(ValueSchema, value);
}
