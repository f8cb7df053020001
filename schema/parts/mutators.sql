-- SPDX-License-Identifier: Apache-2.0
--
-- Which functions may clients call?


-- replicache_register_mutator(name text, function text | regprocedure,
--   shared boolean default null) returns void
--
-- Allows clients to call the mutation `name`, which runs the function. The
-- function takes the arguments as its one argument of type jsonb or json, is
-- in any language, and what it returns is ignored. It is given by its name, or
-- by its name and argument: 'create_message' or 'app.create_message(jsonb)'.
-- (plpgsql keeps its plans for a session, SQL functions don't: for mutators
-- that are called a lot, plpgsql is faster.)
--
-- It runs as the role of replicache.fcgi. If it raises, only its own effects are
-- undone and the mutation goes to replicache_failed_mutation. Jsonb can't hold
-- \u0000 and halves of surrogate pairs; a function that must accept those takes
-- json.
--
-- A mutator that leaves nothing in its transaction or session but rows runs in one
-- transaction with those of other users, which is what makes many pushes fast. One
-- that may set something (SET, set_config()), create anything, lock by hand, put
-- SQL together (EXECUTE) or that is in another language than SQL and plpgsql runs
-- in a transaction of its client group alone, and what it left in the session is
-- undone behind it. Which it is follows from its text, and from those of the
-- functions and triggers it reaches, unless `shared` says it. A notice names what
-- made it alone; replicache_check() does later.
--
-- Registering a name again replaces the function.

create or replace function replicache_register_mutator(
  name text, function regprocedure, shared boolean default null)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  reason text := replicache_register_mutator_quietly(name, function, shared);
begin
  if reason is not null then
    raise notice 'mutator % runs in a transaction of its client group alone', name
      using detail = format('Because of %s.', reason),
        hint = 'If it leaves nothing but rows, register it with shared => true.';
  end if;
end
$$;


-- replicache_register_mutator_quietly(name text, function regprocedure,
--   shared boolean) returns text
--
-- Internal: does it. Returns why the mutator is alone, if that is new.

create or replace function replicache_register_mutator_quietly(
  name text, function regprocedure, shared boolean)
returns text
language plpgsql volatile set search_path from current
as $$
declare
  names_max constant int := 256; -- PROTOCOL_NAME_MAX in common/protocol.h
  found_function record;
  judged record;
  before replicache_mutator;
  qualified text;
  mutator replicache_mutator;
begin
  select p.prokind, p.proretset, p.pronargs, n.nspname, p.proname,
      format_type(p.proargtypes[0], null) as argument
    into found_function
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where p.oid = function;
  if found_function.prokind is distinct from 'f' or found_function.proretset
     or found_function.pronargs <> 1
     or found_function.argument not in ('json', 'jsonb') then
    raise '% is not a function of one jsonb or json', function
      using errcode = 'invalid_function_definition';
  end if;
  if name = '' then
    raise 'a mutator needs a name' using errcode = 'invalid_parameter_value';
  elsif octet_length(name) > names_max then
    raise 'the name of a mutator has % bytes at most', names_max
      using errcode = 'invalid_parameter_value';
  end if;

  qualified := format('%I.%I', found_function.nspname, found_function.proname);
  mutator.name := name;
  mutator.function := format('%s(%s)', qualified, found_function.argument);
  mutator.argument := found_function.argument;
  -- WHERE comes before what is selected, and costs less than FROM.
  mutator.call := format('select %s($5::pg_catalog.%s) where '
      '%I.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, '
      '$3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null',
    qualified, found_function.argument, current_schema());
  mutator.run := format('select %s($1)', qualified);
  select * into judged from replicache_judge_mutator(function);
  mutator.shared := coalesce(shared, judged.reason is null);
  mutator.closes := not mutator.shared and judged.closes;
  mutator.shared_given := shared;
  mutator.reason := case when shared is null then judged.reason end;

  select * into before from replicache_mutator as m where m.name = mutator.name;
  if mutator is not distinct from before then
    return null;
  end if;
  delete from replicache_mutator as m where m.name = mutator.name;
  insert into replicache_mutator select mutator.*;
  return mutator.reason;
end
$$;

-- The name is looked up by the caller's search_path.
create or replace function replicache_register_mutator(
  name text, function text, shared boolean default null,
  path text default current_setting('search_path'))
returns void
language plpgsql volatile set search_path from current
as $$
declare
  ours constant text := current_setting('search_path');
  names constant text[] := case when function like '%(%'
    then array[function]
    else array[function || '(pg_catalog.jsonb)',
      function || '(pg_catalog.json)'] end;
  known regprocedure;
begin
  perform set_config('search_path', path, true);
  known := coalesce(pg_catalog.to_regprocedure(names[1]),
    pg_catalog.to_regprocedure(names[2]));
  perform pg_catalog.set_config('search_path', ours, true);
  if known is null then
    raise 'there is no function % of one jsonb or json', function
      using errcode = 'undefined_function';
  end if;
  perform replicache_register_mutator(name, known, shared);
