import { create } from "@bufbuild/protobuf";
import { CustomerProfileSchema } from "@soldier/proto/profile/v1/profile";
import { expect, it } from "vitest";
import { bindingsOf } from "./expressions.ts";
import { profileUse } from "./profile-use.ts";
import { nowhere } from "./scope.ts";
import { templateCandidates } from "./templates.ts";
import { someBundle, someValues } from "./testing.ts";

const bundle = someBundle({
  agent: { settings: { replyMode: "TEMPLATE_MODE_EXCLUSIVE" } },
  fieldDefinitions: [{ name: "phone", consentPurpose: "contact" }],
  templates: [
    { id: "a", name: "a", text: "{profile.email}, {plan} and {city}" },
    { id: "b", name: "b", text: "Nothing of yours." },
  ],
});
const known = someValues({
  profile: { email: "ada@x.example", plan: "gold", city: "Wien", phone: "1" },
  variables: { city: "Graz" },
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
const turn = { bundle, known, profile: create(CustomerProfileSchema) };
const said = (id: string) => candidates.filter((candidate) => candidate.id === id);

it("a record tells the profile fields that a template said, as far as they came from there", () => {
  expect(profileUse(turn, said("a"), false)).toEqual({
    profileFieldsUsed: ["email", "plan"],
    profileFieldsWithheld: [],
  });
  expect(profileUse(turn, said("b"), false).profileFieldsUsed).toEqual([]);
});

it("a record tells all fields that a model was shown, and those that were held back from it", () => {
  expect(profileUse(turn, said("b"), true)).toEqual({
    profileFieldsUsed: ["email", "plan", "city"],
    profileFieldsWithheld: ["phone"],
  });
});
