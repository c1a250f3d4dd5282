import { expect, it } from "vitest";
import { bindingsOf } from "./expressions.ts";
import { profileUse } from "./profile-use.ts";
import { nowhere } from "./scope.ts";
import { templateCandidates } from "./templates.ts";
import { someBundle, someValues } from "./testing.ts";

const bundle = someBundle({
  agent: { settings: { replyMode: "TEMPLATE_MODE_EXCLUSIVE" } },
  templates: [
    { id: "a", name: "a", text: "{profile.email}, {plan} and {city}" },
    { id: "b", name: "b", text: "Nothing of yours." },
    { id: "c", name: "c", text: "I call {phone}." },
  ],
});
const known = someValues({
  profile: { email: "ada@x.example", plan: "gold", city: "Wien", phone: "1" },
  variables: { city: "Graz" },
  withheld: new Map([
    ["phone", { purpose: "contact", reason: "consent_missing" }],
    ["nothing", { purpose: "contact", reason: "consent_missing" }],
  ]),
});
const candidates = templateCandidates({
  bundle,
  applied: [],
  step: undefined,
  place: nowhere,
  known,
  bindings: bindingsOf(known),
  unfinished: new Set(),
});
const withheld = {
  profileFieldsWithheld: ["phone"],
  withheldFields: [{ name: "phone", purpose: "contact", reason: "consent_missing" }],
};
const none = { profileFieldsWithheld: [], withheldFields: [] };
const said = (id: string) => candidates.filter((candidate) => candidate.id === id);

it("a record tells the profile fields that a template said, as far as they came from there", () => {
  expect(profileUse({ known }, said("a"), said("a"), undefined)).toMatchObject({
    profileFieldsUsed: ["email", "plan"],
    ...none,
  });
  expect(profileUse({ known }, said("b"), said("b"), undefined).profileFieldsUsed).toEqual([]);
});

it("a record tells all fields that a model was shown, and those that were held back from it", () => {
  expect(profileUse({ known }, said("b"), said("b"), Object.keys(known.profile))).toMatchObject({
    profileFieldsUsed: ["email", "plan", "city"],
    ...withheld,
  });
});

it("a record tells the fields that a template could not be said for, and why", () => {
  expect(profileUse({ known }, candidates, said("b"), undefined)).toMatchObject({
    profileFieldsUsed: [],
    ...withheld,
  });
});
