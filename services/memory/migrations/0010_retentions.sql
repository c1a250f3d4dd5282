-- How long what an agent heard and said is kept, by the version of the agent that says so.
create table retentions (
  tenant_id text   not null,
  agent_id  text   not null,
  keep_days int    not null check (keep_days >= 0), -- 0: for good
  version   bigint not null, -- of the agent: news may come in any order
  primary key (tenant_id, agent_id)
);

do $$
begin
  alter table retentions enable row level security, force row level security;
  create policy tenant on retentions using (
    tenant_id = current_setting('soldier.tenant', true)
    or current_setting('soldier.tenant', true) = '*');
  execute format('grant select, insert, update on retentions to %I', 'soldier_' || current_schema());
end $$;
