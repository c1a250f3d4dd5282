-- What keeps memories apart. `head` numbers every change of a group, episodes and embeddings alike.
-- Writers take the row's lock before they take a number and hold it until they commit, so changes
-- become visible in the order of their numbers: whoever has seen number n has seen all before it.
create table groups (
  tenant_id   text           not null,
  group_id    text           not null,
  head        bigint         not null,
  recorded_at timestamptz(3) not null, -- of the latest episode: the next one is never earlier
  primary key (tenant_id, group_id)
);

create table episodes (
  tenant_id   text           not null,
  id          uuid           not null,
  group_id    text           not null,
  revision    bigint         not null, -- from the group's head
  customer_id text           not null,
  agent_id    text           not null,
  session_id  text           not null,
  turn_id     text           not null,
  ingest_key  text           not null,
  role        text           not null check (role in ('user', 'agent', 'event', 'document')),
  text        text           not null,
  occurred_at timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  primary key (tenant_id, id),
  unique (tenant_id, ingest_key)
);

create unique index episodes_by_revision on episodes (tenant_id, group_id, revision);

-- Vectors of different models stand beside each other and are never compared.
create table embeddings (
  tenant_id  text     not null,
  episode_id uuid     not null,
  model      text     not null,
  group_id   text     not null,
  revision   bigint   not null, -- from the group's head
  dimensions smallint not null,
  vector     bytea    not null check (octet_length(vector) = dimensions * 4), -- little-endian float32
  attempts   int      not null, -- that it took
  primary key (tenant_id, episode_id, model),
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id) on delete cascade
);

create unique index embeddings_by_revision on embeddings (tenant_id, group_id, model, revision);

-- Numbers are not compressible; trying costs more than it ever saves.
alter table embeddings alter column vector set storage external;

-- What is still to be done for an episode: one row for each stage that is not done.
create table backlog (
  tenant_id   text        not null,
  episode_id  uuid        not null,
  stage       text        not null check (stage in ('embedded')),
  attempts    int         not null default 0,
  failed      text        not null default '', -- reason of the last failure
  due_at      timestamptz not null default now(),
  primary key (tenant_id, episode_id, stage),
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id) on delete cascade
);

create index backlog_due on backlog (stage, due_at);
