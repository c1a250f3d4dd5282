import { ChannelSchema } from "@soldier/proto/common/v1/resource";
import type { CustomerProfile } from "@soldier/proto/profile/v1/profile";
import { VerificationLevelSchema } from "@soldier/proto/profile/v1/profile";
import type { Session, SessionState } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import type { Context } from "./context.ts";
import { enumName } from "./enum-name.ts";
import { profileValues, withheldFields } from "./fields.ts";
import { type JsonRecord, jsonOf } from "./json.ts";
import type { KnownValues } from "./known-values.ts";
import type { Place } from "./scope.ts";
import { provenanceOf } from "./provenance.ts";
import { groupsOf, type Resolution, standingVariables, valuesOf } from "./variables.ts";

export interface TurnFacts {
  readonly bundle: CompiledBundle;
  readonly session: Session;
  readonly state: SessionState;
  readonly turnNumber: number;
  readonly customer: { readonly id: string; readonly externalId: string };
  readonly profile: CustomerProfile | undefined;
  readonly context: Context;
  readonly text: string;
  readonly now: Date;
}

export interface TurnValues {
  readonly known: KnownValues;
  readonly variables: ReadonlyMap<string, Resolution>;
}

/** Everything that can be named before any tool has run. */
export function turnValues(facts: TurnFacts): TurnValues {
  const { bundle, session, state, customer, profile, context } = facts;
  const profileNow = profileValues(profile, facts.now);
  const variables = standingVariables({
    bundle,
    resolved: state.variables,
    customerId: customer.id,
    groups: groupsOf(profileNow),
    now: facts.now,
  });
  const known: KnownValues = {
    session: {
      id: session.id,
      turn: facts.turnNumber,
      channel: enumName(ChannelSchema, session.channel),
      ...namesOfPlace(placeOf(state), bundle),
    },
    customer: {
      id: customer.id,
      external_id: externalIdOf(facts),
      verification_level: enumName(VerificationLevelSchema, profile?.verificationLevel ?? 1),
    },
    agent: { id: bundle.agentId, slug: bundle.agent.slug, name: bundle.agent.name },
    profile: profileNow,
    provenance: provenanceOf(profile, facts.now),
    fields: fieldsOf(state),
    withheld: withheldFields(bundle.fields, profile),
    variables: valuesOf(variables),
    results: resultsOf(state),
    message: { text: facts.text },
    context: { intent: context.intent, topic: context.topic, sentiment: context.sentiment },
  };
  return { known, variables };
}

/** The same values at another place. */
export function movedTo(
  known: KnownValues,
  state: SessionState,
  bundle: CompiledBundle,
): KnownValues {
  return {
    ...known,
    session: { ...known.session, ...namesOfPlace(placeOf(state), bundle) },
    fields: fieldsOf(state),
  };
}

export function placeOf({ position }: SessionState): Place {
  return { scenarioId: position?.scenarioId ?? "", stepId: position?.stepId ?? "" };
}

export function fieldsOf(state: SessionState): JsonRecord {
  return plain(state.fields);
}

/** Results that earlier turns left, by tool name. */
export function resultsOf(state: SessionState): JsonRecord {
  return plain(state.toolResults);
}

function plain(values: SessionState["fields"]): JsonRecord {
  const known: JsonRecord = {};
  for (const [name, value] of Object.entries(values)) {
    const json = jsonOf(value);
    if (json !== undefined) known[name] = json;
  }
  return known;
}

function namesOfPlace({ scenarioId, stepId }: Place, bundle: CompiledBundle) {
  return { scenario: bundle.scenariosById.get(scenarioId)?.scenario.name ?? "", step: stepId };
}

function externalIdOf({ customer, profile, session }: TurnFacts): string {
  if (customer.externalId) return customer.externalId;
  const current = profile?.identities.filter(({ unlinkedAt }) => unlinkedAt === undefined) ?? [];
  return (
    current.find(({ channel }) => channel === session.channel)?.externalId ??
    current[0]?.externalId ??
    ""
  );
}
