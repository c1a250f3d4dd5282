-- Rows of one tenant are shown to, and taken from, whoever is set to that tenant; '*' is what works
-- across tenants. The service works as a role that owns nothing (docs/operations.md): it may add records
-- and read them. What chains them, and what makes and drops months, it can only call.
create function keep_apart(of text) returns void language plpgsql as $$
begin
  execute format('alter table %I enable row level security, force row level security', of);
  execute format(
    'create policy tenant on %I using (
      tenant_id = current_setting(''soldier.tenant'', true)
      or current_setting(''soldier.tenant'', true) = ''*'')', of);
  -- The release before this one works as the owner and sets nothing. The next takes this away.
  execute format(
    'create policy release_before on %I to current_user
      using (coalesce(current_setting(''soldier.tenant'', true), '''') = '''')', of);
end $$;

-- A partition that is named in a statement has its own policies, not its parent's.
select keep_apart(relname) from pg_class
where relnamespace = current_schema()::regnamespace and not relname = 'retention' and oid in (
  select attrelid from pg_attribute where attname = 'tenant_id'
) and relkind in ('r', 'p');

create or replace function add_month(parent text, instant timestamptz) returns void
language plpgsql security definer as $$
declare
  first date := date_trunc('month', instant at time zone 'UTC')::date;
  part text := parent || to_char(first, '_YYYY_MM');
begin
  if parent not in ('turn_records', 'audit_events') then
    raise exception '% has no months', parent using errcode = 'insufficient_privilege';
  end if;
  if to_regclass(part) is not null then return; end if;
  execute format(
    'create table %I partition of %I for values from (%L) to (%L)',
    part, parent, first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
  perform keep_apart(part);
  execute format(
    'create trigger %I before update or delete or truncate on %I
     for each statement execute function refuse_change()', part || '_append_only', part);
exception
  -- Another process was quicker, or rows of that month are with the others already.
  when duplicate_table or check_violation then return;
end $$;

-- Drops the months that ended by then, as tables; returns their names.
create function drop_months(ended_by timestamptz) returns setof text
language plpgsql security definer as $$
declare
  part text;
begin
  for part in
    select child.relname
    from pg_inherits
    join pg_class child on child.oid = inhrelid
    join pg_class parent on parent.oid = inhparent
    where parent.relnamespace = current_schema()::regnamespace
      and parent.relname in ('turn_records', 'audit_events')
      and child.relname ~ '_[0-9]{4}_[0-9]{2}$'
      and to_date(right(child.relname, 7), 'YYYY_MM') < ended_by at time zone 'UTC'
    order by child.relname
  loop
    execute format('drop table %I', part);
    return next part;
  end loop;
  if not found then return; end if;
  insert into retention (dropped_before) values (ended_by)
  on conflict (only_row) do update
    set dropped_before = greatest(retention.dropped_before, excluded.dropped_before);
end $$;

alter function append_to_chain(text, text, timestamptz, uuid, bytea, bytea) security definer;

do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  -- What runs with the owner's rights finds the owner's tables, whatever the caller has made.
  foreach name in array array[
    'add_month(text, timestamptz)', 'drop_months(timestamptz)',
    'append_to_chain(text, text, timestamptz, uuid, bytea, bytea)'
  ] loop
    execute format('alter function %s set search_path = %I, pg_temp', name, current_schema());
    execute format('revoke execute on function %s from public', name);
    execute format('grant execute on function %s to %I', name, role);
  end loop;
  execute format('revoke execute on function keep_apart(text) from public');
  execute format('grant select, insert on turn_records, audit_events to %I', role);
  execute format('grant select on chain, chain_heads, retention to %I', role);
  execute format('grant select, insert, update on customer_keys to %I', role);
end $$;
