import { service } from "@soldier/chassis/service";
import { openBus } from "@soldier/events/open-bus";
import { eventsSettings } from "@soldier/events/events-settings";
import { deadLettersInto } from "@soldier/events/dead-letters";
import { prunableInbox } from "@soldier/events/inbox";
import { observed } from "@soldier/storage/observed";
import { openPostgres, pingPostgres, postgresSettings } from "@soldier/storage/postgres";
import { startPruning } from "@soldier/storage/pruning";
import { everyTenantSql } from "@soldier/storage/tenant";
import { z } from "zod";
import { masterKey } from "@soldier/kernel/seal";
import { recordEvents, topics } from "./follow/record-events.ts";
import { keepMonths } from "./follow/keep-months.ts";
import { auditRpc } from "./rpc/audit-rpc.ts";
import { ownSchema } from "./schema.ts";
import { consumer } from "./store/add-turn-records.ts";
import { postgresCustomerKeys } from "./store/customer-keys.ts";
import { postgresMonths } from "./store/months.ts";
import { postgresAuditStore } from "./store/postgres.ts";

/** The `[audit]` table. */
const auditSettings = z.strictObject({
  encryption_key: z.string().refine((text) => text === "" || text.length >= 32, {
    error: "needs 32 characters or more, or none",
  }),
  keep_months: z.int().min(0).max(1_200),
});

const housekeepingMs = 6 * 3_600_000;
/** Events that may be kept in one go. */
const concurrency = 32;

/** Owns what was recorded of turns and of everything else worth auditing. */
export const audit = service({
  name: "audit",
  settings: { audit: auditSettings, postgres: postgresSettings, events: eventsSettings },
  async start({ settings, opened, log, clock, ready }) {
    const sql = await openPostgres({
      settings: settings.postgres,
      ...ownSchema,
      opened,
      log,
      ready,
    });
    ready.check("postgres", () => pingPostgres(sql));
    const { encryption_key, keep_months } = settings.audit;
    const keys = postgresCustomerKeys(
      sql,
      masterKey(encryption_key, "soldier audit customer keys"),
      clock,
    );
    const store = observed("audit-store", postgresAuditStore(sql, keys));
    opened.use(
      await keepMonths({
        months: postgresMonths(sql),
        clock,
        log,
        keepMonths: keep_months,
        everyMs: housekeepingMs,
      }),
    );
    const every = everyTenantSql(sql);
    const tables = prunableInbox(every, settings.events);
    opened.use(startPruning({ service: "audit", tables, log }));
    const deadLetter = deadLettersInto(every);
    const bus = await openBus({ settings: settings.events, opened, log, deadLetter });
    await bus.consume({ consumer, topics, concurrency }, recordEvents(store, clock));
    return { routes: [auditRpc(store, clock)] };
  },
});
