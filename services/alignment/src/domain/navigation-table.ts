/** What decides a move, of everything that is known when a message has come. */
export interface Situation {
  readonly place: "nowhere" | "scenario-gone" | "step-gone" | "step";
  /** A relation keeps the scenario from speaking in this turn. */
  readonly overridden: boolean;
  /** The message changes an answer that the way here was decided by. */
  readonly correction: "none" | "back" | "loop" | "checkpoint";
  /** Another scenario could start: by a relation or a model's word, or clearly by its score. */
  readonly elsewhere: "none" | "told" | "scored";
  /** By what an edge could be taken. */
  readonly edge: "none" | "judgement" | "message" | "guard" | "default";
  /** The customer surely wants to leave. */
  readonly leaving: boolean;
  /** The customer said something; not when the agent opens. */
  readonly heard: boolean;
  readonly terminal: boolean;
  /** The step has edges. */
  readonly ways: boolean;
  /** Too many messages in a row without a plausible edge. */
  readonly lost: boolean;
  /** A step fits well enough to be found again at. */
  readonly findable: boolean;
  /** A scenario can start. */
  readonly entry: boolean;
}

export type Verb =
  /** Out of the scenario; then another may start. */
  | "exit"
  /** Out of the scenario, and nothing else starts. */
  | "leave"
  /** To the step that fits best. */
  | "find"
  /** To an earlier step, to decide again from there. */
  | "return"
  /** Along the edge. */
  | "follow"
  | "stay"
  /** Into a scenario. */
  | "start"
  /** In no scenario still. */
  | "none";

export interface Row {
  /** Only the facts that matter; the others may be as they are. */
  readonly when: { readonly [Fact in keyof Situation]?: readonly Situation[Fact][] };
  readonly move: Verb;
  readonly because: string;
}

/**
 * Every move that a message can lead to. The first row that fits decides; the last two fit whatever is
 * left, so every situation has one move. `services/alignment/README.md` shows this table.
 */
export const table: readonly Row[] = [
  { when: { place: ["scenario-gone"] }, move: "exit", because: "the scenario is gone" },
  {
    when: { place: ["step-gone"], findable: [true] },
    move: "find",
    because: "the step is gone; found again here",
  },
  {
    when: { place: ["step-gone"] },
    move: "exit",
    because: "the step is gone, and no step fits well enough",
  },
  {
    when: { place: ["step"], overridden: [true] },
    move: "stay",
    because: "a relation overrides the scenario",
  },
  {
    when: { place: ["step"], correction: ["checkpoint"] },
    move: "stay",
    because: "a checkpoint was passed: it is not undone",
  },
  {
    when: { place: ["step"], correction: ["loop"] },
    move: "stay",
    because: "an answer changed, but its step was visited too often",
  },
  {
    when: { place: ["step"], correction: ["back"] },
    move: "return",
    because: "an answer changed that the way was decided by",
  },
  {
    when: { place: ["step"], elsewhere: ["told"] },
    move: "exit",
    because: "something else begins, by a relation or a model's word",
  },
  {
    when: { place: ["step"], edge: ["judgement"] },
    move: "follow",
    because: "a model chose the edge",
  },
  {
    when: { place: ["step"], elsewhere: ["scored"] },
    move: "exit",
    because: "the customer begins something else",
  },
  {
    when: { place: ["step"], edge: ["message"] },
    move: "follow",
    because: "the message speaks for the edge",
  },
  {
    when: { place: ["step"], leaving: [true] },
    move: "leave",
    because: "the customer wants to leave it",
  },
  {
    when: { place: ["step"], edge: ["guard", "default"] },
    move: "follow",
    because: "the edge needs nothing more of the customer",
  },
  {
    when: { place: ["step"], heard: [false] },
    move: "stay",
    because: "nothing was said",
  },
  { when: { place: ["step"], terminal: [true] }, move: "exit", because: "the step is terminal" },
  {
    when: { place: ["step"], lost: [true], findable: [true] },
    move: "find",
    because: "no plausible edge for too long; found again here",
  },
  {
    when: { place: ["step"], lost: [true] },
    move: "exit",
    because: "no plausible edge for too long, and no step fits well enough",
  },
  {
    when: { place: ["step"], ways: [false] },
    move: "stay",
    because: "the step has no way out",
  },
  { when: { place: ["step"] }, move: "stay", because: "no edge is taken" },
  {
    when: { place: ["nowhere"], entry: [true] },
    move: "start",
    because: "the scenario starts",
  },
  { when: {}, move: "none", because: "no scenario starts" },
];

/** The row that decides. */
export function rowFor(situation: Situation): Row {
  const row = table.find(({ when }) => fits(when, situation));
  if (!row) throw new Error("the last row fits everything");
  return row;
}

function fits(when: Row["when"], situation: Situation): boolean {
  return Object.entries(when).every(([fact, values]) =>
    // Each list holds values of the fact that it is under.
    (values as readonly unknown[]).includes(situation[fact as keyof Situation]),
  );
}
