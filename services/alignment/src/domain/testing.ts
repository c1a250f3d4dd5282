import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { AgentSchema } from "@soldier/proto/config/v1/agent";
import { BundleSchema } from "@soldier/proto/config/v1/bundle";
import { z } from "zod";
import { compileBundle, type CompiledBundle } from "./compiled-bundle.ts";
import type { KnownValues } from "./known-values.ts";
import { type TurnDefaults, turnDefaults } from "./turn-settings.ts";

/** The deployment's numbers as they are when nothing is set. */
export const someDefaults: TurnDefaults = z.object(turnDefaults).parse({});

export function someValues(values: Partial<KnownValues> = {}): KnownValues {
  return {
    session: { id: "s", turn: 1, channel: "API", scenario: "", step: "" },
    customer: { id: "c", external_id: "ada" },
    agent: { id: "a", slug: "desk", name: "Desk" },
    profile: {},
    fields: {},
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
