import { type TestMesh, runForTest, testIdentity } from "@soldier/chassis/testing";
import { explain } from "@soldier/cli/explain";
import { newId } from "@soldier/kernel/ids";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlignmentService, type Beliefs } from "@soldier/proto/alignment/v1/alignment_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import type { ClaimSchema } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { services } from "../services.ts";

const [embedded] = testDatabase();
const patience = { timeout: 20_000 };

/** What a turn believed of its customer, asked for later, across all services. */
describe("a turn explained with what was believed then", { timeout: 90_000 }, () => {
  const opened = new AsyncDisposableStack();
  const identity = testIdentity({ roles: ["chat", "delegate", "operator"] });
  let mesh: TestMesh;
  let agent: string;

  beforeAll(async () => {
    if (!embedded) throw new Error("the embedded PostgreSQL is always there");
    const { url } = opened.use(await embedded.open());
    mesh = opened.use(
      await runForTest(services, {
        settings: {
          postgres: { url },
          events: { url: `inproc://${newId()}?consumers=audit,memory,profile` },
          embedder: { provider: "deterministic" },
          // It writes replies, and nothing else: what is remembered comes of patterns.
          models: { writer: { provider: "scripted", model: "writer" } },
        },
      }),
    );
    const { agentId } = await call(ConfigService).applyAgent({
      document: {
        agent: {
          slug: "desk",
          name: "Desk",
          settings: { replyMode: TemplateMode.EXCLUSIVE, fallbackTemplateId: "no" },
        },
        fieldDefinitions: [{ name: "city", extractionPattern: "I live in (\\w+)" }],
        templates: [
          { name: "city", text: "In {city}: you {provenance.city.note}." },
          { name: "no", text: "I can't tell.", mode: TemplateMode.FALLBACK },
        ],
      },
      publish: true,
    });
    agent = agentId;
  });
  afterAll(() => opened.disposeAsync());

  const call: ReturnType<TestMesh["as"]> = (service) => mesh.as(identity)(service);

  async function say(
    text: string,
    at: { customerId: string } | { sessionId: string },
    agentId = agent,
  ) {
    const who = "customerId" in at ? { agent: agentId, customer: at, channel: Channel.API } : at;
    const events = call(AlignmentService).processTurn({ ...who, text, idempotencyKey: newId() });
    for await (const { event } of events)
      if (event.case === "completed") {
        const { id = "", replyText = "", sessionId = "" } = event.value.turn ?? {};
        return { turnId: id, reply: replyText, sessionId };
      }
    throw new Error("the turn did not complete");
  }

  async function recorded(turnId: string) {
    const read = () =>
      call(AlignmentService)
        .explain({ turnId })
        .catch(() => undefined);
    await expect.poll(read, patience).toBeDefined();
    return call(AlignmentService).explain({ turnId });
  }

  async function explained(turnId: string): Promise<Beliefs> {
    const { beliefs } = await recorded(turnId);
    if (!beliefs) throw new Error("nothing is told of the customer");
    return beliefs;
  }

  async function customerInLeeds() {
    const who = { channel: Channel.API, externalId: newId() };
    const { profile } = await call(ProfileService).getOrCreateProfile(who);
    const customerId = profile?.id ?? "";
    const { sessionId } = await say("Hello, I live in Leeds.", { customerId });
    const current = () => call(MemoryService).queryFacts({ groupIds: [customerId] });
    await expect.poll(async () => (await current()).facts.length, patience).toBe(1);
    const fields = async () =>
      (await call(ProfileService).getProfile({ customerId })).profile?.fields["city"];
    await expect.poll(fields, patience).toBeDefined();
    return { customerId, sessionId, current, fields };
  }

  it("shows the old belief, and that and when it was corrected", async () => {
    const { customerId, sessionId, current, fields } = await customerInLeeds();
    const asked = await say("Where do I live?", { sessionId });
    expect(asked.reply).toMatch(/^In Leeds: you said on .* not confirmed since\.$/);
    const before = await explained(asked.turnId);
    expect(before.fields).toMatchObject([{ name: "city", change: "same", used: true }]);
    expect(before.facts).toMatchObject([{ name: "lives_in", change: "same" }]);

    await say("Sorry, I meant Rome, not Leeds.", { sessionId });
    const place = async () => (await current()).facts[0]?.claimIds;
    const first = before.facts[0];
    await expect
      .poll(async () => (await current()).facts[0]?.factId, patience)
      .not.toBe(first?.factId);
    expect(await place()).toHaveLength(1);
    const validFrom = (await fields())?.validFrom;
    await call(ProfileService).updateField({
      customerId,
      name: "city",
      value: { kind: { case: "stringValue", value: "Rome" } },
      source: FieldSource.HUMAN_ENTERED,
      ...(validFrom && { validFrom }),
    });

    const after = await explained(asked.turnId);
    const text = (value: string) => ({ kind: { case: "stringValue", value } });
    expect(after.at).toEqual(before.at);
    expect(after.fields).toMatchObject([
      {
        name: "city",
        change: "corrected",
        used: true,
        was: { value: text("Leeds"), state: "unconfirmed" },
        is: { value: text("Rome") },
        told: expect.stringMatching(
          /^then: Leeds \(said on .*, not confirmed since\); now: Rome, corrected on \d/,
        ),
      },
    ]);
    expect(after.facts).toMatchObject([
      {
        name: "lives_in",
        change: "corrected",
        was: { value: text("Leeds") },
        is: { value: text("Rome") },
      },
    ]);
    const later = await say("Where do I live?", { sessionId });
    expect(later.reply).toMatch(/^In Rome/);
    expect((await explained(later.turnId)).fields).toMatchObject([
      { change: "same", was: { value: text("Rome") } },
    ]);
  });

  it("says of which facts a model was told, and what of them is believed now", async () => {
    const { agentId } = await call(ConfigService).applyAgent({
      document: {
        agent: {
          slug: "talker",
          name: "Talker",
          settings: { generation: { model: "scripted:writer" } },
        },
      },
      publish: true,
    });
    const { customerId, current } = await customerInLeeds();
    const asked = await say("Where do I live, by the way?", { customerId }, agentId);
    const { beliefs } = await recorded(asked.turnId);
    const [fact] = (await current()).facts;
    expect(beliefs?.facts).toMatchObject([{ factId: fact?.factId, used: true, change: "same" }]);
    const { record } = await recorded(asked.turnId);
    const uses = record?.memories.filter(({ kind }) => kind === "fact");
    expect(uses).toMatchObject([{ id: fact?.factId, state: "current", used: true, reason: "" }]);
    expect(uses?.[0]?.tokens).toBeGreaterThan(5);
    const text = await explain(call, asked.turnId);
    expect(text).toMatch(/^\* lives in: Leeds \(said on .*, not confirmed since\)$/m);
  });

  it("shows what has changed since as changed, not as wrong", async () => {
    const { customerId, sessionId } = await customerInLeeds();
    const asked = await say("Where do I live?", { sessionId });
    await explained(asked.turnId);
    await call(ProfileService).updateField({
      customerId,
      name: "city",
      value: { kind: { case: "stringValue", value: "Rome" } },
      source: FieldSource.HUMAN_ENTERED,
    });
    await call(MemoryService).addClaims({
      claims: [
        {
          groupId: customerId,
          kind: 1,
          subject: customerId,
          predicate: "lives_in",
          value: { case: "literal", value: { kind: { case: "stringValue", value: "Rome" } } },
          validFrom: timestampFromMs(Date.now()),
          authority: 3,
          extractor: "operator",
        },
      ],
    });
    const { fields, facts } = await explained(asked.turnId);
    expect(fields[0]?.told).toMatch(/^then: Leeds \(.*\); now: Rome, since \d/);
    expect(facts[0]?.told).toMatch(/^then: Leeds \(.*\); now: Rome, since \d/);
  });

  it("follows a merge to the customer that stands for both, and back", async () => {
    const [ann, other] = [await customerInLeeds(), await customerInLeeds()];
    const asked = await say("Where do I live?", { sessionId: ann.sessionId });
    await recorded(asked.turnId);
    const lived = await other.current();
    const said = (
      predicate: string,
      value: string,
      validFrom: Date,
    ): MessageInitShape<typeof ClaimSchema> => ({
      groupId: other.customerId,
      kind: 1,
      subject: other.customerId,
      predicate,
      value: { case: "literal", value: { kind: { case: "stringValue", value } } },
      validFrom: timestampFromDate(validFrom),
      authority: 3,
      extractor: "operator",
    });
    await call(MemoryService).addClaims({
      claims: [
        said("lives_in", "Rome", new Date()),
        said("has_email", "ann@example.com", new Date("2026-01-02")),
      ],
    });
    expect(lived.facts).toHaveLength(1);
    const alone = await explained(asked.turnId);
    expect(alone.facts).toMatchObject([{ name: "lives_in", change: "same", subject: "" }]);

    const { mergeId } = await call(ProfileService).mergeProfiles({
      fromCustomerId: ann.customerId,
      intoCustomerId: other.customerId,
    });
    const merged = await explained(asked.turnId);
    const text = (value: string) => ({ value: { kind: { case: "stringValue", value } } });
    expect(merged.facts).toMatchObject([
      { name: "lives_in", change: "changed", subject: "", was: text("Leeds"), is: text("Rome") },
      { name: "has_email", change: "learned_later", subject: "", is: text("ann@example.com") },
    ]);
    expect(await explain(call, asked.turnId)).toMatch(/lives in: then: Leeds .*; now: Rome, since/);

    await call(ProfileService).unmergeProfiles({ mergeId });
    expect((await explained(asked.turnId)).facts).toEqual(alone.facts);
  });

  it("remembers after a merge what each of the two has said, and no longer when it is undone", async () => {
    const [ann, other] = [await customerInLeeds(), await customerInLeeds()];
    const { episodes } = await call(MemoryService).listEpisodes({ groupId: other.customerId });
    const ofOther = new Set(episodes.map(({ id }) => id));
    const remembersOther = async () => {
      const asked = await say("Where do I live?", { customerId: ann.customerId });
      const { record } = await recorded(asked.turnId);
      return record?.memories.some(({ id }) => ofOther.has(id));
    };
    expect(ofOther.size).toBeGreaterThan(0);
    expect(await remembersOther()).toBe(false);
    const { mergeId } = await call(ProfileService).mergeProfiles({
      fromCustomerId: ann.customerId,
      intoCustomerId: other.customerId,
    });
    expect(await remembersOther()).toBe(true);
    await call(ProfileService).unmergeProfiles({ mergeId });
    expect(await remembersOther()).toBe(false);
  });

  it("shows nothing after an erasure, and says so", async () => {
    const { customerId, sessionId } = await customerInLeeds();
    const asked = await say("Where do I live?", { sessionId });
    await explained(asked.turnId);
    const scope = { case: "customerId", value: customerId } as const;
    const begun = await call(MemoryService).erase({ scope });
    const erasureId = begun.erasure?.id ?? "";
    const finished = async () =>
      (await call(MemoryService).getErasure({ erasureId })).erasure?.finishedAt;
    await expect.poll(finished, patience).toBeDefined();
    const { record, beliefs } = await call(AlignmentService).explain({ turnId: asked.turnId });
    expect(record).toMatchObject({ personalErased: true, replyText: "" });
    expect(beliefs).toMatchObject({ erased: true, fields: [], facts: [], unavailable: [] });
    expect(
      JSON.stringify(beliefs, (_, part) => (typeof part === "bigint" ? "" : part)),
    ).not.toMatch(/Leeds/);
  });

  it("is for operators only", async () => {
    const { turnId } = await say("Hello", { customerId: (await customerInLeeds()).customerId });
    const chatter = mesh.as(testIdentity({ roles: ["chat", "delegate"] }))(AlignmentService);
    await expect(chatter.explain({ turnId })).rejects.toMatchObject({ reason: "ROLE_MISSING" });
  });
});
