-- Every stage of ingestion that is not done has its row, its tries and its failure; a stage that is
-- done has no row but a result. Whoever works on a row moves its due_at ahead; a result is kept only by
-- whoever finds the row still there, so what was erased, or finished by another, is dropped.
alter table backlog drop constraint backlog_stage_check;
alter table backlog add constraint backlog_stage_check
  check (stage in ('embedded', 'extracted', 'resolved', 'summarised'));
-- Held for a person: not due until the parked claims are reviewed.
alter table backlog add column parked boolean not null default false;

-- What was found in an episode's text, before names are matched with entities.
create table extractions (
  tenant_id         text        not null,
  episode_id        uuid        not null,
  extractor         text        not null,
  found             jsonb       not null, -- claims and corrections, with names as they were said
  attempts          int         not null, -- that it took
  resolved_attempts int         not null default 0, -- and then its resolution
  extracted_at      timestamptz not null default clock_timestamp(),
  primary key (tenant_id, episode_id),
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id) on delete cascade
);

alter table parked_claims add column why text not null default 'closes_many'
  check (why in ('closes_many', 'ambiguous'));

do $$
begin
  alter table extractions enable row level security, force row level security;
  create policy tenant on extractions using (
    tenant_id = current_setting('soldier.tenant', true)
    or current_setting('soldier.tenant', true) = '*');
  execute format('grant select, insert, update on extractions to %I', 'soldier_' || current_schema());
end $$;
