import { Fault } from "@soldier/kernel/fault";

/** Some models put a question elsewhere than what answers it; for the others both are the same. */
export type TextRole = "document" | "query";

/** Turns texts into vectors so that similar texts are near each other. */
export interface Embedder {
  /**
   * Names the vectors: provider, model and precision. Vectors of different names are never
   * compared, so this is stored with each.
   */
  readonly model: string;
  readonly dimensions: number;
  /**
   * One vector per text, in the same order, each of length 1 and the caller's own to keep. The same
   * text gives the same vector in the same role, "document" unless said otherwise. An empty text has one too; a text longer than the model reads counts
   * by its beginning. Fails with EMBEDDER_UNAVAILABLE, or with the Fault of `cancelled`, for all
   * texts or none.
   */
  embed(
    texts: readonly string[],
    signal: AbortSignal,
    role?: TextRole,
  ): Promise<readonly Float32Array[]>;
}

/** The one text's vector. */
export async function embedOne(
  embedder: Embedder,
  text: string,
  signal: AbortSignal,
  role?: TextRole,
): Promise<Float32Array> {
  const [vector] = await embedder.embed([text], signal, role);
  if (!vector) throw new Error(`${embedder.model} gave no vector for a text`);
  return vector;
}

export function embedderUnavailable(
  message: string,
  cause?: unknown,
  retryAfterMs?: number,
): Fault {
  const reason = "EMBEDDER_UNAVAILABLE";
  return new Fault("unavailable", message, {
    reason,
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
