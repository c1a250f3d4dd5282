-- Tool calls with an effect, of turns that are not committed yet or never were: what a later turn
-- must know so as not to do the same thing again. A commit prunes its session's.
create table tool_calls (
  tenant_id      text not null,
  session_id     uuid not null,
  -- "{turn_id}:{tool_id}:{n}" of the turn that began it.
  key            text not null,
  turn_id        uuid not null,
  lease_token    bigint not null,
  -- The number that the turn would have: the same as the next turn's until one is committed.
  turn_number    integer not null,
  -- The client's key of the turn, unique for its subject; null without one.
  subject        text not null,
  client_key     text,
  tool_id        text not null,
  arguments_hash bytea not null,
  begun_at       timestamptz not null,
  -- Null for as long as nobody knows how it ended.
  ended_at       timestamptz,
  -- soldier.audit.v1.ToolCallOutcome: SUCCEEDED, FAILED or INVALID_RESULT.
  outcome        smallint,
  -- google.protobuf.Value.
  result         bytea,
  reason         text,
  primary key (tenant_id, session_id, key)
);

-- Of two calls of one turn with the same arguments one is begun, but after a failure.
create unique index tool_calls_standing
  on tool_calls (tenant_id, session_id, turn_number, tool_id, arguments_hash)
  where outcome is null or outcome in (1, 5);

create index tool_calls_by_age on tool_calls (tenant_id, begun_at);

-- What model calls took, by tenant and day in UTC: in shards, so that the commits of one tenant do not
-- wait for each other.
create table usage (
  tenant_id   text not null,
  day         date not null,
  shard       smallint not null,
  tokens      bigint not null,
  cost_micros bigint not null,
  primary key (tenant_id, day, shard)
) with (fillfactor = 50);
