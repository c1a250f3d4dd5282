import { create } from "@bufbuild/protobuf";
import { addToOutbox } from "@soldier/events/outbox";
import { Fault } from "@soldier/kernel/fault";
import { isId } from "@soldier/kernel/ids";
import type { Agent } from "@soldier/proto/config/v1/agent";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { readEach } from "@soldier/storage/damaged-rows";
import { tenantSql } from "@soldier/storage/tenant";
import type { ISql, Sql } from "postgres";
import { allKinds, type Resource } from "../domain/kinds.ts";
import type { ConfigStore, Edit, StoredDraft } from "./config-store.ts";
import {
  agentBody,
  agentFrom,
  type AgentRow,
  createdAt,
  resourceBody,
  resourceFrom,
  type ResourceRow,
} from "./rows.ts";

/** Reading and editing agents and their drafts. */
type Drafts = Pick<ConfigStore, "agent" | "agents" | "resource" | "resources" | "draft" | "edit">;

/** Rows of one insert: a statement takes 65,535 values. */
const rowsMax = 2_000;
/** One more than it takes, unless agents of that slug are made and deleted all the time. */
const triesMax = 5;

export function postgresDrafts(pool: Sql): Drafts {
  return {
    async agent(tenantId, idOrSlug) {
      const sql = tenantSql(pool, tenantId);
      const row = await agentRow(sql, tenantId, idOrSlug);
      return row && agentFrom(row);
    },

    async agents(tenantId, { after, limit, onDamaged }) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<AgentRow[]>`
        select * from agents
        where tenant_id = ${tenantId} and deleted_at is null
          ${after === undefined ? sql`` : sql`and slug collate "C" > ${after[0] ?? ""}`}
        order by slug collate "C" limit ${limit}`;
      return readEach(rows, agentFrom, ({ slug }) => [slug], onDamaged);
    },

    async resource(tenantId, agentId, collection, idOrName) {
      const sql = tenantSql(pool, tenantId);
      const [row] = await sql<ResourceRow[]>`
        select * from resources
        where tenant_id = ${tenantId} and agent_id = ${agentId} and kind = ${collection}
          and deleted_at is null
          and (name = ${idOrName} ${isId(idOrName) ? sql`or id = ${idOrName}` : sql``})`;
      return row && resourceFrom(row);
    },

    async resources(tenantId, agentId, collection, { after, limit, onDamaged }) {
      const sql = tenantSql(pool, tenantId);
      const rows = await sql<(ResourceRow & { name: string })[]>`
        select * from resources
        where tenant_id = ${tenantId} and agent_id = ${agentId} and kind = ${collection}
          and deleted_at is null
          ${after === undefined ? sql`` : sql`and name collate "C" > ${after[0] ?? ""}`}
        order by name collate "C" limit ${limit}`;
      return readEach(rows, resourceFrom, ({ name }) => [name], onDamaged);
    },

    draft: (tenantId, idOrSlug) =>
      tenantSql(pool, tenantId).begin("isolation level repeatable read read only", async (tx) => {
        const row = await agentRow(tx, tenantId, idOrSlug);
        return row && draftFrom(tx, row);
      }),

    async edit(tenantId, idOrSlug, change) {
      const sql = tenantSql(pool, tenantId);
      for (let tries = 0; tries < triesMax; tries++) {
        const done = await editOnce(sql, tenantId, idOrSlug, change);
        if (done) return done.result;
        // Someone else has just made the agent: now it is an edit of theirs.
      }
      throw new Fault("conflict", `agent "${idOrSlug}" comes and goes; try again`);
    },
  };
}

/** Undefined when the agent was to be made, and someone else made it at the same moment. */
async function editOnce<T>(
  sql: Sql,
  tenantId: string,
  idOrSlug: string,
  change: (current: StoredDraft | undefined, etag: string) => Edit<T>,
): Promise<{ readonly result: T } | undefined> {
  return await sql.begin(async (tx) => {
    const row = await agentRow(tx, tenantId, idOrSlug, tx`for update`);
    const current = row && (await draftFrom(tx, row));
    const etag = String(BigInt(row?.revision ?? 0) + 1n);
    const edit = change(current, etag);
    const { agent, written, removed, events, at, result } = edit;
    const agentId = row?.id ?? agent?.id;
    if (agentId === undefined) throw new Error("an edit of no agent, that makes none");
    if (!row && agent && !(await insertAgent(tx, tenantId, agent, etag, at))) return undefined;
    if (row && agent) await updateAgent(tx, tenantId, agent, etag, at);
    await removeResources(tx, tenantId, agentId, agent?.meta?.deletedAt ? "all" : removed, at);
    await writeResources(tx, tenantId, agentId, edit, etag);
    if (agent ?? (written.length > 0 || removed.length > 0))
      await tx`update agents set revision = ${etag} where tenant_id = ${tenantId} and id = ${agentId}`;
    await addToOutbox(tx, events);
    return { result };
  });
}

