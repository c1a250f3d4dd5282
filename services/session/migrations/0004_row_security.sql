-- Rows of one tenant are shown to, and taken from, whoever is set to that tenant; '*' is what works
-- across tenants. The service works as a role that owns nothing and has these rights (docs/operations.md).
do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array['sessions', 'turns', 'turn_keys', 'tool_calls', 'usage'] loop
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
  execute format('grant select, insert, update on sessions, turn_keys to %I', role);
  execute format('grant select, insert on turns to %I', role);
  execute format('grant select, insert, update, delete on tool_calls, usage to %I', role);
end $$;
