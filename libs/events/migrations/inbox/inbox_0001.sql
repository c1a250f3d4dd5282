-- Which event has had its effect, by consumer: a second delivery finds its row and does nothing.
create table inbox (
  consumer    text not null,
  event_id    uuid not null,
  received_at timestamptz not null default now(),
  primary key (consumer, event_id)
);

create index inbox_received on inbox using brin (received_at);
