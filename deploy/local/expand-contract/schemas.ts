import { ownSchema as audit } from "@soldier/audit/schema";
import { ownSchema as config } from "@soldier/config/schema";
import { ownSchema as memory } from "@soldier/memory/schema";
import { ownSchema as profile } from "@soldier/profile/schema";
import { ownSchema as session } from "@soldier/session/schema";
import type { OwnSchema } from "@soldier/storage/migrate";

/** What each service owns in PostgreSQL. */
export const ownSchemas: readonly OwnSchema[] = [audit, config, memory, profile, session];
