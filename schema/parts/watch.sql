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
-- of the source called row_name, and who sees them. In the condition, the row of the
-- source is called by the source's name.

create or replace function replicache_note_code(
  registered replicache_table, watch replicache_source, row_name text)
returns text
language sql stable set search_path from current
as $$
  select replicache_fill($code$
      insert into replicache_pending
        select {watch}, pg_trigger_depth(), {key},
          jsonb_build_object({pk}), {viewers}
        from (select {row}.* from {table} as {row}, (select {row_name}.*) as {source_row}
              where {condition}) as t
        on conflict do nothing;$code$,
    jsonb_build_object(
      'watch', watch.id,
      'key', replicache_key(registered.table_name, registered.prefix, 't'),
      'pk', (select string_agg(format('%L, t.%I', a.attname, a.attname), ', ')
        from pg_index as i join pg_attribute as a
          on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
        where i.indrelid = registered.table_name and i.indisprimary),
      'viewers', replicache_viewers_code(registered, 't'),
      'table', replicache_qualified(registered.table_name),
      'row', quote_ident(t.relname),
      'row_name', row_name,
      'source_row',
        quote_ident(coalesce(nullif(s.relname, t.relname), 'source')),
      'condition', watch.expression))
  from pg_class as t, pg_class as s
  where t.oid = registered.table_name and s.oid = watch.source;
$$;


-- replicache_watch_names(registered replicache_table, watch replicache_source)
--   returns jsonb
--
-- Internal: what the templates of a watch's triggers name:
--
--     watch, schema, source, table, name
--                 the number; of replicache; the two tables, with their schemas; what
--                 the names of the trigger functions begin with
--     is_there    the table is there (still)
--     is_noted    a row of replicache_pending is of this watch and statement
--     before, after
--                 the columns that matter of the source's row, as it was and will be
--     note_old, note_new
--                 statements: note the rows that belong to the source's row
--     pk          the columns of the primary key, with their types
--     is_k        the row called t has the primary key of k
--     viewers     who sees the row called k now
--     to_all      a change is sent whoever gained the row: not only the audience
--                 reads the source
--     has_changed of what was noted: it is to be sent
--     is_live     of the row called t: and it is not marked as deleted

create or replace function replicache_watch_names(
  registered replicache_table, watch replicache_source)
returns jsonb
language sql stable set search_path from current
as $$
  select jsonb_build_object(
    'watch', watch.id,
    'schema', quote_ident(current_schema()),
    'source', replicache_qualified(watch.source),
    'table', replicache_qualified(registered.table_name),
    'name', format('%I.replicache_watch_%s_', current_schema(), watch.id),
    'is_there', format('to_regclass(%L) is not null',
      replicache_qualified(registered.table_name)),
    'is_noted', format('watch = %s and depth >= pg_trigger_depth()', watch.id),
    'before', (select format('row(%s)::record',
        string_agg(format('old.%I', c), ', '))
      from unnest(columns) as c),
    'after', (select format('row(%s)::record',
        string_agg(format('new.%I', c), ', '))
      from unnest(columns) as c),
    'note_old', replicache_note_code(registered, watch, 'old'),
    'note_new', replicache_note_code(registered, watch, 'new'),
    'pk', (select string_agg(format('%I %s', a.attname,
        format_type(a.atttypid, a.atttypmod)), ', ')
      from pg_index as i join pg_attribute as a
        on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
      where i.indrelid = registered.table_name and i.indisprimary),
    'is_k', replicache_key_match(registered.table_name, 't', 'k'),
    'viewers', replicache_viewers_code(registered, 'k'),
    'to_all', to_all::text,
    'has_changed', case when to_all then 'true'
      else 'not after <@ before' end,
    'is_live', case when registered.soft then ' and t.deleted is not true'
      else '' end)
  from replicache_source_columns(registered, watch.source, watch.columns)
      as columns,
    coalesce(registered.audience is null or (select s.value
      from replicache_sources(registered) as s where s.source = watch.source),
      true) as to_all;
