import { z } from "zod";

/** The `[events]` table. */
export const eventsSettings = z.strictObject({
  /**
   * nats://user:password@host:port,... or tls://..., with JetStream; or inproc://name, to everyone in
   * this process. `inproc://name?consumers=a,b` publishes nothing before these have come.
   */
  url: z.string().regex(/^(nats|tls|inproc):\/\/[^/?]+/, "must be nats://…, tls://… or inproc://…"),
  /** The first word of every stream and subject, for deployments that share a broker. */
  root: z.string().regex(/^[a-z][a-z0-9_]*$/, "must be one word of a-z, 0-9 and _"),
  /** Copies that the broker keeps of each stream: 3 in a cluster. */
  replicas: z.int().min(1).max(5),
  /** How long streams keep an event, whether it was taken or not. */
  keep_hours: z
    .int()
    .min(1)
    .max(24 * 365),
  connect_timeout_ms: z.int().min(100).max(120_000),
});

export type EventsSettings = z.output<typeof eventsSettings>;
