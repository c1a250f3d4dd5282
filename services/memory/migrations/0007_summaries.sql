-- A summary stands for what it was made from. The inputs are rows, and no episode or summary can go
-- while another rests on it: what is erased takes its summaries with it first, or is not erased at all.
create table summaries (
  tenant_id   text           not null,
  id          uuid           not null,
  group_id    text           not null,
  revision    bigint         not null, -- from the group's head
  level       smallint       not null check (level in (1, 2)), -- of episodes, or of summaries
  text        text           not null,
  made_by     text           not null, -- "extractive:v1", or "llm:<model>@<prompt>"
  input_hash  text           not null, -- SHA-256 over the ids and texts of the inputs, in their order
  turns       int            not null,
  covers_from timestamptz(3) not null,
  covers_to   timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  primary key (tenant_id, id)
);

create index summaries_by_group on summaries (tenant_id, group_id, revision);

create table summary_inputs (
  tenant_id        text not null,
  summary_id       uuid not null,
  position         int  not null,
  episode_id       uuid,
  input_summary_id uuid,
  primary key (tenant_id, summary_id, position),
  -- What is summarised is summarised once.
  unique (tenant_id, episode_id),
  unique (tenant_id, input_summary_id),
  foreign key (tenant_id, summary_id) references summaries (tenant_id, id) on delete cascade,
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id),
  foreign key (tenant_id, input_summary_id) references summaries (tenant_id, id),
  check (num_nonnulls(episode_id, input_summary_id) = 1)
);

create table summary_embeddings (
  tenant_id  text     not null,
  summary_id uuid     not null,
  model      text     not null,
  dimensions smallint not null,
  vector     bytea    not null check (octet_length(vector) = dimensions * 4), -- little-endian float32
  primary key (tenant_id, summary_id, model),
  foreign key (tenant_id, summary_id) references summaries (tenant_id, id) on delete cascade
);
alter table summary_embeddings alter column vector set storage external;

-- Episodes whose summary was withdrawn are summarised anew together, however many are left of them.
alter table backlog add column withdrawn_window uuid;

do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array['summaries', 'summary_inputs', 'summary_embeddings'] loop
    execute format('alter table %I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on %I using (
        tenant_id = current_setting(''soldier.tenant'', true)
        or current_setting(''soldier.tenant'', true) = ''*'')', name);
    execute format('grant select, insert, delete on %I to %I', name, role);
  end loop;
end $$;
