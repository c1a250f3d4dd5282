-- Erasure takes data away at every recorded time and leaves what refuses its return: an HMAC under a key
-- of the tenant, by which nothing can be read, only recognised.
create table erasure_keys (
  tenant_id text  not null primary key,
  inner_pad bytea not null check (octet_length(inner_pad) = 64), -- the key as HMAC's two blocks
  outer_pad bytea not null check (octet_length(outer_pad) = 64)
);

-- Null for a tenant that never erased anything.
create function digest_of(of_tenant text, kind text, name text) returns bytea
  language sql stable strict parallel safe
  return (
    select sha256(k.outer_pad || sha256(k.inner_pad || convert_to(kind || ' ' || name, 'UTF8')))
    from erasure_keys k where k.tenant_id = of_tenant);

create table tombstones (
  tenant_id  text           not null,
  kind       text           not null check (kind in ('episode', 'session', 'customer', 'tenant')),
  digest     bytea          not null, -- of the ingest key, or of the scope's id
  erasure_id uuid           not null,
  -- Of a session, a customer, a tenant: what happened until then is refused, what is new is not.
  erased_at  timestamptz(3) not null,
  primary key (tenant_id, kind, digest)
);

-- What is asked to be erased, how far that is, and in the end the certificate.
create table erasures (
  tenant_id   text           not null,
  id          uuid           not null,
  scope       text           not null check (scope in ('episode', 'session', 'customer', 'tenant', 'expired')),
  scope_id    text           not null,
  until       timestamptz(3) not null, -- what was recorded, or of 'expired' happened, later stays
  about       jsonb          not null, -- ids that are needed after the rows are gone
  asked_by    text           not null,
  asked_at    timestamptz(3) not null,
  done        text[]         not null default '{}', -- steps
  counts      jsonb          not null default '{}',
  probes      int            not null default 0, -- erased texts that were searched for in vain
  attempts    int            not null default 0,
  failed      text           not null default '', -- reason of the last failure
  due_at      timestamptz    not null, -- also the end of a worker's claim
  finished_at timestamptz(3),
  primary key (tenant_id, id)
);

create unique index erasures_unfinished on erasures (tenant_id, scope, scope_id) where finished_at is null;
create index erasures_due on erasures (due_at) where finished_at is null;

-- Refuses what comes again, or comes late, after it was erased; the row is left out as if it were there.
-- The lock makes an erasure wait for those who insert now, and the look after it, which has a snapshot of its
-- own, shows those who come next its tombstones.
create function refuse_erased() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('soldier memory erasure of ' || new.tenant_id, 0));
  perform from erasure_keys where tenant_id = new.tenant_id;
  if not found then return new; end if;
  perform from tombstones
    where tenant_id = new.tenant_id
      and (kind, digest) in (
        ('episode', digest_of(new.tenant_id, 'episode', new.ingest_key)),
        ('session', digest_of(new.tenant_id, 'session', nullif(new.session_id, ''))),
        ('customer', digest_of(new.tenant_id, 'customer', nullif(new.customer_id, ''))),
        ('tenant', digest_of(new.tenant_id, 'tenant', new.tenant_id))
      )
      and (kind = 'episode' or new.occurred_at <= erased_at);
  return case when found then null else new end;
end
$$;
create trigger refuse_erased before insert on episodes for each row execute function refuse_erased();

-- Whoever holds a group as of an earlier revision than this holds what was erased, and reads it anew.
alter table groups add column erased_revision bigint not null default 0;

-- Facts that hold again because what had ended them was erased: they wait for another word.
create table reopened_facts (
  tenant_id   text           not null,
  group_id    text           not null,
  fact_id     uuid           not null,
  erasure_id  uuid           not null,
  reopened_at timestamptz(3) not null,
  primary key (tenant_id, group_id, fact_id)
);

create index episodes_by_session on episodes (tenant_id, session_id) where session_id <> '';
create index episodes_by_customer on episodes (tenant_id, customer_id) where customer_id <> '';
create index episodes_by_agent on episodes (tenant_id, agent_id, occurred_at) where agent_id <> '';

do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array['erasure_keys', 'tombstones', 'erasures', 'reopened_facts'] loop
    execute format('alter table %I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on %I using (
        tenant_id = current_setting(''soldier.tenant'', true)
        or current_setting(''soldier.tenant'', true) = ''*'')', name);
    execute format(
      'create policy release_before on %I to current_user
        using (coalesce(current_setting(''soldier.tenant'', true), '''') = '''')', name);
  end loop;
  execute format('grant select, insert on erasure_keys to %I', role);
  execute format('grant select, insert, update on tombstones, erasures to %I', role);
  execute format('grant select, insert, update, delete on reopened_facts to %I', role);
  execute format('grant delete on episodes, embeddings, claims to %I', role);
end $$;
