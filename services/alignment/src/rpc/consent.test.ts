import { create } from "@bufbuild/protobuf";
import { anthropicServer } from "@soldier/ai/testing";
import { newId } from "@soldier/kernel/ids";
import { CustomerProfileSchema } from "@soldier/proto/profile/v1/profile";
import { afterEach, describe, expect, it } from "vitest";
import { valueOf } from "../domain/json.ts";
import { wire } from "../testing-model.ts";
import { Desks } from "../testing-shop.ts";

const desks = new Desks();
afterEach(() => desks.stop());

const diagnosis = "a canary of a diagnosis";
const behaviour = {
  fieldDefinitions: [{ name: "diagnosis", pii: true, consentPurpose: "model_processing" }],
  rules: [
    {
      name: "greet",
      condition: "the customer greets",
      action: "Greet.",
      alwaysOn: true,
      hardConstraint: true,
      templateIds: ["card"],
    },
  ],
  templates: [
    {
      id: "card",
      name: "card",
      text: "You told us of {diagnosis}.",
      mode: "TEMPLATE_MODE_SUGGEST",
    },
    {
      id: "opening",
      name: "opening",
      text: "About {profile.diagnosis}:",
      kind: "TEMPLATE_KIND_PREAMBLE",
    },
  ],
};

/** One turn of a customer with that word on model_processing; undefined for none. */
async function asked(granted: boolean | undefined) {
  const server = await anthropicServer(() => wire("Hello."));
  desks.closes(server);
  const desk = await desks.start(behaviour, {
    settings: { model: { provider: "anthropic", api_key: "k", base_url: server.url } },
  });
  const customerId = newId();
  const consents = granted === undefined ? [] : [{ purpose: "model_processing", granted }];
  const fields = { diagnosis: { value: valueOf(diagnosis) }, plan: { value: valueOf("gold") } };
  desk.peers.profiles.set(
    customerId,
    create(CustomerProfileSchema, { id: customerId, fields, consents }),
  );
  await desk.say("hello there", { customer: { customerId } });
  return { prompts: JSON.stringify(server.requests), record: desk.peers.record };
}

describe("a field that needs a consent", () => {
  it("is shown to a model when the consent is given", async () => {
    const { prompts, record } = await asked(true);
    expect(prompts).toContain(diagnosis);
    expect(record.profileFieldsUsed).toContain("diagnosis");
    expect(record.withheldFields).toEqual([]);
  });
  it.each([
    [undefined, "consent_missing"],
    [false, "consent_withdrawn"],
  ] as const)("with the word %s is in no prompt, and the record says why", async (word, reason) => {
    const { prompts, record } = await asked(word);
    expect(prompts).toContain("gold");
    expect(prompts).not.toContain(diagnosis);
    expect(record.profileFieldsUsed).not.toContain("diagnosis");
    expect(record.profileFieldsWithheld).toEqual(["diagnosis"]);
    expect(record.withheldFields).toMatchObject([
      { name: "diagnosis", purpose: "model_processing", reason },
    ]);
    expect(record.templates.find(({ name }) => name === "card")?.reason).toBe(
      "no consent to say: diagnosis (model_processing)",
    );
  });
});
