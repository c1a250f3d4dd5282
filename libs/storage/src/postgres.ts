import { Fault } from "@soldier/kernel/fault";
import { type Log, silentLog } from "@soldier/kernel/log";
import postgres, { type Sql } from "postgres";
import { Counter } from "prom-client";
import { z } from "zod";
import { migrate, type OwnSchema } from "./migrate.ts";
import { migrateOptional } from "./optional-parts.ts";
import { type Ready, untilMigrated } from "./migrated.ts";
import { admitRole, roleOf } from "./role.ts";

/** The `[postgres]` table. */
export const postgresSettings = z.strictObject({
  /** postgres://user:password@host:port/database */
  url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must begin with postgres://")
    .refine((url) => URL.canParse(url), "must be a URL"),
  /** Connections that this process may hold for one schema. */
  max_connections: z.int().min(1).max(1_000),
  connect_timeout_ms: z.int().min(100).max(120_000),
  /** The server ends a statement that takes longer; migrations are exempt. */
  statement_timeout_ms: z.int().min(10).max(600_000),
  /** Whether a service migrates its schema when it starts, or waits until `soldier migrate` has done it. */
  migrate: z.enum(["at_start", "wait"]),
});

export type PostgresSettings = z.output<typeof postgresSettings>;

export interface PostgresOptions extends OwnSchema {
  readonly settings: PostgresSettings;
  /** Closes the pool, after its queries, when the service stops. */
  readonly opened: AsyncDisposableStack;
  readonly log?: Log;
  /** Told which migration is missing while that is waited for. */
  readonly ready?: Ready;
}

const statements = new Counter({
  name: "soldier_sql_statements_total",
  help: "SQL statements sent, with begin and commit, by schema",
  labelNames: ["schema"],
});

/**
 * A pool on the service's own schema, which is made and migrated, or waited for as the settings say. The
 * login of the URL does it; the pool works as the schema's role (see role.ts), which row-level security
 * binds: use tenantSql. Throws the Fault "unavailable", with a sentence for the operator, when the server
 * doesn't answer in time or refuses us. Later losses reject the queries they hit (see storageFault) and
 * the pool reconnects by itself.
 */
export async function openPostgres(options: PostgresOptions): Promise<Sql> {
  const { settings, schema, migrations, optional, opened, log = silentLog, ready } = options;
  await asLogin(settings, schema, log, async (login) => {
    if (settings.migrate === "wait")
      await untilMigrated({ sql: login, schema, migrations, log, ready });
    await admitRole(login, schema);
    if (settings.migrate === "at_start") {
      await migrate({ sql: login, schema, folders: migrations, log });
      await migrateOptional({ sql: login, schema, log, ...(optional && { optional }) });
    }
  });
  const sql = connect(settings, schema, roleOf(schema), log);
  opened.defer(() => sql.end({ timeout: 5 }));
  return sql;
}

/** One connection as the login of the settings, which owns the schema; closed afterwards. */
export async function asLogin<T>(
  settings: PostgresSettings,
  schema: string,
  log: Log,
  work: (login: Sql) => Promise<T>,
): Promise<T> {
  if (!/^[a-z_][a-z0-9_]{0,54}$/.test(schema))
    throw new Fault("invalid", `"${schema}" is not a schema name: use a-z, 0-9 and _`);
  const login = connect({ ...settings, max_connections: 1 }, schema, undefined, log);
  try {
    await firstContact(login, settings);
    return await work(login);
  } finally {
    await login.end({ timeout: 0 });
  }
}

/**
 * Probes that have no answer yet. They are shared, not cancelled: the driver cancels by a connection
 * of its own, and when that fails, as it does while the server hangs, nobody can catch it.
 */
const probes = new WeakMap<Sql, Promise<unknown>>();

/** For readiness: rejects with the Fault "unavailable" unless the server answers within 2 s. */
export async function pingPostgres(sql: Sql): Promise<void> {
  const probe = probes.get(sql) ?? startProbe(sql);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Fault("unavailable", "PostgreSQL does not answer")), 2_000);
  });
  try {
    await Promise.race([probe, late]);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("unavailable", "PostgreSQL cannot be reached", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function startProbe(sql: Sql): Promise<unknown> {
  const probe = sql`select 1`.execute();
  probes.set(sql, probe);
  const over = () => void probes.delete(sql);
  probe.then(over, over);
  return probe;
}

/** Every connection of the pool works as the role from its first moment; without one, as the login. */
function connect(
  settings: PostgresSettings,
  schema: string,
  role: string | undefined,
  log: Log,
): Sql {
  const sql = postgres(settings.url, {
    max: settings.max_connections,
    connect_timeout: settings.connect_timeout_ms / 1_000,
    idle_timeout: 300,
    // The default waits up to 20 s after a long outage; a probe a second is cheap.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1) * (0.5 + Math.random() / 2),
    connection: {
      ...(role !== undefined && { role }),
      application_name: `soldier-${schema}`,
      // "public" is where extensions put their types.
      search_path: `${schema},public`,
      statement_timeout: settings.statement_timeout_ms,
      idle_in_transaction_session_timeout: 60_000,
    },
    onnotice: (notice) => log.debug({ schema, notice: notice["message"] }, "postgres notice"),
  });
  return counted(sql, schema);
}

/**
 * Counts each statement. The driver's own `debug` hook would do it too, but it also takes a stack
 * trace per query and makes the bound values, customers' text, enumerable on errors and so part of
 * the log. The driver reads `prepare` exactly once for each statement that it sends.
 */
function counted(sql: Sql, schema: string): Sql {
  const counter = statements.labels(schema);
  Object.defineProperty(sql.options, "prepare", {
    get() {
      counter.inc();
      return true;
    },
  });
  return sql;
}

async function firstContact(sql: Sql, settings: PostgresSettings): Promise<void> {
  try {
    await sql`select 1`;
  } catch (error) {
    const { host, pathname } = new URL(settings.url);
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault(
      "unavailable",
      `PostgreSQL at ${host || "localhost"}${pathname} cannot be used (${why}); start it, or set [postgres] url`,
      { cause: error, reason: "POSTGRES_UNAVAILABLE" },
    );
  }
}
