import { SettingsError } from "@soldier/chassis/settings";
import { Fault } from "@soldier/kernel/fault";
import { describe, expect, it } from "vitest";
import { failureText } from "./failure.ts";

const options = {
  reason: "DRAFT_INVALID",
  fields: [
    { field: "rules/a.guard", description: "is no expression" },
    { field: "rules/b.name", description: "is missing" },
  ],
};

describe("a failure", () => {
  it("is told by its reason, its message and each field", () => {
    expect(failureText(new Fault("invalid", "2 problems", options))).toBe(
      "DRAFT_INVALID: 2 problems\n  rules/a.guard: is no expression\n  rules/b.name: is missing",
    );
  });

  it("does not repeat what its message says", () => {
    const fault = new Fault("invalid", "rules/a.guard: is no expression (and 1 more)", options);
    expect(failureText(fault)).toBe(
      "DRAFT_INVALID: rules/a.guard: is no expression (and 1 more)\n  rules/b.name: is missing",
    );
  });

  it("has a stack only when it is a bug", () => {
    expect(failureText(new SettingsError(["log.level: is x"]))).toBe(
      "SETTINGS_INVALID: the settings have a problem:\n  log.level: is x",
    );
    expect(failureText(new TypeError("oops"))).toMatch(/^TypeError: oops\n +at /);
  });
});
