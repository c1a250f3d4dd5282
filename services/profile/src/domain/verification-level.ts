import { FieldSource, VerificationLevel } from "@soldier/proto/profile/v1/profile";
import type { Standing } from "./claim.ts";

/**
 * How far a customer is verified: the highest level that a verified field gives. It follows from the
 * fields, so that it sinks again when the value that gave it is displaced or expires.
 */
export function verificationLevel(fields: readonly Standing[]): VerificationLevel {
  return fields
    .map(levelOf)
    .reduce((highest, level) => (level > highest ? level : highest), VerificationLevel.UNVERIFIED);
}

function levelOf({ holding: { name, verified, source } }: Standing): VerificationLevel {
  if (!verified) return VerificationLevel.UNVERIFIED;
  if (/^kyc\b/i.test(verified.method)) return VerificationLevel.KYC_COMPLETE;
  if (source === FieldSource.DOCUMENT_EXTRACTED) return VerificationLevel.DOCUMENT_VERIFIED;
  if (name === "phone") return VerificationLevel.PHONE_VERIFIED;
  return name === "email" ? VerificationLevel.EMAIL_VERIFIED : VerificationLevel.UNVERIFIED;
}
