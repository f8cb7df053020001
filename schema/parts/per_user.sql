-- SPDX-License-Identifier: Apache-2.0
--
-- Does a view show the same to everybody?


-- replicache_is_steady(function oid) returns boolean
--
-- Internal: whether a function gives the same whoever asks: Postgres's own, and
-- immutable or one of those named here. Not named are those that read settings or
-- who the session's user is, run SQL that they are given, or count. (Time and chance
-- are no users: what is read once and shared has those of the first reader.)

create or replace function replicache_is_steady(function oid) returns boolean
language sql stable set search_path from current
as $$
  select p.oid < 16384 and p.pronamespace = 'pg_catalog'::regnamespace
    and (p.provolatile = 'i'
      or p.proname ~ '^(jsonb?|date|time|timetz|timestamp|timestamptz|interval'
        '|in_range_timestamptz|enum|cash|array|to_ts|ts_headline)(_|$)'
      or p.proname = any (array['to_json', 'to_jsonb', 'row_to_json', 'concat',
        'concat_ws', 'format', 'quote_literal', 'quote_nullable', 'textanycat',
        'anytextcat', 'to_char', 'to_date', 'to_timestamp', 'to_number', 'now',
        'statement_timestamp', 'transaction_timestamp', 'clock_timestamp',
        'timeofday', 'age', 'timezone', 'extract', 'make_timestamptz',
        'overlaps', 'generate_series', 'plainto_tsquery', 'phraseto_tsquery',
        'websearch_to_tsquery', 'random', 'gen_random_uuid', 'pg_typeof',
        'pg_column_size', 'money', 'numeric', 'xml', 'xmlcomment']))
  from pg_proc as p
  where p.oid = function;
$$;


-- replicache_view_code(relation regclass, out definition, out asks, out reason)
--
-- Internal. What a table or view shows, by all it is made of: the views and
-- tables under it, and the functions, operators and types they use. Of those that
-- are pinned, as Postgres's own are, pg_depend knows nothing; they are read from
-- the rules themselves. (What a materialized view shows was read when it was
-- refreshed, for nobody: what is under it is not looked at, but for definition.)
--
--     definition  the columns, and the text of every view and function it is made
--                 of, to be compared with an earlier one. Of functions also those
--                 that they call, as far as their names are found in the text.
--     asks        it says itself that it depends on who asks: its text, or that of
--                 a function it calls, names replicache_user_id or
--                 replicache_claim, or a table under it has row policies.
--     reason      what keeps it from being proven to be the same for everybody;
--                 null if nothing does.

create or replace function replicache_view_code(
  relation regclass, out definition text, out asks boolean, out reason text)
