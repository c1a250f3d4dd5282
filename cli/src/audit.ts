import { create, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import {
  AuditService,
  ExportRecordsResponseSchema,
  type VerifyChainResponse,
} from "@soldier/proto/audit/v1/audit_service";

export interface Interval {
  readonly from?: Date;
  readonly to?: Date;
}

/** What is told of a chain that is whole. Throws the Fault "precondition" for one that is not. */
export async function verifyAudit(
  call: Call,
  interval: Interval,
  knownEnd: string,
): Promise<string> {
  const found = await call(AuditService).verifyChain({ ...within(interval), knownEnd });
  if (!found.intact)
    throw new Fault(
      "precondition",
      `the audit chain is broken at ${found.brokenAt}: ${found.reason} (${found.checked} before it are as they were)`,
      { reason: "AUDIT_CHAIN_BROKEN" },
    );
  return verifiedText(found);
}

function verifiedText({ checked, dropped, end }: VerifyChainResponse): string {
  const lines = [
    `intact: ${checked} checked${dropped > 0n ? `, ${dropped} dropped by retention` : ""}`,
  ];
  if (end)
    lines.push(`end: ${end}`, "Keep the end elsewhere, and give it as --known-end next time.");
  return lines.join("\n");
}

/** Each record and event of the interval as a line of JSON, the oldest first. */
export async function* exportAudit(call: Call, interval: Interval): AsyncGenerator<string> {
  for await (const response of call(AuditService).exportRecords(within(interval)))
    yield `${JSON.stringify(toJson(ExportRecordsResponseSchema, create(ExportRecordsResponseSchema, response)))}\n`;
}

function within({ from, to }: Interval) {
  return {
    ...(from && { from: timestampFromDate(from) }),
    ...(to && { to: timestampFromDate(to) }),
  };
}
