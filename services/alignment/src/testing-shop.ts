import { Fault } from "@soldier/kernel/fault";
import { type TurnUnderTest, turnUnderTest } from "./testing.ts";

/** A desk with two answers and a fallback. */
export const shop = {
  agent: { settings: { fallbackTemplateId: "sorry" } },
  rules: [
    {
      name: "hours",
      condition: "the customer asks for opening hours",
      examples: ["what are your opening hours", "when do you open"],
      templateIds: ["hours"],
    },
    {
      name: "parking",
      condition: "the customer asks where to park the car",
      examples: ["is there a car park", "where can I park"],
      templateIds: ["parking"],
    },
  ],
  templates: [
    { name: "hours", text: "We are open from 9 to 17.", mode: "TEMPLATE_MODE_SUGGEST" },
    { name: "parking", text: "Behind the house.", mode: "TEMPLATE_MODE_SUGGEST" },
    { name: "sorry", text: "Sorry, I did not get that.", mode: "TEMPLATE_MODE_FALLBACK" },
  ],
};

/** Services of one suite: each test starts what it needs, and all is stopped after it. */
export class Desks {
  private readonly started: AsyncDisposable[] = [];

  async start(...given: Parameters<typeof turnUnderTest>): Promise<TurnUnderTest> {
    const made = await turnUnderTest(...given);
    this.started.push(made);
    return made;
  }

  /** Something else that is closed after the test. */
  closes(thing: AsyncDisposable): void {
    this.started.push(thing);
  }

  async stop(): Promise<void> {
    for (const made of this.started.splice(0)) await made[Symbol.asyncDispose]();
  }
}

/** The reason of the fault that it fails with; "nothing" when it does not fail. */
export function reasonOf(failing: Promise<unknown>): Promise<string> {
  return failing.then(
    () => "nothing",
    (error: unknown) => (error instanceof Fault ? error.reason : String(error)),
  );
}
