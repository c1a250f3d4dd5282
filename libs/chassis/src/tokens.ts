import { errors, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { Clock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";
import type { ChassisSettings } from "./chassis-settings.ts";
import type { Identity } from "./identity.ts";

const audience = "soldier-mesh";
const claims = z.object({
  sub: z.string(),
  tenant: z.string().min(1),
  roles: z.array(z.string()),
  exp: z.number(),
});

/** Internal tokens: what a call carries to say for whom it is made. */
export interface Tokens {
  /** The authorization header for calls in this identity's name. */
  readonly authorizationFor: (identity: Identity) => string | Promise<string>;
  /** Who the header speaks for. Throws "unauthenticated" with a reason that says what is wrong. */
  readonly identityFrom: (headers: Headers) => Identity | Promise<Identity>;
}

interface Known<T> {
  readonly value: T;
  /** By the clock that never goes backwards. */
  readonly untilMs: number;
}

const rememberedMax = 10_000;

/** Signing and checking cost tens of microseconds: each token is made once and checked once. */
export function openTokens(settings: ChassisSettings["identity"], clock: Clock): Tokens {
  const key = new TextEncoder().encode(settings.secret);
  const minted = new LRUCache<string, Known<string>>({ max: rememberedMax });
  const verified = new LRUCache<string, Known<Identity>>({ max: rememberedMax });
  // Renewed while it still has a third of its life, so that none expires on its way.
  const usableMs = (settings.token_life_ms * 2) / 3;
  const toleranceMs = settings.clock_tolerance_ms;

  async function mint(identity: Identity, cacheKey: string): Promise<string> {
    const nowMs = clock.now().getTime();
    const token = await new SignJWT({ tenant: identity.tenantId, roles: [...identity.roles] })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(identity.subject)
      .setAudience(audience)
      .setIssuedAt(Math.floor(nowMs / 1_000))
      .setExpirationTime(Math.ceil((nowMs + settings.token_life_ms) / 1_000))
      .sign(key);
    const value = `Bearer ${token}`;
    minted.set(cacheKey, { value, untilMs: clock.monotonicMs() + usableMs });
    return value;
  }

  async function verify(header: string): Promise<Identity> {
    const token = /^Bearer (.+)$/i.exec(header)?.[1];
    if (!token) throw refused("TOKEN_MISSING", "the call carries no token");
    const { sub, tenant, roles, exp } = await read(token);
    const value: Identity = { tenantId: tenant, subject: sub, roles };
    const leftMs = exp * 1_000 + toleranceMs - clock.now().getTime();
    verified.set(header, { value, untilMs: clock.monotonicMs() + leftMs });
    return value;
  }

  async function read(token: string): Promise<z.output<typeof claims>> {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: ["HS256"],
        audience,
        currentDate: clock.now(),
        clockTolerance: toleranceMs / 1_000,
      });
      return claims.parse(payload);
    } catch (error) {
      throw refusal(error);
    }
  }

  return {
    authorizationFor(identity) {
      const cacheKey = cacheKeyOf(identity);
      const known = minted.get(cacheKey);
      const fresh = known && known.untilMs > clock.monotonicMs();
      return fresh ? known.value : mint(identity, cacheKey);
    },
    identityFrom(headers) {
      const header = headers.get("authorization") ?? "";
      const known = verified.get(header);
      const fresh = known && known.untilMs > clock.monotonicMs();
      return fresh ? known.value : verify(header);
    },
  };
}

const keys = new WeakMap<Identity, string>();

function cacheKeyOf(identity: Identity): string {
  const known = keys.get(identity);
  if (known !== undefined) return known;
  const key = JSON.stringify([identity.tenantId, identity.subject, identity.roles]);
  keys.set(identity, key);
  return key;
}

function refusal(cause: unknown): Fault {
  if (cause instanceof errors.JWTExpired)
    return refused("TOKEN_EXPIRED", "the token has expired", cause);
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === "aud")
    return refused("TOKEN_AUDIENCE", "the token is meant for someone else", cause);
  return refused("TOKEN_INVALID", "the token is not valid", cause);
}

function refused(reason: string, message: string, cause?: unknown): Fault {
  return new Fault("unauthenticated", message, { reason, ...(cause !== undefined && { cause }) });
}
