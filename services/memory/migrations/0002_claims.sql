-- Immutable claims are the truth; facts are what follows from them, and can be rebuilt.
-- Writers take the row of their group in `groups`, as those of episodes do, and hold it until they
-- commit: so one group's claims are recorded one after the other, at rising times.
create table claims (
  tenant_id   text             not null,
  id          text             not null,
  group_id    text             not null,
  kind        text             not null check (kind in ('assert', 'end', 'retract')),
  subject     text             not null,
  predicate   text             not null,
  value       jsonb, -- {"kind": "entity", "id": …} or {"kind": "literal", "json": …}
  valid_from  timestamptz(3),
  valid_to    timestamptz(3),
  time_basis  text             not null check (time_basis in ('stated', 'inferred', 'assumed')),
  target      text,
  episode_id  uuid,
  span_start  int              not null,
  span_end    int              not null,
  authority   text             not null check (authority in ('inferred', 'agent', 'user', 'verified')),
  confidence  double precision not null,
  extractor   text             not null,
  said_at     timestamptz(3)   not null, -- the episode's time, or of the storing
  recorded_at timestamptz(3)   not null,
  primary key (tenant_id, id),
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id),
  check (kind <> 'assert' or value is not null),
  check (kind <> 'assert' or coalesce(valid_from, said_at) < coalesce(valid_to, 'infinity'))
);

create index claims_by_group on claims (tenant_id, group_id, predicate);
create index claims_by_episode on claims (tenant_id, episode_id) where episode_id is not null;

-- Claims never change. They go only with the episode or the customer that is erased.
create function claims_are_immutable() returns trigger language plpgsql as $$
begin
  raise exception 'claims are never updated: record another one';
end
$$;
create trigger claims_are_immutable before update on claims
  for each row execute function claims_are_immutable();

-- Half of a UUID as a range of one number. The number types of ranges are indexed together with
-- ranges by what every server has, so the constraints below need no extension and no right to make one.
create function half(id uuid, first int) returns int8range language sql immutable strict parallel safe
  return int8range(
    ('x' || substr(replace(id::text, '-', ''), first, 16))::bit(64)::bigint,
    ('x' || substr(replace(id::text, '-', ''), first, 16))::bit(64)::bigint, '[]');

create table fact_versions (
  tenant_id     text        not null,
  number        bigint      not null generated always as identity,
  group_id      text        not null,
  fact_id       uuid        not null,
  slot          uuid        not null, -- hash of all that makes it, the tenant too
  inverse_slot  uuid, -- where a value belongs to one subject at a time
  subject       text        not null, -- the entity that stood for it
  predicate     text        not null,
  value         jsonb       not null,
  value_key     text        not null,
  valid         tstzrange   not null check (not isempty(valid) and lower(valid) is not null),
  tx            tstzrange   not null check (not isempty(tx) and lower(tx) is not null),
  claim_ids     text[]      not null check (cardinality(claim_ids) > 0),
  reason        text        check (reason in ('end', 'succession', 'masked')), -- why valid ends
  superseded_by text        check (superseded_by in ('recut', 'retracted', 'merged', 'succession')),
  disputed      boolean     not null,
  authority     text        not null,
  confirmed_at  timestamptz(3) not null,
  primary key (tenant_id, number),
  -- One holder of a slot, at any time of the world and of what was believed.
  constraint one_holder exclude using gist (
    half(slot, 1) with &&, half(slot, 17) with &&, valid with &&, tx with &&
  ) where (not disputed),
  constraint one_owner exclude using gist (
    half(inverse_slot, 1) with &&, half(inverse_slot, 17) with &&, valid with &&, tx with &&
  ) where (not disputed and inverse_slot is not null)
);

create index fact_versions_by_subject
  on fact_versions (tenant_id, group_id, subject, predicate);
create index fact_versions_believed
  on fact_versions (tenant_id, group_id, predicate) where upper_inf(tx);

create table predicates (
  tenant_id       text     not null,
  name            text     not null,
  position        int      not null,
  cardinality     text     not null check (cardinality in ('one', 'many')),
  inverse_one     boolean  not null,
  authority_first boolean  not null,
  subject_types   text[]   not null,
  object_types    text[]   not null,
  temporal_kind   text     not null check (temporal_kind in ('state', 'event', 'static')),
  pii_class       text     not null,
  primary key (tenant_id, name)
);

-- The rule by which a group's facts of a predicate follow, from a recorded time on: a tenant that
-- changes a predicate changes what is believed from then on, not what was believed before.
create table predicate_uses (
  tenant_id       text           not null,
  group_id        text           not null,
  predicate       text           not null,
  recorded_at     timestamptz(3) not null,
  cardinality     text           not null,
  inverse_one     boolean        not null,
  authority_first boolean        not null,
  primary key (tenant_id, group_id, predicate, recorded_at)
);

create index predicate_uses_by_name on predicate_uses (tenant_id, predicate);

create table entities (
  tenant_id   text           not null,
  id          text           not null,
  group_id    text           not null,
  type        text           not null,
  name        text           not null,
  aliases     text[]         not null,
  names       text[]         not null, -- all of them, as they are compared
  recorded_at timestamptz(3) not null,
  primary key (tenant_id, id)
);

create index entities_by_group on entities (tenant_id, group_id, id);

create table entity_merges (
  tenant_id   text           not null,
  id          uuid           not null,
  group_id    text           not null,
  from_id     text           not null,
  to_id       text           not null,
  by          text           not null,
  evidence    text           not null,
  recorded_at timestamptz(3) not null,
  undone_at   timestamptz(3),
  primary key (tenant_id, id)
);

create unique index entity_merges_active
  on entity_merges (tenant_id, from_id) where undone_at is null;
create index entity_merges_by_group on entity_merges (tenant_id, group_id);

-- Claims that wait for a person: they would have ended unusually many facts.
create table parked_claims (
  tenant_id   text        not null,
  id          uuid        not null,
  group_id    text        not null,
  content     text        not null, -- SHA-256 of the claims: the same are parked once
  claims      jsonb       not null,
  facts_ended int         not null,
  facts_held  int         not null,
  parked_at   timestamptz(3) not null default clock_timestamp(),
  primary key (tenant_id, id),
  unique (tenant_id, content)
);
