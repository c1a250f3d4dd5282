import type { Check } from "./check.ts";
import { probe } from "./document.ts";
import { differs, hasAny, lacks, namesIn, recordIn, shown, textIn, truthIn } from "./expected.ts";
import type { Ran } from "./run-case.ts";

/** Rules that applied in the last turn, by the case's names, in the order in which they act. */
function appliedRules({ turns, records, names, said }: Ran): readonly string[] {
  const record = records.at(-1);
  const last = said.at(-1)?.completed?.turn ?? turns.at(-1);
  const applied = record?.rules.filter((each) => each.applied).map(({ name }) => name) ?? [];
  const order = last?.rules ?? [];
  const ordered = [...order, ...applied.filter((name) => !order.includes(name))];
  return ordered
    .filter((name) => applied.includes(name) && name !== probe)
    .map((name) => names.things.back(name));
}

function ownRules(ran: Ran): readonly string[] {
  const own = new Set(ran.plan.case.agent.rules.map(({ id }) => id));
  return appliedRules(ran).filter((id) => own.has(id));
}

/** How a case may call the rules that the customer is to choose from. */
const amongKeys = ["among", "targets", "options", "between"];

const noRecord = "the turn has no record";

export const ruleChecks: Readonly<Record<string, Check>> = {
  rules_active_exactly: (expected, ran) =>
    ran.records.length === 0 ? noRecord : differs(namesIn(expected), ownRules(ran)),
  rules_active: (expected, ran) => lacks(namesIn(expected), ownRules(ran)),
  rules_match: (expected, ran) => lacks(namesIn(expected), ownRules(ran)),
  rules_not_match: (expected, ran) =>
    ran.records.length === 0 ? noRecord : hasAny(namesIn(expected), ownRules(ran)),
  rules_not_active: (expected, ran) =>
    ran.records.length === 0 ? noRecord : hasAny(namesIn(expected), ownRules(ran)),
  rules_dropped(expected, ran) {
    const record = ran.records.at(-1);
    if (!record) return noRecord;
    const kept = hasAny(namesIn(expected), ownRules(ran));
    if (kept !== undefined) return `${kept} among those that applied`;
    const reasons = new Map(
      record.rules.map((each) => [ran.names.things.back(each.name), each] as const),
    );
    const unexplained = namesIn(expected).filter((id) => !reasons.get(id)?.eliminatedBy);
    return unexplained.length === 0 ? undefined : `no reason is recorded for ${shown(unexplained)}`;
  },
  /** What took a rule out, by rule: "guard", "cooldown", "relation" … */
  rules_eliminated_by(expected, ran) {
    const record = ran.records.at(-1);
    const got = Object.fromEntries(
      Object.keys(recordIn(expected)).map((id) => [
        id,
        record?.rules.find(({ name }) => ran.names.things.back(name) === id)?.eliminatedBy ?? "",
      ]),
    );
    return shown(got) === shown(expected)
      ? undefined
      : `expected ${shown(expected)}, got ${shown(got)}`;
  },
  no_duplicate_rules(expected, ran) {
    const names = ran.records.at(-1)?.rules.map(({ name }) => name) ?? [];
    const said = ran.turns.at(-1)?.rules ?? [];
    const unique = new Set(names).size === names.length && new Set(said).size === said.length;
    return unique === truthIn(expected)
      ? undefined
      : `rules are ${shown(names)} and ${shown(said)}`;
  },
  order(expected, ran) {
    const wanted = namesIn(expected);
    return differs(
      wanted,
      ownRules(ran).filter((id) => wanted.includes(id)),
      true,
    );
  },
  rules_order_first(expected, ran) {
    const wanted = textIn(expected);
    // What a tool brings has no id in the case: it is known by its words, where a model reads them.
    const prompt = ran.asked?.findLast(({ shape }) => shape.length === 0)?.prompt ?? "";
    const [line = ""] = /<rules>\n([\s\S]*?)\n<\/rules>/.exec(prompt)?.[1]?.split("\n") ?? [];
    const [first = ""] = appliedRules(ran);
    const action = ran.plan.case.agent.rules.find(({ id }) => id === first)?.then ?? "";
    if (line !== "" ? line.includes(wanted) : [first, action].includes(wanted)) return undefined;
    return `expected ${wanted} first, got ${line || first || "no rule"}`;
  },
  disambiguation(expected, ran) {
    const asked = (ran.records.at(-1)?.relations ?? []).filter(({ effect }) => effect === "asked");
    const among = [...new Set(asked.map(({ target }) => ruleNamed(target, ran)))];
    if (expected === null || expected === false)
      return asked.length === 0 ? undefined : `asks which of ${shown(among)}`;
    if (expected === true) return asked.length > 0 ? undefined : "asks nothing";
    const wanted = Array.isArray(expected)
      ? namesIn(expected)
      : namesIn(amongKeys.map((key) => recordIn(expected)[key]).find((list) => list !== undefined));
    return differs(wanted, among);
  },
};

/** A rule by its id, its name, or "rule:" and either. */
function ruleNamed(target: string, { bundle, names }: Ran): string {
  const plain = target.replace(/^rule:/, "");
  const name = bundle?.rules.find(({ id }) => id === plain)?.name ?? plain;
  return names.things.back(name);
}
