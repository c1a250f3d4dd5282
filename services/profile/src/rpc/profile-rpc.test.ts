import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromDate, ValueSchema } from "@bufbuild/protobuf/wkt";
import { testIdentity } from "@soldier/chassis/testing";
import { type Event, messageOf } from "@soldier/events/event";
import { auditRecordedTopic, profileErasedTopic } from "@soldier/events/topics";
import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { FieldSource, VerificationLevel } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import { testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { jsonOf } from "../domain/messages.ts";
import { type ProfileUnderTest, runProfile } from "../testing/run-profile.ts";

const [database] = testDatabase();
const clock = manualClock(new Date("2026-03-01T10:00:00Z"));

let running: ProfileUnderTest;
const audited: Event[] = [];
beforeAll(async () => {
  if (!database) throw new Error("the embedded PostgreSQL is always there");
  running = await runProfile({ database, clock });
  await running.bus.broadcast([auditRecordedTopic.name], async (event) => void audited.push(event));
});
afterAll(() => running[Symbol.asyncDispose]());

/** A tenant's client, and a customer of the tenant. */
async function tenant() {
  const identity = testIdentity({ subject: "olga" });
  const profiles = running.mesh.as(identity)(ProfileService);
  const who = { channel: Channel.WEBCHAT, externalId: newId() };
  const { profile } = await profiles.getOrCreateProfile(who);
  return { identity, profiles, customerId: profile?.id ?? "", who };
}

const value = (json: JsonValue) => fromJson(ValueSchema, json);
const said = (customerId: string, json: JsonValue, over: object = {}) => ({
  customerId,
  name: "email",
  value: value(json),
  source: FieldSource.USER_PROVIDED,
  ...over,
});

async function refusal(call: Promise<unknown>): Promise<Fault> {
  const error: unknown = await call.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof Fault) return error;
  throw new Error("the call was not refused", { cause: error });
}

describe("GetOrCreateProfile", () => {
  it("makes a customer once, however many ask at once", async () => {
    const profiles = running.mesh.as(testIdentity({ roles: [] }))(ProfileService);
    const who = { channel: Channel.WHATSAPP, externalId: "+351910000000" };
    const found = await Promise.all(
      Array.from({ length: 50 }, () => profiles.getOrCreateProfile(who)),
    );
    expect(new Set(found.map(({ profile }) => profile?.id)).size).toBe(1);
    expect(found.filter(({ created }) => created)).toHaveLength(1);
  });
  it("refuses a name without a channel, and a channel without a name", async () => {
    const { profiles } = await tenant();
    const none = { channel: Channel.UNSPECIFIED, externalId: "x" };
    expect((await refusal(profiles.getOrCreateProfile(none))).kind).toBe("invalid");
    const empty = { channel: Channel.API, externalId: "" };
    expect((await refusal(profiles.getOrCreateProfile(empty))).kind).toBe("invalid");
  });
});

describe("GetProfile and RecallProfile", () => {
  it("read the same profile; the first is for operators, the second for the mesh", async () => {
    const { identity, profiles, customerId } = await tenant();
    await profiles.updateField(said(customerId, "ana@example.com"));
    const { profile } = await profiles.getProfile({ customerId });
    const mesh = running.mesh.as({ ...identity, roles: [] })(ProfileService);
    expect((await mesh.recallProfile({ customerId })).profile).toEqual(profile);
    expect(await refusal(mesh.getProfile({ customerId }))).toMatchObject({
      kind: "forbidden",
      reason: "ROLE_MISSING",
    });
  });
  it("tell of a customer that is not there, also when it is another tenant's", async () => {
    const { customerId } = await tenant();
    const { profiles } = await tenant();
    for (const id of [newId(), customerId])
      expect(await refusal(profiles.recallProfile({ customerId: id }))).toMatchObject({
        kind: "not-found",
        reason: "CUSTOMER_NOT_FOUND",
      });
  });
});

