import { describe, expect, it } from "vitest";
import { Fault } from "./fault.ts";

describe("a fault", () => {
  it("takes its kind as its reason when none is given", () => {
    expect(new Fault("not-found", "no session x").reason).toBe("NOT_FOUND");
    expect(new Fault("conflict", "busy", { reason: "SESSION_BUSY" }).reason).toBe("SESSION_BUSY");
  });
  it("keeps its cause for our log", () => {
    const cause = new Error("socket closed");
    expect(new Fault("unavailable", "try again", { cause }).cause).toBe(cause);
  });
});
