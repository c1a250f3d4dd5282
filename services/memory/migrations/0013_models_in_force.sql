-- When each embedding model was last set, by any process: vectors of one that was not for long are pruned. In no
-- tenant: models are settings of the deployment. Those of before this release begin as last set now.
create table embedding_models (
  model   text        primary key,
  last_at timestamptz not null
);

do $$
declare
  role text := 'soldier_' || current_schema();
begin
  perform set_config('soldier.tenant', '*', true);
  insert into embedding_models
    select model, now() from embeddings union select model, now() from summary_embeddings;
  perform set_config('soldier.tenant', '', true);
  execute format('grant select, insert, update, delete on embedding_models to %I', role);
end $$;
