-- Where the broker has stored a published event: what a broker that came back with older data has
-- lost is published again. In no index, so that a mark stays a heap-only update.
alter table outbox
  add column receipt_log text,
  add column receipt_position bigint;
