-- An agent, its settings, and the pointer to the version that its turns run on.
create table agents (
  tenant_id         text not null,
  id                uuid not null,
  slug              text not null,
  -- soldier.config.v1.Agent, without what is in the other columns.
  body              bytea not null,
  -- Revision of the draft at which the agent itself was last written.
  etag              bigint not null,
  -- Counts every write to the agent or to anything in its draft; the draft's etag.
  revision          bigint not null,
  published_version bigint not null default 0,
  published_at      timestamptz,
  created_at        timestamptz not null,
  updated_at        timestamptz not null,
  deleted_at        timestamptz,
  primary key (tenant_id, id)
);

create unique index agents_slug on agents (tenant_id, slug) where deleted_at is null;

-- Everything else that a draft is made of, of every kind.
create table resources (
  tenant_id  text not null,
  agent_id   uuid not null,
  id         uuid not null,
  -- The collection, e.g. "rules".
  kind       text not null,
  name       text not null,
  -- The kind's message, without what is in the other columns.
  body       bytea not null,
  -- Revision of the draft that wrote it.
  etag       bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz,
  primary key (tenant_id, agent_id, id)
);

-- Names sort by their bytes everywhere: pages must not depend on a server's locale.
create unique index resources_name on resources (tenant_id, agent_id, kind, name collate "C")
  where deleted_at is null;

-- Published versions: never changed.
create table agent_versions (
  tenant_id       text not null,
  agent_id        uuid not null,
  version         bigint not null,
  content_hash    text not null,
  -- Whose vectors the bundle holds.
  embedding_model text not null,
  -- Revision of the draft that was compiled.
  revision        bigint not null,
  -- soldier.config.v1.Bundle
  bundle          bytea not null,
  comment         text not null,
  published_by    text not null,
  published_at    timestamptz not null,
  rollback_of     bigint not null default 0,
  primary key (tenant_id, agent_id, version)
);

-- Vectors don't compress; trying to costs more than storing.
alter table agent_versions alter column bundle set storage external;

-- Vectors of texts that were embedded before.
create table embeddings (
  tenant_id text not null,
  model     text not null,
  -- SHA-256 of the text in UTF-8.
  text_hash bytea not null,
  -- Little-endian float32.
  vector    bytea not null,
  primary key (tenant_id, model, text_hash)
);

alter table embeddings alter column vector set storage external;

-- Values of variables; live without a publish.
create table variable_values (
  tenant_id  text not null,
  -- Empty for values of the whole tenant.
  agent_id   text not null,
  variable   text collate "C" not null,
  -- soldier.config.v1.VariableLevel
  level      smallint not null,
  -- Group name or customer id.
  key        text collate "C" not null,
  -- soldier.config.v1.VariableValue
  body       bytea not null,
  expires_at timestamptz,
  primary key (tenant_id, agent_id, variable, level, key)
);
