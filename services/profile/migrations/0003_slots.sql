-- Fields follow from claims on two axes of time, channel identities keep their history, customers can be
-- merged, and what is erased stays erased. What the release before this one writes is understood: its claims
-- hold from when they were recorded, and its `fields`, which nobody else reads any more, ask for a rebuild.

alter table customers
  add column root_id        uuid, -- the customer that stands for this one; null: itself
  add column alias_ids      uuid[]  not null default '{}', -- all that this one stands for
  add column erased_at      timestamptz(3), -- the row stays, so that nothing late brings the customer back
  add column data_key       bytea, -- encrypts values; wrapped by the deployment's key when it has one
  add column key_wrapped_by text    not null default '', -- which key of the deployment; empty for none
  add column rebuild        boolean not null default true; -- claims are there that no version follows from
alter table customers alter column rebuild set default false;

alter table field_claims
  add column id           uuid not null default gen_random_uuid(),
  add column valid_from   timestamptz(3), -- null: from recorded_at on
  add column valid_to     timestamptz(3),
  add column sealed       bytea, -- the value, encrypted under the customer's data key; value is then JSON's null
  add column delete_after timestamptz(3), -- by the definition's retention
  add constraint field_claims_id unique (tenant_id, id);
create index field_claims_due on field_claims (delete_after) where delete_after is not null;
create index field_claims_by_name on field_claims (tenant_id, name, recorded_at);

create function fields_ask_for_rebuild() returns trigger language plpgsql as $$
begin
  update customers set rebuild = true where tenant_id = new.tenant_id and id = new.customer_id;
  return null;
end $$;
create trigger fields_ask_for_rebuild after insert or update on fields
  for each row execute function fields_ask_for_rebuild();

-- Half of a UUID as a range of one number. The number types of ranges are indexed together with
-- ranges by what every server has, so the constraints below need no extension and no right to make one.
create function half(id uuid, first int) returns int8range language sql immutable strict parallel safe
  return int8range(
    ('x' || substr(replace(id::text, '-', ''), first, 16))::bit(64)::bigint,
    ('x' || substr(replace(id::text, '-', ''), first, 16))::bit(64)::bigint, '[]');

-- What follows from the claims. Rows are never changed but for the end of tx; rebuildable.
create table field_versions (
  tenant_id   text      not null,
  number      bigint    not null generated always as identity,
  customer_id uuid      not null, -- who stands for those that the claims are about
  name        text      not null,
  claim_id    uuid      not null,
  disputed    boolean   not null, -- it does not hold: a verified value stands against it
  valid       tstzrange not null check (not isempty(valid) and lower(valid) is not null),
  tx          tstzrange not null check (not isempty(tx) and lower(tx) is not null),
  slot        uuid      not null generated always as (
    md5(length(tenant_id)::text || ' ' || tenant_id || ' ' || customer_id::text || ' ' || name)::uuid
  ) stored,
  primary key (tenant_id, number),
  foreign key (tenant_id, claim_id) references field_claims (tenant_id, id) on delete cascade,
  -- One value of a field, at any time of the world and of what was believed.
  constraint one_holder exclude using gist (
    half(slot, 1) with &&, half(slot, 17) with &&, valid with &&, tx with &&
  ) where (not disputed)
);
create index field_versions_believed on field_versions (tenant_id, customer_id, name) where upper_inf(tx);
create index field_versions_by_customer on field_versions (tenant_id, customer_id, name);
create index field_versions_by_claim on field_versions (tenant_id, claim_id);

-- An unlinking changes what is believed: the row before it is superseded, another says until when it was.
-- A superseded row has unlinked_at 'infinity', so that the index of current ones leaves it out.
alter table identities
  drop constraint identities_pkey,
  add column number        bigint not null generated always as identity,
  add column recorded_at   timestamptz(3), -- null: at linked_at
  add column superseded_at timestamptz(3),
  add column valid tstzrange not null generated always as (tstzrange(linked_at, unlinked_at)) stored,
  add column tx    tstzrange not null generated always as (
    tstzrange(coalesce(recorded_at, linked_at), superseded_at)
  ) stored,
  add column slot  uuid not null generated always as (
    md5(length(tenant_id)::text || ' ' || tenant_id || ' ' || channel::text || ' ' || external_id)::uuid
  ) stored,
  add primary key (tenant_id, number);
-- A name on a channel belongs to one customer at any instant, as believed at any other.
alter table identities add constraint one_owner exclude using gist (
  half(slot, 1) with &&, half(slot, 17) with &&, valid with &&, tx with &&
);
create index identities_by_name on identities (tenant_id, channel, external_id);

create table merges (
  tenant_id   text           not null,
  id          uuid           not null,
  from_id     uuid           not null,
  into_id     uuid           not null,
  recorded_at timestamptz(3) not null,
  undone_at   timestamptz(3),
  merged_by   text           not null,
  undone_by   text           not null default '',
  evidence    text           not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, from_id) references customers (tenant_id, id),
  foreign key (tenant_id, into_id) references customers (tenant_id, id),
  check (from_id <> into_id)
);
create unique index merges_active on merges (tenant_id, from_id) where undone_at is null;
create index merges_by_from on merges (tenant_id, from_id);
create index merges_by_into on merges (tenant_id, into_id);

create table assets (
  tenant_id   text           not null,
  id          uuid           not null,
  customer_id uuid           not null,
  kind        text           not null,
  uri         text           not null,
  checksum    bytea          not null check (length(checksum) = 32), -- SHA-256 of the content
  media_type  text           not null,
  size_bytes  bigint         not null,
  source      smallint       not null, -- soldier.profile.v1.FieldSource
  session_id  text           not null,
  recorded_at timestamptz(3) not null,
  recorded_by text           not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);
create unique index assets_once on assets (tenant_id, customer_id, checksum, md5(uri), kind);

-- What was erased, without a word of it.
create table erasures (
  tenant_id    text           not null,
  id           uuid           not null,
  customer_ids uuid[]         not null,
  erased_at    timestamptz(3) not null,
  erased_by    text           not null,
  counts       jsonb          not null,
  primary key (tenant_id, id)
);
create index erasures_by_customer on erasures using gin (customer_ids);

-- What the fields of agents' live versions are, as config has published them.
create table field_definitions (
  tenant_id    text   not null,
  agent_id     text   not null,
  name         text   not null,
  retention_ms bigint, -- null: for as long as the customer is
  definition   bytea  not null, -- soldier.config.v1.FieldDefinition
  primary key (tenant_id, name, agent_id)
);
create table defined_versions (
  tenant_id text   not null,
  agent_id  text   not null,
  version   bigint not null, -- 0: the agent is gone
  primary key (tenant_id, agent_id)
);

do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array[
    'field_versions', 'merges', 'assets', 'erasures', 'field_definitions', 'defined_versions'
  ] loop
    execute format('alter table %I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on %I using (
        tenant_id = current_setting(''soldier.tenant'', true)
        or current_setting(''soldier.tenant'', true) = ''*'')', name);
  end loop;
  execute format(
    'grant select, insert, update, delete on field_versions, field_definitions to %I', role);
  execute format('grant select, insert, update on merges, defined_versions to %I', role);
  execute format('grant select, insert, delete on assets to %I', role);
  execute format('grant select, insert on erasures to %I', role);
  execute format('grant update, delete on identities to %I', role);
  execute format('grant delete on field_claims, consents, fields to %I', role);
end $$;
