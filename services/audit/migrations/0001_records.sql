-- What was recorded stays as it was recorded: the tables refuse every change.

-- The full account of each committed turn. Times come first in the keys, so that the tables can
-- become partitions by time.
create table turn_records (
  tenant_id   text not null,
  received_at timestamptz not null,
  turn_id     uuid not null,
  session_id  text not null,
  agent_id    text not null,
  customer_id text not null,
  recorded_at timestamptz not null,
  -- soldier.audit.v1.TurnRecord.
  record      bytea not null,
  primary key (tenant_id, received_at, turn_id)
);

create index turn_records_by_turn on turn_records (tenant_id, turn_id);
create index turn_records_by_session on turn_records (tenant_id, session_id, received_at);
create index turn_records_by_customer on turn_records (tenant_id, customer_id, received_at);

-- Anything else worth auditing.
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
);

create index audit_events_by_resource
  on audit_events (tenant_id, resource_kind, resource_id, occurred_at);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;

create trigger turn_records_append_only before update or delete or truncate
  on turn_records for each statement execute function refuse_change();
create trigger audit_events_append_only before update or delete or truncate
  on audit_events for each statement execute function refuse_change();
