import { manualClock } from "@soldier/kernel/clock";
import { describe, expect, it } from "vitest";
import { testIdentity } from "./testing.ts";
import { openTokens } from "./tokens.ts";

const settings = {
  secret: "a secret of thirty-two characters",
  token_life_ms: 60_000,
  clock_tolerance_ms: 600_000,
};

function opened() {
  const clock = manualClock(new Date("2026-01-01T00:00:00Z"));
  const tokens = openTokens(settings, clock);
  const read = async (authorization: string) => tokens.identityFrom(new Headers({ authorization }));
  return { clock, tokens, read };
}

describe("an internal token", () => {
  it("says who calls", async () => {
    const { tokens, read } = opened();
    const identity = testIdentity();
    expect(await read(await tokens.authorizationFor(identity))).toEqual(identity);
  });

  it("is made once for the calls of one identity, and anew before it expires", async () => {
    const { clock, tokens } = opened();
    const identity = testIdentity();
    const first = await tokens.authorizationFor(identity);
    expect(await tokens.authorizationFor({ ...identity })).toBe(first);
    clock.advance(41_000);
    expect(await tokens.authorizationFor(identity)).not.toBe(first);
  });

  it("differs by tenant, subject and roles", async () => {
    const { tokens } = opened();
    const one = testIdentity();
    const others = [
      one,
      { ...one, tenantId: "other" },
      { ...one, subject: "other" },
      { ...one, roles: ["chat"] },
    ];
    const made = new Set<string>();
    for (const identity of others) made.add(await tokens.authorizationFor(identity));
    expect(made.size).toBe(4);
  });

  it("is refused once it has expired, although it was good before", async () => {
    const { clock, tokens, read } = opened();
    const token = await tokens.authorizationFor(testIdentity());
    await read(token);
    clock.advance(661_000);
    await expect(read(token)).rejects.toMatchObject({ reason: "TOKEN_EXPIRED" });
  });

  it.each([
    ["ahead of", 599_000, true],
    ["behind", -599_000, true],
    ["far ahead of", 661_000, false],
  ])("is for callees whose clocks are %s ours", async (_how, skewMs, taken) => {
    const { clock, tokens } = opened();
    const there = manualClock(new Date(clock.now().getTime() + skewMs));
    const token = await tokens.authorizationFor(testIdentity());
    const read = openTokens(settings, there).identityFrom(new Headers({ authorization: token }));
    const outcome = await Promise.resolve(read).then(
      () => "taken",
      (error) => error.reason,
    );
    expect(outcome).toBe(taken ? "taken" : "TOKEN_EXPIRED");
  });

  it("is made anew in time, also on a machine whose clock is set back", async () => {
    let backMs = 0;
    const clock = manualClock(new Date("2026-01-01T00:00:00Z"));
    const setBack = { ...clock, now: () => new Date(clock.now().getTime() - backMs) };
    const tokens = openTokens(settings, setBack);
    const identity = testIdentity();
    const first = await tokens.authorizationFor(identity);
    backMs = 3_600_000;
    clock.advance(41_000);
    expect(await tokens.authorizationFor(identity)).not.toBe(first);
  });

  it.each(["", "Bearer", "Basic abc"])("is missed in the header %j", async (header) => {
    await expect(opened().read(header)).rejects.toMatchObject({ reason: "TOKEN_MISSING" });
  });

  it("is refused when anything in it was changed", async () => {
    const { tokens, read } = opened();
    const token = await tokens.authorizationFor(testIdentity());
    const [head, , signature] = token.split(".");
    const claims = {
      tenant: "other",
      roles: ["operator"],
      sub: "x",
      aud: "soldier-mesh",
      exp: 4e9,
    };
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    const forged = [head, payload, signature].join(".");
    await expect(read(forged)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  });

  it("is refused without a signature", async () => {
    const { read } = opened();
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const claims = { tenant: "x", roles: [], sub: "x", aud: "soldier-mesh", exp: 4e9 };
    const bare = `Bearer ${encode({ alg: "none" })}.${encode(claims)}.`;
    await expect(read(bare)).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  });
});
