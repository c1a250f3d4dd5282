import { clone, create } from "@bufbuild/protobuf";
import {
  type SessionState,
  SessionStateSchema,
  StepVisitSchema,
  VisitReason,
} from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "../../domain/compiled-bundle.ts";
import type { Step } from "../step.ts";

/**
 * Brings the session's place to the version that this turn runs on: kept by the step's id while that
 * exists, left when its scenario or its step is gone.
 */
export function reconcile(): Step<"session" | "bundle" | "turnNumber", "state" | "reconciled"> {
  const stateOf = ({ state }: { state?: SessionState | undefined }) =>
    state ? clone(SessionStateSchema, state) : create(SessionStateSchema);
  return {
    name: "reconcile",
    async run({ session, bundle, turnNumber }) {
      const state = stateOf(session);
      const { position } = state;
      state.bundleVersion = BigInt(bundle.version);
      if (!position) return { state, reconciled: "", record: { skipped: "in no scenario" } };

      const reason = lost(position, bundle);
      if (reason === undefined) {
        const version = bundle.scenariosById.get(position.scenarioId)?.scenario.version;
        const moved = version !== undefined && version !== position.scenarioVersion;
        if (moved) position.scenarioVersion = version;
        const reconciled = moved ? `the step is kept in version ${version} of its scenario` : "";
        return { state, reconciled };
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
      return { state, reconciled: reason };
    },
    off: ({ session }) => ({ state: stateOf(session), reconciled: "" }),
  };
}

function lost(
  { scenarioId, stepId }: { scenarioId: string; stepId: string },
  bundle: CompiledBundle,
): string | undefined {
  const scenario = bundle.scenariosById.get(scenarioId);
  if (!scenario) return "left: the scenario is no longer published";
  if (!scenario.steps.has(stepId)) return `left: the scenario has no step ${stepId} any more`;
  return undefined;
}