describe("ListProfiles", () => {
  it("pages through the tenant's customers, the latest first", async () => {
    const { profiles, customerId } = await tenant();
    const ids = [customerId];
    for (let i = 0; i < 2; i++) {
      const who = { channel: Channel.API, externalId: newId() };
      ids.push((await profiles.getOrCreateProfile(who)).profile?.id ?? "");
    }
    const first = await profiles.listProfiles({ pageSize: 2 });
    const second = await profiles.listProfiles({ pageSize: 2, pageToken: first.nextPageToken });
    const all = [...first.profiles, ...second.profiles].map(({ id }) => id);
    expect(all).toEqual(ids.toReversed());
    expect(second.nextPageToken).toBe("");
    expect(await refusal(profiles.listProfiles({ pageToken: "x" }))).toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });
});

describe("UpdateField", () => {
  it("stores a value with its provenance, and says who stored it", async () => {
    const { profiles, customerId } = await tenant();
    const { field, applied } = await profiles.updateField(
      said(customerId, "ana@example.com", {
        verification: { method: "email_link" },
        sessionId: "s1",
      }),
    );
    expect(applied).toBe(true);
    expect(field).toMatchObject({
      name: "email",
      source: FieldSource.USER_PROVIDED,
      confidence: 1,
      sessionId: "s1",
      recordedBy: "olga",
      recordedAt: timestampFromDate(clock.now()),
      verification: { method: "email_link", by: "olga", at: timestampFromDate(clock.now()) },
    });
    const { profile } = await profiles.getProfile({ customerId });
    expect(profile?.verificationLevel).toBe(VerificationLevel.EMAIL_VERIFIED);
    expect(jsonOf(profile?.fields["email"]?.value)).toBe("ana@example.com");
  });
  it("does not let a weaker source overwrite a verified value", async () => {
    const { profiles, customerId } = await tenant();
    const verification = { method: "email_link" };
    await profiles.updateField(said(customerId, "ana@example.com", { verification }));
    const inferred = { source: FieldSource.SYSTEM_INFERRED };
    const { field, applied } = await profiles.updateField(said(customerId, "x@y.z", inferred));
    expect(applied).toBe(false);
    expect(jsonOf(field?.value)).toBe("ana@example.com");
    expect(field?.pending.map((one) => jsonOf(one.value))).toEqual(["x@y.z"]);
    const entered = { source: FieldSource.HUMAN_ENTERED };
    expect((await profiles.updateField(said(customerId, "x@y.z", entered))).applied).toBe(true);
  });
  it("takes the same key as the same update", async () => {
    const { profiles, customerId } = await tenant();
    const key = { idempotencyKey: "k" };
    const first = await profiles.updateField(said(customerId, "a", key));
    expect(await profiles.updateField(said(customerId, "a", key))).toEqual(first);
    expect(await refusal(profiles.updateField(said(customerId, "b", key)))).toMatchObject({
      kind: "conflict",
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
  });
  it("refuses what cannot be stored, and names every bad field", async () => {
    const { profiles, customerId } = await tenant();
    const past = timestampFromDate(new Date(clock.now().getTime() - 1));
    const bad = said(customerId, "a\0b", { expiresAt: past, verification: { method: "" } });
    const fault = await refusal(profiles.updateField(bad));
    expect(fault).toMatchObject({ kind: "invalid", reason: "FIELD_INVALID" });
    expect(fault.fields.map(({ field }) => field)).toEqual([
      "value",
      "verification.method",
      "expires_at",
    ]);
    const nothing = { ...said(customerId, null), value: create(ValueSchema) };
    expect((await refusal(profiles.updateField(nothing))).kind).toBe("invalid");
    const long = said(customerId, "x".repeat(20_000));
    expect((await refusal(profiles.updateField(long))).fields).toMatchObject([{ field: "value" }]);
    const unnamed = said(customerId, 1, { name: "E-mail" });
    expect((await refusal(profiles.updateField(unnamed))).kind).toBe("invalid");
  });
  it("tells of a customer that is not there", async () => {
    const { profiles } = await tenant();
    expect(await refusal(profiles.updateField(said(newId(), 1)))).toMatchObject({
      reason: "CUSTOMER_NOT_FOUND",
    });
  });
  it("tells the audit who did it and to what, but not the value", async () => {
    const { identity, profiles, customerId } = await tenant();
    await profiles.updateField(said(customerId, "ana@example.com"));
    const mine = () => audited.filter(({ tenantId }) => tenantId === identity.tenantId);
    await vi.waitFor(() => expect(mine()).toHaveLength(1));
    const [event] = mine().map((one) => messageOf(auditRecordedTopic, one).event);
    expect(event).toMatchObject({
      tenantId: identity.tenantId,
      actor: "olga",
      action: "profile.field_updated",
      resourceKind: "customer",
      resourceId: customerId,
      details: { field: "email", outcome: "applied", source: "FIELD_SOURCE_USER_PROVIDED" },
    });
    expect(event?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(JSON.stringify(event?.details)).not.toContain("ana@example.com");
  });
});

describe("ListFieldHistory", () => {
  it("gives every value that the field has had, the latest first", async () => {
    const { profiles, customerId } = await tenant();
    for (const json of ["a", "b", "c"]) await profiles.updateField(said(customerId, json));
    const request = { customerId, name: "email", pageSize: 2 };
    const first = await profiles.listFieldHistory(request);
    const pageToken = first.nextPageToken;
    const second = await profiles.listFieldHistory({ ...request, pageToken });
    const values = [...first.values, ...second.values].map((one) => jsonOf(one.value));
    expect(values).toEqual(["c", "b", "a"]);
    expect(second.nextPageToken).toBe("");
  });
});

describe("LinkIdentity", () => {
  it("gives a customer another name, by which the customer is found", async () => {
    const { profiles, customerId } = await tenant();
    const email = { channel: Channel.EMAIL, externalId: "ana@example.com" };
    const { profile } = await profiles.linkIdentity({ customerId, ...email });
    expect(profile?.identities).toHaveLength(2);
    const found = await profiles.getOrCreateProfile(email);
    expect(found).toMatchObject({ created: false, profile: { id: customerId } });
  });
  it("refuses a name that is another customer's", async () => {
    const { profiles, who } = await tenant();
    const other = { channel: Channel.API, externalId: newId() };
    const customerId = (await profiles.getOrCreateProfile(other)).profile?.id ?? "";
    expect(await refusal(profiles.linkIdentity({ customerId, ...who }))).toMatchObject({
      kind: "conflict",
      reason: "IDENTITY_TAKEN",
    });
    expect((await profiles.linkIdentity({ customerId, ...other })).profile?.id).toBe(customerId);
  });
});

describe("RecordConsent", () => {
  it("keeps the last word on each purpose", async () => {
    const { profiles, customerId } = await tenant();
    const say = (granted: boolean) =>
      profiles.recordConsent({ customerId, consent: { purpose: "marketing", granted } });
    await say(true);
    clock.advance(1_000);
    expect((await say(false)).consents).toMatchObject([{ purpose: "marketing", granted: false }]);
    const { profile } = await profiles.getProfile({ customerId });
    expect(profile?.consents).toMatchObject([{ granted: false }]);
  });
  it("refuses a word on nothing", async () => {
    const { profiles, customerId } = await tenant();
    const consent = { purpose: "", granted: true };
    expect(await refusal(profiles.recordConsent({ customerId, consent }))).toMatchObject({
      reason: "CONSENT_INVALID",
    });
  });
});

describe("GetProfile as of then", () => {
  it("tells what was believed then, and UpdateField when a value holds", async () => {
    const { profiles, customerId } = await tenant();
    const start = clock.now();
    const at = (ms: number) => timestampFromDate(new Date(start.getTime() + ms));
    await profiles.updateField(said(customerId, "old@example.com"));
    clock.advance(10_000);
    const { field } = await profiles.updateField(
      said(customerId, "trip@example.com", { validFrom: at(20_000), validTo: at(30_000) }),
    );
    expect(jsonOf(field?.value)).toBe("old@example.com"); // the other is not true yet
    const valueAt = async (valid: number, recorded?: number) => {
      const asOf = { valid: at(valid), ...(recorded && { recorded: at(recorded) }) };
      const { profile } = await profiles.getProfile({ customerId, asOf });
      return jsonOf(profile?.fields["email"]?.value);
    };
    expect(await valueAt(25_000)).toBe("trip@example.com");
    expect(await valueAt(25_000, 5_000)).toBe("old@example.com");
    expect(await valueAt(30_000)).toBe("old@example.com");
    clock.advance(30_000);
    const { values } = await profiles.listFieldHistory({ customerId, name: "email" });
    expect(values.map(({ validFrom, validTo }) => [validFrom, validTo])).toEqual([
      [at(30_000), undefined],
      [at(20_000), at(30_000)],
      [at(0), at(20_000)],
    ]);
    const known = await profiles.listFieldHistory({
      customerId,
      name: "email",
      recorded: at(5_000),
    });
    expect(known.values.map(({ value: was }) => jsonOf(was))).toEqual(["old@example.com"]);
    const backwards = said(customerId, "x", { validFrom: at(9), validTo: at(9) });
    expect((await refusal(profiles.updateField(backwards))).fields).toMatchObject([
      { field: "valid_to" },
    ]);
  });
});

describe("UnlinkIdentity", () => {
  it("makes a name nobody's, once; LinkIdentity moves one only when asked to", async () => {
    const { profiles, customerId, who } = await tenant();
    const other = { channel: Channel.API, externalId: newId() };
    const otherId = (await profiles.getOrCreateProfile(other)).profile?.id ?? "";
    const moved = await profiles.linkIdentity({ customerId: otherId, ...who, move: true });
    expect(moved.profile?.identities).toHaveLength(2);
    for (let i = 0; i < 2; i++) {
      const { profile } = await profiles.unlinkIdentity({ customerId: otherId, ...who });
      expect(profile?.identities).toMatchObject([other]);
    }
    expect((await profiles.getProfile({ customerId })).profile?.identities).toEqual([]);
    expect((await profiles.getOrCreateProfile(who)).created).toBe(true);
  });
});

describe("MergeProfiles and UnmergeProfiles", () => {
  it("make two customers one and two again, and tell the audit", async () => {
    const { identity, profiles, customerId: fromCustomerId, who } = await tenant();
    const other = { channel: Channel.API, externalId: newId() };
    const intoCustomerId = (await profiles.getOrCreateProfile(other)).profile?.id ?? "";
    const request = { fromCustomerId, intoCustomerId, evidence: "same passport" };
    const { profile, mergeId } = await profiles.mergeProfiles(request);
    expect(profile).toMatchObject({ id: intoCustomerId, aliasIds: [fromCustomerId] });
    expect((await profiles.mergeProfiles(request)).mergeId).toBe(mergeId);
    expect((await profiles.getOrCreateProfile(who)).profile?.id).toBe(intoCustomerId);
    const both = await profiles.unmergeProfiles({ mergeId });
    expect(both.profiles.map(({ id }) => id)).toEqual([fromCustomerId, intoCustomerId]);
    expect((await profiles.getOrCreateProfile(who)).profile?.id).toBe(fromCustomerId);
    const mine = () =>
      audited
        .filter(({ tenantId }) => tenantId === identity.tenantId)
        .map((one) => messageOf(auditRecordedTopic, one).event.action);
    await vi.waitFor(() => expect(mine()).toEqual(["profile.merged", "profile.unmerged"]));
  });
  it("refuse a customer with itself, one that is not there, and a merge that never was", async () => {
    const { profiles, customerId } = await tenant();
    const merge = (fromCustomerId: string, intoCustomerId: string) =>
      refusal(profiles.mergeProfiles({ fromCustomerId, intoCustomerId }));
    expect(await merge(customerId, customerId)).toMatchObject({
      reason: "MERGE_INVALID",
      fields: [{ field: "into_customer_id" }],
    });
    expect((await merge(customerId, newId())).reason).toBe("CUSTOMER_NOT_FOUND");
    const never = await refusal(profiles.unmergeProfiles({ mergeId: newId() }));
    expect(never.reason).toBe("MERGE_NOT_FOUND");
  });
});

describe("AddAsset", () => {
  const asset = {
    kind: "passport",
    uri: "s3://files/passport.png",
    checksum: new Uint8Array(32).fill(1),
    mediaType: "image/png",
    sizeBytes: 12n,
  };
  it("records a file by reference, with where it came from", async () => {
    const { profiles, customerId } = await tenant();
    const { asset: stored } = await profiles.addAsset({ customerId, asset });
    expect(stored).toMatchObject({
      ...asset,
      customerId,
      source: FieldSource.HUMAN_ENTERED,
      recordedBy: "olga",
      recordedAt: timestampFromDate(clock.now()),
    });
    expect((await profiles.listAssets({ customerId })).assets).toEqual([stored]);
  });
  it("names everything that is wrong", async () => {
    const { profiles, customerId } = await tenant();
    const bad = {
      kind: "My Passport",
      uri: "https://ann:secret@files.example/1",
      checksum: new Uint8Array(31),
      mediaType: "png",
      sizeBytes: -1n,
      source: 99 as FieldSource, // from a newer version
    };
    const fault = await refusal(profiles.addAsset({ customerId, asset: bad }));
    expect(fault).toMatchObject({ reason: "ASSET_INVALID" });
    expect(fault.fields.map(({ field }) => field)).toEqual([
      "asset.kind",
      "asset.uri",
      "asset.checksum",
      "asset.media_type",
      "asset.size_bytes",
      "asset.source",
    ]);
    for (const uri of ["passport.png", "data:image/png;base64,AAAA"]) {
      const refused = await refusal(profiles.addAsset({ customerId, asset: { ...asset, uri } }));
      expect(refused.fields).toMatchObject([{ field: "asset.uri" }]);
    }
  });
});

describe("EraseProfile", () => {
  it("counts, erases, gives the same certificate again, and tells others whom", async () => {
    const { identity, profiles, customerId } = await tenant();
    const told: Event[] = [];
    await running.bus.broadcast([profileErasedTopic.name], async (event) => void told.push(event));
    await profiles.updateField(said(customerId, "ana@example.com"));
    const counted = await profiles.eraseProfile({ customerId, dryRun: true });
    expect(counted).toMatchObject({ certificateId: "", customerIds: [customerId] });
    expect(counted.erased).toMatchObject({ customers: 1n, fields: 1n, claims: 1n, identities: 1n });
    const done = await profiles.eraseProfile({ customerId });
    expect(done.erased).toEqual(counted.erased);
    const again = await profiles.eraseProfile({ customerId });
    expect(again).toMatchObject({
      certificateId: done.certificateId,
      customerIds: [customerId],
      erasedAt: done.erasedAt,
    });
    expect(Object.values(again.erased).every((count) => count === 0n)).toBe(true);
    for (const late of [
      () => profiles.getProfile({ customerId }),
      () => profiles.updateField(said(customerId, "ana@example.com")),
    ])
      expect((await refusal(late())).reason).toBe("CUSTOMER_NOT_FOUND");
    const mine = () => told.filter(({ tenantId }) => tenantId === identity.tenantId);
    await vi.waitFor(() => expect(mine()).toHaveLength(1));
    const [event] = mine().map((one) => messageOf(profileErasedTopic, one));
    expect(event?.customerIds).toEqual([customerId]);
  });
  it("tells of a customer that never was", async () => {
    const { profiles } = await tenant();
    const fault = await refusal(profiles.eraseProfile({ customerId: newId() }));
    expect(fault.reason).toBe("CUSTOMER_NOT_FOUND");
  });
});
