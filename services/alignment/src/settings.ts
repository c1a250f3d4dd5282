import { z } from "zod";
import { budgetSettings } from "./domain/budget.ts";
import { turnDefaults } from "./domain/turn-settings.ts";

const milliseconds = z.int().min(1).max(600_000);

/** The `[alignment]` table. */
export const alignmentSettings = z.strictObject({
  ...turnDefaults,
  /** How long a turn may be silent before another takes its session; renewed while it runs. */
  lease_ms: milliseconds.min(500).default(15_000),
  /** How often a turn that may be superseded looks whether another process has done so. */
  supersede_check_ms: milliseconds.min(50).default(500),
  /** Of one message, in UTF-8. */
  message_size_max_bytes: z.int().min(1).max(1_048_576).default(32_768),
  /** A held version is asked for again after so long, in case news of a publish was lost. */
  bundle_recheck_ms: milliseconds.default(1_500),
  /** Agents whose behaviour is held ready. */
  bundles_max: z.int().min(1).max(10_000).default(200),
  /** Of theirs, serialised, together. */
  bundles_max_bytes: z.int().min(1_024).default(268_435_456),
  /** Where replicas leave bundles for each other, for when config can't be reached. */
  bundle_spares: z.enum(["redis", "none"]).default("redis"),
  bundle_spare_ttl_ms: z.int().min(60_000).default(604_800_000),
  /** Larger ones are not left. */
  bundle_spare_max_bytes: z.int().min(1_024).max(268_435_456).default(67_108_864),
  budgets: budgetSettings,
  tools: z
    .strictObject({
      /** For tools that don't say how long they may take. */
      timeout_ms: milliseconds.default(10_000),
      answer_size_max_bytes: z.int().min(1_024).max(16_777_216).default(262_144),
      /** Failures in a row after which a tenant's calls spare a host. */
      breaker_failures: z.int().min(1).max(1_000).default(5),
      /** How long they do; then one call is let through. */
      breaker_open_ms: milliseconds.default(30_000),
      /** host:port of private addresses that tools may reach; all others are refused. */
      allowed_private_hosts: z
        .array(z.string().regex(/^\S+:\d+$/, "must be host:port"))
        .default([]),
    })
    .prefault({}),
  /** What tools refer to as ${name}: addresses and secrets of this deployment. */
  tool_settings: z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.string()).default({}),
});

/** The `[bundles]` table: config keeps to it when publishing, alignment when fetching. */
export const bundlesSettings = z.strictObject({
  max_bytes: z.int().min(1_024).max(1_073_741_824),
});

export type AlignmentSettings = z.output<typeof alignmentSettings>;
