-- Erasing what a customer said takes it out of the dead letters, too.
do $$
begin
  execute format('grant delete on dead_letters to %I', 'soldier_' || current_schema());
end $$;
