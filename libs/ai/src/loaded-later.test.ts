import { describe, expect, it } from "vitest";
import type { ModelRequest } from "./language-model.ts";
import { loadedLater } from "./loaded-later.ts";
import { scriptedModel } from "./scripted.ts";

const req: ModelRequest = {
  system: [],
  messages: [{ role: "user", text: "Hello" }],
  maxTokens: 100,
};
const { signal } = new AbortController();

describe("a model that is loaded later", () => {
  it("answers once it is there, and is loaded once", async () => {
    const loaded = Promise.withResolvers<void>();
    let times = 0;
    const model = loadedLater("scripted:late", async () => {
      times += 1;
      await loaded.promise;
      return scriptedModel(() => "It is there.", { id: "scripted:late" });
    });
    expect(model.id).toBe("scripted:late");
    const answers = Promise.all([model.generate(req, signal), whole(model.stream(req, signal))]);
    loaded.resolve();
    const [{ text }, streamed] = await answers;
    expect([text, streamed, times]).toEqual(["It is there.", "It is there.", 1]);
  });

  it("tells each call why it could not be loaded", async () => {
    const model = loadedLater("scripted:broken", async () => {
      throw new Error("no such library");
    });
    await expect(model.generate(req, signal)).rejects.toThrow("no such library");
    await expect(whole(model.stream(req, signal))).rejects.toThrow("no such library");
  });
});

async function whole(chunks: ReturnType<ReturnType<typeof loadedLater>["stream"]>) {
  let text = "";
  for await (const chunk of chunks) if (chunk.kind === "text") text += chunk.text;
  return text;
}
