import type { Identity } from "@soldier/chassis/identity";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { newId } from "@soldier/kernel/ids";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { AuditService } from "@soldier/proto/audit/v1/audit_service";
import { Channel } from "@soldier/proto/common/v1/resource";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import { FieldType } from "@soldier/proto/config/v1/tool";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { testDatabase } from "@soldier/storage/testing";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { services } from "../services.ts";

const [embedded] = testDatabase();

/** From a definition in config to what profile takes and stores, and to what alignment says. */
describe("a profile field's definition", () => {
  const opened = new AsyncDisposableStack();
  const identity = testIdentity({ roles: ["chat", "delegate", "operator"] });
  let mesh: TestMesh;
  let agentId: string;
  let sql: Sql;
  beforeAll(async () => {
    if (!embedded) throw new Error("the embedded PostgreSQL is always there");
    const { url } = opened.use(await embedded.open());
    sql = postgres(url, { max: 1 });
    opened.defer(() => sql.end());
    mesh = opened.use(
      await runForTest(services, {
        settings: {
          postgres: { url },
          events: { url: `inproc://${newId()}?consumers=audit,memory,profile` },
          embedder: { provider: "deterministic" },
        },
      }),
    );
    agentId = await published(mesh, identity);
  });
  afterAll(() => opened.disposeAsync());

  async function customer(): Promise<string> {
    const profiles = mesh.as(identity)(ProfileService);
    const who = { channel: Channel.API, externalId: newId() };
    return (await profiles.getOrCreateProfile(who)).profile?.id ?? "";
  }
  const update = (customerId: string, name: string, value: string) =>
    mesh
      .as(identity)(ProfileService)
      .updateField({
        customerId,
        name,
        value: { kind: { case: "stringValue", value } },
        source: FieldSource.HUMAN_ENTERED,
      });

  it("reaches profile with the version, and holds values to it", async () => {
    const customerId = await customer();
    const refusal = () =>
      update(customerId, "birthday", "yesterday").catch((fault: unknown) => fault);
    await expect.poll(refusal, { timeout: 5_000 }).toMatchObject({
      kind: "invalid",
      fields: [{ field: "value", description: "must be a day such as 2026-03-01" }],
    });
    expect((await update(customerId, "birthday", "1999-12-31")).applied).toBe(true);
    expect((await update(customerId, "undefined_anywhere", "whatever")).applied).toBe(true);
  });

  it("has its values encrypted where they are stored", async () => {
    const customerId = await customer();
    const stored = async () => {
      await update(customerId, "email", `${newId()}@canary.example`);
      const [row] = await sql<{ found: number }[]>`
        select count(*)::int as found from profile.field_claims c
        where customer_id = ${customerId} and c::text like '%canary.example%'
          and version = (select max(version) from profile.field_claims where customer_id = ${customerId})`;
      return row?.found;
    };
    await expect.poll(stored, { timeout: 5_000 }).toBe(0);
    const { profile } = await mesh.as(identity)(ProfileService).getProfile({ customerId });
    const { value } = profile?.fields["email"]?.value?.kind ?? {};
    expect(value).toContain("@canary.example");
  });

  it("lets a template say the value with the customer's consent only, and the record says why not", async () => {
    const customerId = await customer();
    await update(customerId, "email", "ada@canary.example");
    const profiles = mesh.as(identity)(ProfileService);
    const consent = (granted: boolean) =>
      profiles.recordConsent({ customerId, consent: { purpose: "contact", granted } });

    const before = await said(mesh, identity, agentId, customerId);
    expect(before.reply).toBe("I can't tell.");
    expect(before.withheld).toEqual([["email", "contact", "consent_missing"]]);
    await consent(true);
    const given = await said(mesh, identity, agentId, customerId);
    expect(given.reply).toBe("I write to ada@canary.example.");
    expect(given.withheld).toEqual([]);
    await consent(false);
    const after = await said(mesh, identity, agentId, customerId);
    expect(after.reply).toBe("I can't tell.");
    expect(after.withheld).toEqual([["email", "contact", "consent_withdrawn"]]);
  });
});

async function published(mesh: TestMesh, identity: Identity): Promise<string> {
  const { agentId } = await mesh
    .as(identity)(ConfigService)
    .applyAgent({
      document: {
        agent: {
          slug: "desk",
          name: "Desk",
          settings: { replyMode: TemplateMode.EXCLUSIVE, fallbackTemplateId: "no" },
        },
        fieldDefinitions: [
          { name: "birthday", type: FieldType.DATE },
          {
            name: "email",
            type: FieldType.EMAIL,
            pii: true,
            encrypted: true,
            consentPurpose: "contact",
          },
        ],
        templates: [
          { name: "address", text: "I write to {profile.email}.", mode: TemplateMode.EXCLUSIVE },
          { name: "no", text: "I can't tell.", mode: TemplateMode.FALLBACK },
        ],
      },
      publish: true,
    });
  return agentId;
}

/** What is said to the customer in a new session, and the fields that the turn's record says were withheld. */
async function said(mesh: TestMesh, identity: Identity, agentId: string, customerId: string) {
  let turnId = "";
  let reply = "";
  const events = mesh.as(identity)(AlignmentService).processTurn({
    agent: agentId,
    customer: { customerId },
    channel: Channel.API,
    text: "Where do you write to?",
    idempotencyKey: newId(),
  });
  for await (const { event } of events)
    if (event.case === "completed") {
      turnId = event.value.turn?.id ?? "";
      reply = event.value.turn?.replyText ?? "";
    }
  const audit = mesh.as(identity)(AuditService);
  const read = () => audit.getTurnRecord({ turnId }).catch(() => undefined);
  await expect.poll(read, { timeout: 10_000 }).toBeDefined();
  const { record } = await audit.getTurnRecord({ turnId });
  const fields = record?.withheldFields ?? [];
  return { reply, withheld: fields.map(({ name, purpose, reason }) => [name, purpose, reason]) };
}