export async function agentRow(
  sql: ISql,
  tenantId: string,
  idOrSlug: string,
  lock: ReturnType<ISql> = sql``,
): Promise<AgentRow | undefined> {
  const [row] = await sql<AgentRow[]>`
    select * from agents
    where tenant_id = ${tenantId} and deleted_at is null
      and ${isId(idOrSlug) ? sql`id = ${idOrSlug}` : sql`slug = ${idOrSlug}`}
    ${lock}`;
  return row;
}

async function draftFrom(sql: ISql, row: AgentRow): Promise<StoredDraft> {
  const rows = await sql<ResourceRow[]>`
    select * from resources
    where tenant_id = ${row.tenant_id} and agent_id = ${row.id} and deleted_at is null
    order by name collate "C"`;
  const byKind = Map.groupBy(rows, ({ kind }) => kind);
  const document = allKinds.reduce((draft: AgentDocument, kind) => {
    const resources: Resource[] = (byKind.get(kind.collection) ?? []).map(resourceFrom);
    return kind.replaced(draft, resources);
  }, create(AgentDocumentSchema));
  return { document: { ...document, agent: agentFrom(row) }, etag: row.revision };
}

async function insertAgent(
  tx: ISql,
  tenantId: string,
  agent: Agent,
  etag: string,
  at: Date,
): Promise<boolean> {
  const inserted = await tx`
    insert into agents (tenant_id, id, slug, body, etag, revision, created_at, updated_at)
    values (${tenantId}, ${agent.id}, ${agent.slug}, ${agentBody(agent)}, ${etag}, ${etag}, ${at}, ${at})
    on conflict (tenant_id, slug) where deleted_at is null do nothing`;
  return inserted.count === 1;
}

async function updateAgent(
  tx: ISql,
  tenantId: string,
  agent: Agent,
  etag: string,
  at: Date,
): Promise<void> {
  try {
    await tx`
      update agents set
        slug = ${agent.slug}, body = ${agentBody(agent)}, etag = ${etag}, updated_at = ${at},
        deleted_at = ${agent.meta?.deletedAt ? at : null}
      where tenant_id = ${tenantId} and id = ${agent.id}`;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "23505")) throw error;
    throw new Fault("already-exists", `there is another agent "${agent.slug}"`, {
      cause: error,
      reason: "NAME_TAKEN",
    });
  }
}

async function removeResources(
  tx: ISql,
  tenantId: string,
  agentId: string,
  removed: Edit<unknown>["removed"] | "all",
  at: Date,
): Promise<void> {
  if (removed.length === 0) return;
  const which =
    removed === "all" ? tx`` : tx`and id = any (${removed.map(({ resource }) => resource.id)})`;
  await tx`
    update resources set deleted_at = ${at}
    where tenant_id = ${tenantId} and agent_id = ${agentId} and deleted_at is null ${which}`;
}

async function writeResources(
  tx: ISql,
  tenantId: string,
  agentId: string,
  { written, at }: Pick<Edit<unknown>, "written" | "at">,
  etag: string,
): Promise<void> {
  for (let from = 0; from < written.length; from += rowsMax) {
    const rows = written.slice(from, from + rowsMax).map(({ collection, resource }) => ({
      tenant_id: tenantId,
      agent_id: agentId,
      id: resource.id,
      kind: collection,
      name: resource.name,
      body: resourceBody(collection, resource),
      etag,
      created_at: createdAt(resource, at),
      updated_at: at,
    }));
    await tx`
      insert into resources ${tx(rows)}
      on conflict (tenant_id, agent_id, id) do update set
        name = excluded.name, body = excluded.body, etag = excluded.etag,
        updated_at = excluded.updated_at`;
  }
}
