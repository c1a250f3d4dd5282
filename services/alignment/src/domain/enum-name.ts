import type { DescEnum } from "@bufbuild/protobuf";

/** The name of an enum's value as authors and records write it, e.g. "EXCLUSIVE" or "WEBCHAT". */
export function enumName(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName ?? String(value);
}
