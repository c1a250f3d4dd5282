import { create } from "@bufbuild/protobuf";
import {
  GroupMode,
  type RelationEnd,
  RelationEndSchema,
  RelationKind,
  RelationSchema,
  RuleGroupSchema,
  RuleSchema,
  Scope,
} from "@soldier/proto/config/v1/rule";
import { relationIndex } from "./relation-index.ts";
import { type RelationAnswer, resolveRelations } from "./relations.ts";
import { compareRules } from "./rule-order.ts";

/** Rules, how they are related, and which of them matched, as a file can have it. */
export interface RelationCase {
  readonly title: string;
  /** Priorities, by rule. */
  readonly rules: Readonly<Record<string, number>>;
  readonly scoped?: Readonly<Record<string, string>>;
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  readonly allOf?: readonly string[];
  readonly relations: readonly {
    readonly kind: string;
    readonly from: string;
    readonly to: readonly string[];
  }[];
  readonly matched: readonly string[];
  readonly plausible?: readonly string[];
  readonly scenarios?: readonly string[];
  readonly active: readonly string[];
  readonly dropped?: readonly string[];
  readonly order?: readonly string[];
}

export function resolved(given: Omit<RelationCase, "title" | "active">): RelationAnswer {
  const rules = Object.entries(given.rules).map(([id, priority]) =>
    create(RuleSchema, {
      id,
      priority,
      scope: given.scoped?.[id] ? Scope.SCENARIO : Scope.GLOBAL,
      scenarioId: given.scoped?.[id] ?? "",
    }),
  );
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const index = relationIndex({
    rules,
    groups: Object.entries(given.groups ?? {}).map(([id, ruleIds]) =>
      create(RuleGroupSchema, {
        id,
        ruleIds: [...ruleIds],
        mode: given.allOf?.includes(id) ? GroupMode.ALL : GroupMode.ANY,
      }),
    ),
    relations: given.relations.map(({ kind, from, to }, i) =>
      create(RelationSchema, {
        id: `r${i}`,
        kind: RelationKind[kind.toUpperCase() as keyof typeof RelationKind],
        from: end(from),
        to: to.map(end),
      }),
    ),
  });
  return resolveRelations({
    index,
    matched: given.matched,
    scenarios: new Set(given.scenarios ?? []),
    plausible: new Set(given.plausible ?? given.matched),
    admits: (id) => byId.has(id),
    compare(a, b) {
      const [left, right] = [byId.get(a), byId.get(b)];
      return left && right ? compareRules(left, right) : a < b ? -1 : 1;
    },
  });
}

function end(text: string): RelationEnd {
  const [kind = "", id] = text.split(":");
  return create(RelationEndSchema, {
    target:
      id === undefined
        ? { case: "ruleId", value: kind }
        : { case: kind === "group" ? "groupId" : "scenarioId", value: id },
  });
}
