import type { ISql, Sql } from "postgres";
import type { ReleasedStatement } from "./released.ts";

/**
 * Which of the statements PostgreSQL would no longer run for the role, each with its reason: what they name is
 * gone, has another type, or may not be used. Planned and not executed.
 */
export async function refusedStatements(
  owner: Sql,
  { schema, role }: { readonly schema: string; readonly role: string },
  statements: readonly ReleasedStatement[],
): Promise<readonly string[]> {
  const refused: string[] = [];
  await owner.begin(async (tx) => {
    await tx`select set_config('search_path', ${`${schema},public`}, true),
                    set_config('plan_cache_mode', 'force_generic_plan', true),
                    set_config('role', ${role}, true)`;
    for (const statement of statements)
      await tx
        .savepoint((inner) => planned(inner, statement))
        .catch((error: unknown) => {
          if (!(error instanceof Error && "code" in error)) throw error;
          refused.push(`${error.message}: ${statement.text}`);
        });
  });
  return refused;
}

async function planned(tx: ISql, { text, types }: ReleasedStatement): Promise<void> {
  const named = await tx<{ name: string }[]>`
    select case oid when 0 then 'unknown' else format_type(oid, null) end as name
    from unnest(${[...types]}::oid[]) with ordinality as given (oid, place) order by place`;
  const list = named.map(({ name }) => name).join(", ");
  const places = new Set(text.match(/\$\d+/g)).size;
  const nulls = Array.from({ length: places }, () => "null").join(", ");
  await tx.unsafe(`prepare released${list && ` (${list})`} as ${text}`);
  // Rights are looked at when a statement is about to run, which explaining it is.
  await tx.unsafe(`explain execute released${nulls && ` (${nulls})`}`);
  await tx.unsafe("deallocate released");
}
