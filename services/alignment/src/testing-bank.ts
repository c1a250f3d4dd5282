import { ToolCallOutcomeSchema } from "@soldier/proto/audit/v1/turn_record";
import type { Said, TurnUnderTest } from "./testing.ts";
import type { ToolServer } from "./testing-tools.ts";

/** A tool that sends money and needs to know how much, from whom and to whom. */
export const money = (name: string, more: object = {}) => ({
  name,
  description: "Sends money.",
  inputSchema: {
    type: "object",
    required: ["amount", "from", "to"],
    properties: {
      amount: { type: "integer", minimum: 1 },
      from: { type: "string" },
      to: { type: "string" },
    },
  },
  http: { method: "POST", url: `\${shop}/${name}` },
  ...more,
});

export const consequential = { consequential: true };

export const transfer = {
  name: "transfer",
  condition: "the customer asks to transfer money",
  toolIds: ["transfer"],
};

export const bank = (more: object = {}) => ({
  rules: [transfer],
  tools: [money("transfer", more)],
});

/** A general tool and one for shekels, which is preferred. */
export const twoTools = (more: object = {}) => ({
  rules: [{ ...transfer, toolIds: ["transfer", "shekels"] }],
  tools: [
    money("transfer", more),
    money("shekels", { ...more, preferredOverToolIds: ["transfer"] }),
  ],
});

/** What the tools' server was sent, in order. */
export function sentTo(server: ToolServer): readonly (readonly [string, unknown])[] {
  return server.asked.map(({ url, body }) => [url, JSON.parse(body) as unknown]);
}

/** How the latest turn's calls ended. */
export function outcomes({ peers }: TurnUnderTest) {
  return peers.record.toolCalls.map(({ name, outcome, reason, missingArguments }) => ({
    name,
    outcome: ToolCallOutcomeSchema.value[outcome]?.localName,
    reason,
    missingArguments,
  }));
}

/** One message that the first rule is certainly about. */
export async function saidAtBank(
  server: ToolServer,
  text: string,
  {
    rules: [first, ...others],
    ...behaviour
  }: { readonly rules: readonly object[]; readonly [other: string]: unknown },
  settings: Record<string, unknown> = {},
): Promise<Said & { readonly desk: TurnUnderTest }> {
  const rules = [{ ...first, examples: [text] }, ...others];
  const json = { ...behaviour, rules } as Parameters<ToolServer["start"]>[0]; // literals of tests are JSON
  const desk = await server.start(json, [server.host], settings);
  return { desk, ...(await desk.say(text)) };
}
