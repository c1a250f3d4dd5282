import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AgentSchema } from "@soldier/proto/config/v1/agent";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import { EpisodeRole } from "@soldier/proto/memory/v1/memory";
import { MemoryHitSchema } from "@soldier/proto/memory/v1/memory_service";
import { CustomerProfileSchema, FieldSource } from "@soldier/proto/profile/v1/profile";
import { z } from "zod";
import { compileBundle, type CompiledBundle } from "./compiled-bundle.ts";
import { type Json, valueOf } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import { type Remembered, remembered, type RememberedQuestion } from "./remembered.ts";
import { type TurnDefaults, turnDefaults } from "./turn-settings.ts";

/** The deployment's numbers as they are when nothing is set. */
export const someDefaults: TurnDefaults = z.object(turnDefaults).parse({});

export function someValues(values: Partial<KnownValues> = {}): KnownValues {
  return {
    session: { id: "s", turn: 1, channel: "API", scenario: "", step: "" },
    customer: { id: "c", external_id: "ada" },
    agent: { id: "a", slug: "desk", name: "Desk" },
    profile: {},
    provenance: {},
    fields: {},
    withheld: new Map(),
    variables: {},
    results: {},
    message: { text: "" },
    context: { intent: "", topic: "", sentiment: 0 },
    ...values,
  };
}

/** A bundle compiled without vectors: only words match. */
export function someBundle(behaviour: JsonValue = {}): CompiledBundle {
  const bundle = fromJson(BundleSchema, behaviour);
  bundle.agent ??= create(AgentSchema);
  return compileBundle(bundle, someDefaults, 8, () => undefined);
}

const saidAt = timestampFromDate(new Date("2026-05-03"));

/** Profile fields that the customer gave on 3 May 2026, as prompts tell them. */
export function someFields(values: Readonly<Record<string, Json>>): readonly Remembered[] {
  const fields = Object.entries(values).map(([name, value]) => [
    name,
    { value: valueOf(value), source: FieldSource.USER_PROVIDED, recordedAt: saidAt },
  ]);
  const profile = create(CustomerProfileSchema, { fields: Object.fromEntries(fields) });
  return remembered(someQuestion({ profile }));
}

/** What the customer said on 3 May 2026, as prompts tell it. */
export function someMemories(...texts: readonly string[]): readonly Remembered[] {
  const hits = texts.map((text) =>
    create(MemoryHitSchema, {
      score: 1,
      found: { case: "episode", value: { text, role: EpisodeRole.USER, occurredAt: saidAt } },
    }),
  );
  return remembered(someQuestion({ hits }));
}

/** Nothing is known, and nothing would be left out. */
export function someQuestion(more: Partial<RememberedQuestion>): RememberedQuestion {
  return {
    profile: undefined,
    profileFailed: false,
    known: someValues(),
    hits: [],
    selection: { kind: "fixed_k", k: 100, min_k: 0, max_k: 100, min_score: 0 },
    tokensMax: 10_000,
    now: new Date("2026-05-20"),
    ...more,
  };
}
