import { createHash } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { checkedMessage } from "@soldier/kernel/checksum";
import { newId } from "@soldier/kernel/ids";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import type { BundleHead, StreamBundleResponse } from "@soldier/proto/config/v1/config_service";
import { describeOn, testDatabase } from "@soldier/storage/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { desk, documentOf } from "../domain/testing.ts";
import { pieceBytes } from "../publish/serialised-bundle.ts";
import { type ConfigUnderTest, configUnderTest, faultOf } from "./testing.ts";

const a = { agentId: "desk" };

describeOn("a bundle as a stream", testDatabase(), (backend) => {
  let under: ConfigUnderTest;
  beforeAll(async () => {
    under = await configUnderTest(backend);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  it("is the one that GetBundle gives, in pieces that say when they are whole", async () => {
    const calls = under.as({ tenantId: newId() });
    const json = desk();
    for (let i = 0; i < 400; i++)
      json.rules.push({ name: `r-${i}`, condition: `c ${i}`, action: "a" });
    await calls.applyAgent({ document: documentOf(json), publish: true });
    const { head, pieces, bytes, sha256 } = await received(calls.streamBundle(a));
    expect(head).toMatchObject({ version: 1n, sizeBytes: BigInt(bytes.byteLength) });
    expect(pieces.map((piece) => piece.byteLength)).toEqual([
      pieceBytes,
      bytes.byteLength - pieceBytes,
    ]);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
    const { bundle } = await calls.getBundle(a);
    expect(fromBinary(BundleSchema, checkedMessage(bytes))).toEqual(bundle);
  });

  it("is only its head for who knows the version, with the values of now", async () => {
    const calls = under.as({ tenantId: newId() });
    await calls.applyAgent({ document: documentOf(desk()), publish: true });
    const value = { kind: { case: "stringValue", value: "+43" } } as const;
    await calls.setVariableValue({ ...a, value: { variable: "phone", value } });
    const { head, pieces, sha256 } = await received(calls.streamBundle({ ...a, knownVersion: 1n }));
    expect(head).toMatchObject({ version: 1n, sizeBytes: 0n, variableValues: [{ value }] });
    expect([pieces, sha256]).toEqual([[], undefined]);
  });

  it("can be of what is not published, with the same refusals as CompileBundle", async () => {
    const calls = under.as({ tenantId: newId() });
    const document = documentOf(desk());
    const { head, bytes } = await received(calls.streamBundle({ ...a, trial: { document } }));
    expect(head?.version).toBe(0n);
    expect(fromBinary(BundleSchema, bytes).rules).toHaveLength(4);
    const draft = received(calls.streamBundle({ ...a, trial: {} }));
    expect(await faultOf(draft)).toMatchObject({ reason: "AGENT_NOT_FOUND" });
    await calls.applyAgent({ document });
    expect(await faultOf(received(calls.streamBundle(a)))).toMatchObject({
      reason: "AGENT_NOT_PUBLISHED",
    });
  });
});

async function received(parts: AsyncIterable<StreamBundleResponse>) {
  let head: BundleHead | undefined;
  let sha256: string | undefined;
  const pieces: Uint8Array[] = [];
  for await (const { part } of parts) {
    if (part.case === "head") head = part.value;
    if (part.case === "piece") pieces.push(part.value);
    if (part.case === "end") sha256 = Buffer.from(part.value.sha256).toString("hex");
  }
  return { head, pieces, bytes: new Uint8Array(Buffer.concat(pieces)), sha256 };
}
