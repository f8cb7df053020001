-- SPDX-License-Identifier: Apache-2.0
--
-- How does a change of another table reach the rows that it concerns?


-- A watch has a change of a source (sources.sql) reach the rows of the registered
-- table that it concerns:
--
--     zz_replicache_watch_lock    before any statement  takes the lock
--     zz_replicache_watch_N       before each row       notes the rows of the table
--                                                       that belong to the source's
--                                                       row, as it was and as it
--                                                       will be, and who sees them
--     zz_replicache_watched_N     after any statement   compares: who lost a row is
--                                                       told to forget its key, and
--                                                       where somebody gained it,
--                                                       it gets a new version
--     zz_replicache_watch_empty   after truncate        raises the floor
--
-- What is noted is kept in replicache_pending, and not in the transition tables of
-- Postgres: these have no row that ON CONFLICT DO NOTHING left out, and who saw the
-- rows before can't be found out any more when they are there. Rows are noted
-- before the foreign keys cascade, since those are triggers after each row. What a
-- statement noted is kept apart by the depth of triggers: one that is run by a
-- trigger within another ends before it. (The triggers after a statement that
-- cascades are run with those of the statement it comes from, at its depth. And a
-- function that is called by an update of a source must not update it as well: the
-- two are of the same depth.) Of a row that is noted twice the first counts, as
-- nothing had changed then.
--
-- An update that leaves alone the columns that matter is none.


-- replicache_viewers_code(registered replicache_table, row_name text) returns text
--
-- Internal: the array of the users who may see the row called row_name; nobody, if
-- there is no audience.

create or replace function replicache_viewers_code(
  registered replicache_table, row_name text)
