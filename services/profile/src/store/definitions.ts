import { durationMs } from "@bufbuild/protobuf/wkt";
import { type FieldDefinition, FieldDefinitionSchema } from "@soldier/proto/config/v1/tool";
import { messageToKeep, storedMessage } from "@soldier/storage/stored-message";
import { tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";

/** What the fields of agents' live versions are. */
export interface DefinitionStore {
  /**
   * Keeps the definitions of a version, unless a later one's are kept. Version 0 says that the agent
   * is gone, for good.
   */
  keep(
    tenantId: string,
    agentId: string,
    version: bigint,
    definitions: readonly FieldDefinition[],
  ): Promise<void>;
  /** Every agent's definition of the fields with these names. */
  of(tenantId: string, names: readonly string[]): Promise<readonly FieldDefinition[]>;
}

const gone = 2n ** 63n - 1n;

export function postgresDefinitions(pool: Sql): DefinitionStore {
  return {
    async keep(tenantId, agentId, version, definitions) {
      await tenantSql(pool, tenantId).begin(async (tx) => {
        const newer = await tx`
          insert into defined_versions as kept (tenant_id, agent_id, version)
          values (${tenantId}, ${agentId}, ${String(version === 0n ? gone : version)})
          on conflict (tenant_id, agent_id) do update set version = excluded.version
            where excluded.version > kept.version`;
        if (newer.count === 0) return;
        await tx`
          delete from field_definitions where tenant_id = ${tenantId} and agent_id = ${agentId}`;
        for (const definition of version === 0n ? [] : definitions)
          await tx`
            insert into field_definitions (tenant_id, agent_id, name, retention_ms, definition)
            values (
              ${tenantId}, ${agentId}, ${definition.name},
              ${definition.retention ? Math.round(durationMs(definition.retention)) : null},
              ${Buffer.from(messageToKeep(FieldDefinitionSchema, definition))}
            )
            on conflict (tenant_id, name, agent_id) do nothing`;
      });
    },

    async of(tenantId, names) {
      if (names.length === 0) return [];
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<{ name: string; definition: Uint8Array }[]>`
        select name, definition from field_definitions
        where tenant_id = ${tenantId} and name = any(${[...names]})
        order by name, agent_id`;
      return rows.map(({ name: id, definition }) =>
        storedMessage(FieldDefinitionSchema, definition, {
          table: "profile.field_definitions",
          id,
        }),
      );
    },
  };
}
