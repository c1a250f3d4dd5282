import { GroupMode, RelationKind } from "@soldier/proto/config/v1/rule";
import type { CaseAgent } from "./case-file.ts";
import type { Document } from "./document.ts";
import { CannotBuild } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";

type Relations = NonNullable<Document["relations"]>;
type End = NonNullable<Relations[number]["from"]>;

const kinds = {
  priority: RelationKind.OVERRIDES,
  overrides: RelationKind.OVERRIDES,
  depends_all: RelationKind.DEPENDS_ALL,
  depends_any: RelationKind.DEPENDS_ANY,
  entails: RelationKind.ENTAILS,
  disambiguates: RelationKind.DISAMBIGUATES,
} as const;

/** Alternatives of one group are one relation with several ends. */
export function relationsOf(
  { relations, rules, scenario }: CaseAgent,
  names: CaseNames,
): Relations {
  const merged = new Map<string, { kind: keyof typeof kinds; from: string; to: string[] }>();
  for (const [i, { kind, from, to, group }] of relations.entries()) {
    if (kind === "tools_overlap") continue;
    const key = kind === "depends_any" ? `${from} ${group ?? ""}` : `${i}`;
    const known = merged.get(`${kind} ${key}`);
    if (known) known.to.push(...to);
    else merged.set(`${kind} ${key}`, { kind, from, to: [...to] });
  }
  return [...merged.values()].map(({ kind, from, to }, i) => ({
    name: `relation-${i + 1}`,
    kind: kinds[kind],
    from: endOf(from),
    to: to.map(endOf),
  }));

  function endOf(text: string): End {
    if (text.startsWith("tag:"))
      return { target: { case: "groupId", value: groupName(text, names) } };
    const scenarioId = text.startsWith("scenario:") ? text.slice("scenario:".length) : text;
    if (rules.some(({ id }) => id === text))
      return { target: { case: "ruleId", value: names.things.of(text) } };
    if (scenario.some(({ id }) => id === scenarioId))
      return { target: { case: "scenarioId", value: names.things.of(scenarioId) } };
    throw new CannotBuild(`relation end ${text}`);
  }
}

/** "tag:vip", "tag:vip/any" or "tag:vip/all": every rule with the tag, as a group. */
export function groupsOf({ relations, rules }: CaseAgent, names: CaseNames) {
  const wanted = relations
    .flatMap(({ from, to }) => [from, ...to])
    .filter((end) => end.startsWith("tag:"));
  return [...new Set(wanted)].map((end) => {
    const [tag = "", mode = "any"] = end.slice("tag:".length).split("/");
    return {
      name: groupName(end, names),
      mode: mode.toLowerCase() === "all" ? GroupMode.ALL : GroupMode.ANY,
      ruleIds: rules.filter(({ tags }) => tags.includes(tag)).map(({ id }) => names.things.of(id)),
    };
  });
}

function groupName(end: string, { things }: CaseNames): string {
  return things.of(end.includes("/") ? end.toLowerCase() : `${end}/any`);
}
