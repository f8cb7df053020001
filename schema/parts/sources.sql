-- SPDX-License-Identifier: Apache-2.0
--
-- On which other tables does it depend what clients see of one?


-- An audience, a view and row policies read other tables, their sources: the list
-- that an item is on, the members of that list. Postgres knows most of them by
-- pg_depend; a condition says which rows of the table belong to a row of a source.


-- replicache_sources(registered replicache_table)
--   returns table (source oid, times bigint, audience boolean, value boolean,
--     what text)
--
-- Internal: what the audience, the view and the row policies of a registered table
-- read, down through views. `times`: how often, at most in one of them, as in a
-- join with itself. `audience`: the audience reads it; `value`: the view or a
-- policy does. `what`: null for a table that can be watched, else why it can't be.
-- The registered table itself is a source if it is read more than once.
--
-- What a function reads is known only if its body is bound (RETURN, BEGIN ATOMIC);
-- of another one that reads anything, the row names the function.

create or replace function replicache_sources(registered replicache_table)
returns table (source oid, times bigint, audience boolean, value boolean,
  what text)
language sql stable set search_path from current
as $$
  with recursive used (class, object, root, times, path) as (
    select 'pg_class'::regclass::oid, root.oid, root.name, 1::bigint,
      array[root.oid]
    from (values (registered.audience::oid, 'audience'),
      (coalesce(registered.view, registered.table_name)::oid, 'value'))
      as root (oid, name)
    where root.oid is not null
    union all
    select found.class, found.object, u.root, u.times * found.times,
      u.path || found.object
    from used as u cross join lateral (
      -- Of the queries that a union joins, none reads what the others read.
      select 'pg_class'::regclass::oid as class, object,
        case when apart then max(times) else sum(times) end::bigint as times
      from (
        select m[1]::oid as object, rule.apart, count(*) as times
        from pg_rewrite as r
          join pg_class as c on c.oid = r.ev_class and c.relkind = 'v'
          cross join lateral (
            select count(*) filter (where m[1] = 'SETOPERATIONSTMT') > 0
              and count(*) filter (where m[1] = 'QUERY')
                = count(*) filter (where m[1] = 'SETOPERATIONSTMT') + 2 as apart
            from regexp_matches(r.ev_action::text,
              '\{(QUERY|SETOPERATIONSTMT) ', 'g') as m) as rule
          cross join regexp_split_to_table(r.ev_action::text, '\{QUERY ')
            with ordinality as query (text, n)
          cross join regexp_matches(query.text,
            '(?<!RTEPERMISSIONINFO ):relid (\d+) ', 'g') as m
        where u.class = 'pg_class'::regclass and r.ev_class = u.object
          and r.ev_type = '1' and m[1]::oid <> r.ev_class
        group by m[1], rule.apart, query.n) as read
      group by object, apart
      union all
      select 'pg_proc'::regclass, p.oid, 1
      from pg_rewrite as r
        join pg_class as c on c.oid = r.ev_class and c.relkind = 'v'
        join pg_depend as d
          on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        join pg_proc as p
          on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
      where u.class = 'pg_class'::regclass and r.ev_class = u.object
      group by p.oid
      union all
      -- Policies, and functions with a bound body.
      select d.refclassid, d.refobjid, 1
      from pg_depend as d left join pg_policy as o
        on d.classid = 'pg_policy'::regclass and o.oid = d.objid
      where (u.class = 'pg_class'::regclass and o.polrelid = u.object
          and (select relrowsecurity from pg_class where oid = u.object)
          and d.refobjid <> u.object
        or u.class = 'pg_proc'::regclass
          and d.classid = 'pg_proc'::regclass and d.objid = u.object)
        and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
      group by d.refclassid, d.refobjid
    ) as found
    where found.object <> all (u.path)
  ), total as (
    select class, object, root, sum(times)::bigint as times
    from used group by class, object, root
  ), found as (
    select class, object, max(t.times) as times,
      bool_or(root = 'audience') as audience, bool_or(root = 'value') as value
    from total as t
    where object <> registered.table_name or t.times > 1
    group by class, object
  )
  select f.object, f.times, f.audience, f.value,
    case
      when c.relkind = 'r' and not c.relispartition and not c.relhassubclass
        then null
      when c.relkind = 'm' then 'It is a materialized view.'
      else 'It is no ordinary table.'
    end
  from found as f join pg_class as c on c.oid = f.object
  where f.class = 'pg_class'::regclass and c.relkind in ('r', 'm', 'f', 'p')
    and c.relnamespace <> 'pg_catalog'::regnamespace
  union all
  select f.object, f.times, f.audience, f.value,
    'It is a function, and what it reads is not known.'
  from found as f join pg_proc as p on p.oid = f.object
    join pg_language as l on l.oid = p.prolang
  where f.class = 'pg_proc'::regclass and p.oid >= 16384
    and p.proname !~ '^replicache_' and p.prosqlbody is null
    and p.provolatile <> 'i'
    and (l.lanname not in ('sql', 'plpgsql')
         or p.prosrc ~* '\m(from|join|table|execute)\M');
$$;


-- replicache_reads(class oid, object oid)
--   returns table (refclassid oid, refobjid oid, refobjsubid int, whole boolean)
--
-- Internal: the tables, columns, views and functions that a view, the row policies
-- of a table, or a function with a bound body depend on. `whole`: it takes rows as
-- a whole.