language sql stable set search_path from current
as $$
  with recursive used (class, object, live) as (
    select 'pg_class'::regclass::oid, relation::oid, true
    union
    select found.class, found.object, u.live and c.relkind <> 'm'
    from used as u
      join pg_class as c
        on u.class = 'pg_class'::regclass and c.oid = u.object
      join pg_rewrite as r on r.ev_class = c.oid and r.ev_type = '1'
      cross join lateral (
        select d.refclassid, d.refobjid from pg_depend as d
        where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        union all
        select case m[1] when 'relid' then 'pg_class'::regclass
            else 'pg_proc'::regclass end, m[2]::oid
        from regexp_matches(r.ev_action::text,
          ':(relid|funcid|opfuncid) (\d+)', 'g') as m
      ) as found (class, object)
    where c.relkind in ('v', 'm')
  ), functions (object) as (
    select object from used
    where class = 'pg_proc'::regclass and object >= 16384
    union
    select p.oid
    from functions as f
      join pg_proc as caller on caller.oid = f.object
        and caller.prokind in ('f', 'p')
      cross join lateral (
        select array_agg(m[1]) as names
        from regexp_matches(lower(pg_get_functiondef(caller.oid)),
          '([a-z_][a-z0-9_$]*)"?\s*\(', 'g') as m) as called
      join pg_proc as p on p.oid >= 16384 and lower(p.proname) = any (names)
        and p.proname !~ '^replicache_'
  ), text as (
    select pg_describe_object(class, object, 0) as name,
      case
        when class = 'pg_proc'::regclass then pg_get_functiondef(object)
        else pg_get_viewdef(object)
      end as text, true as near
    from (select distinct class, object from used where object >= 16384) as used
    where class = 'pg_class'::regclass
          and (select relkind in ('v', 'm') from pg_class where oid = object)
      or class = 'pg_proc'::regclass
          and (select prokind in ('f', 'p') from pg_proc where oid = object)
    union all
    select pg_describe_object('pg_proc'::regclass, object, 0),
      pg_get_functiondef(object), false
    from functions
    where (select prokind in ('f', 'p') from pg_proc where oid = object)
      and object not in (select object from used
                         where class = 'pg_proc'::regclass)
  ), types (object, named) as (
    -- Those of the columns, and those that the rules name, whose checks run.
    select a.atttypid, false
    from used as u join pg_attribute as a on a.attrelid = u.object
    where u.live and u.class = 'pg_class'::regclass and a.attnum > 0
      and not a.attisdropped
    union
    select object, true from used where live and class = 'pg_type'::regclass
    union
    select part.object, t.named
    from types as t join pg_type as y on y.oid = t.object
      cross join lateral (
        select unnest(array[y.typbasetype, y.typelem])
        union all
        select a.atttypid from pg_attribute as a
        where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select r.rngsubtype from pg_range as r where r.rngtypid = y.oid
      ) as part (object)
    where y.oid >= 16384 and part.object <> 0
  ), doubt (reason) as (
    select pg_describe_object(class, object, 0) from used
    where live and (class = 'pg_proc'::regclass
        and not replicache_is_steady(object)
      or class not in ('pg_proc'::regclass, 'pg_class'::regclass,
          'pg_type'::regclass, 'pg_rewrite'::regclass,
          'pg_collation'::regclass, 'pg_ts_config'::regclass,
          'pg_ts_dict'::regclass, 'pg_namespace'::regclass,
          'pg_constraint'::regclass))
    union all
    select 'the role of the session' from used as u
      join pg_rewrite as r on r.ev_class = u.object
    where u.live and u.class = 'pg_class'::regclass and r.ev_type = '1'
      -- CURRENT_ROLE, CURRENT_USER, USER, SESSION_USER, CURRENT_SCHEMA
      and r.ev_action::text ~ '\{SQLVALUEFUNCTION :op (9|10|11|12|14) '
    union all
    select 'foreign table ' || c.oid::regclass
    from used as u join pg_class as c on c.oid = u.object
    where u.live and u.class = 'pg_class'::regclass and c.relkind = 'f'
    union all
    select 'the computed column ' || a.attname
    from used as u join pg_attribute as a on a.attrelid = u.object
    where u.live and u.class = 'pg_class'::regclass and a.attgenerated = 'v'
    union all
    -- to_json() takes it, for one.
    select pg_describe_object('pg_cast'::regclass, c.oid, 0)
    from types as t join pg_cast as c on c.castsource = t.object
    where c.castfunc <> 0 and not replicache_is_steady(c.castfunc)
      and c.casttarget in ('json'::regtype, 'jsonb'::regtype, 'text'::regtype)
    union all
    select 'the check of ' || format_type(t.object, null)
    from types as t join pg_constraint as c on c.contypid = t.object
      join pg_depend as d
        on d.classid = 'pg_constraint'::regclass and d.objid = c.oid
        and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
    where t.named
  )
  select
    (select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
       order by attnum)
     from pg_attribute
     where attrelid = relation and attnum > 0 and not attisdropped
       and attname <> 'version')
      || coalesce((select string_agg(E'\n' || name || E'\n' || text, ''
                     order by name collate "C") from text), ''),
    exists (select from text
              where near and text ~* 'replicache[._](user_id|claim)')
      or exists (select from used join pg_class as c
                   on class = 'pg_class'::regclass and c.oid = object
                 where c.relrowsecurity),
    (select min(reason collate "C") from doubt);
$$;
