import { documentOf } from "@soldier/chassis/settings";
import { testSettings } from "@soldier/chassis/testing";
import { manualClock } from "@soldier/kernel/clock";
import { jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { mintToken } from "./token.ts";

const wish = { tenant: "demo", subject: "you", roles: ["chat", "operator"], hours: 2 };
const secret = "a secret that only this test knows of";

describe("a minted token", () => {
  it("carries what the gateway's settings ask for, until its hours are over", async () => {
    const settings = testSettings({
      chat_gateway: {
        auth: { secret, issuer: "us", audience: "them", tenant_claim: "org", roles_claim: "may" },
      },
    });
    const clock = manualClock(new Date("2026-11-01T12:00:00Z"));
    const token = await mintToken(settings, wish, clock);
    const key = new TextEncoder().encode(secret);
    const verified = () =>
      jwtVerify(token, key, { issuer: "us", audience: "them", currentDate: clock.now() });

    const { payload, protectedHeader } = await verified();
    expect(protectedHeader.alg).toBe("HS256");
    expect(payload).toMatchObject({ org: "demo", sub: "you", may: ["chat", "operator"] });
    clock.advance(2 * 3_600_000);
    await expect(verified()).rejects.toThrow("exp");
  });

  it.each([
    ["", "is empty (chat_gateway.auth.secret)"],
    ["short", "has fewer than 32 characters"],
  ])("needs a secret worth the name, unlike %j", async (bad, told) => {
    const settings = testSettings({ chat_gateway: { auth: { secret: bad } } });
    await expect(mintToken(settings, wish)).rejects.toThrow(told);
  });

  it("is signed by another secret on request", async () => {
    const token = await mintToken(testSettings(), { ...wish, secret });
    await jwtVerify(token, new TextEncoder().encode(secret));
  });

  it("needs settings that can be read", async () => {
    const settings = documentOf("[chat_gateway]");
    await expect(mintToken(settings, wish)).rejects.toThrow("chat_gateway.auth");
  });
});
