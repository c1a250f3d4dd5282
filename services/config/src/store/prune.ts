import type { Sql } from "postgres";

export interface ConfigKeeping {
  /** Versions of each agent, the latest; 0: all. */
  readonly versions: number;
  /** Younger versions stay, however many there are. */
  readonly versionDays: number;
}

/** Expired values stay for so long: another process' clock may be behind. */
const expiredHours = 24;

/** What config has to prune; the pool is of every tenant. */
export function prunableConfig(sql: Sql, keeping: ConfigKeeping) {
  return [
    {
      table: "agent_versions",
      prune: (rowsMax: number) => pruneVersions(sql, keeping, rowsMax),
    },
    { table: "variable_values", prune: (rowsMax: number) => pruneValues(sql, rowsMax) },
  ];
}

/** Removes up to `rowsMax` versions that nobody can want; returns how many. The live one always stays. */
async function pruneVersions(
  sql: Sql,
  { versions, versionDays }: ConfigKeeping,
  rowsMax: number,
): Promise<number> {
  if (versions === 0) return 0;
  const gone = await sql`
    delete from agent_versions v using (
      select tenant_id, agent_id, version from (
        select tenant_id, agent_id, version, published_at,
          row_number() over (partition by tenant_id, agent_id order by version desc) as place
        from agent_versions
      ) placed
      where place > ${versions} and published_at < now() - make_interval(days => ${versionDays})
        and not exists (
          select from agents a
          where a.tenant_id = placed.tenant_id and a.id = placed.agent_id
            and a.published_version = placed.version
        )
      limit ${rowsMax}
    ) old
    where v.tenant_id = old.tenant_id and v.agent_id = old.agent_id and v.version = old.version`;
  return gone.count;
}

async function pruneValues(sql: Sql, rowsMax: number): Promise<number> {
  const gone = await sql`
    delete from variable_values where ctid = any(array(
      select ctid from variable_values
      where expires_at < now() - make_interval(hours => ${expiredHours})
      limit ${rowsMax}
    ))`;
  return gone.count;
}
