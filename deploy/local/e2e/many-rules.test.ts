import { overridden } from "@soldier/chassis/settings";
import { removeStreams, testEvents } from "@soldier/events/testing";
import { describeOn, testNats } from "@soldier/storage/testing";
import { expect, it } from "vitest";
import { demoToken } from "../demo.ts";
import { startSevenProcesses } from "../seven-processes.ts";
import { chat, settings, surroundings } from "./desk.ts";

const rulesCount = 3_000;
const things = ["lamp", "sofa", "kettle", "piano", "carpet", "mirror", "ladder", "tent", "camera"];

/** More than one message holds, with its vectors: 12,000 of them are 18 MB. */
const document = {
  agent: { slug: "large", name: "Large" },
  rules: Array.from({ length: rulesCount }, (_, i) => {
    const thing = `${things[i % things.length]} ${i}`;
    return {
      name: `rule-${i}`,
      condition: `the customer asks for the ${thing}`,
      examples: [`where is the ${thing}`, `I want a ${thing}`, `do you have the ${thing}`],
      template_ids: i === 1_234 ? ["found"] : [],
      action: "Say where it is.",
    };
  }),
  templates: [{ name: "found", text: "It is on the second floor." }],
};

describeOn("an agent of 3,000 rules, over gRPC between processes", testNats(), (nats) => {
  it("is published and answers, with the limits as they are", { timeout: 120_000 }, async () => {
    await using opened = new AsyncDisposableStack();
    const { directory, databaseUrl, backend } = await surroundings(opened);
    const events = testEvents(opened.use(await nats.open()).url);
    opened.defer(() => removeStreams(events));
    const ended: string[] = [];
    const mesh = opened.use(
      await startSevenProcesses({
        settings: overridden(settings, { postgres: { url: databaseUrl } }, "the test"),
        logs: directory,
        backendUrl: backend.url,
        freePorts: true,
        ended: (name, how) => ended.push(`${name}: ${how}`),
        env: {
          SOLDIER_ENV: "test",
          SOLDIER_EVENTS__URL: events.url,
          SOLDIER_EVENTS__ROOT: events.root,
          SOLDIER_EMBEDDER__PROVIDER: "deterministic",
        },
      }),
    );
    const token = await demoToken(settings);
    const applied = await fetch(`${mesh.url}/v1/agents:apply`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ document, publish: true }),
    });
    expect(await applied.json()).toMatchObject({ version: "1" });
    const message = `do you have the ${things[1_234 % things.length]} 1234`;
    const body = { agent: "large", message };
    expect(await chat({ url: mesh.url, token, body })).toMatchObject({
      status: 200,
      reply: "It is on the second floor.",
    });
    expect(ended).toEqual([]);
  });
});
