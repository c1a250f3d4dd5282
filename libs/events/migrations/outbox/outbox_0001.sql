-- Events that were committed with the change they tell of, on their way to the bus.
create table outbox (
  seq             bigint generated always as identity primary key,
  id              uuid not null,
  tenant_id       text not null,
  topic           text not null,
  payload         bytea not null,
  traceparent     text,
  occurred_at     timestamptz not null,
  -- Kept for a while after it was published, so that a broker that lost events can be given them again.
  published_at    timestamptz,
  attempts        integer not null default 0,
  -- Also the end of a relay's claim: a relay that dies gives its rows back by doing nothing.
  next_attempt_at timestamptz not null default now(),
  last_error      text
) with (
  -- Room for a claim to stay on its page, and payloads apart: each row is updated twice.
  fillfactor = 70,
  toast_tuple_target = 256
);

-- next_attempt_at is in no index, so that a claim is a heap-only update.
create index outbox_unpublished on outbox (seq) where published_at is null;
create index outbox_published on outbox using brin (published_at);
