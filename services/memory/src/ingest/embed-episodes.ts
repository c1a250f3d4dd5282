import type { Embedder } from "@soldier/ai/embedder";
import { searchableText } from "../domain/episode.ts";
import type { StageWork } from "./stage-worker.ts";

/** The stage "embedded": an episode without a vector is found by its words meanwhile. */
export function embedEpisodes(embedder: Embedder): StageWork<Float32Array> {
  return async (due, signal) => {
    const texts = due.map(({ episode }) => searchableText(episode));
    const vectors = await embedder.embed(texts, signal);
    return vectors.map((value) => ({ kind: "done", value }));
  };
}
