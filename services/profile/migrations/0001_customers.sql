create table customers (
  tenant_id  text           not null,
  id         uuid           not null,
  version    bigint         not null, -- grows with each change
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (tenant_id, id)
);

create table identities (
  tenant_id   text           not null,
  channel     smallint       not null, -- soldier.common.v1.Channel
  external_id text           not null,
  customer_id uuid           not null,
  linked_at   timestamptz(3) not null,
  unlinked_at timestamptz(3),
  primary key (tenant_id, channel, external_id, linked_at),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);

-- A name on a channel belongs to one customer at any instant.
create unique index identities_current on identities (tenant_id, channel, external_id) where unlinked_at is null;
create index identities_by_customer on identities (tenant_id, customer_id);

-- Everything ever said of a field, in the order of the customer's versions. Never updated.
create table field_claims (
  tenant_id       text             not null,
  customer_id     uuid             not null,
  name            text             not null,
  version         bigint           not null, -- the customer's, from this claim on
  outcome         text             not null check (outcome in ('applied', 'confirmed', 'pending')),
  value           jsonb            not null,
  source          smallint         not null, -- soldier.profile.v1.FieldSource: a higher one weighs more
  confidence      double precision not null,
  session_id      text             not null,
  scenario_id     text             not null,
  step_id         text             not null,
  verified_method text             not null, -- empty: nobody checked it
  verified_by     text             not null,
  verified_at     timestamptz(3),
  expires_at      timestamptz(3),
  recorded_at     timestamptz(3)   not null,
  recorded_by     text             not null,
  idempotency_key text, -- null: each call is an update of its own
  primary key (tenant_id, customer_id, name, version),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);

create unique index field_claims_by_key on field_claims (tenant_id, customer_id, idempotency_key)
  where idempotency_key is not null;

-- How each field stands: follows from its claims, kept so that reading a profile never walks history.
create table fields (
  tenant_id   text     not null,
  customer_id uuid     not null,
  name        text     not null,
  version     bigint   not null, -- the claim that holds
  pending     bigint[] not null, -- weaker claims against it
  primary key (tenant_id, customer_id, name),
  foreign key (tenant_id, customer_id, name, version)
    references field_claims (tenant_id, customer_id, name, version) on delete cascade
);

-- Append-only; of each purpose the last word counts.
create table consents (
  tenant_id   text           not null,
  customer_id uuid           not null,
  purpose     text           not null,
  version     bigint         not null, -- the customer's, from this consent on
  granted     boolean        not null,
  valid_from  timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  recorded_by text           not null,
  evidence    text           not null,
  primary key (tenant_id, customer_id, purpose, version),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
