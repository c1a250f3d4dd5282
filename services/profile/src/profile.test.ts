import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { type Event, newEvent } from "@soldier/events/event";
import { configPublishedTopic, turnCommittedTopic } from "@soldier/events/topics";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { FieldType } from "@soldier/proto/config/v1/tool";
import { FieldSource } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { describeOn, testDatabase, testNats } from "@soldier/storage/testing";
import { expect, it, vi } from "vitest";
import { jsonOf } from "./domain/messages.ts";
import { type ProfileOptions, runProfile } from "./testing/run-profile.ts";

const databases = testDatabase();

describeOn("profile, following turns in one process,", databases, (database) => {
  followsTurns({ database });
});

describeOn("profile, following turns over JetStream,", testNats(), (broker) => {
  const [database] = databases;
  if (!database) throw new Error("the embedded PostgreSQL is always there");
  followsTurns({ database, broker });
});

interface Found {
  readonly name: string;
  readonly value: JsonValue;
  readonly extractor: string;
}

function turnEvent(tenantId: string, customerId: string, found: readonly Found[]): Event {
  const at = new Date("2026-03-01T10:00:00Z");
  const extractedFields = found.map(({ name, value, extractor }) => ({
    name,
    extractor,
    value: fromJson(ValueSchema, value),
    confidence: 0.8,
  }));
  const turn = { id: newId(), sessionId: "s1", number: 1, committedAt: timestampFromDate(at) };
  const message = { tenantId, customerId, turn, extractedFields };
  return newEvent(turnCommittedTopic, tenantId, message, at);
}

function followsTurns(options: ProfileOptions): void {
  it("keeps what was found in a turn, once for any number of deliveries", async () => {
    await using running = await runProfile(options);
    const identity = testIdentity();
    const profiles = running.mesh.as(identity)(ProfileService);
    const who = { channel: Channel.API, externalId: newId() };
    const customerId = (await profiles.getOrCreateProfile(who)).profile?.id ?? "";
    const found = [
      { name: "order_id", value: "A-17", extractor: "pattern" },
      { name: "mood", value: "cross", extractor: "a-model" },
      { name: "Not a name", value: 1, extractor: "pattern" },
      { name: "nothing", value: null, extractor: "pattern" },
    ];
    const event = turnEvent(identity.tenantId, customerId, found);
    for (const one of [event, event]) await running.bus.publish(one);
    await vi.waitFor(
      async () => {
        const { profile } = await profiles.getProfile({ customerId });
        expect(profile?.version).toBe(3n);
        expect(profile?.fields).toMatchObject({
          order_id: { source: FieldSource.USER_PROVIDED, confidence: 0.8, sessionId: "s1" },
          mood: { source: FieldSource.LLM_EXTRACTED, recordedBy: "a-model" },
        });
        expect(jsonOf(profile?.fields["order_id"]?.value)).toBe("A-17");
      },
      { timeout: 10_000 },
    );
    // Whatever else was delivered has been dealt with once this one has.
    const after = [{ name: "last", value: true, extractor: "pattern" }];
    await running.bus.publish(turnEvent(identity.tenantId, customerId, after));
    await vi.waitFor(
      async () => expect((await profiles.getProfile({ customerId })).profile?.version).toBe(4n),
      { timeout: 10_000 },
    );
  });

  it("is done with turns of customers that it does not know", async () => {
    await using running = await runProfile(options);
    const identity = testIdentity();
    const profiles = running.mesh.as(identity)(ProfileService);
    const who = { channel: Channel.API, externalId: newId() };
    const customerId = (await profiles.getOrCreateProfile(who)).profile?.id ?? "";
    const found = [{ name: "order_id", value: "A-17", extractor: "pattern" }];
    for (const id of ["no id", newId(), customerId])
      await running.bus.publish(turnEvent(identity.tenantId, id, found));
    await vi.waitFor(
      async () => expect((await profiles.getProfile({ customerId })).profile?.version).toBe(2n),
      { timeout: 10_000 },
    );
  });

  it("refuses turns of a customer who was erased, however late and often they come", async () => {
    await using running = await runProfile(options);
    const identity = testIdentity();
    const profiles = running.mesh.as(identity)(ProfileService);
    const made = async () => {
      const who = { channel: Channel.API, externalId: newId() };
      return (await profiles.getOrCreateProfile(who)).profile?.id ?? "";
    };
    const [erased, other] = [await made(), await made()];
    const found = [{ name: "order_id", value: "A-17", extractor: "pattern" }];
    const before = turnEvent(identity.tenantId, erased, found);
    await running.bus.publish(before);
    await vi.waitFor(
      async () => {
        const { profile } = await profiles.getProfile({ customerId: erased });
        expect(profile?.fields).toHaveProperty("order_id");
      },
      { timeout: 10_000 },
    );
    await profiles.eraseProfile({ customerId: erased });
    for (const late of [before, turnEvent(identity.tenantId, erased, found)])
      await running.bus.publish(late);
    // Whatever else was delivered has been dealt with once this one has.
    await running.bus.publish(turnEvent(identity.tenantId, other, found));
    await vi.waitFor(
      async () =>
        expect((await profiles.getProfile({ customerId: other })).profile?.version).toBe(2n),
      { timeout: 10_000 },
    );
    const again = await profiles.eraseProfile({ customerId: erased });
    expect(Object.values(again.erased).every((count) => count === 0n)).toBe(true);
    expect((await profiles.listProfiles({})).profiles.map(({ id }) => id)).toEqual([other]);
  });

  it("holds what is found, and what is told, to the definitions of published versions", async () => {
    await using running = await runProfile(options);
    const identity = testIdentity();
    const { tenantId } = identity;
    const profiles = running.mesh.as(identity)(ProfileService);
    const who = { channel: Channel.API, externalId: newId() };
    const customerId = (await profiles.getOrCreateProfile(who)).profile?.id ?? "";
    const published = (version: bigint, definitions: { name: string; type: FieldType }[]) =>
      newEvent(
        configPublishedTopic,
        tenantId,
        { tenantId, agentId: "sales", version, fieldDefinitions: { definitions } },
        new Date(),
      );
    await running.bus.publish(published(1n, [{ name: "age", type: FieldType.NUMBER }]));
    const update = (value: JsonValue) =>
      profiles
        .updateField({
          customerId,
          name: "age",
          value: fromJson(ValueSchema, value),
          source: FieldSource.HUMAN_ENTERED,
        })
        .then(({ applied }) => applied)
        .catch((fault: unknown) => fault);
    await vi.waitFor(
      async () =>
        expect(await update("old")).toMatchObject({
          reason: "FIELD_INVALID",
          fields: [{ field: "value", description: "must be a number" }],
        }),
      { timeout: 10_000 },
    );
    expect(await update(44)).toBe(true);
    const found = [
      { name: "age", value: "very old", extractor: "a-model" },
      { name: "undefined", value: "anything", extractor: "pattern" },
    ];
    await running.bus.publish(turnEvent(tenantId, customerId, found));
    await vi.waitFor(
      async () => {
        const { fields } = (await profiles.getProfile({ customerId })).profile ?? {};
        expect(fields).toHaveProperty("undefined");
        expect(jsonOf(fields?.["age"]?.value)).toBe(44);
      },
      { timeout: 10_000 },
    );
    await running.bus.publish(published(0n, []));
    await vi.waitFor(async () => expect(await update("old")).toBe(true), { timeout: 10_000 });
  });
}
