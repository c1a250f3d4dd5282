-- Events that a consumer gave up, when the bus is in this process. JetStream has a stream for them.
create table dead_letters (
  consumer    text not null,
  event_id    uuid not null,
  tenant_id   text not null,
  topic       text not null,
  payload     bytea not null,
  traceparent text,
  occurred_at timestamptz not null,
  attempts    integer not null,
  reason      text not null,
  died_at     timestamptz not null default now(),
  primary key (consumer, event_id)
);
