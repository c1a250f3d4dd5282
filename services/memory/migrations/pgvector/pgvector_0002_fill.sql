-- What was there before. Searches and new episodes go on meanwhile; while an index is made, embedding waits.
insert into episode_words
select tenant_id, id, session_id, occurred_at, recorded_at, words_of(tenant_id, stems_of(text))
from episodes
on conflict do nothing;

insert into episode_vectors
select x.tenant_id, x.episode_id, x.model, e.session_id, e.occurred_at, e.recorded_at,
  numbers_of(x.vector)::halfvec
from embeddings x join episodes e on e.tenant_id = x.tenant_id and e.id = x.episode_id
on conflict do nothing;

select index_vectors(model, dimensions)
from (select distinct model, dimensions from embeddings) as there;

analyze episode_vectors;
analyze episode_words;
