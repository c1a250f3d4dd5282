-- What else a claim says of its fact, by name; a fact has of each name what was recorded last.
alter table claims add column attributes jsonb not null default '{}';
alter table fact_versions add column attributes jsonb not null default '{}';

-- A walk comes to a fact from its object as well.
create index fact_versions_by_value on fact_versions (tenant_id, group_id, value_key);

-- Episodes that speak of an entity, beside those in which something is claimed of it.
create table entity_mentions (
  tenant_id  text not null,
  entity_id  text not null,
  episode_id uuid not null,
  primary key (tenant_id, entity_id, episode_id),
  foreign key (tenant_id, entity_id) references entities (tenant_id, id) on delete cascade,
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id) on delete cascade
);

create index entity_mentions_by_episode on entity_mentions (tenant_id, episode_id);

-- Summaries that operators bring may stand for summaries of any level.
alter table summaries drop constraint summaries_level_check;
alter table summaries add constraint summaries_level_check check (level between 1 and 9);

-- The groups of a tenant in which something happened last.
create index groups_by_news on groups (tenant_id, recorded_at);

do $$
begin
  alter table entity_mentions enable row level security, force row level security;
  create policy tenant on entity_mentions using (
    tenant_id = current_setting('soldier.tenant', true)
    or current_setting('soldier.tenant', true) = '*');
  execute format('grant select, insert, delete on entity_mentions to %I', 'soldier_' || current_schema());
end $$;
