import { Fault } from "@soldier/kernel/fault";
import type { Sql } from "postgres";

/** Whom a service works as: owns nothing, and has the rights that the schema's migrations gave it. */
export function roleOf(schema: string): string {
  return `soldier_${schema}`;
}

interface Standing {
  readonly login: string;
  readonly exists: boolean;
  /** Whether row-level security would not bind it. */
  readonly bypasses: boolean;
  readonly may_be_set: boolean;
}

/** Another process, perhaps with another database of the same server, was quicker. */
const raced = new Set(["42710", "23505", "XX000"]);
const racesMax = 5;

/**
 * Makes sure that the schema's role is there and that the login may work as it. Throws the Fault
 * "precondition", with what an administrator is to run, when the login can't see to it itself.
 */
export async function admitRole(sql: Sql, schema: string): Promise<void> {
  const role = roleOf(schema);
  for (let race = 1; ; race++) {
    const { login, exists, bypasses, may_be_set } = await standingOf(sql, role);
    if (bypasses)
      throw new Fault(
        "precondition",
        `row-level security does not bind the role ${role}: take "superuser" and "bypassrls" from it`,
        { reason: "ROLE_UNSAFE" },
      );
    if (may_be_set) return;
    try {
      if (!exists) await sql`create role ${sql(role)} nologin`;
      else await sql`grant ${sql(role)} to ${sql(login)}`;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (raced.has(code) && race < racesMax) continue;
      if (code !== "42501") throw error;
      const statements = `${exists ? "" : `create role ${role} nologin; `}grant ${role} to ${login}`;
      throw new Fault(
        "precondition",
        `the services work as the role ${role}, which the login ${login} may not ${exists ? "become" : "make"}: have an administrator run "${statements}"`,
        { cause: error, reason: "ROLE_MISSING" },
      );
    }
  }
}

/** Before PostgreSQL 16 a member of a role could always become it. */
async function standingOf(sql: Sql, role: string): Promise<Standing> {
  const [row] = await sql<Standing[]>`
    select session_user as login,
      r.oid is not null as exists,
      coalesce(r.rolsuper or r.rolbypassrls, false) as bypasses,
      coalesce(pg_has_role(session_user, r.oid,
        case when current_setting('server_version_num')::int < 160000 then 'MEMBER' else 'SET' end),
        false) as may_be_set
    from (select) always left join pg_roles r on r.rolname = ${role}`;
  if (!row) throw new Error("a row of one was not there");
  return row;
}
