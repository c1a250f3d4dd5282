import { timestampDate } from "@bufbuild/protobuf/wkt";
import { addToOutbox } from "@soldier/events/outbox";
import {
  VariableLevel,
  type VariableValue,
  VariableValueSchema,
} from "@soldier/proto/config/v1/template";
import { readEach } from "@soldier/storage/damaged-rows";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import type { ConfigStore } from "./config-store.ts";

/** Values of variables. Those of the whole tenant belong to no agent. */
type Values = Pick<ConfigStore, "setValue" | "values" | "valuesInForce">;

/** The agent_id of what is the whole tenant's. */
const tenants = "";

interface ValueRow {
  readonly agent_id: string;
  readonly variable: string;
  readonly level: number;
  readonly key: string;
  readonly body: Uint8Array;
}

export function postgresValues(pool: Sql): Values {
  return {
    async setValue(tenantId, agentId, value, { at, ownerMaxBytes, events }) {
      const { variable, level, key, expiresAt } = value;
      const owner = level === VariableLevel.GLOBAL ? tenants : agentId;
      const body = messageToKeep(VariableValueSchema, value);
      return await tenantSql(pool, tenantId).begin(async (tx) => {
        if (value.value) {
          // One at a time for each owner, or several could pass the limit together.
          await tx`select pg_advisory_xact_lock(hashtextextended(${`values ${tenantId} ${owner}`}, 0))`;
          const [others] = await tx<{ bytes: number }[]>`
            select coalesce(sum(length(body)), 0)::int as bytes from variable_values
            where tenant_id = ${tenantId} and agent_id = ${owner}
              and (expires_at is null or expires_at > ${at})
              and (variable, level, key) <> (${variable}, ${level}, ${key})`;
          if ((others?.bytes ?? 0) + body.byteLength > ownerMaxBytes) return false;
          await tx`
            insert into variable_values ${tx({
              tenant_id: tenantId,
              agent_id: owner,
              variable,
              level,
              key,
              body,
              expires_at: expiresAt ? timestampDate(expiresAt) : null,
            })}
            on conflict (tenant_id, agent_id, variable, level, key) do update set
              body = excluded.body, expires_at = excluded.expires_at`;
        } else
          await tx`
            delete from variable_values
            where tenant_id = ${tenantId} and agent_id = ${owner} and variable = ${variable}
              and level = ${level} and key = ${key}`;
        await addToOutbox(tx, events);
        return true;
      });
    },

    async values(tenantId, agentId, { variable }, { after, limit, onDamaged }) {
      const sql = tenantSql(pool, tenantId);
      const [name = "", level = "0", key = ""] = after ?? [];
      const rows = await sql<ValueRow[]>`
        select agent_id, variable, level, key, body from variable_values
        where tenant_id = ${tenantId} and agent_id in (${tenants}, ${agentId})
          ${variable ? sql`and variable = ${variable}` : sql``}
          and (variable, level, key) > (${name}, ${level}, ${key})
        order by variable, level, key limit ${limit}`;
      const keysOf = (row: ValueRow) => [row.variable, String(row.level), row.key];
      return readEach(rows, valueFrom, keysOf, onDamaged);
    },

    async valuesInForce(tenantId, agentId, at) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<ValueRow[]>`
        select agent_id, variable, level, key, body from variable_values
        where tenant_id = ${tenantId} and agent_id in (${tenants}, ${agentId})
          and (expires_at is null or expires_at > ${at})
        order by variable, level, key`;
      return rows.map(valueFrom);
    },
  };
}

function valueFrom({ agent_id: agentId, variable, level, key, body }: ValueRow): VariableValue {
  const id = `${agentId || "the tenant"}, ${variable}, level ${level}, key "${key}"`;
  return storedMessage(VariableValueSchema, body, { table: "config.variable_values", id });
}
