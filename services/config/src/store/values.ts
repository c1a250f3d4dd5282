import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { addToOutbox } from "@soldier/events/outbox";
import { VariableLevel, VariableValueSchema } from "@soldier/proto/config/v1/template";
import type { Sql } from "postgres";
import type { ConfigStore } from "./config-store.ts";

/** Values of variables. Those of the whole tenant belong to no agent. */
type Values = Pick<ConfigStore, "setValue" | "values" | "bundleValues">;

/** The agent_id of what is the whole tenant's. */
const tenants = "";

export function postgresValues(sql: Sql): Values {
  return {
    async setValue(tenantId, agentId, value, events) {
      const { variable, level, key, expiresAt } = value;
      const owner = level === VariableLevel.GLOBAL ? tenants : agentId;
      await sql.begin(async (tx) => {
        if (value.value)
          await tx`
            insert into variable_values ${tx({
              tenant_id: tenantId,
              agent_id: owner,
              variable,
              level,
              key,
              body: toBinary(VariableValueSchema, value),
              expires_at: expiresAt ? timestampDate(expiresAt) : null,
            })}
            on conflict (tenant_id, agent_id, variable, level, key) do update set
              body = excluded.body, expires_at = excluded.expires_at`;
        else
          await tx`
            delete from variable_values
            where tenant_id = ${tenantId} and agent_id = ${owner} and variable = ${variable}
              and level = ${level} and key = ${key}`;
        await addToOutbox(tx, events);
      });
    },

    async values(tenantId, agentId, { variable }, { after, limit }) {
      const [name = "", level = "0", key = ""] = after ?? [];
      const rows = await sql<{ body: Uint8Array }[]>`
        select body from variable_values
        where tenant_id = ${tenantId} and agent_id in (${tenants}, ${agentId})
          ${variable ? sql`and variable = ${variable}` : sql``}
          and (variable, level, key) > (${name}, ${level}, ${key})
        order by variable, level, key limit ${limit}`;
      return rows.map(({ body }) => fromBinary(VariableValueSchema, body));
    },

    async bundleValues(tenantId, agentId, at) {
      const levels = [VariableLevel.GLOBAL, VariableLevel.AGENT, VariableLevel.GROUP];
      const rows = await sql<{ body: Uint8Array }[]>`
        select body from variable_values
        where tenant_id = ${tenantId} and agent_id in (${tenants}, ${agentId})
          and level in ${sql(levels)} and (expires_at is null or expires_at > ${at})
        order by variable, level, key`;
      return rows.map(({ body }) => fromBinary(VariableValueSchema, body));
    },
  };
}
