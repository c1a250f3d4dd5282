import { newId } from "@soldier/kernel/ids";
import postgres from "postgres";
import {
  type Field,
  halfvec,
  int2,
  int4,
  int8,
  rowWriter,
  text,
  timestamptz,
  uuid,
} from "./binary-copy.ts";

export interface Filling {
  readonly url: string;
  readonly tenantId: string;
  readonly model: string;
  readonly episodes: number;
  readonly textOf: (words: number) => string;
  readonly vectorOf: (topic: number) => Float32Array;
}

/** When the first was said; each later one 20 ms after the one before. */
export const begunMs = Date.UTC(2026, 0, 1);
const episodesOfGroup = 50;
const episodesOfSession = 10;
/** Topics that a customer speaks of. */
const topicsOfGroup = 3;

/**
 * Writes a tenant's episodes, with vectors and words, as the service and its triggers would have, but by COPY
 * and past the triggers: the login must be a superuser. Indexes are the caller's to drop and make.
 */
export async function fillTenant(filling: Filling): Promise<void> {
  const { url, tenantId, model, episodes, textOf, vectorOf } = filling;
  await using opened = new AsyncDisposableStack();
  const open = () => {
    const connection = { search_path: "memory,public", session_replication_role: "replica" };
    const sql = postgres(url, { max: 1, onnotice: () => {}, connection });
    opened.defer(() => sql.end());
    return sql;
  };
  const said = await rowWriter(
    open(),
    "episodes",
    "tenant_id id group_id revision customer_id agent_id session_id turn_id ingest_key role text occurred_at recorded_at".split(
      " ",
    ),
  );
  const embedded = await rowWriter(
    open(),
    "embeddings",
    "tenant_id episode_id model group_id revision dimensions vector attempts".split(" "),
  );
  const near = await rowWriter(
    open(),
    "episode_vectors",
    "tenant_id episode_id model session_id occurred_at recorded_at vector".split(" "),
  );
  const [tenant, of, nothing] = [text(tenantId), text(model), text("")];
  const roles: readonly Field[] = [text("user"), text("agent")];
  for (let i = 0; i < episodes; i++) {
    const id = uuid(newId());
    const group = Math.floor(i / episodesOfGroup);
    const groupId = text(`customer ${group}`);
    const session = text(`session ${Math.floor(i / episodesOfSession)}`);
    const at = timestamptz(begunMs + i * 20);
    const revision = 2 * (i % episodesOfGroup) + 1;
    const vector = vectorOf(group * 7 + (Math.floor(i / 4) % topicsOfGroup) * 131);
    await said.write([
      tenant,
      id,
      groupId,
      int8(revision),
      groupId,
      nothing,
      session,
      nothing,
      text(`turn ${i}`),
      roles[i % 2] ?? nothing,
      text(textOf(8 + (i % 30))),
      at,
      at,
    ]);
    const bytes = Buffer.from(vector.buffer);
    await embedded.write([
      tenant,
      id,
      of,
      groupId,
      int8(revision + 1),
      int2(vector.length),
      bytes,
      int4(1),
    ]);
    await near.write([tenant, id, of, session, at, at, halfvec(vector)]);
  }
  await Promise.all([said.end(), embedded.end(), near.end()]);
  const sql = open();
  await sql`
    insert into groups (tenant_id, group_id, head, recorded_at)
    select tenant_id, group_id, 2 * count(*), max(recorded_at) from episodes
    where tenant_id = ${tenantId} group by 1, 2`;
  await sql`
    insert into episode_words
    select tenant_id, id, session_id, occurred_at, recorded_at, words_of(tenant_id, stems_of(text))
    from episodes where tenant_id = ${tenantId}`;
}