end
$$;


-- replicache_fingerprint() returns text
--
-- Internal: another one whenever a function, trigger, default, constraint, policy,
-- rule, cast or operator was created, replaced or dropped, but for temporary ones.

create or replace function replicache_fingerprint() returns text
language sql stable set search_path from current
as $$
  select concat(count(*), ':', sum(hashtextextended(
    concat_ws('.', kind, object, changed), 0)))
  from (
    select 'p', p.oid, p.xmin from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace
    where p.oid >= 16384 and n.nspname !~ '^pg_temp_'
    union all
    select 't', t.oid, t.xmin from pg_trigger as t
      join pg_class as c on c.oid = t.tgrelid
    where not t.tgisinternal and c.relpersistence <> 't'
    union all
    select 'd', d.oid, d.xmin from pg_attrdef as d
      join pg_class as c on c.oid = d.adrelid
    where c.relpersistence <> 't'
    union all
    select 'c', k.oid, k.xmin from pg_constraint as k
      left join pg_class as c on c.oid = k.conrelid
    where k.oid >= 16384 and c.relpersistence is distinct from 't'
    union all
    select 'r', r.oid, r.xmin from pg_rewrite as r
      join pg_class as c on c.oid = r.ev_class
    where r.oid >= 16384 and c.relpersistence <> 't'
    union all
    select 'o', oid, xmin from pg_policy
    union all
    select 'a', oid, xmin from pg_cast where oid >= 16384
    union all
    select 'x', oid, xmin from pg_operator where oid >= 16384
  ) as part (kind, object, changed);
$$;


-- replicache_examine() returns boolean
--
-- Looks through the mutators again if anything was created, replaced or dropped that
-- may change what they leave behind, and returns whether it was. replicache.fcgi
-- calls it, at most once a second, before it applies mutations: so a function that
-- is replaced, or a trigger that is added, need not be told to anybody.

create or replace function replicache_examine() returns boolean
language plpgsql volatile security definer set search_path from current
set client_min_messages = warning
as $$
declare
  -- Of a table that is locked, as by a migration, what it has can't be read, and
  -- pushes wait for this.
  patience constant text := '10ms';
  usual constant text := current_setting('lock_timeout');
  now text := replicache_fingerprint();
  changed replicache_mutator[];
  one replicache_mutator;
begin
  if now = (select fingerprint from replicache_examined) then
    return false;
  end if;
  -- Most often nothing follows for any mutator: so without the version lock.
  perform set_config('lock_timeout', patience, true);
  changed := array(
    select m
    from replicache_mutator as m
      cross join lateral
        replicache_judge_mutator(to_regprocedure(m.function)) as judged
      cross join lateral
        (select coalesce(m.shared_given, judged.reason is null)) as s (shared)
    where to_regprocedure(m.function) is not null
      and (m.shared, m.closes, m.reason) is distinct from
        (s.shared, not s.shared and judged.closes,
         case when m.shared_given is null then judged.reason end)
    order by m.name collate "C");
  perform set_config('lock_timeout', usual, true);
  if cardinality(changed) > 0 then
    perform replicache_lock();
    perform set_config('lock_timeout', patience, true);
  end if;
  foreach one in array changed loop
    begin
      perform replicache_register_mutator_quietly(one.name,
        to_regprocedure(one.function), one.shared_given);
    exception when invalid_function_definition then
      -- It fails when it is called.
      null;
    end;
  end loop;
  perform set_config('lock_timeout', usual, true);
  insert into replicache_examined values (true, now)
    on conflict (only_row) do update set fingerprint = excluded.fingerprint;
  return true;
end
$$;


-- replicache_forget_session() returns void
--
-- Internal: takes back what RESET, DISCARD, CLOSE and UNLISTEN leave of what a mutator
-- may have done to the session: advisory locks, and statements prepared by SQL.

create or replace function replicache_forget_session() returns void
language plpgsql volatile set search_path from current
as $$
declare
  statement text;
begin
  perform pg_advisory_unlock_all();
  for statement in select name from pg_prepared_statements where from_sql loop
    execute format('deallocate %I', statement);
  end loop;
end
$$;


-- replicache_unregister_mutator(name text) returns void
--
-- Clients that call it from now on have their mutation skipped, as
-- unknown_mutator. Does nothing if the name is not registered.

create or replace function replicache_unregister_mutator(name text)
returns void
language sql volatile set search_path from current
as $$
  delete from replicache_mutator as m where m.name = $1;
$$;


-- Whoever caches what is registered compares replicache_state.revision. The
-- lock first, as everywhere, so that nobody waits for it with this row locked.

create or replace function replicache_trigger_revision() returns trigger
language plpgsql volatile security definer set search_path from current
as $$
begin
  perform replicache_lock();
  update replicache_state set revision = revision + 1;
  return null;
end
$$;

create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_table
  for each statement execute function replicache_trigger_revision();
create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_mutator
  for each statement execute function replicache_trigger_revision();
create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_schema_version
  for each statement execute function replicache_trigger_revision();
