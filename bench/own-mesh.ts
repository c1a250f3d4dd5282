import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats, startPostgres, startRedis } from "@soldier/local/faults/servers";
import { engineOnly } from "./engine-only.ts";
import { startHost } from "./started.ts";

/** Seven processes on stores of the bench's own, ended with `opened`; their folder stays when it is kept. */
export async function ownMesh(
  opened: AsyncDisposableStack,
  name: string,
  keep: boolean,
  env: Readonly<Record<string, string>>,
) {
  const directory = mkdtempSync(join(tmpdir(), `soldier-${name}-`));
  if (keep) console.error(`logs and data stay in ${directory}`);
  else opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const database = opened.use(await startPostgres(join(directory, "postgres")));
  const nats = opened.use(await startNats(join(directory, "nats")));
  const redis = opened.use(await startRedis(join(directory, "redis")));
  const started = await startHost({
    way: "mesh",
    directory,
    env: {
      ...engineOnly,
      SOLDIER_POSTGRES__URL: database.url,
      SOLDIER_EVENTS__URL: `nats://127.0.0.1:${nats.port}`,
      SOLDIER_REDIS__URL: `redis://127.0.0.1:${redis.port}`,
      ...env,
    },
  });
  opened.defer(() => started.stop());
  return { directory, database, started };
}
