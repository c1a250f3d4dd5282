import type { Case, CaseMessage } from "./case-file.ts";

/** What is told as history, what is really said, and where the session begins. */
export interface Plan {
  readonly case: Case;
  readonly past: readonly PastTurn[];
  /** Messages that are sent; none: the agent is asked to open. */
  readonly live: readonly CaseMessage[];
  readonly liveTexts: readonly string[];
  /** Where the session is in a scenario before the message under test. */
  readonly place: Place | undefined;
  /** Steps that were come to before, by scenario, oldest first. */
  readonly visited: Readonly<Record<string, readonly string[]>>;
  /** Scenarios that the message under test starts, because the case says that they are on. */
  readonly starts: readonly string[];
  /** Variables whose values are read from the reply. */
  readonly probed: readonly string[];
}

export interface PastTurn {
  readonly customer: string;
  readonly agent: string;
}

export interface Place {
  readonly scenario: string;
  readonly step: string;
}

export function planOf(given: Case): Plan {
  const { past, live } = splitConversation(given);
  const visited = visitedSteps(given);
  const place = placeOf(given, visited);
  return {
    case: given,
    past,
    live,
    liveTexts: live.map(({ text }) => text),
    place,
    visited,
    starts: place ? [] : given.given.active_scenarios,
    probed: probedVariables(given),
  };
}

/** The last message of the customer is the one under test, with those that follow while it is answered. */
function splitConversation({ conversation }: Case): Pick<Plan, "past" | "live"> {
  const firstLive = conversation.findIndex(({ live, from }) => live && from === "customer");
  const last = conversation.findLastIndex(
    ({ from, arrives }) => from === "customer" && arrives === undefined,
  );
  const start = firstLive >= 0 ? Math.min(firstLive, last) : last;
  const told = start < 0 ? conversation : conversation.slice(0, start);
  const live = start < 0 ? [] : conversation.slice(start).filter(({ from }) => from === "customer");
  const past: PastTurn[] = [];
  for (const { from, text } of told) {
    const open = past.at(-1);
    if (from === "customer") past.push({ customer: text, agent: "" });
    else if (open && open.agent === "") past[past.length - 1] = { ...open, agent: text };
    else past.push({ customer: "", agent: text });
  }
  return { past, live };
}

/** Steps of an artificial scenario that a case names without saying what it is made of. */
export const onlyStep = "start";

function visitedSteps({ given, agent }: Case): Plan["visited"] {
  const visited: Record<string, readonly string[]> = { ...given.path_by_scenario };
  if (given.path.length > 0) {
    const [first] = given.path;
    const home =
      agent.scenario.find(
        ({ id, steps }) =>
          steps.some((step) => step.id === first) &&
          (given.active_scenarios.length === 0 || given.active_scenarios.includes(id)),
      )?.id ?? agent.scenario[0]?.id;
    if (home !== undefined) visited[home] = given.path;
  }
  return visited;
}

function placeOf({ given, agent }: Case, visited: Plan["visited"]): Place | undefined {
  if (given.current_step !== undefined) {
    const step = given.current_step;
    const home = agent.scenario.find(({ steps }) => steps.some(({ id }) => id === step));
    // At the first step of a conversation nothing was said yet: the message is what leads there.
    const begins = home && entrySteps(home).includes(step) && Object.keys(visited).length === 0;
    if (home && !begins) return { scenario: home.id, step };
    return undefined;
  }
  for (const { id, edges, steps } of agent.scenario.toReversed()) {
    const step = visited[id]?.at(-1);
    if (step !== undefined && edges.some(({ from }) => from === step))
      return { scenario: id, step };
    if (step !== undefined && id in given.path_by_scenario) continue; // it has ended
    if (step !== undefined) return { scenario: id, step };
    if (steps.length === 0 && given.active_scenarios.includes(id))
      return { scenario: id, step: onlyStep };
  }
  return undefined;
}

export function entrySteps({
  steps,
  edges,
}: Pick<Case["agent"]["scenario"][number], "steps" | "edges">): readonly string[] {
  const starts = edges.filter(({ from }) => from === "START").map(({ to }) => to);
  return starts.length > 0 ? starts : steps.slice(0, 1).map(({ id }) => id);
}

/** Values are seen in what is said: where a case asks for nothing else of the reply. */
function probedVariables({ expect }: Case): readonly string[] {
  const wanted = expect["variable_resolved"];
  const alone = Object.keys(expect).every(
    (key) => !/^(reply|template|llm|rules|messages)/.test(key),
  );
  if (!(wanted instanceof Object) || !alone) return [];
  return Object.entries(wanted)
    .filter(([, value]) => value !== null && !(value instanceof Object))
    .map(([name]) => name);
}

const rare = ["qzvx", "wjkq", "xvzq", "vqjx", "zxqk", "jqwz", "kxzv", "qjvk", "zwqx", "xkjq"];

/** Words that no message has, different for each place that must not match. */
export function neverSaid(i: number): string {
  return `${rare[i % rare.length]} ${rare[(i * 3 + 1) % rare.length]}${i}`;
}
