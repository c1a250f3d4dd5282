import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { valueLengthMax, withGenerated } from "./generated-values.ts";
import { replyMode } from "./reply-mode.ts";
import { nowhere } from "./scope.ts";
import { keepingTo, pickedByWords, strictCandidates } from "./template-choice.ts";
import type { TemplateCandidate } from "./templates.ts";
import { someBundle } from "./testing.ts";

function candidate(name: string, more: Partial<TemplateCandidate> = {}): TemplateCandidate {
  return {
    id: name,
    name,
    mode: "SUGGEST",
    text: `${name}.`,
    reason: "",
    priority: 0,
    rule: undefined,
    named: false,
    isFillable: false,
    parts: [],
    withheld: [],
    ...more,
  };
}

const names = (found: readonly TemplateCandidate[]) => found.map(({ name }) => name);

describe("the reply mode of a place", () => {
  const exclusive = "TEMPLATE_MODE_EXCLUSIVE";
  const suggest = "TEMPLATE_MODE_SUGGEST";
  it.each([
    ["the step's", [exclusive, suggest, suggest], "EXCLUSIVE"],
    ["the step's, though it is the laxer", [suggest, exclusive, exclusive], "SUGGEST"],
    [
      "the scenario's without a step's",
      ["TEMPLATE_MODE_UNSPECIFIED", exclusive, suggest],
      "EXCLUSIVE",
    ],
    ["the agent's without either", [undefined, undefined, exclusive], "EXCLUSIVE"],
    ["SUGGEST when nobody says", [undefined, undefined, undefined], "SUGGEST"],
  ])("is %s", (_, [step, scenario, agent], expected) => {
    const bundle = someBundle({
      agent: { settings: { ...(agent && { replyMode: agent }) } },
      scenarios: [
        {
          id: "book",
          ...(scenario && { replyMode: scenario }),
          steps: [{ id: "s1", ...(step && { replyMode: step }) }],
        },
      ],
    });
    expect(replyMode(bundle, { scenarioId: "book", stepId: "s1" })).toBe(expected);
    const outside = agent === exclusive ? "EXCLUSIVE" : "SUGGEST";
    expect(replyMode(bundle, nowhere)).toBe(outside);
  });
});

describe("where templates are EXCLUSIVE", () => {
  const all = [
    candidate("suggested"),
    candidate("word-for-word", { mode: "EXCLUSIVE" }),
    candidate("higher", { mode: "EXCLUSIVE", priority: 5 }),
    candidate("fallback", { mode: "FALLBACK" }),
    candidate("unresolved", { mode: "EXCLUSIVE", priority: 9, text: undefined }),
    candidate("open", { text: undefined, isFillable: true }),
  ];
  it("every template but a fallback may answer, those to be filled in with a model only", () => {
    expect(names(strictCandidates(all, "EXCLUSIVE", false))).toEqual([
      "suggested",
      "word-for-word",
      "higher",
    ]);
    expect(names(strictCandidates(all, "EXCLUSIVE", true))).toContain("open");
  });
  it("elsewhere only those that are EXCLUSIVE themselves do, the highest priority alone", () => {
    expect(names(strictCandidates(all, "SUGGEST", true))).toEqual(["higher"]);
  });
  it("words that break a demand are left out as long as others keep to it", () => {
    const two = [candidate("good"), candidate("bad")];
    expect(names(keepingTo(two, (text) => text !== "bad."))).toEqual(["good"]);
    expect(names(keepingTo(two, () => false))).toEqual(["good", "bad"]);
  });
});

describe("without a model", () => {
  const picked = (candidates: readonly TemplateCandidate[], message = "") => {
    const found = pickedByWords(candidates, message);
    return [found?.candidate.name, found?.reason];
  };
  it("a named template goes before others, then a higher priority", () => {
    const named = candidate("named", { named: true });
    const high = candidate("high", { priority: 50 });
    expect(picked([high, named])).toEqual(["named", "named, and of the highest priority"]);
    expect(picked([candidate("low"), high])).toEqual(["high", "of the highest priority"]);
  });
  it("of equals the one that clearly fits the message is said, else the first defined", () => {
    const parking = candidate("parking", { text: "You can park your car behind the house." });
    const hours = candidate("hours", { text: "We are open from nine to five." });
    expect(picked([hours, parking], "where do I park my car")[0]).toBe("parking");
    expect(picked([hours, parking], "hola, ¿recibieron mi solicitud?")).toEqual([
      "hours",
      "the first of equals",
    ]);
  });
});

describe("what a model fills in", () => {
  const parts = [
    { kind: "text", text: "It is $" },
    { kind: "generative", name: "amount" },
    { kind: "text", text: " today." },
  ] as const;
  const said = (value: string) => withGenerated({ parts }, new Map([["amount", value]]));
  it("stands in the author's sentence, and is never read as a template", () => {
    expect(said(" 1244 ").text).toBe("It is $1244 today.");
    expect(said("{profile.email} {{").text).toBe("It is ${profile.email} {{ today.");
  });
  it("is one line of a bounded length, or there is no reply", () => {
    expect(said("").reason).toBe("the model's generative.amount is missing");
    for (const line of ["1\n2", "1\u20282", "1\r2", "1\u00002"])
      expect(said(line).reason).toContain("more than one line");
    expect(said("x".repeat(valueLengthMax)).text).toBeDefined();
    expect(said("x".repeat(valueLengthMax + 1)).reason).toContain("201 characters");
  });
  it("never makes the text longer than its own words and the values, nor a second line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (value) => {
        const { text } = said(value);
        return (
          text === undefined ||
          (text === `It is $${value.trim()} today.` && !/[\r\n\u2028\u2029]/.test(text))
        );
      }),
    );
  });
});
