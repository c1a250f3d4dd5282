import type { Knowledge } from "./oracle-answers.ts";
import { collectedBy } from "./document-scenarios.ts";
import { entrySteps } from "./plan.ts";

export interface OracleMove {
  readonly kind: "edge" | "stay" | "exit" | "entry" | "none";
  readonly id: string;
  readonly confidence: number;
}

/** Where the case expects the session to be in the end, as far as it says. */
function goalOf({ plan }: Knowledge): string | undefined {
  const { expect, agent } = plan.case;
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  const last = (key: string) =>
    Array.isArray(expect[key]) ? text((expect[key] as unknown[]).at(-1)) : undefined;
  const called = JSON.stringify(
    Object.entries(expect).filter(([key]) => key.startsWith("tool_calls")),
  );
  const acting = agent.scenario
    .flatMap(({ steps }) => steps)
    .find(({ tool }) => tool !== undefined && called.includes(`"${tool}"`))?.id;
  return text(expect["step"]) ?? last("path") ?? last("path_contains") ?? acting;
}

/** The move that leads where the case expects to be. */
export function moveFor(known: Knowledge): OracleMove {
  const { plan, question } = known;
  const { agent, expect } = plan.case;
  const none: OracleMove = { kind: "none", id: "", confidence: 0.95 };
  const goal = goalOf(known);
  const [place = ""] = question.block("current_step");
  const here = agent.scenario
    .flatMap((scenario) => scenario.steps.map((step) => ({ scenario, step })))
    .find(({ step }) => place.startsWith(`${step.id}: `));
  if (here) {
    const leaving = expect["scenarios_active_exactly"];
    if (Array.isArray(leaving) && !leaving.includes(here.scenario.id))
      return { ...none, kind: "exit" };
    const edges = [...question.entries("edges")].flatMap(([alias, condition]) => {
      const edge = here.scenario.edges.find(
        ({ from, when }) => from === here.step.id && when === condition,
      );
      const distance =
        edge && goal !== undefined ? stepsTo(here.scenario, edge.to, goal) : undefined;
      return distance === undefined ? [] : [{ alias, distance }];
    });
    const [best] = edges.toSorted((a, b) => a.distance - b.distance);
    if (goal === here.step.id) return { ...none, kind: "stay" };
    if (best) return { ...none, kind: "edge", id: best.alias };
  }
  const wanted = [expect["scenarios_active"], expect["scenarios_active_exactly"], plan.starts]
    .flatMap((each) => (Array.isArray(each) ? (each as unknown[]) : []))
    .concat(agent.scenario.find(({ steps }) => steps.some(({ id }) => id === goal))?.id ?? []);
  const entry = [...question.entries("scenarios")].find(([, condition]) =>
    agent.scenario.some(
      ({ id, triggers, title }) =>
        id !== here?.scenario.id &&
        wanted.includes(id) &&
        condition.startsWith(triggers.join(" or ") || title || id),
    ),
  );
  if (entry) return { ...none, kind: "entry", id: entry[0] };
  return here && question.block("edges").length > 0 ? { ...none, kind: "stay" } : none;
}

type CaseScenario = Knowledge["plan"]["case"]["agent"]["scenario"][number];

function stepsTo({ edges }: CaseScenario, from: string, goal: string): number | undefined {
  const distances = new Map([[from, 0]]);
  for (const [at, distance] of distances) {
    if (at === goal) return distance;
    for (const edge of edges)
      if (edge.from === at && !distances.has(edge.to)) distances.set(edge.to, distance + 1);
  }
  return undefined;
}

/** What the conversation has said for fields: for those of the steps that lie before the goal. */
export function fieldsFor(known: Knowledge) {
  const { plan, names, question } = known;
  const { agent } = plan.case;
  const goal = goalOf(known);
  const said = plan.past.map(({ customer }) => customer).filter(Boolean);
  const latest = plan.liveTexts.at(-1) ?? "";
  const asked = [...question.entries("fields").keys()].map((name) => names.values.back(name));
  const before = new Map(
    agent.scenario.flatMap((scenario) =>
      beforeGoal(scenario, goal).flatMap(({ step, waiting }) =>
        collectedBy(step, scenario).map((name) => [name, waiting] as const),
      ),
    ),
  );
  const here = plan.place?.step;
  return asked.flatMap((name) => {
    const pattern = agent.fields.find((field) => field.name === name)?.pattern;
    if (pattern) {
      const match = [latest, ...said.toReversed()].map((text) => new RegExp(pattern).exec(text));
      const value = match.find(Boolean)?.[1];
      return value === undefined ? [] : [fieldOf(name, value)];
    }
    if (!before.has(name)) return [];
    const isAsked = before.get(name) === here || said.length === 0;
    return [fieldOf(name, isAsked ? latest : said.join(". "))];
  });

  function fieldOf(name: string, value: string) {
    return { name: names.values.of(name), value, text: value, confidence: 0.95 };
  }
}

/** Steps on the shortest way to the goal, without it. */
function beforeGoal(scenario: CaseScenario, goal: string | undefined) {
  if (goal === undefined) return [];
  const back = new Map<string, string>();
  const queue = [...entrySteps(scenario)];
  for (const at of queue)
    for (const { from, to } of scenario.edges)
      if (from === at && !back.has(to) && !queue.includes(to)) {
        back.set(to, at);
        queue.push(to);
      }
  const way: string[] = [];
  for (let at = back.get(goal); at !== undefined; at = back.get(at)) way.unshift(at);
  return way.flatMap((id) => {
    const step = scenario.steps.find((each) => each.id === id);
    return step ? [{ step, waiting: id }] : [];
  });
}