$$;


-- zz_replicache_watch_lock and zz_replicache_watch_empty, which all watches of a
-- source share, and whose functions are the same for every table.

create or replace function replicache_watch_statement_code(names jsonb)
returns text
language sql immutable set search_path from current
as $$
  select replicache_fill($code$
create or replace trigger zz_replicache_watch_lock
  before insert or update or delete or truncate on {source}
  for each statement execute function {schema}.replicache_trigger_lock();
create or replace trigger zz_replicache_watch_empty after truncate on {source}
  for each statement execute function {schema}.replicache_trigger_truncate();
$code$, names);
$$;


-- zz_replicache_watch_N: before a row of the source changes, notes the rows of the table
-- that belong to it, as it was and as it will be.

create or replace function replicache_watch_before_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('before',
    'security definer set search_path from current', names, $body$
begin
  if tg_op = 'UPDATE' and not ({before} *<> {after}) then
    return new;
  end if;
  if {is_there} then
    if tg_op <> 'INSERT' then{note_old}
    end if;
    if tg_op <> 'DELETE' then{note_new}
    end if;
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$body$, $fires$
create or replace trigger zz_replicache_watch_{watch}
  before insert or update or delete on {source}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_watched_N: after the statement, compares who saw the rows that were noted
-- with who sees them now. Who lost one is told to forget its key. It gets a new version
-- where somebody gained it, if only the audience reads the source; if the view or a
-- policy does, in any case.
--
-- To have the row sent to all who see it because a few gained it can cost more than to
-- have these few start over: that is done beyond 1,000 rows sent for nothing for each
-- of them.

create or replace function replicache_watch_after_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('after',
    'security definer set search_path from current', names, $body$
declare
  needless_max constant bigint := 1000;
  version bigint;
  changed jsonb[];
  gained text[];
  needless bigint;
begin
  if not exists (select from replicache_pending where {is_noted})
     or not {is_there} then
    return null;
  end if;
  version := replicache_next_version();
  with noted as (
    select p.key, p.pk, p.users as before, {viewers} as after
    from replicache_pending as p
      cross join lateral jsonb_to_record(p.pk) as k ({pk})
    where {is_noted}
  ), lost as (
    insert into replicache_hidden
      select version, key, array(select unnest(before)
        except select unnest(after))
      from noted where not before <@ after
  )
  select array_agg(pk), coalesce(sum(cardinality(after)), 0)
    into changed, needless
    from noted where {has_changed};
  if changed is not null and not {to_all} then
    select array_agg(distinct u), needless - count(*) into gained, needless
      from replicache_pending as p
        cross join lateral jsonb_to_record(p.pk) as k ({pk})
        cross join lateral unnest({viewers}) as u
      where {is_noted} and u <> all (p.users);
    if needless > needless_max * cardinality(gained) then
      perform replicache_touch(gained);
      changed := null;
    end if;
  end if;
  delete from replicache_pending where {is_noted};
  if changed is not null then
    perform set_config('replicache.touching', 'on', true);
    update {table} as t set version = t.version
      from unnest(changed) as p (pk)
        cross join lateral jsonb_to_record(p.pk) as k ({pk})
      where {is_k}{is_live};
    perform set_config('replicache.touching', 'off', true);
  end if;
  return null;
end
$body$, $fires$
create or replace trigger zz_replicache_watched_{watch}
  after insert or update or delete on {source}
  for each statement execute function {function}();
$fires$);
$$;


-- replicache_watch_code(registered replicache_table, watch replicache_source)
--   returns text
--
-- Internal: the statements that create the triggers of a watch and their functions.
-- These do nothing when the table is not there (any more): whoever writes to the
-- source is not stopped by it.

create or replace function replicache_watch_code(
  registered replicache_table, watch replicache_source)
returns text
language sql stable set search_path from current
as $$
  select concat(
    replicache_watch_statement_code(names),
    replicache_watch_before_code(names),
    replicache_watch_after_code(names))
  from replicache_watch_names(registered, watch) as names;
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
