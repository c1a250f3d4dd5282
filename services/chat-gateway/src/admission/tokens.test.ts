import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { manualClock } from "@soldier/kernel/clock";
import { Fault } from "@soldier/kernel/fault";
import { settingsFor } from "@soldier/chassis/settings";
import { testSettings } from "@soldier/chassis/testing";
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { type AuthSettings, chatGatewaySettings } from "../settings.ts";
import { tokenFor } from "../testing.ts";
import { openTokenKeys } from "./token-keys.ts";
import { tokenReader } from "./tokens.ts";

const clock = manualClock(new Date());

async function reader(auth: Partial<AuthSettings> = {}) {
  const document = testSettings({ chat_gateway: { auth } });
  const tables = { settings: { chat_gateway: chatGatewaySettings } };
  const settings = settingsFor(tables, document).chat_gateway.auth;
  const identityFrom = tokenReader(settings, await openTokenKeys(settings), clock);
  return (token: string) => identityFrom(new Headers({ authorization: `Bearer ${token}` }));
}

async function reasonOf(read: Promise<unknown>): Promise<string> {
  const error = await read.then(
    () => expect.fail("should have been refused"),
    (failure: unknown) => failure,
  );
  if (!(error instanceof Fault)) throw error;
  return error.reason;
}

interface KeyPair {
  readonly kid: string;
  readonly jwk: JWK;
  readonly pem: string;
  sign(): Promise<string>;
}

async function keyPair(kid: string): Promise<KeyPair> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return {
    kid,
    jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" },
    pem: await exportSPKI(publicKey),
    sign: () =>
      new SignJWT({ tenant: "acme", roles: "chat operator" })
        .setProtectedHeader({ alg: "ES256", kid })
        .setSubject("ada")
        .setIssuer("soldier")
        .setAudience("soldier")
        .setExpirationTime(Math.floor(clock.now().getTime() / 1_000) + 3_600)
        .sign(privateKey),
  };
}

/** A key server; what it publishes may be changed, and it counts how often it was asked. */
async function keyServer(keys: JWK[]) {
  const state = { keys, asked: 0, down: false };
  const server = createServer((_, res) => {
    state.asked += 1;
    if (state.down) res.writeHead(500).end();
    else
      res.setHeader("content-type", "application/json").end(JSON.stringify({ keys: state.keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    state,
    url: `http://127.0.0.1:${port}/keys`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe("tokens", () => {
  it("say tenant, subject and roles, the latter as a list or as words", async () => {
    const read = await reader();
    const identity = { tenantId: "acme", subject: "ada", roles: ["chat", "delegate"] };
    for (const roles of [["chat", "delegate"], "chat delegate"])
      expect(await read(await tokenFor({ tenant: "acme", roles }))).toEqual(identity);
  });

  it("may name the tenant by another claim", async () => {
    const read = await reader({ tenant_claim: "iss" });
    expect((await read(await tokenFor({ tenant: "acme" }))).tenantId).toBe("soldier");
  });

  it.each(["a.b", "", "x".repeat(65), 7, null])("may not name the tenant %s", async (tenant) => {
    const read = await reader();
    expect(await reasonOf(read(await tokenFor({ tenant: tenant ?? [] })))).toBe("TOKEN_INVALID");
  });

  it("that were found good are refused once they have expired", async () => {
    const read = await reader();
    const token = await tokenFor({ at: clock.now(), lifeSeconds: 60 });
    await read(token);
    clock.advance(50_000);
    await read(token);
    clock.advance(20_000);
    expect(await reasonOf(read(token))).toBe("TOKEN_EXPIRED");
  });

  it("without a signature are refused", async () => {
    const read = await reader();
    const claims = (await tokenFor()).split(".")[1];
    const header = Buffer.from('{"alg":"none"}').toString("base64url");
    expect(await reasonOf(read(`${header}.${claims}.`))).toBe("TOKEN_INVALID");
  });
});

describe("keys of an identity provider", () => {
  it("are fetched once and again when a token names a new one", async () => {
    const [old, fresh] = [await keyPair("old"), await keyPair("fresh")];
    await using server = await keyServer([old.jwk]);
    const read = await reader({ secret: "", jwks_url: server.url, algorithms: ["ES256"] });
    await read(await old.sign());
    await read(await old.sign());
    expect(server.state.asked).toBe(1);
    server.state.keys = [fresh.jwk];
    // A new key is looked for at most every half minute, so that strangers cannot have us fetch.
    expect(await reasonOf(read(await fresh.sign()))).toBe("TOKEN_INVALID");
    expect(server.state.asked).toBe(1);
    const later = await reader({ secret: "", jwks_url: server.url, algorithms: ["ES256"] });
    expect((await later(await fresh.sign())).tenantId).toBe("acme");
  });

  it("that cannot be fetched are our trouble, not the token's", async () => {
    await using server = await keyServer([]);
    server.state.down = true;
    const read = await reader({ secret: "", jwks_url: server.url, algorithms: ["ES256"] });
    const pair = await keyPair("one");
    expect(await reasonOf(read(await pair.sign()))).toBe("TOKEN_KEYS_UNAVAILABLE");
  });

  it("may be given as PEM or JWK, and take no token signed with them as a secret", async () => {
    const pair = await keyPair("one");
    for (const public_key of [pair.pem, JSON.stringify(pair.jwk)]) {
      const read = await reader({ secret: "", public_key, algorithms: ["ES256"] });
      expect((await read(await pair.sign())).roles).toEqual(["chat", "operator"]);
      const forged = await tokenFor({ secret: public_key });
      expect(await reasonOf(read(forged))).toBe("TOKEN_INVALID");
    }
  });

  it("that cannot be read stop the start, with the setting's name", async () => {
    const start = reader({ secret: "", public_key: "nonsense" });
    await expect(start).rejects.toThrow("chat_gateway.auth.public_key");
  });

  it("must be set, and only once", async () => {
    await expect(reader({ secret: "" })).rejects.toThrow("chat_gateway.auth.secret: must be set");
    const both = reader({ jwks_url: "https://id.example/keys" });
    await expect(both).rejects.toThrow("only one of secret, jwks_url and public_key");
  });
});
