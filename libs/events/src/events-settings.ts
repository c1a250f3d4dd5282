import { z } from "zod";

/** The `[events]` table. */
export const eventsSettings = z
  .strictObject({
    /**
     * nats://user:password@host:port,... or tls://..., with JetStream; or inproc://name, to everyone in
     * this process. `inproc://name?consumers=a,b` publishes nothing before these have come.
     */
    url: z
      .string()
      .regex(/^(nats|tls|inproc):\/\/[^/?]+/, "must be nats://…, tls://… or inproc://…"),
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
    /** How long the outbox keeps what was published, for a broker that comes back with older data. */
    outbox_keep_minutes: z
      .int()
      .min(1)
      .max(60 * 24 * 30),
    /** How long what a consumer has given up is kept. */
    dead_letters_keep_days: z.int().min(1).max(3_650),
    /** How long consumers note which events they have had. */
    inbox_keep_days: z.int().min(1).max(3_650),
  })
  // An event is taken by one consumer, given up by another at the stream's end, replayed from the dead
  // letters at their end, and kept by the stream once more.
  .refine(
    ({ inbox_keep_days, dead_letters_keep_days, keep_hours }) =>
      inbox_keep_days * 24 >= dead_letters_keep_days * 24 + 2 * keep_hours,
    {
      path: ["inbox_keep_days"],
      error:
        "must be dead_letters_keep_days and twice keep_hours, or longer: an event that comes again after its note is gone has its effect again",
    },
  );

export type EventsSettings = z.output<typeof eventsSettings>;
