-- What a search of a whole tenant goes by, where PostgreSQL has pgvector: each vector once more, in half
-- precision, for an approximate index, and the words of each episode. Rows come by triggers, whichever
-- release writes, and go with the episode. Filters of a search are beside them, so that they act inside the scan.
create table episode_vectors (
  tenant_id   text           not null,
  episode_id  uuid           not null,
  model       text           not null,
  session_id  text           not null,
  occurred_at timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  vector      halfvec        not null,
  primary key (tenant_id, episode_id, model),
  foreign key (tenant_id, episode_id, model)
    references embeddings (tenant_id, episode_id, model) on delete cascade
);

create index episode_vectors_latest on episode_vectors (tenant_id, model, occurred_at);

create table episode_words (
  tenant_id   text           not null,
  episode_id  uuid           not null,
  session_id  text           not null,
  occurred_at timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  words       bigint[]       not null, -- hashes of tenant and word: no tenant's list grows by another's episodes
  primary key (tenant_id, episode_id),
  foreign key (tenant_id, episode_id) references episodes (tenant_id, id) on delete cascade
);

create index episode_words_by_word on episode_words using gin (words);

-- Little-endian float32 as stored, but as numbers; subnormal ones are 0 to any cosine.
create function numbers_of(bytes bytea) returns real[]
  language sql immutable strict parallel safe
  return (
    select array_agg(
      case when bits & 2139095040 = 0 then 0::real
        else ((1 - 2 * (bits >> 31)) * ((bits & 8388607) | 8388608)
          * 2::float8 ^ (((bits >> 23) & 255) - 150))::real end
      order by place)
    from (
      select place, get_byte(bytes, 4 * place)::bigint | (get_byte(bytes, 4 * place + 1)::bigint << 8)
        | (get_byte(bytes, 4 * place + 2)::bigint << 16) | (get_byte(bytes, 4 * place + 3)::bigint << 24) as bits
      from generate_series(0, octet_length(bytes) / 4 - 1) as place
    ) as read);

create function words_of(of_tenant text, words text[]) returns bigint[]
  language sql immutable strict parallel safe
  return (
    select coalesce(array_agg(distinct hashtextextended(of_tenant || ' ' || word, 0)), '{}')
    from unnest(words) as word);

-- As the index of the words reads a text; what no stemmer knows stays as it is.
create function stems_of(said text) returns text[]
  language sql immutable strict parallel safe
  return tsvector_to_array(to_tsvector('pg_catalog.english', said));

-- Those who embed and those who store may do no more here than this.
create function keep_vector() returns trigger language plpgsql set search_path from current as $$
begin
  insert into episode_vectors
  select new.tenant_id, new.episode_id, new.model, e.session_id, e.occurred_at, e.recorded_at,
    numbers_of(new.vector)::halfvec
  from episodes e
  where e.tenant_id = new.tenant_id and e.id = new.episode_id;
  return null;
end
$$;

create function keep_words() returns trigger language plpgsql set search_path from current as $$
begin
  insert into episode_words
  values (new.tenant_id, new.id, new.session_id, new.occurred_at, new.recorded_at,
    words_of(new.tenant_id, stems_of(new.text)));
  return null;
end
$$;

create trigger keep_vector after insert on embeddings for each row execute function keep_vector();
create trigger keep_words after insert on episodes for each row execute function keep_words();

-- The index of a model's vectors; made when there are none yet it takes no time. Models never share one.
create function index_vectors(of_model text, dimensions int) returns void
  language plpgsql security definer set search_path from current as $$
declare
  name text := 'episode_vectors_near_' || left(md5(of_model || ' ' || dimensions), 16);
