import { createHash } from "node:crypto";

/** What stands for several episodes, or for several summaries. Without its inputs it may not exist. */
export interface Summary {
  readonly tenantId: string;
  readonly id: string;
  readonly groupId: string;
  /** 1: of episodes; above: one more than the highest of its inputs. */
  readonly level: number;
  readonly text: string;
  /** "extractive:v1", "llm:<model>@<prompt>", or "operator". */
  readonly madeBy: string;
  /** In the order in which they were said. */
  readonly inputIds: readonly string[];
  /** SHA-256 over ids and texts of the inputs. */
  readonly inputHash: string;
  readonly turns: number;
  readonly coversFrom: Date;
  readonly coversTo: Date;
  readonly recordedAt: Date;
}

/** One that is about to be stored. */
export type NewSummary = Omit<Summary, "recordedAt">;

/** One that somebody else made: the rest follows from its inputs. */
export type BroughtSummary = Pick<Summary, "id" | "groupId" | "text" | "inputIds">;

/** What a summary is made of: an episode, or a summary of the level below. */
export interface SummaryInput {
  readonly id: string;
  /** As it is told to whoever summarises: with who said it, and when. */
  readonly text: string;
  readonly from: Date;
  readonly to: Date;
  readonly turns: number;
}

/** Turns that a summary of episodes stands for. */
export const windowTurns = 20;
/** Summaries of episodes that a summary of summaries stands for: there is one from turn 100 on. */
export const windowSummaries = 5;

/** Says of what a summary was made, word for word. */
export function inputHash(inputs: readonly SummaryInput[]): string {
  const said = inputs.map(({ id, text }) => [id, text]);
  return createHash("sha256").update(JSON.stringify(said)).digest("hex");
}
