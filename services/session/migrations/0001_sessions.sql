-- A conversation, with the lease of the turn that may write it.
create table sessions (
  tenant_id         text not null,
  id                uuid not null,
  agent_id          text not null,
  customer_id       text not null,
  channel           smallint not null,
  -- ACTIVE, INTERRUPTED or CLOSED of soldier.session.v1; IDLE and PROCESSING follow from the times.
  status            smallint not null,
  version           bigint not null,
  turn_count        integer not null,
  -- soldier.session.v1.SessionState.
  state             bytea not null,
  metadata          jsonb not null,
  migration_plan_id uuid,
  opened_by         text not null,
  -- The turn that opened it: a repeated call finds its session by it.
  opening_turn_id   uuid not null,
  -- The part of each soldier.events.v1.TurnCommitted that is the same for all turns of the session.
  event_head        bytea not null,
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  last_activity_at  timestamptz,
  deleted_at        timestamptz,
  -- The turn that holds the lease, whether or not it has run out; null when it was given back.
  lease_turn_id     uuid,
  -- Grows with every turn that gets the lease and never falls.
  lease_token       bigint not null,
  lease_expires_at  timestamptz,
  primary key (tenant_id, id),
  constraint sessions_opening_turn unique (tenant_id, opening_turn_id)
  -- A turn writes the row twice, in columns that are in no index: room for both on the page.
) with (fillfactor = 60);

create index sessions_by_agent on sessions (tenant_id, agent_id, id) where deleted_at is null;
create index sessions_by_customer on sessions (tenant_id, customer_id, id) where deleted_at is null;

-- Committed turns. A row is never changed.
create table turns (
  tenant_id    text not null,
  session_id   uuid not null,
  number       integer not null,
  id           uuid not null,
  -- The session's version after the turn.
  version      bigint not null,
  committed_at timestamptz not null,
  -- soldier.session.v1.Turn, complete.
  turn         bytea not null,
  -- No foreign key: the row is inserted from the session's own update.
  primary key (tenant_id, session_id, number),
  constraint turns_id unique (tenant_id, id)
);

-- Which turn a client's idempotency key stands for. Written only under the lock of the session,
-- or together with it.
create table turn_keys (
  tenant_id    text not null,
  subject      text not null,
  key          text not null,
  request_hash bytea not null,
  session_id   uuid not null,
  -- The latest turn that was begun for the key: committed, running, or given up.
  turn_id      uuid not null,
  created_at   timestamptz not null,
  primary key (tenant_id, subject, key)
) with (fillfactor = 90);
