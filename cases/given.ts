import { create } from "@bufbuild/protobuf";
import type { Call } from "@soldier/chassis/service";
import { newId } from "@soldier/kernel/ids";
import { Channel } from "@soldier/proto/common/v1/resource";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { VariableLevel } from "@soldier/proto/config/v1/template";
import { type CustomerProfile, FieldSource } from "@soldier/proto/profile/v1/profile";
import { ProfileService } from "@soldier/proto/profile/v1/profile_service";
import {
  SessionStateSchema,
  SessionStatus,
  TurnOutcome,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import { SessionService } from "@soldier/proto/session/v1/session_service";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import type { Case } from "./case-file.ts";
import { collectedBy } from "./document-scenarios.ts";
import { CannotBuild, valueOf } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";
import type { Plan } from "./plan.ts";

/** What the customer's name on the channel is. */
export const customerName = "customer";

/** The customer of a case with their groups and facts, as the profile service keeps them. */
export async function givenCustomer(
  { given }: Case,
  { values }: CaseNames,
  call: Call,
): Promise<CustomerProfile> {
  const profiles = call(ProfileService);
  const { profile } = await profiles.getOrCreateProfile({
    channel: Channel.WEBCHAT,
    externalId: customerName,
  });
  if (!profile) throw new Error("the profile service answered without a profile");
  const facts = [
    ...(given.customer_tags.length > 0
      ? [{ name: "groups", value: given.customer_tags as unknown, verified: true }]
      : []),
    ...entries(given.profile, true),
    ...entries(given.profile_unverified, false),
  ];
  for (const { name, value, verified } of facts)
    await profiles.updateField({
      customerId: profile.id,
      name: values.of(name),
      value: valueOf(value),
      source: verified ? FieldSource.HUMAN_ENTERED : FieldSource.USER_PROVIDED,
      confidence: 1,
      ...(verified && { verification: { method: "document" } }),
    });
  return profile;
}

function entries(facts: Readonly<Record<string, unknown>>, verified: boolean) {
  return Object.entries(facts).map(([name, value]) => ({ name, value, verified }));
}

/** Values of variables for whom they hold; what belongs to another customer or agent stays with them. */
export async function givenValues(
  { agent, given }: Case,
  { values }: CaseNames,
  profile: CustomerProfile,
  call: Call,
): Promise<void> {
  for (const { name, values: set } of agent.variables)
    for (const [whom, value] of Object.entries(set)) {
      const [kind = "", key = ""] = whom.split(/:(.*)/s);
      if (kind === "agent" && given.agent !== undefined && key !== given.agent) continue;
      await call(ConfigService).setVariableValue({
        agentId: "desk",
        value: { variable: values.of(name), value: valueOf(value), ...levelOf(kind, key) },
      });
    }

  function levelOf(kind: string, key: string) {
    switch (kind) {
      case "global":
        return { level: VariableLevel.GLOBAL };
      case "agent":
        return { level: VariableLevel.AGENT };
      case "tag":
      case "group":
        return { level: VariableLevel.GROUP, key };
      case "customer":
        // The only customer of a case, unless it says which of several writes.
        return given.customer === undefined || key === given.customer
          ? { level: VariableLevel.CUSTOMER, key: profile.id }
          : { level: VariableLevel.CUSTOMER, key: newId() };
      default:
        throw new CannotBuild(`values for ${kind}`);
    }
  }
}

/** Whether the conversation has begun before the message under test. */
export function hasBegun({ case: { given }, past, place, visited }: Plan): boolean {
  return (
    past.length > 0 ||
    place !== undefined ||
    Object.keys(visited).length > 0 ||
    given.applied_rules.length > 0 ||
    Object.keys(given.fields).length > 0 ||
    Object.keys(given.tool_results).length > 0 ||
    given.session_mode === "manual"
  );
}

/** Tells the earlier turns to the session service as the engine does, and returns the session. */
export async function givenSession(
  plan: Plan,
  names: CaseNames,
  { bundle, profile, call }: { bundle: Bundle; profile: CustomerProfile; call: Call },
): Promise<string> {
  const sessions = call(SessionService);
  const { given } = plan.case;
  // A conversation that only has a state begins by an opening in which nobody said a thing.
  const past = plan.past.length > 0 ? plan.past : [{ customer: "", agent: "" }];
  let sessionId = "";
  for (const [i, { customer, agent }] of past.entries()) {
    const opening = { agentId: bundle.agentId, customerId: profile.id, channel: Channel.WEBCHAT };
    const begun = await sessions.beginTurn({
      target: sessionId
        ? { case: "sessionId", value: sessionId }
        : { case: "newSession", value: opening },
      turnId: newId(),
    });
    sessionId = begun.session?.id ?? "";
    const last = i === past.length - 1;
    await sessions.commitTurn({
      lease: begun.lease,
      expectedVersion: begun.session?.version ?? 0n,
      state: last ? stateOf(plan, names, bundle, begun.turnNumber) : {},
      status:
        last && given.session_mode === "manual" ? SessionStatus.INTERRUPTED : SessionStatus.ACTIVE,
      turn: {
        number: begun.turnNumber,
        userText: customer,
        replyText: agent,
        outcome: agent === "" ? TurnOutcome.SILENT : TurnOutcome.COMPLETED,
        bundleVersion: bundle.version,
        ...(last && { rules: given.applied_rules.map((id) => names.things.of(id)) }),
      },
    });
  }
  return sessionId;
}

function stateOf(plan: Plan, { things, values }: CaseNames, bundle: Bundle, turn: number) {
  const { given, agent } = plan.case;
  const scenarioOf = (caseId: string) =>
    bundle.scenarios.find(({ name }) => name === things.of(caseId));
  const ruleIds = given.applied_rules.flatMap(
    (id) => bundle.rules.find(({ name }) => name === things.of(id))?.id ?? [],
  );
  const visits = Object.entries(plan.visited).flatMap(([caseId, steps]) => {
    const scenarioId = scenarioOf(caseId)?.id ?? "";
    const moves = steps.map((step, i) => ({
      turn,
      scenarioId,
      stepId: things.of(step),
      reason: i === 0 ? VisitReason.ENTRY : VisitReason.TRANSITION,
      confidence: 1,
    }));
    if (plan.place?.scenario === caseId) return moves;
    return [...moves, { turn, scenarioId, stepId: "", reason: VisitReason.EXIT, confidence: 1 }];
  });
  const home = plan.place && scenarioOf(plan.place.scenario);
  return create(SessionStateSchema, {
    visits,
    ...(plan.place &&
      home && {
        position: {
          scenarioId: home.id,
          scenarioVersion: home.version,
          stepId: things.of(plan.place.step),
          enteredTurn: turn,
        },
      }),
    ...awaited(plan, values, turn),
    appliedRuleIds: agent.rules
      .filter(({ id, tracking }) => given.applied_rules.includes(id) && tracking !== "CONTINUOUS")
      .flatMap(({ id }) => bundle.rules.find(({ name }) => name === things.of(id))?.id ?? []),
    ruleFires: Object.fromEntries(ruleIds.map((id) => [id, { count: 1, lastTurn: turn }])),
    fields: Object.fromEntries(
      Object.entries(given.fields).map(([name, value]) => [values.of(name), valueOf(value)]),
    ),
    toolResults: Object.fromEntries(
      Object.entries(given.tool_results).map(([name, value]) => [things.of(name), valueOf(value)]),
    ),
    bundleVersion: bundle.version,
  });
}

/** A session at a step that waits has asked for what the step collects. */
function awaited(
  { place, case: { agent, given } }: Plan,
  values: CaseNames["values"],
  askedTurn: number,
) {
  const home = agent.scenario.find(({ id }) => id === place?.scenario);
  const step = home?.steps.find(({ id }) => id === place?.step);
  const known = { ...given.fields, ...given.profile, ...given.profile_unverified };
  const field = home && step && collectedBy(step, home).find((name) => !(name in known));
  if (field === undefined) return {};
  return { awaited: { for: { case: "field" as const, value: values.of(field) }, askedTurn } };
}
