-- SPDX-License-Identifier: Apache-2.0
--
-- How does a table begin and cease to sync?


-- replicache_leave_tombstones(registered replicache_table, version bigint)
--   returns void
--
-- Internal: tells clients that all keys of a registered table are gone. Where
-- that can't be found out any more, since the table or a column of its key
-- was dropped, or is not for everybody to know, raises the floor, so that clients
-- start over.

create or replace function replicache_leave_tombstones(
  registered replicache_table, version bigint)
returns void
language plpgsql volatile set search_path from current
as $$
begin
  if registered.audience is null
     and exists (select from pg_class where oid = registered.table_name) then
    begin
      execute format('insert into replicache_tombstone
          select %s, %s from %s as t
          on conflict (key) do update set version = excluded.version',
        registered.key, version, replicache_qualified(registered.table_name));
      return;
    exception when undefined_column then
      null;
    end;
  end if;
  update replicache_state set floor = version;
end
$$;


-- replicache_drop_functions(id int) returns void
--
-- Internal: drops the trigger functions of a registered table that no trigger
-- uses any more.

create or replace function replicache_drop_functions(id int) returns void
language plpgsql volatile set search_path from current
as $$
declare
  one regprocedure;
begin
  for one in
    select p.oid
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = current_schema()
      and p.proname ~ format('^replicache_%s_[a-z]+$', id)
      and not exists (select from pg_trigger where tgfoid = p.oid)
  loop
    execute format('drop function %s', one);
  end loop;
end
$$;


-- replicache_has_version_index(of_table regclass) returns boolean
--
-- Internal: whether a pull finds the rows above a version by an index.

create or replace function replicache_has_version_index(of_table regclass)
returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = of_table and a.attname = 'version'
      and i.indpred is null and i.indisvalid);
$$;


-- replicache_stamp_all(table_name regclass, version bigint) returns void
--
-- Internal: stamps all rows with the version, adding the column if there is
-- none (with a constant default, which rewrites nothing). The app's triggers
-- stay quiet: to their mind, nothing happens to the rows.

create or replace function replicache_stamp_all(
  table_name regclass, version bigint)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  target text := replicache_qualified(table_name);
  quiet text[];
  one text;
