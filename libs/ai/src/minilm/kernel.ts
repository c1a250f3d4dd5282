import { readFileSync } from "node:fs";

/** A place in the kernel's memory, in bytes: a multiple of 16. */
export type Place = number;

/** What is done with matrices, row after row of 32-bit floats unless said otherwise; see kernel/minilm.ts. */
interface Operations {
  round16(from: Place, rows: number, width: number, to: Place, scales: Place): void;
  multiply(
    x: Place,
    xScales: Place,
    rows: number,
    inner: number,
    w: Place,
    wScales: Place,
    bias: Place,
    outer: number,
    to: Place,
  ): void;
  gelu(at: Place, count: number): void;
  addNormalised(x: Place, y: Place, rows: number, width: number, weight: Place, bias: Place): void;
  attend(qkv: Place, rows: number, heads: number, scores: Place, to: Place): void;
}

export interface Kernel extends Operations {
  /** Room for so many bytes, for good. */
  room(bytes: number): Place;
  /** What is there now. Another `room` may detach it. */
  floats(at: Place, count: number): Float32Array;
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
// Node has it; its types, and the language's, do not.
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: Memory } },
  ) => { readonly exports: object };
};

const pageBytes = 65_536;
const compiled = new URL("../../kernel/minilm.wasm", import.meta.url);

export function openKernel(): Kernel {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const module = new WebAssembly.Module(readFileSync(compiled));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let used = 16; // 0 would look like no place
  return {
    // Its exports are those of kernel/minilm.ts, which the compiler here does not know.
    ...(exports as unknown as Operations),
    room(bytes) {
      const at = used;
      used += Math.ceil(bytes / 16) * 16;
      const missing = used - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
      return at;
    },
    floats: (at, count) => new Float32Array(memory.buffer, at, count),
  };
}
