import { create, toBinary } from "@bufbuild/protobuf";
import { ApiSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { messageToKeep, storedMessage } from "./stored-message.ts";

describe("a message in a row", () => {
  const kept = { table: "notes.apis", id: "a-1" };
  const api = create(ApiSchema, { name: "hello", version: "1", mixins: [{ name: "hi" }] });
  const read = (bytes: Uint8Array) => storedMessage(ApiSchema, bytes, kept);

  it("is read as it was kept", () => {
    expect(read(messageToKeep(ApiSchema, api))).toEqual(api);
  });

  it("is refused by its row's name wherever it was cut, also between two fields", () => {
    const whole = messageToKeep(ApiSchema, api);
    for (let size = 0; size < whole.length; size++)
      expect(() => read(whole.subarray(0, size))).toThrow("what is stored in notes.apis for a-1");
  });

  it("is read as an earlier release has kept it", () => {
    expect(read(toBinary(ApiSchema, api))).toEqual(api);
  });
});
