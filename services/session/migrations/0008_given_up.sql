-- Whose use was counted when it was given up: the call may come again, and must count nothing then. A later
-- attempt at the same turn has another token. The tenant's next turn that is given up removes those of
-- before yesterday.
create table given_up (
  tenant_id   text   not null,
  session_id  uuid   not null,
  lease_token bigint not null,
  day         date   not null,
  primary key (tenant_id, session_id, lease_token)
);
create index given_up_by_day on given_up (tenant_id, day);

do $$
begin
  alter table given_up enable row level security, force row level security;
  create policy tenant on given_up using (
    tenant_id = current_setting('soldier.tenant', true)
    or current_setting('soldier.tenant', true) = '*');
  execute format('grant select, insert, delete on given_up to %I', 'soldier_' || current_schema());
end $$;