returns text
language sql stable set search_path from current
as $$
  select case when registered.audience is null then '''{}''::text[]'
    else format(E'array(select distinct a.viewer::text from %s as a\n'
        '          where %s and a.viewer is not null)',
      replicache_qualified(registered.audience),
      replicache_key_match(registered.table_name, 'a', row_name)) end;
$$;


-- replicache_note_code(registered replicache_table, watch replicache_source,
--   row_name text) returns text
--
-- Internal: the statement that notes the rows of the table that belong to the row
-- of the source called row_name, and who sees them.

create or replace function replicache_note_code(
  registered replicache_table, watch replicache_source, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format(E'    insert into replicache_pending\n'
      '      select %s, pg_trigger_depth(), %s,\n'
      '        jsonb_build_object(%s), %s\n'
      '      from (select %5$I.* from %6$s as %5$I, (select %7$s.*) as %8$I\n'
      '            where %9$s) as t\n'
      '      on conflict do nothing;\n',
    watch.id,
    replicache_key(registered.table_name, registered.prefix, 't'),
    (select string_agg(format('%L, t.%I', a.attname, a.attname), ', ')
     from pg_index as i join pg_attribute as a
       on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
     where i.indrelid = registered.table_name and i.indisprimary),
    replicache_viewers_code(registered, 't'),
    t.relname, replicache_qualified(registered.table_name), row_name,
    coalesce(nullif(s.relname, t.relname), 'source'), watch.expression)
  from pg_class as t, pg_class as s
  where t.oid = registered.table_name and s.oid = watch.source;
$$;


-- replicache_watch_code(registered replicache_table, watch replicache_source)
--   returns text
--
-- Internal: the statements that create the triggers of a watch and their functions.
-- These do nothing when the table is not there (any more): whoever writes to the
-- source is not stopped by it.
--
-- If only the audience reads the source, a row gets a new version where somebody
-- gained it; if the view or a policy does, in any case. To have the row sent to all
-- who see it because a few gained it can cost more than to have these few start
-- over: that is done beyond 1,000 rows sent for nothing for each of them.

create or replace function replicache_watch_code(
  registered replicache_table, watch replicache_source)
returns text
language plpgsql stable set search_path from current
as $$
declare
  target text := replicache_qualified(registered.table_name);
  source text := replicache_qualified(watch.source);
  name text := format('%I.replicache_watch_%s_', current_schema(), watch.id);
  definer text := 'security definer set search_path from current';
  there text := format('to_regclass(%L) is not null', target);
  mine text := format('watch = %s and depth >= pg_trigger_depth()', watch.id);
  value boolean := registered.audience is null or coalesce((select s.value
    from replicache_sources(registered) as s where s.source = watch.source),
    true);
  columns text[] := replicache_source_columns(registered, watch.source,
    watch.columns);
  key_columns text := (select string_agg(format('%I %s', a.attname,
      format_type(a.atttypid, a.atttypmod)), ', ')
    from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
    where i.indrelid = registered.table_name and i.indisprimary);
begin
  return replicache_define(name || 'before', definer, format($code$
begin
  if tg_op = 'UPDATE' and not (%s *<> %s) then
    return new;
  end if;
  if %s then
    if tg_op <> 'INSERT' then
%s    end if;
    if tg_op <> 'DELETE' then
%s    end if;
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$code$,
      format('row(%s)::record', (select string_agg(format('old.%I', c), ', ')
        from unnest(columns) as c)),
      format('row(%s)::record', (select string_agg(format('new.%I', c), ', ')
        from unnest(columns) as c)),
      there, replicache_note_code(registered, watch, 'old'),
      replicache_note_code(registered, watch, 'new')))
    || replicache_define(name || 'after', definer, format($code$
declare
  needless_max constant bigint := 1000;
  version bigint;
  changed jsonb[];
  gained text[];
  needless bigint;
begin
  if not exists (select from replicache_pending where %1$s) or not %2$s then
    return null;
  end if;
  version := replicache_next_version();
  with noted as (
    select p.key, p.pk, p.users as before, %3$s as after
    from replicache_pending as p
      cross join lateral jsonb_to_record(p.pk) as k (%4$s)
    where %1$s
  ), lost as (
    insert into replicache_hidden
      select version, key, array(select unnest(before)
        except select unnest(after))
      from noted where not before <@ after
  )
  select array_agg(pk), coalesce(sum(cardinality(after)), 0)
    into changed, needless
    from noted where %5$s;
  if changed is not null and not %6$s then
    select array_agg(distinct u), needless - count(*) into gained, needless
      from replicache_pending as p
        cross join lateral jsonb_to_record(p.pk) as k (%4$s)
        cross join lateral unnest(%3$s) as u
      where %1$s and u <> all (p.users);
    if needless > needless_max * cardinality(gained) then
      perform replicache_touch(gained);
      changed := null;
    end if;
  end if;
  delete from replicache_pending where %1$s;
  if changed is not null then
    perform set_config('replicache.touching', 'on', true);
    update %7$s as t set version = t.version
      from unnest(changed) as p (pk)
        cross join lateral jsonb_to_record(p.pk) as k (%4$s)
      where %8$s%9$s;
    perform set_config('replicache.touching', 'off', true);
  end if;
  return null;
end
$code$, mine, there, replicache_viewers_code(registered, 'k'), key_columns,
      case when value then 'true' else 'not after <@ before' end,
      value::text, target,
      replicache_key_match(registered.table_name, 't', 'k'),
      case when registered.soft then ' and t.deleted is not true' else '' end))
    || format($code$
create or replace trigger zz_replicache_watch_lock
  before insert or update or delete or truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_lock();
create or replace trigger zz_replicache_watch_empty after truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_truncate();
create or replace trigger zz_replicache_watch_%3$s
  before insert or update or delete on %1$s
  for each row execute function %4$sbefore();
create or replace trigger zz_replicache_watched_%3$s
  after insert or update or delete on %1$s
  for each statement execute function %4$safter();
$code$, source, current_schema(), watch.id, name);
end
$$;


-- replicache_unwatch_source(watch replicache_source) returns void
--
-- Internal: drops the triggers of a watch, their functions, and the row.

create or replace function replicache_unwatch_source(watch replicache_source)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  source text := replicache_qualified(watch.source);
begin
  delete from replicache_source as s where s.id = watch.id;
  if source is not null then
    execute format('drop trigger if exists zz_replicache_watch_%s on %s',
      watch.id, source);
    execute format('drop trigger if exists zz_replicache_watched_%s on %s',
      watch.id, source);
    if not exists (select from replicache_source as s
        where s.source = watch.source and s.expression is not null) then
      execute format('drop trigger if exists zz_replicache_watch_lock on %s',
        source);
      execute format('drop trigger if exists zz_replicache_watch_empty on %s',
        source);
    end if;
  end if;
  execute format('drop function if exists %I.replicache_watch_%s_before()',
    current_schema(), watch.id);
  execute format('drop function if exists %I.replicache_watch_%s_after()',
    current_schema(), watch.id);
end
$$;


-- replicache_set_watch(registered replicache_table, watch replicache_source,
--   fresh boolean) returns void
--
-- Internal: installs a watch, or brings it up to date. Where it was not there
-- before, or its triggers were not, nobody knows what clients missed, so they start
-- over; unless the table is fresh, and no client has any of it, or nobody asked for
-- the watch, as when the database is upgraded: then they would all come at once.

create or replace function replicache_set_watch(
  registered replicache_table, watch replicache_source, fresh boolean)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  before replicache_source;
  free int := (select coalesce(max(id), 0) + 1 from replicache_source);
  understood record;
  lost text;
begin
  select * into before from replicache_source as s
    where s.table_name = watch.table_name and s.source = watch.source;
  if watch.condition is null then
    perform replicache_unwatch_source(before) where before.id is not null;
    insert into replicache_source (id, table_name, source, automatic)
      values (free, watch.table_name, watch.source, false);
    return;
  end if;

  understood := replicache_watch_condition(watch.table_name, watch.source,
    watch.condition);
  watch.id := coalesce(before.id, free);
  watch.expression := understood.expression;
  watch.columns := understood.columns;
  watch.code := replicache_watch_code(registered, watch);
  lost := replicache_missing_watch(before);
  if watch is distinct from before or lost is not null then
    delete from replicache_source as s where s.id = watch.id;
    insert into replicache_source select watch.*;
    execute watch.code;
    if not fresh and (lost is not null or not watch.automatic
          and before.expression is distinct from watch.expression) then
      update replicache_state set floor = replicache_next_version();
    end if;
  end if;
end
$$;


-- replicache_missing_watch(watch replicache_source) returns text
--
-- Internal: the names of its triggers that are dropped or disabled; null if none is.

create or replace function replicache_missing_watch(watch replicache_source)
returns text
language sql stable set search_path from current
as $$
  select string_agg(name[1], ', ' order by name[1])
  from regexp_matches(watch.code,
      'create or replace trigger (zz_replicache_\w+)', 'g') as name
  where not exists (select from pg_trigger
    where tgrelid = watch.source and tgname = name[1]
      and tgenabled in ('O', 'A'));
$$;


-- replicache_unwatched(registered replicache_table)
--   returns table (source text, why text, advice text)
--
-- Internal: the sources of a registered table whose changes nobody notices, and what
-- to do about each.

create or replace function replicache_unwatched(registered replicache_table)
returns table (source text, why text, advice text)
language sql stable set search_path from current
as $$
  select case when f.what like 'It is a function%' then f.source::regprocedure::text
      else f.source::regclass::text end,
    case
      when f.what is not null then f.what
      when f.source = registered.table_name then 'It is joined with itself.'
      when f.times > 1 then 'It is read more than once.'
      else 'No one foreign key joins the two.'
    end,
    case
      when f.what is not null then format('Call replicache_touch(%L, ...) '
        'before what it reads changes.', registered.table_name)
      else format('select replicache_watch(%L, %L, ''%I. ... = %I. ...'')',
        registered.table_name, f.source::regclass,
        (select relname from pg_class where oid = registered.table_name),
        coalesce(nullif((select relname from pg_class where oid = f.source),
          (select relname from pg_class where oid = registered.table_name)),
          'source'))
    end
  from replicache_sources(registered) as f
  where not exists (select from replicache_source as s
    where s.table_name = registered.table_name and s.source = f.source
      and (f.what is null or f.what not like 'It is a function%'));
$$;


-- replicache_watch_sources(table_name regclass, fresh boolean) returns void
--
-- Internal: after a table was registered (again): watches the sources that one
-- foreign key joins to it, brings the watches that are there up to date, and names
-- the sources that nobody watches.

create or replace function replicache_watch_sources(
  table_name regclass, fresh boolean)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
  found_source record;
begin
  select * into registered from replicache_table as r
    where r.table_name = replicache_watch_sources.table_name;
  for watch in select * from replicache_source as s
      where s.table_name = registered.table_name order by s.id loop
    if not exists (select from pg_class where oid = watch.source)
       or watch.automatic and (
         replicache_foreign_condition(registered.table_name, watch.source)
           is null
         or not exists (select from replicache_sources(registered) as f
           where f.source = watch.source and f.times = 1)) then
      perform replicache_unwatch_source(watch);
    elsif watch.condition is not null then
      if watch.automatic then
        watch.condition := replicache_foreign_condition(registered.table_name,
          watch.source);
      end if;
      perform replicache_set_watch(registered, watch, fresh);
    end if;
  end loop;

  for watch in
    select null::int, registered.table_name, f.source::regclass,
      replicache_foreign_condition(registered.table_name, f.source), true
    from replicache_sources(registered) as f
    where f.what is null and f.times = 1
      and replicache_foreign_condition(registered.table_name, f.source)
        is not null
      and not exists (select from replicache_source as s
        where s.table_name = registered.table_name and s.source = f.source)
      and has_table_privilege(f.source, 'trigger')
  loop
    perform replicache_set_watch(registered, watch, fresh);
  end loop;

  for found_source in select * from replicache_unwatched(registered) loop
    raise notice 'nobody watches %, on which depends what clients see of %',
        found_source.source, registered.table_name
      using detail = found_source.why, hint = found_source.advice;
  end loop;
end
$$;


-- replicache_watch(table_name regclass, source regclass, condition text)
--   returns void
--
-- Has each change of the source (insert, update, delete, by a cascade too, and
-- truncate) reach the rows of a registered table that it concerns: who can't see
-- such a row any more is told to forget its key, who came to see it gets it, and if
-- the source is read by the view, all who see it get it again.
--
--     select replicache_watch('item', 'list', 'item.list_id = list.id');
--
-- The condition says which rows of the table a row of the source belongs to: an
-- SQL expression, a boolean, over the columns of both. Each is named by its table,
-- or alone where only one of the two has it. A table that is joined with itself is
-- its own source, called `source`. An index on the columns of the table that it
-- compares makes it fast.
--
-- A condition of null says that the source needs no watch, as it never changes, or
-- the app calls replicache_touch(): it is then not named any more.
--
-- Of a source that one foreign key joins to the table, this is done when the table
-- is registered, with the key for a condition. Another call for the same source
-- replaces the condition. As nobody knows what clients missed until then, they
-- start over. Registering the table again keeps its watches.

create or replace function replicache_watch(
  table_name regclass, source regclass, condition text)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
begin
  perform replicache_lock();
  select * into registered from replicache_table as r
    where r.table_name = replicache_watch.table_name;
  if not found then
    raise '% is not registered', table_name using errcode = 'undefined_table';
  elsif condition is not null and not exists (select from pg_class
      where oid = source and relkind = 'r' and not relispartition
        and not relhassubclass) then
    raise '% is not an ordinary table', source
      using errcode = 'wrong_object_type',
        hint = format('Call replicache_touch(%L, ...) before what it shows '
          'changes.', table_name);
  end if;
  watch.table_name := table_name;
  watch.source := source;
  watch.condition := condition;
  watch.automatic := false;
  perform replicache_set_watch(registered, watch, false);
end
$$;


-- replicache_unwatch(table_name regclass, source regclass) returns void
--
-- Undoes replicache_watch(). A source that a foreign key joins is watched again when
-- the table is registered again. Does nothing if the source is not watched.

create or replace function replicache_unwatch(
  table_name regclass, source regclass)
returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_lock();
  perform replicache_unwatch_source(s) from replicache_source as s
    where s.table_name = replicache_unwatch.table_name
      and s.source = replicache_unwatch.source;
end
$$;
