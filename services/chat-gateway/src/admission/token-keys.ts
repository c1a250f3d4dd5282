import {
  createRemoteJWKSet,
  errors,
  importJWK,
  importSPKI,
  importX509,
  type JWTVerifyGetKey,
} from "jose";
import { Fault } from "@soldier/kernel/fault";
import { z } from "zod";
import type { AuthSettings } from "../settings.ts";

/** What signatures are checked with, and the only algorithms that they may be made by. */
export interface TokenKeys {
  readonly algorithms: readonly string[];
  readonly keyFor: JWTVerifyGetKey;
}

// Keys are fetched again for a token with an unknown key, but not more often than this: otherwise
// anyone could have us fetch as often as they like.
const refetchAfterMs = 30_000;
const keysMaxAgeMs = 600_000;
const fetchTimeoutMs = 5_000;

/** Throws when the public key cannot be read; a JWKS is first fetched for the first token. */
export async function openTokenKeys(settings: AuthSettings): Promise<TokenKeys> {
  const { secret, jwks_url, public_key, algorithms } = settings;
  if (secret !== "") {
    const key = new TextEncoder().encode(secret);
    return { algorithms: ["HS256"], keyFor: async () => key };
  }
  if (jwks_url !== "") return { algorithms, keyFor: fetchedFrom(new URL(jwks_url)) };
  const key = await publicKey(public_key, algorithms[0] ?? "RS256");
  return { algorithms, keyFor: async () => key };
}

function fetchedFrom(url: URL): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(url, {
    cooldownDuration: refetchAfterMs,
    cacheMaxAge: keysMaxAgeMs,
    timeoutDuration: fetchTimeoutMs,
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      // That no key fits is the token's fault; anything else is the key server's.
      if (error instanceof errors.JWKSNoMatchingKey) throw error;
      if (error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw new Fault("unavailable", "the keys that tokens are checked with cannot be fetched", {
        reason: "TOKEN_KEYS_UNAVAILABLE",
        retryAfterMs: 1_000,
        cause: error,
      });
    }
  };
}

const jwk = z.looseObject({ kty: z.string() });

async function publicKey(text: string, algorithm: string) {
  try {
    if (text.includes("BEGIN CERTIFICATE")) return await importX509(text, algorithm);
    if (text.includes("BEGIN")) return await importSPKI(text, algorithm);
    return await importJWK(jwk.parse(JSON.parse(text)), algorithm);
  } catch (cause) {
    throw new Error(
      `chat_gateway.auth.public_key: is no public key for ${algorithm}, as PEM or as JWK`,
      { cause },
    );
  }
}
