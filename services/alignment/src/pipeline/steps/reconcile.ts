import { create } from "@bufbuild/protobuf";
import {
  type SessionState,
  SessionStateSchema,
  StepVisitSchema,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import { copied } from "../../domain/session-state.ts";
import type { Step } from "../step.ts";

/**
 * Brings the session's place to the version that this turn runs on: kept by the step's id while that
 * exists, left when its scenario is gone. Where only the step is gone, navigation looks for the place.
 */
export function reconcile(): Step<"session" | "bundle" | "turnNumber", "state" | "reconciled"> {
  const stateOf = ({ state }: { state?: SessionState | undefined }) =>
    state ? copied(state) : create(SessionStateSchema);
  return {
    name: "reconcile",
    async run({ session, bundle, turnNumber }) {
      const state = stateOf(session);
      const { position } = state;
      state.bundleVersion = BigInt(bundle.version);
      if (!position) return { state, reconciled: "", record: { skipped: "in no scenario" } };

      const scenario = bundle.scenariosById.get(position.scenarioId);
      if (scenario) {
        const { version } = scenario.scenario;
        const isNew = version !== position.scenarioVersion;
        state.position = { ...position, scenarioVersion: version };
        if (scenario.steps.has(position.stepId)) {
          const kept = `the step is kept in version ${version} of its scenario`;
          return { state, reconciled: isNew ? kept : "" };
        }
        // What was asked for at a step that is gone is not what the next message answers.
        delete state.awaited;
        return { state, reconciled: `the scenario has no step ${position.stepId} any more` };
      }
      state.visits.push(
        create(StepVisitSchema, {
          turn: turnNumber,
          scenarioId: position.scenarioId,
          reason: VisitReason.EXIT,
          confidence: 1,
        }),
      );
      delete state.position;
      delete state.awaited;
      state.lowConfidenceTurns = 0;
      return { state, reconciled: "left: the scenario is no longer published" };
    },
    off: ({ session }) => ({ state: stateOf(session), reconciled: "" }),
  };
}