begin
  if not exists (select from pg_attribute where attrelid = table_name
                 and attname = 'version' and not attisdropped) then
    execute format('alter table %s
        add column version bigint not null default %s', target, version);
  else
    quiet := array(select quote_ident(tgname) from pg_trigger
      where tgrelid = table_name and not tgisinternal and tgenabled = 'O');
    foreach one in array quiet loop
      execute format('alter table %s disable trigger %s', target, one);
    end loop;
    execute format('update %s set version = %s', target, version);
    foreach one in array quiet loop
      execute format('alter table %s enable trigger %s', target, one);
    end loop;
  end if;

  if not replicache_has_version_index(table_name) then
    execute format('create index on %s (version)', target);
  end if;
end
$$;


-- replicache_check_table(table_name regclass, view regclass, omit text[],
--   audience regclass) returns void
--
-- Internal: raises unless the table can be registered.

create or replace function replicache_check_table(
  table_name regclass, view regclass, omit text[], audience regclass)
returns void
language plpgsql stable set search_path from current
as $$
declare
  class pg_class;
  part record;
  parts int := 0;
  missing text;
begin
  select * into class from pg_class where oid = table_name;
  if class.relkind is distinct from 'r' or class.relispartition
     or class.relpersistence <> 'p' or class.relhassubclass
     or exists (select from pg_inherits where inhrelid = table_name) then
    raise '% is not an ordinary table', table_name
      using errcode = 'wrong_object_type',
        detail = 'Temporary, unlogged, foreign and partitioned tables, '
          'tables that inherit or are inherited from, and views can''t sync.';
  elsif class.relforcerowsecurity then
    raise 'row level security of % is forced', table_name
      using errcode = 'wrong_object_type',
        detail = 'The triggers, which run as its owner, have to see all rows.';
  end if;

  for part in
    select a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) as type
    from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
    where i.indrelid = table_name and i.indisprimary
  loop
    parts := parts + 1;
    if part.attname in ('version', 'deleted') then
      raise 'column % can''t be part of the primary key of %', part.attname,
        table_name using errcode = 'invalid_table_definition';
    elsif replicache_key_part(part.atttypid, '', false) is null then
      raise 'primary key column % of % has type %', part.attname, table_name,
          part.type
        using errcode = 'datatype_mismatch',
          hint = 'Keys are made of integers, numeric, text, uuid, boolean, '
            'enums, date, timestamp, bytea, and domains over those.';
    elsif view is not null and not exists (select from pg_attribute
        where attrelid = view and attname = part.attname
          and atttypid = part.atttypid and not attisdropped) then
      raise 'view % has no column % of type %', view, part.attname, part.type
        using errcode = 'undefined_column',
          hint = 'It needs the columns of the primary key of the table.';
    elsif audience is not null and not exists (select from pg_attribute
        where attrelid = audience and attname = part.attname
          and atttypid = part.atttypid and not attisdropped) then
      raise 'audience % has no column % of type %', audience, part.attname,
          part.type
        using errcode = 'undefined_column',
          hint = 'It needs the columns of the primary key of the table, and '
            'viewer.';
    end if;
  end loop;
  if parts = 0 then
    raise '% has no primary key', table_name
      using errcode = 'invalid_table_definition';
  end if;

  if exists (select from pg_attribute where attrelid = table_name
      and attname = 'version' and not attisdropped
      and (atttypid <> 'int8'::regtype or attgenerated <> ''
           or attidentity <> '')) then
    raise 'column version of % is not a plain bigint', table_name
      using errcode = 'datatype_mismatch',
        hint = 'It is set to the version that last changed the row.';
  end if;

  if view is not null
     and (select relkind from pg_class where oid = view) <> 'v' then
    raise '% is not a view', view using errcode = 'wrong_object_type';
  end if;

  if audience is not null and not exists (select from pg_attribute
      where attrelid = audience and attname = 'viewer' and not attisdropped
        and replicache_base_type(atttypid)
          in ('text'::regtype, 'varchar'::regtype)) then
    raise 'audience % has no column viewer of type text', audience
      using errcode = 'undefined_column';
  end if;

  select string_agg(name, ', ') into missing from unnest(omit) as name
    where not exists (select from pg_attribute
      where attrelid = coalesce(view, table_name) and attname = name
        and attnum > 0 and not attisdropped);
  if missing is not null then
    raise '% has no column %', coalesce(view, table_name), missing
      using errcode = 'undefined_column';
  end if;
end
$$;


