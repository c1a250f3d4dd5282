// npm run record:release: notes which migrations there are and which statements the services' suites
// send, as what the next release must leave working. Run it when a release is cut, and commit what it writes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { embeddedPostgres } from "@soldier/storage/embedded";
import { migrate, migrationNames, type OwnSchema } from "@soldier/storage/migrate";
import { admitRole, roleOf } from "@soldier/storage/role";
import postgres from "postgres";
import { recordStatements, type Statement } from "../isolation/recorder.ts";
import { type Released, releasedFile, type ReleasedStatement } from "./released.ts";
import { ownSchemas } from "./schemas.ts";
import { refusedStatements } from "./still-works.ts";

const root = join(import.meta.dirname, "../../..");
const data = /^\s*(with|select|insert|update|delete)\b/i;

await using opened = new AsyncDisposableStack();
const directory = mkdtempSync(join(tmpdir(), "soldier-record-"));
opened.defer(() => rmSync(directory, { recursive: true, force: true }));
chmodSync(directory, 0o755);
const database = opened.use(await embeddedPostgres({ directory }));
const recorder = opened.use(await recordStatements(database.url));

for (const own of ownSchemas) {
  const { schema } = own;
  recorder.forget();
  await runSuites(schema, recorder.url);
  const statements = await servable(own, distinct(recorder.statements(), schema));
  if (statements.length === 0) throw new Error(`the suites of ${schema} have sent nothing`);
  const written: Released = { migrations: [...(await migrationNames(own))], statements };
  mkdirSync(dirname(releasedFile(schema)), { recursive: true });
  writeFileSync(releasedFile(schema), `${JSON.stringify(written, undefined, 2)}\n`);
  process.stdout.write(`${schema}: ${statements.length} statements\n`);
}
spawnSync("oxfmt", [dirname(releasedFile(""))], { cwd: root });

/** Suites have tables and rights of their own: only what the service could send is kept. */
async function servable(
  own: OwnSchema,
  statements: readonly ReleasedStatement[],
): Promise<ReleasedStatement[]> {
  const { schema, migrations: folders } = own;
  const role = roleOf(schema);
  const owner = postgres(database.url, {
    max: 1,
    onnotice: () => {},
    connection: { search_path: `${schema},public` },
  });
  try {
    await admitRole(owner, schema);
    await migrate({ sql: owner, schema, folders });
    const refused = await refusedStatements(owner, { schema, role }, statements);
    return statements.filter(({ text }) => !refused.some((one) => one.endsWith(`: ${text}`)));
  } finally {
    await owner.end();
  }
}

/** The recorder stands where suites look for their external PostgreSQL. */
async function runSuites(schema: string, url: string): Promise<void> {
  const places = [`services/${schema}/src/store`, "libs/events/src"];
  const words = ["run", ...places, "-t", "an external PostgreSQL", "--reporter=dot"];
  const child = spawn("vitest", words, {
    cwd: root,
    env: { ...process.env, SOLDIER_TEST_POSTGRES: url },
    stdio: ["ignore", 2, 2],
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the suites of ${schema} failed: nothing is recorded of them`);
}

/** One for each shape: how many rows or values a list has makes no other statement. */
function distinct(statements: readonly Statement[], schema: string): ReleasedStatement[] {
  const shapes = new Map<string, ReleasedStatement>();
  for (const { client, text, types } of statements) {
    if (client !== `soldier-${schema}` && !client.startsWith("soldier-test_")) continue;
    if (!data.test(text) || text.startsWith("select set_config")) continue;
    const shape = text
      .replaceAll(/\s+/g, " ")
      .replaceAll(/\$\d+/g, "$")
      .replaceAll(/(\((?:\$(?:::\w+)?,? ?)+\),? ?)+/g, "($)");
    const known = shapes.get(shape);
    if (!known || text.length < known.text.length) shapes.set(shape, { text, types: [...types] });
  }
  return [...shapes]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { text, types }]) => ({ text: flat(text), types }));
}

function flat(text: string): string {
  return text
    .replaceAll(/--[^\n]*/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
