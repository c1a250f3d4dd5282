import { createHash } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { LRUCache } from "lru-cache";
import type { Identity } from "@soldier/chassis/identity";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";
import type { AuthSettings } from "../settings.ts";
import type { TokenKeys } from "./token-keys.ts";

/** Who the bearer token of a request speaks for. */
export type IdentityFrom = (headers: Headers) => Promise<Identity>;

interface Known {
  readonly identity: Identity;
  readonly untilMs: number;
}

// Beyond this a token is no token but an attack on whoever checks it.
const tokenSizeMax = 8_192;

/**
 * Checks bearer tokens: signature, issuer, audience, times and claims. A token that was found good
 * is not checked again for a while, so that a request costs one hash.
 */
export function tokenReader(settings: AuthSettings, keys: TokenKeys, clock: Clock): IdentityFrom {
  const known = new LRUCache<string, Known>({ max: Math.max(1, settings.remembered_max) });
  const claims = claimsOf(settings);

  async function verified(token: string): Promise<Known> {
    const nowMs = clock.now().getTime();
    const { payload } = await jwtVerify(token, keys.keyFor, {
      algorithms: [...keys.algorithms],
      issuer: settings.issuer,
      audience: settings.audience,
      clockTolerance: settings.clock_tolerance_seconds,
      currentDate: clock.now(),
      requiredClaims: ["exp", "sub", settings.tenant_claim],
    });
    const { identity, exp } = claims.parse(payload);
    const expiresMs = (exp + settings.clock_tolerance_seconds) * 1_000;
    return { identity, untilMs: Math.min(expiresMs, nowMs + settings.remembered_seconds * 1_000) };
  }

  return async (headers) => {
    const token = bearer(headers.get("authorization"));
    const key = createHash("sha256").update(token).digest("base64");
    const found = known.get(key);
    if (found && clock.now().getTime() < found.untilMs) return found.identity;
    const checked = await verified(token).catch((error: unknown) => {
      throw refusal(error);
    });
    if (settings.remembered_max > 0) known.set(key, checked);
    return checked.identity;
  };
}

function bearer(header: string | null): string {
  if (!header) throw refused("TOKEN_MISSING", "send a token: Authorization: Bearer <token>");
  const token = /^Bearer +(\S+)$/i.exec(header.trim())?.[1];
  if (token === undefined)
    throw refused("TOKEN_INVALID", "the authorization header is not of the form: Bearer <token>");
  if (token.length > tokenSizeMax) throw refused("TOKEN_INVALID", "the token is too long");
  return token;
}

/** A tenant is part of event subjects and metric labels, so not every text can name one. */
const tenant = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "names no tenant");

function claimsOf({ tenant_claim, roles_claim }: AuthSettings) {
  const roles = z.union([z.array(z.string()), z.string().transform((list) => list.split(" "))]);
  return z
    .looseObject({ sub: z.string().min(1).max(256), exp: z.number() })
    .transform((payload, problems): { readonly identity: Identity; readonly exp: number } => {
      const tenantId = tenant.safeParse(payload[tenant_claim]);
      const held = roles.safeParse(payload[roles_claim] ?? []);
      if (!tenantId.success) problems.addIssue(problem(tenant_claim, "names no tenant"));
      if (!held.success) problems.addIssue(problem(roles_claim, "is no list of roles"));
      if (!tenantId.success || !held.success) return z.NEVER;
      const identity = { tenantId: tenantId.data, subject: payload.sub, roles: held.data };
      return { identity, exp: payload.exp };
    });
}

function problem(claim: string, message: string) {
  return { code: "custom" as const, path: [claim], message };
}

function refusal(error: unknown): unknown {
  if (error instanceof Fault) return error;
  if (error instanceof errors.JWTExpired)
    return refused("TOKEN_EXPIRED", "the token has expired", error);
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused("TOKEN_INVALID", `the token's claim "${error.claim}" is not accepted`, error);
  if (error instanceof z.ZodError) {
    const claim = error.issues[0]?.path.join(".") ?? "";
    return refused("TOKEN_INVALID", `the token's claim "${claim}" is not accepted`, error);
  }
  if (error instanceof errors.JOSEError)
    return refused("TOKEN_INVALID", "the token is not valid", error);
  return error;
}

function refused(reason: string, message: string, cause?: unknown): Fault {
  return new Fault("unauthenticated", message, { reason, ...(cause !== undefined && { cause }) });
}
