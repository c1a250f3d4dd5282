import type { JsonValue } from "@bufbuild/protobuf";
import { Fault } from "@soldier/kernel/fault";
import { type MasterKey, newKey, opened, sealed } from "@soldier/kernel/seal";
import { rowDamaged } from "@soldier/storage/stored-message";

/** A customer's data key as stored: wrapped by the deployment's, when that has one. */
export interface StoredKey {
  /** bytea as PostgreSQL writes it as JSON; null when nothing was encrypted yet. */
  readonly data_key: string | null;
  readonly key_wrapped_by: string;
}

/** What values are encrypted under, one key for each customer: erasing it erases them in backups, too. */
export interface Sealing {
  makeKey(owner: KeyOwner): { readonly dataKey: Buffer; readonly wrappedBy: string };
  seal(owner: KeyOwner, key: StoredKey, name: string, value: JsonValue): Buffer;
  open(owner: KeyOwner, key: StoredKey | undefined, name: string, box: string): JsonValue;
}

export interface KeyOwner {
  readonly tenantId: string;
  readonly customerId: string;
}

/** Without a key of the deployment those of customers lie unwrapped beside what they encrypt. */
export function sealingUnder(master: MasterKey | undefined): Sealing {
  function unwrapped(owner: KeyOwner, { data_key, key_wrapped_by }: StoredKey): Uint8Array {
    if (data_key === null)
      throw new Fault("internal", "a value is encrypted under a key that is gone");
    if (key_wrapped_by !== (master?.name ?? ""))
      throw new Fault(
        "precondition",
        "fields are encrypted under another key of the deployment: set [profile] encryption_key to what it was",
        { reason: "ENCRYPTION_KEY_WRONG" },
      );
    const key = bytesOf(data_key);
    return master ? opened(master.key, key, nameOf(owner)) : key;
  }

  return {
    makeKey(owner) {
      const key = newKey();
      const dataKey = master ? sealed(master.key, key, nameOf(owner)) : key;
      return { dataKey, wrappedBy: master?.name ?? "" };
    },
    seal(owner, key, name, value) {
      const text = Buffer.from(JSON.stringify(value));
      return sealed(unwrapped(owner, key), text, nameOf(owner, name));
    },
    open(owner, key, name, box) {
      if (!key) throw new Fault("internal", "an encrypted value came without its customer's key");
      const text = unsealed(owner, unwrapped(owner, key), name, box);
      return JSON.parse(text.toString("utf8")) as JsonValue; // what seal() made
    },
  };
}

function unsealed(owner: KeyOwner, key: Uint8Array, name: string, box: string): Buffer {
  try {
    return opened(key, bytesOf(box), nameOf(owner, name));
  } catch (error) {
    const kept = { table: "profile.field_claims", id: owner.customerId };
    throw rowDamaged(kept, `can't be decrypted by the customer's key (field ${name})`, error);
  }
}

function nameOf({ tenantId, customerId }: KeyOwner, ...more: readonly string[]): string {
  return JSON.stringify([tenantId, customerId, ...more]);
}

/** bytea as PostgreSQL writes it as JSON. */
export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replace(/^\\x/, ""), "hex");
}

export function hexOf(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes).toString("hex")}`;
}
