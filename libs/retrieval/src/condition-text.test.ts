import { describe, expect, it } from "vitest";
import { conditionTexts, matchedTexts } from "./condition-text.ts";

const said = (condition: string) => conditionTexts(condition, 0)[1];

describe("the texts of a condition", () => {
  it("are the condition and what a customer might say", () => {
    expect(conditionTexts("the customer asks how long delivery takes", 2)).toEqual([
      "the customer asks how long delivery takes",
      "how long delivery takes?",
      "i have a question about how long delivery takes",
    ]);
  });
  it("leave out what only introduces it", () => {
    expect(said("the customer wants to exchange an item")).toBe("exchange an item?");
    expect(said("When a patient wants to move their appointment")).toBe("move my appointment?");
    expect(said("The user asks about apr")).toBe("apr?");
    expect(said("someone would like to know whether their insurance is accepted")).toBe(
      "my insurance is accepted?",
    );
    expect(said("If the user is looking for a hotel")).toBe("a hotel?");
  });
  it("speak in the first person", () => {
    expect(said("the customer has no internet connection")).toBe("I have no internet connection?");
    expect(said("the customer was charged twice")).toBe("I was charged twice?");
    expect(said("the customer forgot the PIN")).toBe("I forgot the PIN?");
    expect(said("the customer carries a card that does not work for them")).toBe(
      "I carry a card that does not work for me?",
    );
  });
  it("are the condition alone when it is about no customer, or in another language", () => {
    for (const condition of [
      "a payment is shown as pending",
      "der Kunde will kündigen",
      "greeting",
    ])
      expect(conditionTexts(condition, 0)).toEqual([condition]);
  });
  it("are the condition alone when examples say it, or when nothing is left of it", () => {
    expect(conditionTexts("the customer asks about apr", 5)).toEqual([
      "the customer asks about apr",
    ]);
    expect(conditionTexts("the customer asks", 0)).toEqual(["the customer asks"]);
    expect(conditionTexts("", 0)).toEqual([""]);
  });
});

describe("the texts that are matched", () => {
  it("are conditions by their views and examples as they are, each once", () => {
    const asking = { condition: "the customer asks about apr", examples: ["what is the apr", " "] };
    expect(
      matchedTexts([asking, { condition: "", examples: ["what is the apr", "apr?"] }]),
    ).toEqual([
      {
        text: "the customer asks about apr",
        views: ["the customer asks about apr", "apr?", "i have a question about apr"],
      },
      { text: "what is the apr", views: ["what is the apr"] },
      { text: "apr?", views: ["apr?"] },
    ]);
  });
});
