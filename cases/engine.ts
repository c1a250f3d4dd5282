import { alignment } from "@soldier/alignment/service";
import { audit } from "@soldier/audit/service";
import { runForTest, testIdentity, type TestMesh } from "@soldier/chassis/testing";
import { readSettings } from "@soldier/chassis/settings";
import type { Tree } from "@soldier/chassis/settings-tree";
import { config } from "@soldier/config/service";
import { type Clock, systemClock } from "@soldier/kernel/clock";
import { newId } from "@soldier/kernel/ids";
import { memory } from "@soldier/memory/service";
import { profile } from "@soldier/profile/service";
import { session } from "@soldier/session/service";

/** Wall-clock time that can be set to where a case is; intervals go on as they do. */
export interface MovableClock extends Clock {
  /** From now on it is this time; undefined: the real one. */
  set(now: Date | undefined): void;
}

export function movableClock(): MovableClock {
  let offsetMs = 0;
  return {
    now: () => new Date(Date.now() + offsetMs),
    monotonicMs: () => systemClock.monotonicMs(),
    set(now) {
      offsetMs = now ? now.getTime() - Date.now() : 0;
    },
  };
}

/** The real services in this process, for a tenant of its own each time it is asked. */
export interface Engine extends AsyncDisposable {
  readonly mesh: TestMesh;
  readonly clock: MovableClock;
  freshTenant(): TestMesh["as"] extends (identity: never) => infer Call ? Call : never;
}

export interface EngineOptions {
  readonly databaseUrl: string;
  /** host:port of the tools. */
  readonly toolHost: string;
  /** What tools refer to as ${name}. */
  readonly toolSettings?: Readonly<Record<string, string>>;
  /** `{ model: { provider: "none" } }` is keyless. */
  readonly models: ModelTables;
  /** The [embedder] table; letters only when not given. */
  readonly embedder?: Readonly<Record<string, string | number>>;
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const clock = movableClock();
  const mesh = await runForTest([audit, memory, profile, config, session, alignment], {
    clock,
    settings: {
      postgres: { url: options.databaseUrl, max_connections: 4 },
      events: { url: `inproc://${newId()}?consumers=audit,memory,profile` },
      ...options.models,
      embedder: options.embedder ?? { provider: "deterministic" },
      alignment: {
        lease_ms: 600, // a superseded turn learns of it at half of this
        tools: { allowed_private_hosts: [options.toolHost] },
        tool_settings: options.toolSettings ?? {},
      },
    },
  });
  return {
    mesh,
    clock,
    freshTenant: () => mesh.as(testIdentity()),
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  };
}

/** Settings of models: the tables [model], [models] and [model_chains]. */
export interface ModelTables {
  readonly model: Tree;
  readonly models?: Tree;
  readonly model_chains?: Tree;
}

/** This machine's own, as its settings and its environment say. */
export function configuredModels(): ModelTables {
  const { values } = readSettings();
  const table = (name: string) => (values[name] ?? {}) as Tree; // default.toml has these tables
  return { model: table("model"), models: table("models"), model_chains: table("model_chains") };
}