-- replicache_register_table(table_name regclass, prefix text default null,
--   view regclass default null, omit text[] default '{}',
--   audience regclass default null, per_user boolean default null,
--   ignore_policies boolean default false) returns void
--
-- Makes a table sync: from now on any change of a row, whoever makes it,
-- reaches the clients, and so do the rows that are there already.
--
--     key    prefix, then the primary key. The prefix is `table_name/` unless
--            given. A primary key of several columns is joined by slashes, its
--            parts with % and / percent-escaped.
--     value  an object of all columns of the table, or of the view, but for
--            those of omit, `version`, and a boolean `deleted`.
--     view   shows the table's rows as clients should see them: columns
--            renamed, computed, hidden; rows left out. It needs the columns of
--            the primary key under their own names, and may have the table's
--            `deleted` (without, a first pull is slower). Only a change of
--            the table's own row is noticed; for one of other tables that it
--            reads there is replicache_touch().
--     audience
--            a table or view with the columns of the primary key, and viewer
--            text, a user ID: a row for each row of the table and each user who may see
--            it. Others are sent nothing of that row, not even that it exists.
--     per_user
--            whether the values, or which rows there are, depend on who asks. If
--            not, a pull reads the rows for nobody: replicache_user_id() and
--            replicache_claim() are null there, and what was read is sent to
--            others, too. If so, it reads them for its user, and shares nothing.
--            Null: it is found out. Rows are everybody's only if all that the
--            table or view is made of is Postgres's own, asks for no setting and
--            no role, and has no row policies; a notice names what else there is.
--     ignore_policies
--            true lets a view pass by the row policies of a table that it reads. An
--            ordinary view reads as its owner, whom none holds who owns the table,
--            too. Such a view is refused otherwise; one with security_invoker
--            reads as the role of replicache.fcgi, so that policies hold.
--
-- Whose rows. What a view shows may depend on replicache_user_id() and
-- replicache_claim(), and a table may have row level security (not forced, and
-- its policies hold for the role of replicache.fcgi, which must not own it).
-- Where that shows in the view's own text or in that of a function it calls, the
-- table needs an audience, or `per_user => true`, by which all users are told of
-- all keys. An audience says who may know of a row at all; view and
-- policies may hide rows beyond that from users in it, who are then told that
-- the key is gone. When a row changes, the audience before and after is known:
-- who lost it is told to forget its key, who gained it gets it. When something
-- else changes that audience, view or policies depend on (a member leaves),
-- call replicache_touch() in the same transaction, before. An audience of nothing
-- but the table's own columns needs no touch. (A BEFORE trigger of the app whose
-- name sorts behind zz_replicache_ must not call off the change of a row.)
--
-- The table gets a column `version` if it has none, an index on it, and the
-- triggers. It needs a primary key of types whose text never changes:
-- integers, numeric, text, uuid, boolean, enums, date, timestamp, bytea.
-- No prefix may be the start of another one, else keys could meet.
--
-- Deleting. If the table has a column `deleted boolean`, a DELETE becomes an
-- update that sets it (and reports 0 rows), deleted rows stay until
-- replicache_purge() removes them, and an INSERT with the key of a deleted row
-- becomes an update of that row (and reports 0 rows, with nothing RETURNING).
-- Foreign keys don't see such a delete. Any other table really deletes, and
-- the key goes to replicache_tombstone. An update that changes nothing is not
-- noticed. (An INSERT takes a version even if ON CONFLICT makes nothing of
-- it.) After a TRUNCATE, clients start over.
--
-- Register again after the table, the view, the audience or row level security
-- changed (a column added, the table renamed), or to change the prefix: then
-- clients get all rows anew. If nothing changed, registering again does nothing;
-- but if its triggers were dropped or disabled, they are made again, and clients
-- start over, as nobody knows what they missed.
--
-- Not noticed is what fires no triggers: ALTER TABLE, and changes that arrive
-- by logical replication.
--
-- Blocks writers of the table meanwhile. Raises if the table can't sync, or a
-- prefix collides.

create or replace function replicache_register_table(
  table_name regclass, prefix text default null, view regclass default null,
  omit text[] default '{}', audience regclass default null,
  per_user boolean default null, ignore_policies boolean default false)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  fresh boolean := not exists (select from replicache_table as r
    where r.table_name = replicache_register_table.table_name);
  reason text := replicache_register_quietly(table_name, prefix, view, omit,
    audience, per_user, ignore_policies);
begin
  perform replicache_watch_sources(table_name, fresh);
  if reason is not null then
    raise notice 'what clients see of % may depend on the user', table_name
      using detail = format('It uses %s, of which is not known that it gives '
          'the same to everybody. So each pull reads the rows for its user, and '
          'what was read is not shared.', reason),
        hint = 'If everybody sees the same, register it with per_user => false; '
          'if not, with per_user => true, or with an audience if its keys are '
          'not for everybody.';
  end if;
end
$$;


