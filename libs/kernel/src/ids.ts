import { v7, validate } from "uuid";

/** A fresh UUIDv7: ids sort by the time they were made. */
export function newId(): string {
  return v7();
}

export function isId(text: string): boolean {
  return validate(text);
}
