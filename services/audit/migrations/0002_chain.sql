-- Records become a chain: each tenant's entries are numbered, and each holds a hash over itself and
-- the one before, so that nothing can be changed or removed unseen. The chain is made by triggers:
-- whoever inserts, also the release before this one, is chained.

-- The end of each tenant's chain. Its row lock puts a tenant's entries in one order.
create table chain_heads (
  tenant_id text primary key,
  seq       bigint not null,
  hash      bytea not null
) with (fillfactor = 50);

-- Stays when records are dropped by retention: it holds no content.
create table chain (
  tenant_id    text not null,
  seq          bigint not null,
  -- 'turn' or 'event', and where the entry's record is.
  kind         text not null,
  at           timestamptz not null,
  id           uuid not null,
  -- sha256(kind | at in microseconds | id | record | personal)
  content_hash bytea not null,
  -- sha256(hash of the one before | seq | content_hash)
  hash         bytea not null,
  primary key (tenant_id, seq)
);
create index chain_by_record on chain (tenant_id, at, id);
create trigger chain_append_only before update or delete or truncate
  on chain for each statement execute function refuse_change();

-- What is personal in a record is encrypted under a key of its customer: without the key it is gone,
-- and the chain still holds.
create table customer_keys (
  tenant_id    text not null,
  customer_id  text not null,
  -- Wrapped by the deployment's key when it has one; null once destroyed.
  key          bytea,
  -- Which key of the deployment it is wrapped by; empty for none.
  wrapped_by   text not null,
  created_at   timestamptz not null default now(),
  destroyed_at timestamptz,
  primary key (tenant_id, customer_id)
);

-- Partitions that ended before this were dropped by retention.
create table retention (
  only_row       boolean primary key default true check (only_row),
  dropped_before timestamptz not null
);

create function append_to_chain(
  of_tenant text, of_kind text, of_at timestamptz, of_id uuid, record bytea, personal bytea
) returns void language plpgsql as $$
declare
  content bytea := sha256(
    convert_to(of_kind, 'UTF8') || int8send((extract(epoch from of_at) * 1000000)::bigint)
    || uuid_send(of_id) || record || coalesce(personal, ''::bytea));
  next_seq bigint;
  next_hash bytea;
begin
  insert into chain_heads as head (tenant_id, seq, hash)
  values (of_tenant, 1, sha256(int8send(1) || content))
  on conflict (tenant_id) do update
    set seq = head.seq + 1, hash = sha256(head.hash || int8send(head.seq + 1) || content)
  returning seq, hash into next_seq, next_hash;
  insert into chain (tenant_id, seq, kind, at, id, content_hash, hash)
  values (of_tenant, next_seq, of_kind, of_at, of_id, content, next_hash);
end $$;

create function chain_turn_record() returns trigger language plpgsql as $$
begin
  perform append_to_chain(
    new.tenant_id, 'turn', new.received_at, new.turn_id, new.record, new.personal);
  return null;
end $$;

create function chain_audit_event() returns trigger language plpgsql as $$
begin
  perform append_to_chain(new.tenant_id, 'event', new.occurred_at, new.id, new.event, null);
  return null;
end $$;

-- The same tables, a partition for each month: what is too old is dropped as a whole.
alter table turn_records rename to turn_records_before;
alter table audit_events rename to audit_events_before;
alter index turn_records_pkey rename to turn_records_before_pkey;
alter index audit_events_pkey rename to audit_events_before_pkey;
drop index turn_records_by_turn, turn_records_by_session, turn_records_by_customer;
drop index audit_events_by_resource;

create table turn_records (
  tenant_id   text not null,
  received_at timestamptz not null,
  turn_id     uuid not null,
  session_id  text not null,
  agent_id    text not null,
  customer_id text not null,
  recorded_at timestamptz not null,
  -- soldier.audit.v1.TurnRecord; what is personal in it stands in the next column, when that is set.
  record      bytea not null,
  -- The rest of the TurnRecord, encrypted: nonce, tag, text (AES-256-GCM).
  personal    bytea,
  primary key (tenant_id, received_at, turn_id)
) partition by range (received_at);
create index turn_records_by_turn on turn_records (tenant_id, turn_id);
create index turn_records_by_session on turn_records (tenant_id, session_id, received_at);
create index turn_records_by_customer on turn_records (tenant_id, customer_id, received_at);

create table audit_events (
  tenant_id     text not null,
  occurred_at   timestamptz not null,
  id            uuid not null,
  resource_kind text not null,
  resource_id   text not null,
  action        text not null,
  recorded_at   timestamptz not null,
  -- soldier.audit.v1.AuditEvent.
  event         bytea not null,
  primary key (tenant_id, occurred_at, id)
) partition by range (occurred_at);
create index audit_events_by_resource
  on audit_events (tenant_id, resource_kind, resource_id, occurred_at);

-- Whatever has no partition of its month, because its clock was wrong or nobody made one in time.
create table turn_records_other partition of turn_records default;
create table audit_events_other partition of audit_events default;

-- Makes the partition of the month that the instant is in, when it is absent and may be made.
create function add_month(parent text, instant timestamptz) returns void language plpgsql as $$
declare
  first date := date_trunc('month', instant at time zone 'UTC')::date;
  part text := parent || to_char(first, '_YYYY_MM');
begin
  if to_regclass(part) is not null then return; end if;
  execute format(
    'create table %I partition of %I for values from (%L) to (%L)',
    part, parent, first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
  execute format(
    'create trigger %I before update or delete or truncate on %I
     for each statement execute function refuse_change()', part || '_append_only', part);
exception
  -- Another process was quicker, or rows of that month are with the others already.
  when duplicate_table or check_violation then return;
end $$;

select add_month('turn_records', month) from generate_series(
  date_trunc('month', coalesce((select min(received_at) from turn_records_before), now())),
  now() + interval '2 months', interval '1 month') as month;
select add_month('audit_events', month) from generate_series(
  date_trunc('month', coalesce((select min(occurred_at) from audit_events_before), now())),
  now() + interval '2 months', interval '1 month') as month;

create trigger turn_records_chained after insert
  on turn_records for each row execute function chain_turn_record();
create trigger audit_events_chained after insert
  on audit_events for each row execute function chain_audit_event();

insert into turn_records
  (tenant_id, received_at, turn_id, session_id, agent_id, customer_id, recorded_at, record)
select tenant_id, received_at, turn_id, session_id, agent_id, customer_id, recorded_at, record
from turn_records_before order by recorded_at, turn_id;
insert into audit_events
select * from audit_events_before order by recorded_at, id;
drop table turn_records_before, audit_events_before;

create trigger turn_records_append_only before update or delete or truncate
  on turn_records for each statement execute function refuse_change();
create trigger audit_events_append_only before update or delete or truncate
  on audit_events for each statement execute function refuse_change();
create trigger turn_records_other_append_only before update or delete or truncate
  on turn_records_other for each statement execute function refuse_change();
create trigger audit_events_other_append_only before update or delete or truncate
  on audit_events_other for each statement execute function refuse_change();