-- replicache_check_policies(table_name regclass, view regclass) returns void
--
-- Internal: raises if the view passes by the row policies of a table. (An audience
-- may: it says who may know of a row, and triggers have to see all of it.)

create or replace function replicache_check_policies(
  table_name regclass, view regclass)
returns void
language plpgsql stable set search_path from current
as $$
declare
  found_policed record;
begin
  for found_policed in
    select * from replicache_policed(view, current_user)
    where through is not null and not replicache_is_invoker(through)
      and not holds
  loop
    raise 'row level security of % would not hold for what clients see of %',
        found_policed.policed, table_name
      using errcode = 'invalid_parameter_value',
        detail = format('View %s reads it as its owner, %s, whom no policy holds.',
          found_policed.through, found_policed.reader),
        hint = format('ALTER VIEW %s SET (security_invoker = true), from '
          'PostgreSQL 15 on; or register with ignore_policies => true, if the '
          'view may show what it shows.', found_policed.through);
  end loop;
end
$$;


-- replicache_register_quietly(...) returns text
--
-- Internal: does it. Returns what keeps it from being proven that everybody sees the
-- same, if that has just decided.

create or replace function replicache_register_quietly(
  table_name regclass, prefix text, view regclass, omit text[],
  audience regclass, per_user boolean, ignore_policies boolean)
returns text
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  before replicache_table;
  after replicache_table;
  other text;
  version bigint;
  lost boolean;
