import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { Fault } from "./fault.ts";

const nonceBytes = 12;
const tagBytes = 16;

/** A fresh key of 256 bits. */
export function newKey(): Buffer {
  return randomBytes(32);
}

/** AES-256-GCM, bound to what it belongs to: nonce, tag, text. */
export function sealed(key: Uint8Array, text: Uint8Array, belongsTo: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(belongsTo));
  const body = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** Throws the Fault "internal" when the key is another one or the text was changed. */
export function opened(key: Uint8Array, box: Uint8Array, belongsTo: string): Buffer {
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, box.subarray(0, nonceBytes))
      .setAAD(Buffer.from(belongsTo))
      .setAuthTag(box.subarray(nonceBytes, nonceBytes + tagBytes));
    const body = box.subarray(nonceBytes + tagBytes);
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch (error) {
    throw new Fault(
      "internal",
      "something encrypted can't be read: it was changed, or by another key",
      {
        cause: error,
        reason: "SEAL_BROKEN",
      },
    );
  }
}

/** The deployment's key, which wraps those of customers. */
export interface MasterKey {
  readonly key: Uint8Array;
  /** Tells keys apart without telling them. */
  readonly name: string;
}

/** From the settings' text of 32 characters or more, for one purpose; undefined for none. */
export function masterKey(text: string, purpose: string): MasterKey | undefined {
  if (text === "") return undefined;
  const key = Buffer.from(hkdfSync("sha256", text, "", purpose, 32));
  return { key, name: createHash("sha256").update(key).digest("hex").slice(0, 16) };
}
