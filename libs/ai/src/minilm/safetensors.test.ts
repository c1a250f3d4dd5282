import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "./safetensors.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "soldier-weights-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with the header, its length before it, and the bytes after it. */
function file(header: object, bytes: Uint8Array): string {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(json.length), true);
  const path = join(folder, `${crypto.randomUUID()}.safetensors`);
  writeFileSync(path, Buffer.concat([new Uint8Array(length.buffer), json, bytes]));
  return path;
}

describe("a file of weights", () => {
  const numbers = new Uint8Array(new Float16Array([1, -0.5, 2, 4]).buffer);
  const header = {
    __metadata__: { format: "pt" },
    first: { dtype: "F16", shape: [1, 2], data_offsets: [0, 4] },
    second: { dtype: "F16", shape: [2], data_offsets: [4, 8] },
    whole: { dtype: "I64", shape: [1], data_offsets: [0, 8] },
  };
  it("gives each tensor by its name", () => {
    using weights = openSafetensors(file(header, numbers));
    expect([...weights.floats("second")]).toEqual([2, 4]);
    expect([...weights.floats("first")]).toEqual([1, -0.5]);
  });
  it.each([
    ["third", "has no tensor third"],
    ["whole", "whole is of I64, not of 16-bit floats"],
  ])("says so when it can't give %s", (name, message) => {
    using weights = openSafetensors(file(header, numbers));
    expect(() => weights.floats(name)).toThrow(message);
  });
  it("says so when it ends too early", () => {
    using weights = openSafetensors(file(header, numbers.subarray(0, 6)));
    expect(() => weights.floats("second")).toThrow("ends too early");
  });
});