begin
  perform replicache_check_table(table_name, view, omit, audience);
  if not ignore_policies then
    perform replicache_check_policies(table_name, view);
  end if;
  perform replicache_lock();
  perform replicache_forget_dropped();

  select * into before from replicache_table as r
    where r.table_name = replicache_register_quietly.table_name;
  after := before;
  after.id := coalesce(before.id,
    (select coalesce(max(id), 0) + 1 from replicache_table));
  after.table_name := table_name;
  after.prefix := coalesce(prefix, (select relname || '/' from pg_class
    where oid = table_name));
  after.view := view;
  after.audience := audience;
  after.omit := coalesce(omit, '{}');
  after.per_user_given := per_user;
  after.ignore_policies := ignore_policies;
  if audience is not null and not per_user then
    raise 'what has an audience is per user'
      using errcode = 'invalid_parameter_value';
  end if;

  select r.prefix into other from replicache_table as r
    where r.id <> after.id and (starts_with(r.prefix, after.prefix)
                                or starts_with(after.prefix, r.prefix));
  if found then
    raise 'prefix "%" collides with prefix "%"', after.prefix, other
      using errcode = 'invalid_parameter_value',
        hint = 'No prefix may be the start of another one.';
  end if;

  after := replicache_describe(after);
  lost := before.id is not null
    and replicache_missing_triggers(before) is not null;
  if after is not distinct from before and not lost then
    return null;
  elsif per_user is null and audience is null
        and (replicache_view_code(coalesce(view, table_name))).asks then
    raise 'what clients see of % depends on the user', table_name
      using errcode = 'invalid_parameter_value',
        hint = 'It needs an audience: a table or view of the primary key and '
          'viewer, the ID of a user who may see that row. If everybody may '
          'know of every key, per_user => true will do.';
  end if;
  delete from replicache_table where id = after.id;
  insert into replicache_table select after.*;

  -- What clients see has changed, and not only how it is done.
  if lost
     or not replicache_same_key(before, after)
     or (before.soft, before.view, before.omit, before.audience,
      before.definition, before.per_user) is distinct from
     (after.soft, after.view, after.omit, after.audience,
      after.definition, after.per_user) then
    version := replicache_next_version();
    if lost
       or before.audience is not null
       or (before.id is not null and after.audience is not null) then
      -- Who has which rows is not known any more.
      update replicache_state set floor = version;
    elsif not replicache_same_key(before, after) then
      perform replicache_leave_tombstones(before, version);
    end if;
    perform replicache_stamp_all(table_name, version);
    execute format('delete from replicache_tombstone where key in
      (select %s from %s as t)', after.key, replicache_qualified(table_name));
  end if;
  execute after.code;
  perform replicache_drop_functions(after.id);
  return case when audience is null then after.per_user_reason end;
end
$$;


-- replicache_same_key(one replicache_table, other replicache_table)
--   returns boolean
--
-- Internal: whether both give a row the same key. (Release 0.1.0 wrote the
-- expression without the schemas of what it calls.)

create or replace function replicache_same_key(
  one replicache_table, other replicache_table)
returns boolean
language sql immutable set search_path from current
as $$
  select one.prefix = other.prefix
    and regexp_replace(one.key, 'OPERATOR\(pg_catalog\.([^)]+)\)|pg_catalog\.',
      '\1', 'g')
      = regexp_replace(other.key, 'OPERATOR\(pg_catalog\.([^)]+)\)|pg_catalog\.',
      '\1', 'g');
$$;


-- replicache_describe(registered replicache_table) returns replicache_table
--
-- Internal: the same row with what follows from table, prefix, view, omit,
-- audience and per_user_given.

create or replace function replicache_describe(registered replicache_table)
returns replicache_table
language plpgsql stable set search_path from current
as $$
begin
  registered.soft := exists (select from pg_attribute
    where attrelid = registered.table_name and attname = 'deleted'
      and atttypid = 'bool'::regtype and not attisdropped);
  registered.key := replicache_key(registered.table_name, registered.prefix,
    't');
  select c.pull_all, c.pull_since
    into registered.pull_all, registered.pull_since
    from replicache_pull_code(registered.table_name, registered.prefix,
      registered.soft, registered.view, registered.audience,
      registered.omit) as c;
  select c.definition, coalesce(registered.per_user_given,
      registered.audience is not null or c.asks or c.reason is not null),
      case
        when registered.per_user_given is not null then null
        when registered.audience is not null then 'it has an audience'
        when c.asks then 'it asks who asks, or has row policies'
        else c.reason
      end
    into registered.definition, registered.per_user, registered.per_user_reason
    from replicache_view_code(coalesce(registered.view,
      registered.table_name)) as c;
  if registered.audience is not null then
    registered.definition := registered.definition || E'\naudience '
      || (replicache_view_code(registered.audience)).definition;
  end if;
  registered.code := replicache_trigger_code(registered);
  return registered;
end
$$;


-- replicache_forget(registered replicache_table) returns void
--
-- Internal: tells clients that the rows are gone, and drops what registering
-- created, except the column `version` and its index.

create or replace function replicache_forget(registered replicache_table)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
begin
  perform replicache_leave_tombstones(registered, replicache_next_version());
  if exists (select from pg_class where oid = registered.table_name) then
    execute replicache_drop_triggers_code(registered.table_name);
  end if;
  perform replicache_unwatch_source(s) from replicache_source as s
    where s.table_name = registered.table_name;
  perform replicache_drop_functions(registered.id);
  delete from replicache_table where id = registered.id;
end
$$;


-- replicache_forget_dropped() returns void
--
-- Internal: unregisters the tables that were dropped, and forgets dropped sources.

create or replace function replicache_forget_dropped() returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_forget(r) from replicache_table as r
    where not exists (select from pg_class as c where c.oid = r.table_name);
  perform replicache_unwatch_source(s) from replicache_source as s
    where not exists (select from pg_class as c where c.oid = s.source);
end
$$;


-- replicache_unregister_table(table_name regclass) returns void
--
-- Undoes replicache_register_table: clients are told that the rows are gone.
-- The column `version` stays, and rows with `deleted` set stay as well. Does
-- nothing if the table is not registered.

create or replace function replicache_unregister_table(table_name regclass)
returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_lock();
  perform replicache_forget(r) from replicache_table as r
    where r.table_name = replicache_unregister_table.table_name;
end
$$;