begin
  if to_regclass(name) is not null then return; end if;
  perform pg_advisory_xact_lock(hashtextextended('soldier memory index ' || name, 0));
  execute format(
    'create index if not exists %I on episode_vectors using hnsw ((vector::halfvec(%s)) halfvec_cosine_ops)
      where model = %L', name, dimensions, of_model);
end
$$;

-- The episodes whose vectors of a model are nearest to a question's, in about that order. Filters act inside
-- the scan, which goes on until enough are found. With `latest` only so many are looked at, the latest ones
-- that pass the filters, and each of them is compared.
create function episodes_by_vector(
  of_tenant text, of_model text, question real[], happened_by timestamptz, recorded_by timestamptz,
  except_session text, wanted int, effort int, latest int
) returns setof uuid language plpgsql set search_path from current set jit = off as $$
declare
  dimensions int := cardinality(question);
  filtered text := format(
    'select episode_id, vector from episode_vectors
      where tenant_id = $1 and model = %L
        and occurred_at <= coalesce($3, ''infinity'') and recorded_at <= coalesce($4, ''infinity'')
        and ($5 = '''' or session_id <> $5)', of_model);
begin
  if latest is not null then
    filtered := format('%s order by occurred_at desc limit %s', filtered, latest);
  else
    perform set_config('hnsw.ef_search', effort::text, true);
    perform set_config('hnsw.iterative_scan', 'relaxed_order', true);
  end if;
  return query execute format(
    'select episode_id from (%s) as seen order by vector::halfvec(%s) <=> $2::halfvec(%s) limit $6',
    filtered, dimensions, dimensions)
    using of_tenant, question, happened_by, recorded_by, except_session, wanted;
end
$$;

-- What part of a tenant's episodes has each of the words that more than one in a hundred has, by the word's
-- hash: from a sample, so this is for keeping a while. Lists that long find nothing that is worth their reading.
create function common_words(of_tenant text) returns jsonb
  language plpgsql security definer set search_path from current set jit = off as $$
declare
  sampled constant int := 20000;
  share_min constant float8 := 0.01;
  percent float8 := (
    select least(100, 100 * sampled / greatest(reltuples, 1))
    from pg_class where oid = 'episode_words'::regclass);
begin
  if of_tenant is distinct from current_setting('soldier.tenant', true) then
    raise insufficient_privilege using message = 'words are told to the tenant that is set';
  end if;
  return (
    with seen as materialized (
      select words from episode_words tablesample system (percent) where tenant_id = of_tenant
    ),
    counted as (select count(*)::float8 as rows from seen)
    select coalesce(jsonb_object_agg(word, held / rows), '{}')
    from (select unnest(words) as word, count(*) as held from seen group by 1) as each, counted
    where held > share_min * rows and rows >= 10 / share_min
  );
end
$$;

-- The episodes that have the rarest of the words asked for, or two of the others, as {"episodes": [ids, the best
-- first], "having": [of each word how many have it, about; null for one that is not indexed, -1 where there are
-- more than are counted], "every": episodes in all}. The common ones, as common_words tells them, are not looked
-- for. Row-level security lets no index answer a condition on an array, since its operators might tell of rows
-- that are hidden. So this runs as the owner, and sees to the tenant itself.
create function episodes_by_words(
  of_tenant text, asked text[], common jsonb, happened_by timestamptz, recorded_by timestamptz,
  except_session text, wanted int
) returns jsonb language plpgsql security definer
  set search_path from current set jit = off
  set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off
as $$
declare
  counted_max constant int := 300;
  paired_max constant int := 4;
  every float8 := (
    select greatest(reltuples, 10 * counted_max) from pg_class where oid = 'episode_words'::regclass);
  word bigint[];
  held int;
  holders int[] := '{}';
  known bigint[] := '{}';
  weights float8[] := '{}';
  rare bigint[] := '{}';
  frequent bigint[] := '{}';
  best jsonb;
begin
  if of_tenant is distinct from current_setting('soldier.tenant', true) then
    raise insufficient_privilege using message = 'words are searched for the tenant that is set';
  end if;
  -- A list that is long all the same is not read through to learn that.
  perform set_config('gin_fuzzy_search_limit', (5 * counted_max)::text, true);
  for i in 1 .. coalesce(cardinality(asked), 0) loop
    word := words_of(of_tenant, stems_of(asked[i]));
    if word = '{}' then
      holders := holders || null::int;
      continue;
    end if;
    if common ? word[1]::text then
      holders := holders || (every * (common ->> word[1]::text)::float8)::int;
      known := known || word[1];
      weights := weights || -ln((common ->> word[1]::text)::float8);
      continue;
    end if;
    select count(*) into held from (
      select from episode_words
      where tenant_id = of_tenant and words @> word
        and occurred_at <= coalesce(happened_by, 'infinity')
        and recorded_at <= coalesce(recorded_by, 'infinity')
        and (except_session = '' or session_id <> except_session)
      limit counted_max) as counted;
    known := known || word;
    if held < counted_max then
      holders := holders || held;
      rare := rare || word;
      weights := weights || array_fill(ln(every / greatest(held, 1)), array[cardinality(word)]);
    else
      holders := holders || -1;
      if cardinality(frequent) < paired_max then frequent := frequent || word; end if;
      weights := weights || array_fill(ln(every / counted_max) / 2, array[cardinality(word)]);
    end if;
  end loop;
  perform set_config('gin_fuzzy_search_limit', '0', true);
  select jsonb_agg(episode_id order by weight desc, occurred_at desc, episode_id) into best from (
    select * from (
      select distinct on (episode_id) w.episode_id, w.occurred_at, (
          select sum(k.weight) from unnest(known, weights) as k (word, weight)
          where k.word = any(w.words)) as weight
      from (
        select array[r] as both from unnest(rare) as r
        union all
        select array[a, b] from unnest(frequent) as a, unnest(frequent) as b
        where a < b or (a = b and cardinality(known) = 1)
      ) as list
      cross join lateral (
        select * from episode_words
        where tenant_id = of_tenant and words @> list.both
          and occurred_at <= coalesce(happened_by, 'infinity')
          and recorded_at <= coalesce(recorded_by, 'infinity')
          and (except_session = '' or session_id <> except_session)
        limit counted_max
      ) as w
      order by episode_id
    ) as once
    order by weight desc, occurred_at desc, episode_id limit wanted
  ) as those;
  return jsonb_build_object('having', to_jsonb(holders), 'every', every, 'episodes', coalesce(best, '[]'));
end
$$;

do $$
declare
  role text := 'soldier_' || current_schema();
  name text;
begin
  foreach name in array array['episode_vectors', 'episode_words'] loop
    execute format('alter table %I enable row level security, force row level security', name);
    execute format(
      'create policy tenant on %I using (
        tenant_id = current_setting(''soldier.tenant'', true)
        or current_setting(''soldier.tenant'', true) = ''*'')', name);
  end loop;
  -- Nothing that a caller makes for a while is taken for what is meant here.
  foreach name in array array[
    'keep_vector', 'keep_words', 'index_vectors', 'common_words', 'episodes_by_words', 'episodes_by_vector'
  ] loop
    execute format('alter function %I set search_path = %I, public, pg_temp', name, current_schema());
  end loop;
  -- For episodes_by_words alone: no service works as the owner.
  create policy by_words on episode_words for select to current_user using (true);
  execute format('grant select, insert on episode_vectors to %I', role);
  execute format('grant insert on episode_words to %I', role);
  revoke all on function index_vectors, common_words, episodes_by_words from public;
  execute format('grant execute on function index_vectors, common_words, episodes_by_words to %I', role);
end $$;
