import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings } from "@soldier/chassis/settings";
import { mintToken } from "@soldier/cli/token";
import { openTicketOffice } from "./desk.ts";
import type { Scene } from "./faults.ts";
import { startMesh } from "./mesh.ts";
import { openPoints } from "./points.ts";
import { openProxy } from "./proxy.ts";
import { startNats, startPostgres, startRedis } from "./servers.ts";

export interface OpenedScene extends Scene, AsyncDisposable {
  /** Of logs and data. */
  readonly directory: string;
  /** Whether the event store has a disk of its own, small enough to be filled. */
  readonly hasSmallDisk: boolean;
}

/** Of a turn: shorter than usual, so that a process can be frozen for longer without ending the run. */
const leaseMs = 3_000;

/** Twice of what a turn's events take, delivered again included. */
const natsBytesPerTurn = 16_000;

interface Asked {
  readonly control: string;
  readonly keep: boolean;
  /** Of the whole run. */
  readonly turnsMax: number;
}

/** Servers of the run's own, ways to them that can break, and the mesh. */
export async function openScene({ control, keep, turnsMax }: Asked): Promise<OpenedScene> {
  await using opened = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "soldier-faults-"));
  if (!keep) opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const postgres = opened.use(await startPostgres(join(directory, "postgres")));
  const natsHome = join(directory, "nats");
  const storeMb = 128 + Math.ceil((turnsMax * natsBytesPerTurn) / 1_000_000);
  const hasSmallDisk = mountSmall(natsHome, storeMb + 32, opened);
  const nats = opened.use(await startNats(natsHome, storeMb));
  const redis = opened.use(await startRedis(join(directory, "redis")));
  const postgresWay = opened.use(await openProxy(postgres.port));
  const natsWay = opened.use(await openProxy(nats.port));
  const redisWay = opened.use(await openProxy(redis.port));
  const office = opened.use(await openTicketOffice());
  const points = openPoints(join(directory, "points"));
  const stallMs = leaseMs + 1_500;
  const mesh = opened.use(
    await startMesh({
      logs: join(directory, "logs"),
      armed: { control, directory: points.directory, stallMs },
      env: {
        SOLDIER_ENV: "test",
        SOLDIER_POSTGRES__URL: throughWay(postgres.url, postgresWay.port),
        SOLDIER_EVENTS__URL: `nats://127.0.0.1:${natsWay.port}`,
        SOLDIER_SESSION__CACHE: "redis",
        SOLDIER_REDIS__URL: `redis://127.0.0.1:${redisWay.port}`,
        SOLDIER_ALIGNMENT__LEASE_MS: String(leaseMs),
        SOLDIER_EMBEDDER__PROVIDER: "deterministic",
        SOLDIER_ALIGNMENT__TOOLS__ALLOWED_PRIVATE_HOSTS: new URL(office.url).host,
        SOLDIER_ALIGNMENT__TOOL_SETTINGS__DESK_BACKEND: office.url,
        SOLDIER_CHAT_GATEWAY__LIMITS__REQUESTS_PER_SECOND: "1000",
        SOLDIER_CHAT_GATEWAY__LIMITS__BURST: "2000",
      },
    }),
  );
  const all = opened.move();
  return {
    directory,
    hasSmallDisk,
    mesh,
    postgres,
    nats,
    redis,
    postgresWay,
    natsWay,
    redisWay,
    office,
    points,
    stallMs,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export interface Tenant {
  readonly name: string;
  readonly token: string;
}

export async function tenants(): Promise<readonly Tenant[]> {
  const settings = readSettings({ env: { SOLDIER_ENV: "test" } });
  return await Promise.all(
    ["acme", "globex"].map(async (name) => ({
      name,
      token: await mintToken(settings, {
        tenant: name,
        subject: "load",
        roles: ["chat", "delegate", "operator"],
        hours: 10,
      }),
    })),
  );
}

function throughWay(url: string, port: number): string {
  return Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href;
}

/** A disk of the event store's own; false when we may not make one. */
function mountSmall(directory: string, mb: number, opened: AsyncDisposableStack): boolean {
  mkdirSync(directory, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mb}m`, "tmpfs", directory], {
      stdio: "ignore",
    });
  } catch {
    return false;
  }
  opened.defer(() => void execFileSync("umount", ["-l", directory]));
  return true;
}
