import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Event, newEvent } from "@soldier/events/event";
import { configPublishedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { type Agent, AgentSchema } from "@soldier/proto/config/v1/agent";
import { AgentVersionSchema, BundleSchema } from "@soldier/proto/config/v1/bundle";
import { RuleSchema } from "@soldier/proto/config/v1/rule";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import { messageToKeep } from "@soldier/storage/stored-message";
import { beforeAll, describe, expect, it } from "vitest";
import type { Placed } from "../domain/difference.ts";
import type { ConfigStore, Edit } from "./config-store.ts";

export interface StoreUnderTest {
  readonly store: ConfigStore;
  /** Ids of the events that were committed and have not left. */
  events(): Promise<readonly string[]>;
}

const at = new Date("2026-11-20T10:00:00.000Z");
const wholePage = { after: undefined, limit: 500 };

function agentOf(slug = `agent-${newId()}`): Agent {
  return create(AgentSchema, { id: newId(), slug, name: "An agent" });
}

function rule(name: string, id = newId(), action = "Act."): Placed {
  return { collection: "rules", resource: create(RuleSchema, { id, name, action }) };
}

function editOf(parts: Partial<Edit<undefined>>): Edit<undefined> {
  return { written: [], removed: [], events: [], at, result: undefined, ...parts };
}

function event(tenantId: string): Event {
  return newEvent(configPublishedTopic, tenantId, { tenantId }, at);
}

/** What every ConfigStore must do. */
export function configStoreContract(open: () => Promise<StoreUnderTest>): void {
  let under: StoreUnderTest;
  let store: ConfigStore;
  beforeAll(async () => {
    under = await open();
    store = under.store;
  });

  async function made(tenantId = newId(), ...written: Placed[]) {
    const agent = agentOf();
    await store.edit(tenantId, agent.slug, () => editOf({ agent, written }));
    return { tenantId, agent };
  }

  describe("edit", () => {
    it("shows undefined for an agent that is not there, and makes the one it answers", async () => {
      const { tenantId, agent } = await made();
      expect(await store.agent(tenantId, agent.slug)).toMatchObject({
        id: agent.id,
        name: "An agent",
        meta: { tenantId, etag: "1", createdAt: timestampFromDate(at) },
        publishedVersion: 0n,
      });
    });

    it("shows what earlier edits wrote, and counts the etag on", async () => {
      const { tenantId, agent } = await made(undefined, rule("b"), rule("a"));
      const seen = await store.edit(tenantId, agent.id, (current, etag) => ({
        ...editOf({ written: [rule("c")] }),
        result: {
          names: current?.document.rules.map(({ name }) => name),
          etag,
          was: current?.etag,
        },
      }));
      expect(seen).toEqual({ names: ["a", "b"], etag: "2", was: "1" });
      const draft = await store.draft(tenantId, agent.slug);
      expect(draft?.etag).toBe("2");
      expect(draft?.document.rules.map(({ meta }) => meta?.etag)).toEqual(["1", "1", "2"]);
    });

    it("leaves the etag as it was when there is nothing to write", async () => {
      const { tenantId, agent } = await made();
      await store.edit(tenantId, agent.id, () => editOf({}));
      expect((await store.draft(tenantId, agent.id))?.etag).toBe("1");
    });

    it("writes nothing when the change is refused", async () => {
      const { tenantId, agent } = await made();
      const refused = store.edit(tenantId, agent.id, () => {
        throw new Error("refused");
      });
      await expect(refused).rejects.toThrow("refused");
      const fresh = agentOf();
      const failed = store.edit(tenantId, fresh.slug, () =>
        editOf({ agent: fresh, written: [rule("same"), rule("same")] }),
      );
      await expect(failed).rejects.toThrow("duplicate");
      expect(await store.agent(tenantId, fresh.slug)).toBeUndefined();
    });

    it("shows one of many concurrent edits the other's outcome", async () => {
      const { tenantId, agent } = await made();
      const etags = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.edit(tenantId, agent.id, (_current, etag) => ({
            ...editOf({ written: [rule(`rule-${i}`)] }),
            result: etag,
          })),
        ),
      );
      expect(etags.map(Number).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 2),
      );
      expect((await store.draft(tenantId, agent.id))?.document.rules).toHaveLength(20);
    });

    it("makes one agent of many made at once with one slug", async () => {
      const tenantId = newId();
      const seen = await Promise.all(
        Array.from({ length: 8 }, () =>
          store.edit(tenantId, "desk", (current) => ({
            ...editOf(current ? {} : { agent: agentOf("desk") }),
            result: current?.document.agent.id,
          })),
        ),
      );
      expect(seen.filter((id) => id === undefined)).toHaveLength(1);
      expect(await store.agents(tenantId, wholePage)).toHaveLength(1);
    });

    it("refuses an agent the slug of another", async () => {
      const { tenantId, agent } = await made();
      const other = await made(tenantId);
      const renamed = { ...other.agent, slug: agent.slug };
      await expect(
        store.edit(tenantId, other.agent.id, () => editOf({ agent: renamed })),
      ).rejects.toMatchObject({ reason: "NAME_TAKEN" });
    });

    it("takes an agent away with all of its draft, and its slug may be had again", async () => {
      const { tenantId, agent } = await made(undefined, rule("a"));
      const deletedAt = timestampFromDate(at);
      await store.edit(tenantId, agent.id, (current) =>
        editOf({ agent: { ...agent, meta: { ...current!.document.agent.meta!, deletedAt } } }),
      );
      expect(await store.agent(tenantId, agent.id)).toBeUndefined();
      expect(await store.draft(tenantId, agent.slug)).toBeUndefined();
      expect(await store.resource(tenantId, agent.id, "rules", "a")).toBeUndefined();
      await store.edit(tenantId, agent.slug, () => editOf({ agent: agentOf(agent.slug) }));
      expect((await store.agent(tenantId, agent.slug))?.id).not.toBe(agent.id);
    });

    it("takes resources away, and their names may be had again", async () => {
      const gone = rule("a");
      const { tenantId, agent } = await made(undefined, gone, rule("b"));
      const next = rule("a");
      await store.edit(tenantId, agent.id, () => editOf({ removed: [gone], written: [next] }));
      expect((await store.resource(tenantId, agent.id, "rules", "a"))?.id).toBe(next.resource.id);
      expect(await store.resource(tenantId, agent.id, "rules", gone.resource.id)).toBeUndefined();
    });

    it("keeps when a resource was made, whatever is written of it", async () => {
      const id = newId();
      const { tenantId, agent } = await made(undefined, rule("a", id));
      const later = new Date(at.getTime() + 60_000);
      await store.edit(tenantId, agent.id, () =>
        editOf({ written: [rule("renamed", id, "Other.")], at: later }),
      );
      expect(await store.resource(tenantId, agent.id, "rules", "renamed")).toMatchObject({
        id,
        action: "Other.",
        meta: { createdAt: timestampFromDate(at), updatedAt: timestampFromDate(later), etag: "2" },
      });
    });

    it("commits its events with it, or not at all", async () => {
      const { tenantId, agent } = await made();
      const [kept, lost] = [event(tenantId), event(tenantId)];
      await store.edit(tenantId, agent.id, () => editOf({ events: [kept] }));
      const failed = store.edit(tenantId, agent.id, () =>
        editOf({ events: [lost], written: [rule("same"), rule("same")] }),
      );
      await expect(failed).rejects.toThrow("duplicate");
      expect(await under.events()).toContain(kept.id);
      expect(await under.events()).not.toContain(lost.id);
    });

    it("writes thousands of resources at once", async () => {
      const written = Array.from({ length: 4_500 }, (_, i) => rule(`rule-${i}`));
      const { tenantId, agent } = await made(undefined, ...written);
      expect((await store.draft(tenantId, agent.id))?.document.rules).toHaveLength(4_500);
    });
  });

  it("knows nothing of an agent that was never there", async () => {
    const { tenantId, agent } = await made();
    const nobody = newId();
    expect(await store.agent(tenantId, nobody)).toBeUndefined();
    expect(await store.agent(tenantId, "nobody")).toBeUndefined();
    expect(await store.draft(tenantId, nobody)).toBeUndefined();
    expect(await store.resource(tenantId, nobody, "rules", "a")).toBeUndefined();
    expect(await store.resource(tenantId, agent.id, "rules", "a")).toBeUndefined();
    expect(await store.resources(tenantId, nobody, "rules", wholePage)).toEqual([]);
    expect(await store.versions(tenantId, nobody, wholePage)).toEqual([]);
    expect(await store.publish(tenantId, nobody, () => ({ result: "seen" }))).toBeUndefined();
    expect(await store.bundle(tenantId, agent.id, 1n)).toBeUndefined();
    expect(await store.values(tenantId, nobody, { variable: "" }, wholePage)).toEqual([]);
    expect(await store.valuesInForce(tenantId, nobody, at)).toEqual([]);
  });

  it("gives copies, and keeps one of what it is given", async () => {
    const given = rule("a");
    const { tenantId, agent } = await made(undefined, given);
    const stored = publication(1n);
    await store.publish(tenantId, agent.id, () => ({ publication: stored, result: undefined }));
    const bundle = [...stored.bundle];
    for (const message of [given.resource, agent]) message.name = "changed";
    stored.bundle.fill(0);
    const read = async () => ({
      agent: await store.agent(tenantId, agent.id),
      rule: await store.resource(tenantId, agent.id, "rules", "a"),
      draft: await store.draft(tenantId, agent.id),
      bundle: [...((await store.bundle(tenantId, agent.id, 1n)) ?? [])],
    });
    const first = await read();
    const before = structuredClone(first);
    for (const message of [first.agent, first.rule, first.draft?.document.agent])
      if (message) message.name = "changed";
    first.draft?.document.rules.pop();
    expect(await read()).toEqual(before);
    expect(before.bundle).toEqual(bundle);
    expect(before.rule?.name).toBe("a");
  });

  it("keeps what a newer release has put into a draft, as it is", async () => {
    const id = newId();
    const written = create(RuleSchema, {
      id,
      name: "newer",
      application: 99 as 1, // a number that has no name yet
    });
    // Field 32767, three bytes: nobody knows it yet.
    const unknown = Buffer.from([0xfa, 0xff, 0x0f, 3, 1, 2, 3]);
    const resource = fromBinary(
      RuleSchema,
      Buffer.concat([toBinary(RuleSchema, written), unknown]),
    );
    const { tenantId, agent } = await made(undefined, { collection: "rules", resource });
    const kept = { id, application: 99, $unknown: [{ no: 32_767 }] };
    expect(await store.resource(tenantId, agent.id, "rules", "newer")).toMatchObject(kept);
    // Edited by this release, it still has it.
    await store.edit(tenantId, agent.id, (current) => {
      const [rule1] = current?.document.rules ?? [];
      if (!rule1) throw new Error("the rule is there");
      return editOf({ written: [{ collection: "rules", resource: { ...rule1, action: "Act." } }] });
    });
    const edited = await store.resource(tenantId, agent.id, "rules", id);
    expect(edited).toMatchObject({ ...kept, action: "Act." });
  });

  describe("a tenant", () => {
    it("never sees another's", async () => {
      const { tenantId, agent } = await made(undefined, rule("a"));
      await store.publish(tenantId, agent.id, () => ({
        publication: publication(1n),
        result: undefined,
      }));
      const other = newId();
      expect(await store.agent(other, agent.id)).toBeUndefined();
      expect(await store.agents(other, wholePage)).toEqual([]);
      expect(await store.draft(other, agent.id)).toBeUndefined();
      expect(await store.resource(other, agent.id, "rules", "a")).toBeUndefined();
      expect(await store.resources(other, agent.id, "rules", wholePage)).toEqual([]);
      expect(await store.bundle(other, agent.id, 1n)).toBeUndefined();
      const range = { from: 0, bytes: 10 };
      expect(await store.bundlePiece(other, agent.id, 1n, range)).toBeUndefined();
      expect(await store.versions(other, agent.id, wholePage)).toEqual([]);
      expect(await store.publish(other, agent.id, () => ({ result: "seen" }))).toBeUndefined();
      await store.edit(other, agent.slug, (current) => {
        expect(current).toBeUndefined();
        return editOf({ agent: agentOf(agent.slug) });
      });
      expect((await store.agent(tenantId, agent.slug))?.id).toBe(agent.id);
    });
  });

  describe("lists", () => {
    it("go to the end in pages, by the bytes of the names", async () => {
      const names = ["b", "a-b", "a_b", "ab", "a1", "a"];
      const { tenantId, agent } = await made(undefined, ...names.map((name) => rule(name)));
      const seen: string[] = [];
      for (let after: readonly string[] | undefined; ;) {
        const page = await store.resources(tenantId, agent.id, "rules", { after, limit: 2 });
        seen.push(...page.map(({ name }) => name));
        const last = page.at(-1);
        if (!last) break;
        after = [last.name];
      }
      expect(seen).toEqual(["a", "a-b", "a1", "a_b", "ab", "b"]);
      const all = [agent.slug];
      for (let n = 0; n < 4; n++) all.push((await made(tenantId)).agent.slug);
      const slugs: string[] = [];
      for (let after: readonly string[] | undefined; ;) {
        const page = await store.agents(tenantId, { after, limit: 2 });
        slugs.push(...page.map(({ slug }) => slug));
        const last = page.at(-1);
        if (!last) break;
        after = [last.slug];
      }
      expect(slugs).toEqual(all.toSorted());
    });

    it("of agents end with the last", async () => {
      const { tenantId } = await made();
      const [first] = await store.agents(tenantId, { after: undefined, limit: 1 });
      expect(await store.agents(tenantId, { after: [first!.slug], limit: 1 })).toEqual([]);
    });
  });

  describe("publish", () => {
    it("numbers concurrent versions one after the other", async () => {
      const { tenantId, agent } = await made();
      const numbers = await Promise.all(
        Array.from({ length: 20 }, () =>
          store.publish(tenantId, agent.id, (live) => {
            const version = (live?.version ?? 0n) + 1n;
            return { publication: publication(version), result: version };
          }),
        ),
      );
      expect(numbers.map(Number).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
      expect((await store.agent(tenantId, agent.id))?.publishedVersion).toBe(20n);
    });

    it("shows the live version, and keeps bundles byte for byte", async () => {
      const { tenantId, agent } = await made();
      const stored = publication(1n);
      await store.publish(tenantId, agent.id, (live) => {
        expect(live).toBeUndefined();
        return { publication: stored, result: undefined };
      });
      const live = await store.publish(tenantId, agent.id, (now) => ({ result: now }));
      expect(live).toEqual({
        version: 1n,
        contentHash: "hash-1",
        embeddingModel: "model",
        draftEtag: "7",
        rollbackOf: 0n,
      });
      expect(Buffer.from((await store.bundle(tenantId, agent.id, 1n))!)).toEqual(
        Buffer.from(stored.bundle),
      );
      expect(await store.bundle(tenantId, agent.id, 2n)).toBeUndefined();
      const pieceOf = (from: number, bytes: number) =>
        store.bundlePiece(tenantId, agent.id, 1n, { from, bytes });
      const { byteLength: sizeBytes } = stored.bundle;
      const middle = Buffer.from(stored.bundle.subarray(1, sizeBytes - 1));
      expect(await pieceOf(1, sizeBytes - 2)).toEqual({ piece: middle, sizeBytes });
      expect((await pieceOf(sizeBytes - 1, 10))?.piece).toHaveLength(1);
    });

    it("lists versions newest first, in pages", async () => {
      const { tenantId, agent } = await made();
      for (const version of [1n, 2n, 3n])
        await store.publish(tenantId, agent.id, () => ({
          publication: publication(version),
          result: undefined,
        }));
      const first = await store.versions(tenantId, agent.id, { after: undefined, limit: 2 });
      expect(first.map(({ version }) => version)).toEqual([3n, 2n]);
      const rest = await store.versions(tenantId, agent.id, { after: ["2"], limit: 2 });
      expect(rest.map(({ version }) => version)).toEqual([1n]);
      expect(rest[0]).toMatchObject({ contentHash: "hash-1", publishedBy: "ada", comment: "why" });
    });

    it("writes nothing, and no event, without a publication", async () => {
      const { tenantId, agent } = await made();
      const before = await under.events();
      expect(await store.publish(tenantId, agent.id, () => ({ result: "seen" }))).toBe("seen");
      expect((await store.agent(tenantId, agent.id))?.publishedVersion).toBe(0n);
      expect(await under.events()).toEqual(before);
    });

    it("leaves the draft's etags alone", async () => {
      const { tenantId, agent } = await made();
      await store.publish(tenantId, agent.id, () => ({
        publication: publication(1n),
        result: undefined,
      }));
      expect((await store.draft(tenantId, agent.id))?.etag).toBe("1");
      expect((await store.agent(tenantId, agent.id))?.meta?.etag).toBe("1");
    });
  });

  describe("vectors", () => {
    it("are found again by tenant, model and hash, and kept once", async () => {
      const tenantId = newId();
      const [a, b] = ["aa".repeat(32), "bb".repeat(32)];
      const vector = new Uint8Array([1, 2, 3, 4]);
      await store.keepVectors(tenantId, "m", new Map([[a, vector]]));
      await store.keepVectors(tenantId, "m", new Map([[a, new Uint8Array([9])]]));
      const found = await store.vectors(tenantId, "m", [a, b]);
      expect([...found].map(([hash, bytes]) => [hash, [...bytes]])).toEqual([[a, [1, 2, 3, 4]]]);
      expect((await store.vectors(tenantId, "other", [a])).size).toBe(0);
      expect((await store.vectors(newId(), "m", [a])).size).toBe(0);
    });
  });

  describe("values", () => {
    const given = { at, ownerMaxBytes: 10_000, events: [] };
    const value = (level: VariableLevel, text: string | undefined, more: object = {}) =>
      create(VariableValueSchema, {
        variable: "hours",
        level,
        ...(text !== undefined && {
          value: create(ValueSchema, { kind: { case: "stringValue", value: text } }),
        }),
        ...more,
      });

    it("are set, replaced and removed by variable, level and key", async () => {
      const { tenantId, agent } = await made();
      const set = (text: string | undefined, key: string) =>
        store.setValue(tenantId, agent.id, value(VariableLevel.GROUP, text, { key }), given);
      await set("9-5", "gold");
      await set("9-6", "gold");
      await set("9-4", "iron");
      await set(undefined, "iron");
      const found = await store.values(tenantId, agent.id, { variable: "" }, wholePage);
      expect(found.map(({ key, value: v }) => [key, v?.kind.value])).toEqual([["gold", "9-6"]]);
      expect(await store.values(newId(), agent.id, { variable: "" }, wholePage)).toEqual([]);
    });

    it("of the tenant belong to all of its agents, the others to one", async () => {
      const { tenantId, agent } = await made();
      const other = await made(tenantId);
      await store.setValue(tenantId, agent.id, value(VariableLevel.GLOBAL, "all"), given);
      await store.setValue(tenantId, agent.id, value(VariableLevel.AGENT, "one"), given);
      const key = "c-1";
      await store.setValue(
        tenantId,
        agent.id,
        value(VariableLevel.CUSTOMER, "own", { key }),
        given,
      );
      const texts = async (id: string, when = at) =>
        (await store.valuesInForce(tenantId, id, when)).map((one) => one.value?.kind.value);
      expect(await texts(agent.id)).toEqual(["all", "one", "own"]);
      expect(await texts(other.agent.id)).toEqual(["all"]);
      const paged = await store.values(
        tenantId,
        agent.id,
        { variable: "hours" },
        { after: ["hours", String(VariableLevel.AGENT), ""], limit: 5 },
      );
      expect(paged.map((one) => one.key)).toEqual(["c-1"]);
    });

    it("are no longer in force after they have expired", async () => {
      const { tenantId, agent } = await made();
      const expiresAt = timestampFromDate(at);
      await store.setValue(
        tenantId,
        agent.id,
        value(VariableLevel.AGENT, "x", { expiresAt }),
        given,
      );
      expect(
        await store.valuesInForce(tenantId, agent.id, new Date(at.getTime() - 1)),
      ).toHaveLength(1);
      expect(await store.valuesInForce(tenantId, agent.id, at)).toEqual([]);
    });

    it("of one owner are limited together, whoever sets them, and what has expired does not count", async () => {
      const { tenantId, agent } = await made();
      const one = value(VariableLevel.CUSTOMER, "x".repeat(50), { key: "c-00" });
      const limits = {
        ...given,
        ownerMaxBytes: 3 * messageToKeep(VariableValueSchema, one).byteLength,
      };
      const set = (key: string, more: object = {}) =>
        store.setValue(tenantId, agent.id, { ...one, key, ...more }, limits);
      const expiresAt = timestampFromDate(new Date(at.getTime() - 1));
      expect(await set("c-99", { expiresAt })).toBe(true);
      const keys = Array.from({ length: 8 }, (_, i) => `c-0${i}`);
      const kept = await Promise.all(keys.map((key) => set(key)));
      expect(kept.filter(Boolean)).toHaveLength(3);
      expect(await store.valuesInForce(tenantId, agent.id, at)).toHaveLength(3);
      const [first = "", next = ""] = [kept.indexOf(true), kept.indexOf(false)].map((i) => keys[i]);
      expect(await set(first)).toBe(true); // in its own place
      expect(await set(first, { value: undefined })).toBe(true);
      expect(await set(next)).toBe(true);
      const everyones = { ...one, level: VariableLevel.GLOBAL, key: "" };
      expect(await store.setValue(tenantId, agent.id, everyones, limits)).toBe(true);
    });
  });

  function publication(version: bigint) {
    return {
      version: create(AgentVersionSchema, {
        version,
        contentHash: `hash-${version}`,
        publishedBy: "ada",
        comment: "why",
        publishedAt: timestampFromDate(at),
      }),
      embeddingModel: "model",
      draftEtag: "7",
      bundle: toBinary(BundleSchema, create(BundleSchema, { version })),
      events: [],
    };
  }
}
