import { closeSync, openSync, readSync } from "node:fs";
import { z } from "zod";

const tensor = z.object({
  dtype: z.string(),
  shape: z.array(z.int()),
  data_offsets: z.tuple([z.int(), z.int()]),
});
const header = z.record(z.string(), z.unknown());

export interface Safetensors extends Disposable {
  /** The numbers row by row. Throws when the file has no such tensor of 16-bit floats. */
  floats(name: string): Float16Array;
}

/** A file of weights; each tensor is read when it is asked for, so that the file is never in memory as a whole. */
export function openSafetensors(path: string): Safetensors {
  const file = openSync(path, "r");
  const read = (position: number, length: number) => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = readSync(file, bytes, done, length - done, position + done);
      if (count === 0) throw new Error(`${path} ends too early`);
      done += count;
    }
    return bytes;
  };
  const headerLength = Number(new DataView(read(0, 8).buffer).getBigUint64(0, true));
  const tensors = header.parse(JSON.parse(new TextDecoder().decode(read(8, headerLength))));
  return {
    floats(name) {
      if (!(name in tensors)) throw new Error(`${path} has no tensor ${name}`);
      const { dtype, data_offsets } = tensor.parse(tensors[name]);
      if (dtype !== "F16") throw new Error(`${name} is of ${dtype}, not of 16-bit floats`);
      const [start, end] = data_offsets;
      return new Float16Array(read(8 + headerLength + start, end - start).buffer);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}
