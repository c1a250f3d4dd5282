import { create } from "@bufbuild/protobuf";
import {
  MoveRecordSchema,
  type NavigationRecord,
  NavigationRecordSchema,
} from "@soldier/proto/audit/v1/turn_record";
import type { SessionState } from "@soldier/proto/session/v1/session";
import type { CompiledBundle } from "./compiled-bundle.ts";
import type { Navigation } from "./navigation-question.ts";

/** What became of the scenario in a turn. */
export function navigationRecord(
  before: SessionState | undefined,
  { position, moves, reason }: Navigation,
  reconciled: string,
  bundle: CompiledBundle,
): NavigationRecord {
  const written = (place: { scenarioId: string; stepId: string } | undefined) =>
    place
      ? `${bundle.scenariosById.get(place.scenarioId)?.scenario.name ?? place.scenarioId}/${place.stepId}`
      : "";
  return create(NavigationRecordSchema, {
    before: written(before?.position),
    after: written(position),
    moves: moves.map((move) => create(MoveRecordSchema, move)),
    reason: [reconciled, reason].filter((part) => part !== "").join("; "),
  });
}