create or replace function replicache_reads(class oid, object oid)
returns table (refclassid oid, refobjid oid, refobjsubid int, whole boolean)
language sql stable set search_path from current
as $$
  select d.refclassid, d.refobjid, d.refobjsubid, case d.classid
      when 'pg_rewrite'::regclass then r.ev_action::text ~ ':varattno 0 '
      when 'pg_policy'::regclass then concat(o.polqual, o.polwithcheck)
        ~ ':varattno 0 '
      else p.prosqlbody::text ~ ':varattno 0 '
    end
  from pg_depend as d
    left join pg_rewrite as r
      on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_policy as o
      on d.classid = 'pg_policy'::regclass and o.oid = d.objid
    left join pg_proc as p
      on d.classid = 'pg_proc'::regclass and p.oid = d.objid
  where (class = 'pg_class'::regclass and object in (r.ev_class, o.polrelid)
      or class = 'pg_proc'::regclass and p.oid = object)
    and (d.refclassid <> class or d.refobjid <> object)
    and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass);
$$;


-- replicache_source_columns(registered replicache_table, source regclass,
--   named text[]) returns text[]
--
-- Internal: the columns of a source that matter: those that the audience, the view
-- and the policies use, and those that are named besides; all if one of them takes
-- the row as a whole, or none is known to use the source.

create or replace function replicache_source_columns(
  registered replicache_table, source regclass, named text[])
returns text[]
language sql stable set search_path from current
as $$
  with recursive used (class, object) as (
    select 'pg_class'::regclass::oid, root.oid
    from (values (registered.audience::oid), (registered.view::oid),
      (registered.table_name::oid)) as root (oid)
    where root.oid is not null
    union
    select d.refclassid, d.refobjid
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
  ), columns (attnum, whole) as (
    select d.refobjsubid, d.whole
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
    where d.refclassid = 'pg_class'::regclass and d.refobjid = source
  )
  select array_agg(a.attname::text order by a.attnum)
  from pg_attribute as a
  where a.attrelid = source and a.attnum > 0 and not a.attisdropped
    and ((select bool_or(whole) is not false from columns)
      or not exists (select from columns where attnum > 0)
      or a.attname = any (named)
      or a.attnum in (select attnum from columns));
$$;


-- replicache_foreign_condition(table_name regclass, source regclass) returns text
--
-- Internal: the condition by which a foreign key joins the two; null unless exactly
-- one does.

create or replace function replicache_foreign_condition(
  table_name regclass, source regclass)
returns text
language sql stable set search_path from current
as $$
  select case when count(*) = 1 and table_name <> source then min(
    (select string_agg(format('%I.%I %s %I.%I',
          (select relname from pg_class where oid = c.confrelid), theirs.attname,
          replicache_operator(k.same),
          (select relname from pg_class where oid = c.conrelid), ours.attname),
          ' and ' order by ours.attnum)
     from unnest(c.conkey, c.confkey, c.conpfeqop) as k (ours, theirs, same)
       join pg_attribute as ours
         on ours.attrelid = c.conrelid and ours.attnum = k.ours
       join pg_attribute as theirs
         on theirs.attrelid = c.confrelid and theirs.attnum = k.theirs)) end
  from pg_constraint as c
  where c.contype = 'f' and (c.conrelid, c.confrelid)
    in ((table_name, source), (source, table_name));
$$;


-- replicache_watch_condition(table_name regclass, source regclass, condition text,
--   out expression text, out columns text[])
--
-- Internal: the condition as Postgres understands it, with each name qualified, and
-- the columns of the source that it names. Raises unless it is one expression, a
-- boolean, over the columns of both: a name without its table that is a column of
-- both is ambiguous. It is opened as a cursor first, which takes one statement and
-- runs nothing, and in brackets of two kinds, so that it can't close them.

create or replace function replicache_watch_condition(
  table_name regclass, source regclass, condition text,
  out expression text, out columns text[])
language plpgsql volatile set search_path from current
as $$
declare
  one name := (select relname from pg_class where oid = table_name);
  -- A table that is joined with itself.
  other name := coalesce(nullif((select relname from pg_class
    where oid = source), one), 'source');
  tables text := format('%s as %I, %s as %I', replicache_qualified(table_name),
    one, replicache_qualified(source), other);
  probe refcursor;
begin
  for i in 1 .. 2 loop
    open probe for execute format(case i
        when 1 then E'select from %s where coalesce((%s\n), false)'
        else E'select from %s where (array[(%s\n), false])[1]' end,
      tables, condition);
    close probe;
  end loop;
  execute format(E'create view replicache_probe as\n'
    'select (%s\n) as is_watched from %s', condition, tables);
  expression := (regexp_match(pg_get_viewdef('replicache_probe'::regclass),
    '^ SELECT (.*) AS is_watched\n   FROM '))[1];
  columns := array(select a.attname::text
    from pg_rewrite as r
      join pg_depend as d on d.classid = 'pg_rewrite'::regclass
        and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
      join pg_attribute as a
        on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where r.ev_class = 'replicache_probe'::regclass and d.refobjid = source
      and a.attnum > 0);
  drop view replicache_probe;
  if exists (select from pg_attribute where attrelid = source
             and attname = any (columns) and attgenerated <> '') then
    raise 'the condition names a column of % that is generated', source
      using errcode = 'feature_not_supported',
        hint = 'It is not computed yet when the row is looked at: name the '
          'columns that it is made of.';
  end if;
end
$$;
