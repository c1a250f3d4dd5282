import type { LanguageModel } from "./language-model.ts";

/**
 * A model whose provider's library is loaded beside the start, and only where it is used: the two that we
 * have are a quarter of all modules of the service that thinks. Calls wait until it is there.
 */
export function loadedLater(id: string, load: () => Promise<LanguageModel>): LanguageModel {
  const loading = load();
  loading.catch(() => {}); // told to each call
  return {
    id,
    generate: async (req, signal) => (await loading).generate(req, signal),
    async *stream(req, signal) {
      yield* (await loading).stream(req, signal);
    },
    structured: async (req, signal) => (await loading).structured(req, signal),
  };
}
