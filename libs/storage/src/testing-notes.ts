import { roleOf } from "./role.ts";
import type { TestPostgres } from "./testing.ts";

/** A table as services have them: a row (n) is its tenant's, who is the writer unless the row says otherwise. */
export async function makeNotes({ owner, schema }: TestPostgres): Promise<void> {
  await owner`
    create table notes (n int, tenant_id text not null default current_setting('soldier.tenant'))`;
  await owner`alter table notes enable row level security, force row level security`;
  await owner`
    create policy tenant on notes using (
      tenant_id = current_setting('soldier.tenant', true)
      or current_setting('soldier.tenant', true) = '*'
    )`;
  await owner`grant select, insert, update, delete on notes to ${owner(roleOf(schema))}`;
}
