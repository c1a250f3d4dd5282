-- Rows of one tenant are shown to, and taken from, whoever is set to that tenant; '*' is what works
-- across tenants. The service works as a role that owns nothing and has these rights (docs/operations.md).
do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array[
    'groups', 'episodes', 'embeddings', 'backlog', 'claims', 'fact_versions', 'predicates',
    'predicate_uses', 'entities', 'entity_merges', 'parked_claims'
  ] loop
    execute format('alter table %I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on %I using (
        tenant_id = current_setting(''soldier.tenant'', true)
        or current_setting(''soldier.tenant'', true) = ''*'')', name);
    -- The release before this one works as the owner and sets nothing. The next takes this away.
    execute format(
      'create policy release_before on %I to current_user
        using (coalesce(current_setting(''soldier.tenant'', true), '''') = '''')', name);
  end loop;
  execute format('grant select, insert, update on groups to %I', role);
  execute format('grant select, insert on episodes, embeddings to %I', role);
  execute format('grant select, insert, update, delete on backlog to %I', role);
  execute format('grant select, insert on claims to %I', role);
  execute format(
    'grant select, insert, update, delete on fact_versions, predicates, predicate_uses, entities,
      entity_merges, parked_claims to %I', role);
end $$;
