-- Versions that are too old to be rolled back to, and values that have expired, are removed.
do $$
begin
  execute format('grant delete on agent_versions to %I', 'soldier_' || current_schema());
end $$;

create index variable_values_by_end on variable_values (expires_at) where expires_at is not null;
