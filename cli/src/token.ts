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
  /** Signs the token instead of the one in the settings. */
  readonly secret?: string;
}

/**
 * A token (JWT, HS256) that a gateway with these settings accepts. Throws a SettingsError when the
 * settings can't be read, and a Fault when they have no secret: then an identity provider signs.
 */
export async function mintToken(
  document: Document,
  wish: TokenWish,
  clock: Clock = systemClock,
): Promise<string> {
  const settings = settingsFor({ settings: tables }, document).chat_gateway.auth;
  const { issuer, audience, tenant_claim, roles_claim } = settings;
  const secret = wish.secret ?? settings.secret;
  if (secret.length < secretLengthMin)
    throw new Fault(
      "precondition",
      `the secret to sign by ${lack(secret)} (chat_gateway.auth.secret)`,
      {
        reason: "TOKEN_SECRET_MISSING",
      },
    );
  const now = Math.floor(clock.now().getTime() / 1_000);
  return new SignJWT({ [tenant_claim]: wish.tenant, [roles_claim]: [...wish.roles] })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(wish.subject)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + Math.round(wish.hours * 3_600))
    .sign(new TextEncoder().encode(secret));
}

const secretLengthMin = 32;

function lack(secret: string): string {
  return secret === "" ? "is empty" : `has fewer than ${secretLengthMin} characters`;
}
