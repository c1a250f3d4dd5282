import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { newId } from "@soldier/kernel/ids";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, openGateway, tokenFor, unlimited } from "./testing.ts";

/** Longest that a call may take: longer than a busy machine is silent, shorter than the import. */
const maxMs = 2_000;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await openGateway({ settings: unlimited, server: { max_deadline_ms: maxMs } });
});
afterAll(() => gateway[Symbol.asyncDispose]());

it("hands an import on for longer than any call may take, as long as something comes", async () => {
  const memory = createClient(MemoryService, createGrpcTransport({ baseUrl: gateway.url }));
  const headers = { authorization: `Bearer ${await tokenFor({ roles: ["operator"] })}` };
  const beganMs = performance.now();
  async function* requests() {
    for (let i = 0; performance.now() - beganMs < 2 * maxMs; i++) {
      const said = { groupId: "g", ingestKey: newId(), role: EpisodeRole.USER, text: "hi" };
      yield { episode: { ...said, occurredAt: { seconds: 1_772_000_000n } } };
      await delay(100);
    }
  }
  let answers = 0;
  for await (const answer of memory.addEpisodes(requests(), { headers }))
    answers += Number(answer.ingestKey === "");
  expect(performance.now() - beganMs).toBeGreaterThan(2 * maxMs);
  expect(answers).toBeGreaterThan(5);
}, 30_000);
