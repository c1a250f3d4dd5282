import { PGlite } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { roleOf } from "@soldier/storage/role";
import postgres, { type Sql } from "postgres";

export interface PgliteWithVectors {
  readonly schema: string;
  /** The one session that there is, as the login or as the service's role, as it was last told. */
  readonly sql: Sql;
  asOwner(): Promise<void>;
  asService(): Promise<void>;
}

/**
 * PostgreSQL with pgvector in this process, spoken to over a socket: there for machines whose servers have no
 * pgvector. It has one session, which all connections share, so nothing here may run beside a transaction.
 */
export async function pgliteWithVectors(
  schema: string,
): Promise<PgliteWithVectors & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const db = await PGlite.create({ extensions: { vector } });
  opened.defer(() => db.close());
  const server = new PGLiteSocketServer({ db, port: 0, host: "127.0.0.1" });
  await server.start();
  opened.defer(() => server.stop());
  const sql = postgres(`postgres://postgres@${server.getServerConn()}/postgres`, {
    max: 1,
    onnotice: () => {},
  });
  opened.defer(() => sql.end());
  await sql`create schema ${sql(schema)}`;
  await sql`set search_path = ${sql(schema)}, public`;
  const all = opened.move();
  return {
    schema,
    sql,
    asOwner: async () => void (await sql`reset role`),
    asService: async () => void (await sql`set role ${sql(roleOf(schema))}`),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
