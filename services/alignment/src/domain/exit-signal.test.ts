import { describe, expect, it } from "vitest";
import { exitSignal } from "./exit-signal.ts";

describe("the wish to leave", () => {
  it.each([
    "cancel",
    "Never mind!",
    "Forget it, thanks.",
    "stop this please",
    "Start over",
    "Stop, I don't want this any more.",
  ])("is heard in %j", (text) => expect(exitSignal(text)).toBeGreaterThan(0.9));
  it.each([
    "cancel my order 12",
    "I never mind waiting",
    "stop sending me mails",
    "exit row seat",
    "Stop. Where is my parcel?",
    "...",
  ])("is not heard in %j", (text) => expect(exitSignal(text)).toBe(0));
});
