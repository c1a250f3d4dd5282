import { clone } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Identity, identityOf } from "@soldier/chassis/identity";
import { audited } from "@soldier/events/audited";
import { Fault } from "@soldier/kernel/fault";
import type { Agent } from "@soldier/proto/config/v1/agent";
import type { ConfigService } from "@soldier/proto/config/v1/config_service";
import {
  VariableLevel,
  VariableLevelSchema,
  type VariableValue,
  VariableValueSchema,
} from "@soldier/proto/config/v1/template";
import { pageOf } from "../domain/page.ts";
import { unknownName } from "../domain/problem.ts";
import { requireAgent } from "./edit.ts";
import { configPublished } from "../events.ts";
import { valuesMaxBytes } from "../domain/answer-room.ts";
import { paged } from "./paged.ts";
import type { Parts } from "./parts.ts";

type Values = Required<
  Pick<ServiceImpl<typeof ConfigService>, "setVariableValue" | "listVariableValues">
>;

const valueKeys = [/^/, /^\d{1,9}$/, /^/];
/** For each suggestion and each tenant-wide event: how many are read at once. */
const readMax = 500;

/** Values of variables. They are no part of a version: setting one is live without a publish. */
export function valueHandlers(parts: Parts): Values {
  const { store, clock, committed } = parts;

  async function requireVariable({ tenantId }: Identity, agent: Agent, name: string) {
    if (await store.resource(tenantId, agent.id, "variables", name)) return;
    const page = { after: undefined, limit: readMax, onDamaged: () => {} }; // only names to suggest
    const known = await store.resources(tenantId, agent.id, "variables", page);
    const names = known.map((variable) => variable.name);
    const description = unknownName("variable", name, names);
    throw new Fault("invalid", description, {
      reason: "REFERENCE_UNKNOWN",
      fields: [{ field: "value.variable", description }],
    });
  }

  /** The agents whose turns use the value. */
  async function concerned({ tenantId }: Identity, agent: Agent, { level }: VariableValue) {
    if (level !== VariableLevel.GLOBAL) return [agent];
    const all: Agent[] = [];
    for (let after: readonly string[] | undefined; ;) {
      const page = await store.agents(tenantId, { after, limit: readMax });
      all.push(...page);
      const last = page.at(-1);
      if (!last || page.length < readMax) return all;
      after = [last.slug];
    }
  }

  return {
    async setVariableValue({ agentId, value: sent }, ctx) {
      const identity = identityOf(ctx);
      if (!sent) throw new Error("a required message is missing"); // held by the contract
      const agent = await requireAgent(parts, identity, agentId);
      await requireVariable(identity, agent, sent.variable);
      const at = clock.now();
      const value = clone(VariableValueSchema, sent);
      value.level ||= VariableLevel.AGENT;
      value.updatedAt = timestampFromDate(at);
      requireKey(value);
      const { variable, level, key } = value;
      const act = {
        action: value.value ? "variable_value.set" : "variable_value.removed",
        resourceKind: "agent",
        resourceId: agent.id,
        details: { variable, level: VariableLevelSchema.value[level]?.localName ?? "", key },
      };
      const changed = (await concerned(identity, agent, value))
        .filter(({ publishedVersion }) => publishedVersion > 0n)
        .map((one) => configPublished(identity, one, one.publishedVersion, at));
      const events = [...changed, audited(identity, act, at)];
      const given = { at, ownerMaxBytes: valuesMaxBytes, events };
      if (!(await store.setValue(identity.tenantId, agent.id, value, given))) throw tooLarge(value);
      committed();
      return { value };
    },

    async listVariableValues({ agentId, variable, ...request }, ctx) {
      const { slice, shown } = paged(pageOf(request, valueKeys), (value: VariableValue) => [
        value.variable,
        String(value.level),
        value.key,
      ]);
      const identity = identityOf(ctx);
      const { id } = await requireAgent(parts, identity, agentId);
      const found = await store.values(identity.tenantId, id, { variable }, slice);
      const { items: values, ...page } = shown(found);
      return { values, ...page };
    },
  };
}

/** Alignment holds every value, and asks for them again every other second. */
function tooLarge({ level }: VariableValue): Fault {
  const whose = level === VariableLevel.GLOBAL ? "for all agents" : "for this agent";
  return new Fault(
    "precondition",
    `what is set ${whose} may have ${valuesMaxBytes} bytes together; remove values that are no longer needed, and let a tool or a profile field tell what differs by customer`,
    { reason: "VALUES_TOO_LARGE" },
  );
}

/** A group and a customer have a name; the others have none. */
function requireKey({ level, key }: VariableValue): void {
  const needsKey = level === VariableLevel.GROUP || level === VariableLevel.CUSTOMER;
  if (needsKey === (key !== "")) return;
  const description = needsKey
    ? "is needed at this level: the group's name or the customer's id"
    : "must be empty at this level";
  throw new Fault("invalid", `value.key: ${description}`, {
    fields: [{ field: "value.key", description }],
  });
}
