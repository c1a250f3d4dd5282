import { create } from "@bufbuild/protobuf";
import { AgentSettingsSchema } from "@soldier/proto/config/v1/agent";
import { deterministicEmbedder } from "@soldier/ai/deterministic";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { VariableLevel } from "@soldier/proto/config/v1/template";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { desk, documentOf } from "../domain/testing.ts";
import { type ConfigUnderTest, configUnderTest, faultOf } from "./testing.ts";

const a = { agentId: "desk" };

describeOn("versions", testDatabase(), (backend) => {
  let under: ConfigUnderTest;
  beforeAll(async () => {
    under = await configUnderTest(backend);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  /** An operator of a fresh tenant with an agent "desk" that is published. */
  async function published() {
    const tenantId = newId();
    const calls = under.as({ tenantId });
    await calls.applyAgent({ document: documentOf(desk()), publish: true });
    const say = async (text: string) => {
      const { template } = await calls.getTemplate({ ...a, templateId: "hello" });
      await calls.updateTemplate({ ...a, template: { ...template!, text } });
    };
    const said = async (version = 0n) => {
      const { bundle } = await calls.getBundle({ ...a, version });
      return bundle?.templates.find(({ name }) => name === "hello")?.text;
    };
    return { tenantId, calls, say, said };
  }

  describe("publishing", () => {
    it("makes the draft live, and tells it once, with the stages that it went through", async () => {
      const { calls, say, said, tenantId } = await published();
      await say("Good day! {phone}");
      const { agent } = await calls.getAgent(a);
      await calls.updateAgent({
        agent: { ...agent!, settings: create(AgentSettingsSchema, { memoryKeepDays: 90 }) },
      });
      expect(await said()).toContain("Hello!");
      const { version, stages, contentHash } = await calls.publishAgent({ ...a, comment: "new" });
      expect(version).toBe(2n);
      expect(stages.map(({ name }) => name)).toEqual([
        "validate",
        "compile",
        "write",
        "swap",
        "invalidate",
      ]);
      expect(await said()).toBe("Good day! {phone}");
      const { versions } = await calls.listAgentVersions(a);
      expect(versions).toMatchObject([
        { version: 2n, comment: "new", contentHash, publishedBy: "tester" },
        { version: 1n },
      ]);
      const events = await under.committed(tenantId);
      expect(events.published.map(({ memoryKeepDays }) => memoryKeepDays)).toEqual([0, 90]);
      expect(events.published.map((event) => [event.agentSlug, event.version])).toEqual([
        ["desk", 1n],
        ["desk", 2n],
      ]);
      const acts = events.audited.map(({ event }) => event?.action);
      expect(acts.filter((act) => act === "agent.published")).toHaveLength(2);
    });

    it("what is live already publishes nothing", async () => {
      const { calls, tenantId } = await published();
      const before = await under.committed(tenantId);
      expect((await calls.publishAgent(a)).version).toBe(1n);
      expect(await under.committed(tenantId)).toEqual(before);
    });

    it("many changes at once numbers the versions one after the other", async () => {
      const { calls, tenantId } = await published();
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          await calls.createTemplate({ ...a, template: { name: `t-${i}`, text: "t" } });
          await calls.publishAgent(a);
        }),
      );
      const { versions } = await calls.listAgentVersions(a);
      const numbers = versions.map(({ version }) => Number(version));
      expect(numbers).toEqual(Array.from(numbers, (_, i) => numbers.length - i));
      const events = await under.committed(tenantId);
      expect(events.published).toHaveLength(numbers.length);
      // Whatever the order was in which they ended, the latest draft is live.
      const { bundle } = await calls.getBundle(a);
      expect(bundle?.templates.filter(({ name }) => name.startsWith("t-"))).toHaveLength(20);
    });

    it("puts the vector of every matched text into the bundle", async () => {
      const { calls } = await published();
      const { bundle } = await calls.getBundle(a);
      const { texts, vectors, dimensions, model } = bundle!.embeddings!;
      expect(texts).toEqual([
        "the customer is angry",
        "the customer greets",
        "the customer wants the money back",
        "I want my money back",
        "the customer wants to return something",
        "I want to send it back",
        "the customer gives up",
        "never mind",
      ]);
      const embedder = deterministicEmbedder(dimensions);
      expect(model).toBe(embedder.model);
      const [expected] = await embedder.embed([texts[3]!], AbortSignal.timeout(1_000));
      const row = vectors.slice(3 * dimensions * 4, 4 * dimensions * 4);
      expect([...new Float32Array(row.buffer)]).toEqual([...expected!]);
    });

    it("hands ids only to turns", async () => {
      const { calls } = await published();
      const { bundle } = await calls.getBundle(a);
      const refund = bundle!.rules.find(({ name }) => name === "refund")!;
      expect(bundle!.templates.map(({ id }) => id)).toContain(refund.templateIds[0]);
      expect(bundle!.agent).toMatchObject({ slug: "desk", publishedVersion: 1n });
    });

    it("a bundle over the bound is refused, and the bound is named", async () => {
      const small = await configUnderTest(backend, { bundles: { max_bytes: 10_000 } });
      await using _running = small;
      const calls = small.as();
      await calls.applyAgent({ document: documentOf(desk()) });
      const fault = await faultOf(calls.publishAgent(a));
      expect(fault).toMatchObject({ reason: "BUNDLE_TOO_LARGE", metadata: { stage: "write" } });
      expect(fault.message).toMatch(/the 10000 that \[bundles\] max_bytes allows: set it to 16384/);
      expect(await faultOf(calls.getBundle(a))).toMatchObject({ reason: "AGENT_NOT_PUBLISHED" });
    });

    it("of more texts than one call can embed says how far it is, and goes on when asked again", async () => {
      await using slow = await configUnderTest(backend, { config: { embed_slice_ms: 1 } });
      const calls = slow.as();
      const json = desk();
      for (let i = 0; i < 300; i++)
        json.rules.push({ name: `r-${i}`, condition: `c ${i}`, action: "a" });
      const document = documentOf(json);
      const embedded: number[] = [];
      const publish = () => calls.applyAgent({ document, publish: true }).catch(asFault);
      let answered = await publish();
      while (answered instanceof Fault && answered.reason === "EMBEDDING_UNFINISHED") {
        embedded.push(Number(answered.metadata["texts_embedded"]));
        answered = await publish();
      }
      expect(answered).toMatchObject({ version: 1n });
      expect(embedded[0]).toBeGreaterThan(0);
      expect(embedded).toEqual([...new Set(embedded)].toSorted((x, y) => x - y));
    });

    it("with another embedding model makes a version of the same behaviour", async () => {
      await using database = await backend.open();
      const shared = { ...backend, open: async () => ({ ...database, ...kept }) };
      const tenantId = newId();
      await using first = await configUnderTest(shared);
      await first.as({ tenantId }).applyAgent({ document: documentOf(desk()), publish: true });
      await using second = await configUnderTest(shared, {
        embedder: { provider: "deterministic", dimensions: 16 },
      });
      const calls = second.as({ tenantId });
      expect((await calls.getBundle(a)).bundle?.embeddings?.dimensions).toBe(384);
      expect((await calls.publishAgent(a)).version).toBe(2n);
      const { bundle } = await calls.getBundle(a);
      expect(bundle?.embeddings).toMatchObject({ dimensions: 16, model: /:16$/ });
    });
  });

  describe("rolling back", () => {
    it("publishes an old version again, and leaves the draft alone", async () => {
      const { calls, say, said, tenantId } = await published();
      const old = await said();
      await say("Good day!");
      await calls.publishAgent(a);
      const { version } = await calls.rollbackAgent({ ...a, version: 1n, comment: "oops" });
      expect(version).toBe(3n);
      expect(await said()).toBe(old);
      expect(await said(2n)).toBe("Good day!");
      const { versions } = await calls.listAgentVersions({ ...a, pageSize: 1 });
      expect(versions).toMatchObject([{ version: 3n, rollbackOf: 1n, comment: "oops" }]);
      const { template } = await calls.getTemplate({ ...a, templateId: "hello" });
      expect(template?.text).toBe("Good day!");
      const { audited } = await under.committed(tenantId);
      expect(audited.at(-1)?.event?.action).toBe("agent.rolled_back");
      expect((await calls.publishAgent(a)).version).toBe(4n);
      expect(await said()).toBe("Good day!");
    });

    it("many times at once numbers the versions one after the other", async () => {
      const { calls } = await published();
      const made = await Promise.all(
        Array.from({ length: 20 }, () => calls.rollbackAgent({ ...a, version: 1n })),
      );
      expect(made.map(({ version }) => Number(version)).toSorted((x, y) => x - y)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 2),
      );
    });

    it("to a version that never was is refused", async () => {
      const { calls } = await published();
      expect(await faultOf(calls.rollbackAgent({ ...a, version: 9n }))).toMatchObject({
        kind: "not-found",
        reason: "VERSION_NOT_FOUND",
      });
    });
  });

  describe("a bundle", () => {
    it("is read by id or slug, by version, and not at all when it is known", async () => {
      const { calls, say } = await published();
      const { agent } = await calls.getAgent(a);
      const known = await calls.getBundle({ ...a, knownVersion: 1n });
      expect([known.bundle, known.version]).toEqual([undefined, 1n]);
      await say("Good day!");
      await calls.publishAgent(a);
      const { bundle, version } = await calls.getBundle({ agentId: agent!.id, knownVersion: 1n });
      expect([bundle?.version, version]).toEqual([2n, 2n]);
      expect((await calls.getBundle({ ...a, version: 1n })).bundle?.version).toBe(1n);
      expect(await faultOf(calls.getBundle({ ...a, version: 7n }))).toMatchObject({
        reason: "VERSION_NOT_FOUND",
      });
    });

    it("of an agent without a version, or without being, says what to do", async () => {
      const calls = under.as();
      await calls.createAgent({ agent: { slug: "desk" } });
      const fault = await faultOf(calls.getBundle(a));
      expect(fault).toMatchObject({ kind: "precondition", reason: "AGENT_NOT_PUBLISHED" });
      expect(fault.message).toContain("POST /v1/agents/desk/publish");
      await calls.deleteAgent(a);
      expect(await faultOf(calls.getBundle(a))).toMatchObject({ reason: "AGENT_NOT_FOUND" });
    });

    it("is anybody's in the mesh, but only in its tenant", async () => {
      const { tenantId } = await published();
      const turn = under.as({ tenantId, roles: ["chat"] });
      expect((await turn.getBundle(a)).version).toBe(1n);
      expect(await faultOf(under.as().getBundle(a))).toMatchObject({ reason: "AGENT_NOT_FOUND" });
    });

    it("can be exported in the form that is applied", async () => {
      const { calls, say } = await published();
      await say("Good day!");
      const { document } = await calls.exportAgent({ ...a, version: 1n });
      await calls.applyAgent({ document: document! });
      expect((await calls.publishAgent(a)).version).toBe(1n);
    });

    it("of a deleted agent is dropped by those who hold it", async () => {
      const { calls, tenantId } = await published();
      await calls.deleteAgent(a);
      const { published: told } = await under.committed(tenantId);
      expect(told.at(-1)).toMatchObject({ agentSlug: "desk", version: 0n });
    });
  });

  describe("a value of a variable", () => {
    const value = (text: string, more: object = {}) => ({
      ...a,
      value: {
        variable: "phone",
        value: { kind: { case: "stringValue" as const, value: text } },
        ...more,
      },
    });

    it("is beside the bundle at once, without a publish, and those who hold it are told", async () => {
      const { calls, tenantId } = await published();
      const before = (await under.committed(tenantId)).published.length;
      await calls.setVariableValue(value("456"));
      const { version, variableValues } = await calls.getBundle(a);
      expect(version).toBe(1n);
      expect(variableValues).toMatchObject([
        { variable: "phone", level: VariableLevel.AGENT, value: { kind: { value: "456" } } },
      ]);
      const { published: told } = await under.committed(tenantId);
      expect(told.slice(before)).toMatchObject([{ agentSlug: "desk", version: 1n }]);
      await calls.setVariableValue({ ...a, value: { variable: "phone" } });
      expect((await calls.getBundle(a)).variableValues).toEqual([]);
    });

    it("comes to those who hold the version, at every level", async () => {
      const { calls, tenantId } = await published();
      const before = (await under.committed(tenantId)).published.length;
      await calls.setVariableValue(value("all", { level: VariableLevel.GLOBAL }));
      await calls.setVariableValue(value("one"));
      await calls.setVariableValue(value("group", { level: VariableLevel.GROUP, key: "gold" }));
      await calls.setVariableValue(value("own", { level: VariableLevel.CUSTOMER, key: "c-1" }));
      const { bundle, variableValues } = await calls.getBundle({ ...a, knownVersion: 1n });
      expect(bundle).toBeUndefined();
      const texts = variableValues.map((one) => one.value?.kind.value);
      expect(texts).toEqual(["all", "one", "group", "own"]);
      const { published: told } = await under.committed(tenantId);
      expect(told.slice(before)).toHaveLength(4);
    });

    it("is refused when there would be too much to hold", async () => {
      const { calls } = await published();
      const fault = await faultOf(calls.setVariableValue(value("x".repeat(140_000))));
      expect(fault).toMatchObject({ kind: "precondition", reason: "VALUES_TOO_LARGE" });
      expect((await calls.getBundle(a)).variableValues).toEqual([]);
    });

    it("for the whole tenant concerns each of its published agents", async () => {
      const { calls, tenantId } = await published();
      const other = desk();
      other.agent["slug"] = "other";
      await calls.applyAgent({ document: documentOf(other), publish: true });
      await calls.createAgent({ agent: { slug: "unpublished" } });
      const before = (await under.committed(tenantId)).published.length;
      await calls.setVariableValue(value("1", { level: VariableLevel.GLOBAL }));
      const { published: told } = await under.committed(tenantId);
      expect(told.slice(before).map(({ agentSlug }) => agentSlug)).toEqual(["desk", "other"]);
      const { variableValues } = await calls.getBundle({ agentId: "other" });
      expect(variableValues).toHaveLength(1);
    });

    it("is listed to the end", async () => {
      const { calls } = await published();
      for (const key of ["b", "a", "c"])
        await calls.setVariableValue(value(key, { level: VariableLevel.GROUP, key }));
      const first = await calls.listVariableValues({ ...a, pageSize: 2 });
      const rest = await calls.listVariableValues({ ...a, pageToken: first.nextPageToken });
      expect([...first.values, ...rest.values].map(({ key }) => key)).toEqual(["a", "b", "c"]);
      expect(rest.nextPageToken).toBe("");
    });

    it("needs a variable that is known, and a key where the level has one", async () => {
      const { calls } = await published();
      const misspelt = calls.setVariableValue({ ...a, value: { variable: "fone" } });
      expect(await faultOf(misspelt)).toMatchObject({ reason: "REFERENCE_UNKNOWN" });
      const keyless = calls.setVariableValue(value("x", { level: VariableLevel.GROUP }));
      expect(await faultOf(keyless)).toMatchObject({ fields: [{ field: "value.key" }] });
      const keyed = calls.setVariableValue(value("x", { key: "k" }));
      expect(await faultOf(keyed)).toMatchObject({ kind: "invalid" });
    });
  });
});

/** The database goes when its own test ends. */
const kept: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}
