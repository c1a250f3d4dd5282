const judgement = {
  intent: "help",
  topic: "shop",
  sentiment: 0,
  signal: "none",
  rules: [],
  move: { kind: "none", id: "", confidence: 1 },
};

/** A model that answers at once, an embedder that costs nothing, no rates: what remains is the engine. */
export const engineOnly: Readonly<Record<string, string>> = {
  SOLDIER_MODEL__PROVIDER: "scripted",
  // Nothing applies, and the turn goes on to the answer.
  SOLDIER_MODEL__SCRIPTED__STRUCTURED__JUDGEMENT: JSON.stringify(judgement),
  SOLDIER_EMBEDDER__PROVIDER: "deterministic",
  SOLDIER_CHAT_GATEWAY__LIMITS__REQUESTS_PER_SECOND: "100000",
  SOLDIER_CHAT_GATEWAY__LIMITS__BURST: "100000",
  SOLDIER_CHAT_GATEWAY__LIMITS__TURNS_MAX: "10000",
  SOLDIER_LOG__LEVEL: "warn",
};
