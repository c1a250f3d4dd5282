import { type Document, settingsFor } from "@soldier/chassis/settings";
import { type Clock, systemClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { SignJWT } from "jose";
import { z } from "zod";

/** What the gateway accepts a token by: a part of [chat_gateway.auth]. */
const auth = z.object({
  secret: z.string(),
  issuer: z.string(),
  audience: z.string(),
  tenant_claim: z.string(),
  roles_claim: z.string(),
});

const tables = { chat_gateway: z.object({ auth }) };

export interface TokenWish {
  readonly tenant: string;
  readonly subject: string;
  readonly roles: readonly string[];
  readonly hours: number;
}

/**
 * A token (JWT, HS256) that a gateway with these settings accepts. Throws a SettingsError when the
 * settings can't be read, and a Fault when they have no secret: then an identity provider signs.
 */
export async function mintToken(
  document: Document,
  { tenant, subject, roles, hours }: TokenWish,
  clock: Clock = systemClock,
): Promise<string> {
  const settings = settingsFor({ settings: tables }, document).chat_gateway.auth;
  const { secret, issuer, audience, tenant_claim, roles_claim } = settings;
  if (secret.length < secretLengthMin)
    throw new Fault(
      "precondition",
      `chat_gateway.auth.secret ${lack(secret)}, so there is nothing to sign by`,
      {
        reason: "TOKEN_SECRET_MISSING",
      },
    );
  const now = Math.floor(clock.now().getTime() / 1_000);
  return new SignJWT({ [tenant_claim]: tenant, [roles_claim]: [...roles] })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(subject)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + Math.round(hours * 3_600))
    .sign(new TextEncoder().encode(secret));
}

const secretLengthMin = 32;

function lack(secret: string): string {
  return secret === "" ? "is empty" : `has fewer than ${secretLengthMin} characters`;
}
