// Rows as PostgreSQL reads them by `copy … from stdin with (format binary)`: a million of them in a minute.
import { once } from "node:events";
import { finished } from "node:stream/promises";
import type { Sql } from "postgres";

export type Field = Buffer;

export interface RowWriter {
  /** Waits while the server is behind. */
  write(fields: readonly Field[]): Promise<void>;
  end(): Promise<void>;
}

const flushBytes = 1 << 20;
const epoch2000Ms = Date.UTC(2000, 0, 1);

/** Into all columns of the list, in its order; the table's name is trusted. */
export async function rowWriter(
  sql: Sql,
  table: string,
  columns: readonly string[],
): Promise<RowWriter> {
  const stream = await sql
    .unsafe(`copy ${table} (${columns.join(", ")}) from stdin with (format binary)`)
    .writable();
  const header = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)]);
  let held: Buffer[] = [header];
  let bytes = 0;

  async function flush() {
    const chunk = Buffer.concat(held);
    held = [];
    bytes = 0;
    if (!stream.write(chunk)) await once(stream, "drain");
  }

  return {
    async write(fields) {
      const count = Buffer.alloc(2);
      count.writeInt16BE(fields.length);
      held.push(count);
      for (const field of fields) {
        held.push(int4(field.length), field);
        bytes += field.length;
      }
      if (bytes > flushBytes) await flush();
    },
    async end() {
      held.push(Buffer.from([0xff, 0xff]));
      await flush();
      stream.end();
      await finished(stream);
    },
  };
}

export function text(value: string): Field {
  return Buffer.from(value, "utf8");
}

export function int2(value: number): Field {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int4(value: number): Field {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int8(value: number): Field {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

export function uuid(value: string): Field {
  return Buffer.from(value.replaceAll("-", ""), "hex");
}

export function timestamptz(ms: number): Field {
  return int8((ms - epoch2000Ms) * 1_000);
}

/** pgvector's vector in half precision. */
export function halfvec(values: Float32Array): Field {
  const bytes = Buffer.alloc(4 + values.length * 2);
  bytes.writeInt16BE(values.length);
  const halves = Buffer.from(Float16Array.from(values).buffer);
  halves.swap16().copy(bytes, 4);
  return bytes;
}
