import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import * as bodies from "./bodies.ts";
import { shortName } from "./contract.ts";
import { handMade, type Wording } from "./hand-made.ts";
import { isIdLike, snake } from "./ids.ts";
import type { Voice } from "./voice.ts";

/** An init shape of some request. */
type Init = MessageInitShape<DescMessage>;

/** What is written into resources; create and update take the same. */
const resourceBodies: Readonly<Record<string, Body>> = {
  Agent: bodies.agent,
  Rule: bodies.rule,
  RuleGroup: bodies.ruleGroup,
  Relation: bodies.relation,
  Scenario: bodies.scenario,
  Template: bodies.template,
  Variable: bodies.variable,
  Tool: bodies.tool,
  FieldDefinition: bodies.fieldDefinition,
};
type Body = (voice: Voice, which: bodies.Which) => object;

/** Fields that choose the state that is replaced; empty means any, and the proof wants no refusal by them. */
const leftEmpty = /^(etag|draft_etag|except_session_id)$/;

/** The requests for an RPC that name one tenant's things in words of another, or of the same. */
export function requestsFor(method: DescMethod, wording: Wording): readonly Message[] {
  const made = handMade[shortName(method)] ?? [() => ({})];
  return made.map((make) =>
    create(method.input, { ...guessed(method, wording), ...make(wording) } as Init),
  );
}

/** What the names of the fields tell. */
function guessed(method: DescMethod, wording: Wording): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const field of method.input.fields) {
    const value = guessedField(method, field, wording);
    if (value !== undefined && !field.oneof) found[field.localName] = value;
  }
  return found;
}

function guessedField(method: DescMethod, field: DescField, { ids, voice }: Wording): unknown {
  if (field.name === "page_size") return 1;
  if (field.name === "page_token") return ids.find(tokenOf(method)) ?? "";
  if (field.fieldKind === "message") return guessedBody(method, field, { ids, voice });
  if (!isIdLike(field) || leftEmpty.test(field.name)) return undefined;
  if (field.fieldKind === "list") {
    const one = ids.find(field.name.replace(/s$/, ""));
    return one === undefined ? undefined : [one];
  }
  // What is deleted is the one that nothing refers to; what is merged goes into the other one.
  const deleted = `${snake(method.name.replace(/^Delete/, ""))}_id`;
  const isLast = field.name === deleted || /^(into|to)_/.test(field.name);
  return ids.find(field.name.replace(/^(from|into|to)_/, ""), isLast ? -1 : 0);
}

function guessedBody(method: DescMethod, field: DescField, { ids, voice }: Wording): unknown {
  const kind = field.message?.name ?? "";
  const body = resourceBodies[kind];
  if (!body || !/^(Create|Update)/.test(method.name)) return undefined;
  if (method.name.startsWith("Create")) return referring(body(voice, "new"), ids);
  return { ...referring(body(voice, "main"), ids), id: ids.at(`${snake(kind)}_id`) };
}

/** The body with references by id to the world's own things, whoever words it. */
function referring(body: object, ids: Wording["ids"]): object {
  const given: Record<string, unknown> = { ...body };
  if ("ruleIds" in body) given["ruleIds"] = [ids.at("rule_id")];
  if ("templateIds" in body) given["templateIds"] = [ids.at("template_id")];
  if ("from" in body) given["from"] = { target: { case: "ruleId", value: ids.at("rule_id") } };
  if ("to" in body) given["to"] = [{ target: { case: "ruleId", value: ids.at("rule_id", 1) } }];
  return given;
}

export function tokenOf(method: DescMethod): string {
  return `page_token of ${shortName(method)}`;
}
