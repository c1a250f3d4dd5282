import { z } from "zod";

const port = z.int().min(0).max(65_535);
const milliseconds = z.int().min(0).max(3_600_000);

/** The tables that every process reads, whatever it runs. */
export const chassisTables = {
  server: z.strictObject({
    host: z.string().min(1),
    ports: z.record(z.string(), port),
    admin_ports: z.record(z.string(), port),
    max_deadline_ms: milliseconds.min(1),
    max_message_bytes: z.int().min(1_024),
    max_connection_age_ms: milliseconds.min(1_000),
    drain_delay_ms: milliseconds,
    drain_timeout_ms: milliseconds,
    connections_max: z.int().min(1),
  }),
  admission: z.strictObject({
    concurrent_max: z.int().min(1).max(100_000),
    concurrent_min: z.int().min(1),
    tenant_share: z.number().gt(0).max(1),
    waiting_max: z.int().min(1).max(100_000),
    tenant_waiting_max: z.int().min(1),
    wait_max_ms: milliseconds.min(1),
    lag_max_ms: z.number().positive(),
    busy_share_max: z.number().min(0).max(1),
    heap_share_max: z.number().gt(0).max(1),
  }),
  calls: z.strictObject({
    deadline_ms: milliseconds.min(1),
    patience_ms: milliseconds,
    max_attempts: z.int().min(1).max(20),
    retry_backoff_ms: milliseconds.min(1),
    retry_budget_ratio: z.number().min(0).max(1),
    retry_minimum_per_second: z.number().min(0),
  }),
  peers: z.record(z.string(), z.string().min(1)),
  identity: z.strictObject({
    secret: z.string().min(32, "must have at least 32 characters"),
    token_life_ms: milliseconds.min(1_000),
    /** By so much the clocks of two machines may differ; a token is good for that much longer. */
    clock_tolerance_ms: milliseconds,
  }),
  telemetry: z.strictObject({
    otlp_url: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]),
    sample_ratio: z.number().min(0).max(1),
  }),
  log: z.strictObject({
    level: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    destination: z.string().min(1),
  }),
};

export type ChassisSettings = {
  readonly [K in keyof typeof chassisTables]: z.output<(typeof chassisTables)[K]>;
};

/** "chat-gateway" is called chat_gateway in TOML and in variables. */
export function keyOf(service: string): string {
  return service.replaceAll("-", "_");
}
