import { execFileSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import type { TicketOffice } from "./desk.ts";
import type { Mesh, ProcessName } from "./mesh.ts";
import { type Failpoint, failpoints } from "./mutations.ts";
import type { Points } from "./points.ts";
import type { Proxy } from "./proxy.ts";
import type { NatsServer, PostgresServer, Server } from "./servers.ts";

/** What a fault can reach. */
export interface Scene {
  readonly mesh: Mesh;
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly redis: Server;
  readonly postgresWay: Proxy;
  readonly natsWay: Proxy;
  readonly redisWay: Proxy;
  readonly office: TicketOffice;
  readonly points: Points;
  /** Longer than a turn's lease, milliseconds. */
  readonly stallMs: number;
}

export interface FaultKind {
  readonly name: string;
  /** Brings it about and ends it again; resolves when the cause is gone. */
  inject(scene: Scene): Promise<unknown>;
}

const services: readonly ProcessName[] = [
  "config",
  "session",
  "memory",
  "profile",
  "audit",
  "alignment",
  "chat-gateway",
];

/** Long enough to be felt by everything with a time-out of its own. */
const awayMs = 2_000;

export const faultKinds: readonly FaultKind[] = [
  ...services.map((name): FaultKind => ({
    name: `kill -9 ${name}`,
    inject: ({ mesh }) => mesh.kill(name),
  })),
  {
    name: "restart postgres",
    async inject({ postgres }) {
      await postgres.kill();
      await pause(500);
      await postgres.start();
    },
  },
  {
    name: "restart nats",
    async inject({ nats }) {
      await nats.kill();
      await pause(awayMs);
      await nats.start();
    },
  },
  {
    name: "nats loses its data",
    async inject({ nats }) {
      await nats.kill();
      nats.wipe();
      await nats.start();
    },
  },
  {
    name: "restart redis, empty",
    async inject({ redis }) {
      await redis.kill();
      await pause(awayMs);
      await redis.start();
    },
  },
  {
    name: "freeze alignment past its lease",
    async inject({ mesh, stallMs }) {
      mesh.freeze("alignment");
      await besidesAlignment(mesh, () => pause(stallMs));
      mesh.thaw("alignment");
    },
  },
  ...(["session", "audit", "memory"] as const).map((name): FaultKind => ({
    name: `freeze ${name}`,
    async inject({ mesh }) {
      mesh.freeze(name);
      await pause(awayMs);
      mesh.thaw(name);
    },
  })),
  ...(["alignment", "session", "memory", "profile", "config"] as const).map((name): FaultKind => ({
    name: `cut off ${name}`,
    inject: ({ mesh }) => cut(mesh.ways.get(name)),
  })),
  { name: "cut off postgres", inject: ({ postgresWay }) => cut(postgresWay) },
  { name: "cut off nats", inject: ({ natsWay }) => cut(natsWay) },
  { name: "cut off redis", inject: ({ redisWay }) => cut(redisWay) },
  {
    name: "slow way to session",
    async inject({ mesh }) {
      const way = mesh.ways.get("session");
      way?.slow(150);
      await pause(awayMs);
      way?.mend();
    },
  },
  {
    name: "slow way to redis",
    async inject({ redisWay }) {
      redisWay.slow(1_000);
      await pause(awayMs);
      redisWay.mend();
    },
  },
  {
    name: "tool acts and does not answer",
    async inject({ office }) {
      office.silent(true);
      await pause(awayMs);
      office.silent(false);
    },
  },
  ...failpoints.flatMap((point) =>
    point.within.map((process): FaultKind => ({
      name: `${process}: ${point.name}`,
      inject: (scene) => atPoint(point, process, scene),
    })),
  ),
];

/** Only root can give the event store a disk of its own that is small enough to fill. */
export const diskFull: FaultKind = {
  name: "disk of nats full",
  async inject({ nats }) {
    const fill = `${nats.directory}/fill`;
    try {
      execFileSync("dd", ["if=/dev/zero", `of=${fill}`, "bs=1M"], { stdio: "ignore" });
    } catch {
      // It ends when the disk is full, which is what was wanted.
    }
    await pause(awayMs);
    execFileSync("rm", [fill]);
  },
};

/** How long a point may wait for somebody to pass it. */
const passedWithinMs = 15_000;

async function atPoint(
  { name, act }: Failpoint,
  process: ProcessName,
  { mesh, points, stallMs }: Scene,
): Promise<void> {
  points.arm(name, process);
  await points.passed(name, process, passedWithinMs);
  // It wakes with a commit in its hands, while the other replica has its sessions.
  if (act === "stall") await besidesAlignment(mesh, () => pause(stallMs));
}

/**
 * Sends what is meant for alignment to its other replica meanwhile, as a balancer does when one no
 * longer answers.
 */
async function besidesAlignment(mesh: Mesh, meanwhile: () => Promise<void>): Promise<void> {
  const way = mesh.ways.get("alignment");
  const other = mesh.ports.get("alignment-b");
  const own = mesh.ports.get("alignment");
  if (!way || !other || !own) throw new Error("a mesh without alignment");
  way.turnTo(other);
  await meanwhile();
  setTimeout(() => way.turnTo(own), 500).unref();
}

async function cut(way: Proxy | undefined): Promise<void> {
  way?.cut();
  await pause(awayMs);
  way?.mend();
}
