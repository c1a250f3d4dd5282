-- Erasure removes sessions with their turns for good, and empties what one side said in a turn.
do $$
begin
  execute format('grant delete on sessions, turn_keys to %I', 'soldier_' || current_schema());
  execute format('grant update, delete on turns to %I', 'soldier_' || current_schema());
end $$;
