import { describe, expect, it } from "vitest";
import { exitSignal } from "./exit-signal.ts";

describe("the wish to leave", () => {
  it.each(["cancel", "Never mind!", "Forget it, thanks.", "stop this please", "Start over"])(
    "is heard in %j",
    (text) => expect(exitSignal(text)).toBeGreaterThan(0.9),
  );
  it.each(["cancel my order 12", "I never mind waiting", "stop sending me mails", "exit row seat"])(
    "is not heard in %j",
    (text) => expect(exitSignal(text)).toBe(0),
  );
});
