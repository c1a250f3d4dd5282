import { Fault } from "@soldier/kernel/fault";
import type { TurnRecord } from "@soldier/proto/audit/v1/turn_record";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import { inFull, rulesToldMax, type WhyNot, whyNot } from "../domain/why-not.ts";
import type { Bundles } from "../pipeline/means.ts";
import type { TurnParts } from "./process-turn.ts";

/** The record with the rules that it keeps in numbers told in words, as far as the version is kept. */
export async function explain({ means }: TurnParts, record: TurnRecord): Promise<TurnRecord> {
  if (!record.ruleTable) return record;
  const version = await versionOf(record, means.bundles);
  return version ? inFull(record, version, rulesToldMax) : record;
}

export async function whyNotRule(
  { means: { bundles } }: TurnParts,
  record: TurnRecord,
  rule: string,
  tenantId: string,
): Promise<WhyNot> {
  const version = await versionOf(record, bundles);
  const answer = whyNot({ record, rule, version, liveVersion: undefined });
  if (answer.candidate || !version) return answer;
  const liveVersion = await liveVersionWith(rule, record, tenantId, bundles);
  return whyNot({ record, rule, version, liveVersion });
}

async function versionOf(
  { agentId, bundleVersion }: TurnRecord,
  bundles: Bundles,
): Promise<Bundle | undefined> {
  if (bundleVersion === 0n) return undefined; // what never was published is kept nowhere
  return unlessGone(() => bundles.source(agentId, bundleVersion));
}

async function liveVersionWith(
  rule: string,
  { agentId }: TurnRecord,
  tenantId: string,
  bundles: Bundles,
): Promise<number | undefined> {
  const live = await unlessGone(() => bundles.current(tenantId, agentId));
  const has = live?.rules.some(({ id, name }) => id === rule || name === rule);
  return has ? live?.version : undefined;
}

async function unlessGone<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Fault && ["not-found", "precondition"].includes(error.kind))
      return undefined;
    throw error;
  }
}
