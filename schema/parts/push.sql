-- SPDX-License-Identifier: Apache-2.0
--
-- How is a mutation applied once, and what becomes of one that fails?


-- replicache_mark(client_id text) returns bigint
--
-- Internal: what remains of a client that is forgotten: 64 bits of a hash that
-- is the same on every server, of every version. Among the clients of one group
-- two don't share it: of 10,000 forgotten ones, a new one would be taken for
-- one of them once in 10^15 times.

create or replace function replicache_mark(client_id text) returns bigint
language sql stable
return ('x' || encode(substr(sha256(convert_to(client_id, 'UTF8')), 1, 8),
  'hex'))::bit(64)::bigint;


-- replicache_is_forgotten(client_id text, client_group_id text)
--   returns boolean
--
-- Whether a client of which nothing is known is known to be no new one.

create or replace function replicache_is_forgotten(
  client_id text, client_group_id text)
returns boolean
language plpgsql stable security definer set search_path from current
as $$
begin
  return exists (select from replicache_client_group as g
    where g.id = client_group_id
      and (g.retired or g.forgotten is not null
           and replicache_mark(client_id) = any (g.forgotten)));
end
$$;


-- replicache_push_begin(groups, users, clients, client_groups, client_users,
--   before, after, registered default null) returns bigint
--
-- The first statement of a transaction that applies mutations. clients[i] of
-- client_groups[i], each named once, is pushed by client_users[i] and goes from
-- the last mutation ID before[i] (0: it is new) to after[i]. groups[i], of
-- users[i], is created unless it is there. Takes the version and returns it, and
-- sets the last mutation IDs.
--
-- Raises RP001 if the database is not as the arguments say: a group is not there,
-- belongs to another user or is retired, a client is of another group, its last
-- mutation ID has moved, it should be new and was forgotten, or the revision is
-- not `registered`. Whoever called has looked without the lock, and should look
-- again.
--
-- The IDs are set first and not last because the whole transaction stands or
-- falls with them: that saves a statement. One statement checks and moves all
-- clients, at little more than what a client alone would take. The limit tells the
-- planner that they are few, so that it keeps its plan.

create or replace function replicache_push_begin(
  groups text[], users text[], clients text[], client_groups text[],
  client_users text[], before bigint[], after bigint[],
  registered bigint default null)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
declare
  taken bigint := replicache_next_version();
  moved int;
begin
  if cardinality(groups) > 0 then
    insert into replicache_client_group (id, user_id)
      select * from unnest(groups, users)
      on conflict do nothing;
  end if;

  insert into replicache_client_step
      (id, client_group_id, last_mutation_id, version)
    select c.id, c.client_group_id, c.after, taken
    from (select *
          from unnest(clients, client_groups, client_users, before, after)
            as named (id, client_group_id, user_id, before, after)
          limit cardinality(clients)) as c
    where (select g.user_id = c.user_id and not g.retired
           from replicache_client_group as g
           where g.id = c.client_group_id)
      and coalesce(
        (select s.client_group_id = c.client_group_id
           and s.last_mutation_id = c.before
         from replicache_client_step as s
         where s.id = c.id and s.last_mutation_id >= c.before
         order by s.last_mutation_id desc limit 1),
        c.before = 0
          and not replicache_is_forgotten(c.id, c.client_group_id))
      and c.after > c.before
      and (registered is null
           or registered = (select revision from replicache_state));
  get diagnostics moved = row_count;
  if moved < cardinality(clients) then
    for i in 1 .. cardinality(clients) loop
      if (after[i] > before[i]) is not true then
        raise 'client % can''t go from % to %', clients[i], before[i], after[i]
          using errcode = 'invalid_parameter_value';
      end if;
    end loop;
    raise 'of % clients % are not as was said, or what is registered is not',
        cardinality(clients), cardinality(clients) - moved
      using errcode = 'RP001';
  end if;

  -- Earlier steps are in this block of 64, or were deleted at its begin: no
  -- step that is deleted already is looked at again.
  for i in 1 .. cardinality(clients) loop
    if after[i] / 64 > before[i] / 64 then
      delete from replicache_client_step
        where id = clients[i]
          and last_mutation_id between before[i] / 64 * 64 and before[i];
    end if;
  end loop;
  return taken;
end
$$;


-- replicache_ledger_max() returns int
--
-- How many failed mutations of one client group the ledger keeps: more than anybody
-- will look through. The others are passed over all the same, and counted in
-- replicache_failed_unkept: else one push could fill the disk.

create or replace function replicache_ledger_max() returns int
language sql immutable
return 1000;


-- replicache_record_failures(clients text[], client_groups text[],
--   mutations bigint[], users text[], names text[], args text[], codes text[],
--   sqlstate text default null, message text default null) returns int
--
-- Internal: writes rows into the ledger, the i-th of the i-th of each array. What
-- is recorded already is recorded anew. Returns how many it did not keep. What
-- failed by the server's errors (replicache_note_trouble()) has the last one.
--
-- The role is not an argument: whoever may call this could have a mutation run as
-- somebody else by replicache_retry(). It is that of the session, since this
-- function runs as its owner.

create or replace function replicache_record_failures(
  clients text[], client_groups text[], mutations bigint[], users text[],
  names text[], args text[], codes text[], sqlstate text default null,
  message text default null)
returns int
language plpgsql volatile security definer set search_path from current
as $$
declare
  taken bigint := replicache_next_version();
  kept int;
begin
  with given as (
    select g.*, recorded.client_id is not null as again,
      row_number() over (partition by g.client_group_id,
        recorded.client_id is null order by g.n) as nth
    from (select *
          from unnest(clients, client_groups, mutations, users, names, args,
              codes) with ordinality as a (client_id, client_group_id,
                mutation_id, user_id, name, args, code, n)
          limit cardinality(clients)) as g
      left join replicache_failed_mutation as recorded
        on recorded.client_id = g.client_id
          and recorded.mutation_id = g.mutation_id
  ), room as (
    select client_group_id,
      replicache_ledger_max() - (select count(*)
        from (select from replicache_failed_mutation as f
              where f.client_group_id = a.client_group_id
              limit replicache_ledger_max()) as those) as free
    from (select distinct client_group_id from given) as a
  ), recorded as (
    insert into replicache_failed_mutation as f
      select g.client_id, g.mutation_id, g.client_group_id, g.user_id, g.name,
        g.args::json, g.code, coalesce(replicache_record_failures.sqlstate, t.sqlstate),
        coalesce(replicache_record_failures.message, t.message), taken, clock_timestamp(),
        coalesce(nullif(current_setting('role'), 'none'), session_user)
      from given as g
        join room using (client_group_id)
        left join replicache_trouble as t
          on t.client_id = g.client_id and t.mutation_id = g.mutation_id
      where g.again or g.nth <= room.free
      on conflict on constraint replicache_failed_mutation_pkey do update set
        client_group_id = excluded.client_group_id,
        user_id = excluded.user_id,
        name = excluded.name,
        args = excluded.args,
        code = excluded.code,
        sqlstate = excluded.sqlstate,
        message = excluded.message,
        version = excluded.version,
        failed_at = excluded.failed_at,
        role = excluded.role
      returning f.client_id
  ), unkept as (
    insert into replicache_failed_unkept as u
      select g.client_group_id, count(*), clock_timestamp()
      from given as g join room using (client_group_id)
      where not g.again and g.nth > room.free
      group by g.client_group_id
      on conflict (client_group_id) do update set
        mutations = u.mutations + excluded.mutations,
        last_failed_at = excluded.last_failed_at
  ), settled as (
    delete from replicache_trouble as t
      using given as g
      where t.client_id = g.client_id and t.mutation_id = g.mutation_id
  )
  select count(*) into kept from recorded;
  return cardinality(clients) - kept;
end
$$;


-- replicache_record_failure(...) returns boolean
--
-- Internal: the same of one mutation, whose args may be no JSON: then they are
-- left out. Returns whether it was kept.

create or replace function replicache_record_failure(
  client_id text, client_group_id text, mutation_id bigint, user_id text,
  name text, args text, code text, sqlstate text, message text)
returns boolean
language plpgsql volatile security definer set search_path from current
as $$
declare
  readable text := args;
begin
  begin
    perform args::json;
  exception when data_exception then
    readable := null;
  end;
  return replicache_record_failures(array[client_id], array[client_group_id],
    array[mutation_id], array[user_id], array[name], array[readable],
    array[code], sqlstate, message) = 0;
end
$$;


-- replicache_note_trouble(client_id text, mutation_id bigint, sqlstate text,
--   message text) returns boolean
--
-- Notes that a mutation ran out of time or failed by an error of the server's,
-- alone in its transaction. That this can be written shows that the server
-- works. Returns whether it is enough to hold the mutation itself for the cause:
--
--     out of time (57014)  the third time: each took statement_timeout
--     a lock (55P03)       the fifth time, if ten minutes have passed since the
--                          first: longer than a migration holds one
--     others               the fifth time, if half a minute has passed since the
--                          first: longer than a failover or a checkpoint that
--                          chokes the disk
--
-- Then it is to be recorded as `timeout` or `server_error`: it would block its
-- client for ever. What is a day old is begun anew.

create or replace function replicache_note_trouble(
  client_id text, mutation_id bigint, sqlstate text, message text)
returns boolean
language plpgsql volatile security definer set search_path from current
as $$
declare
  timeouts_max constant int := 3;
  times_max constant int := 5;
  least_time constant interval := case when sqlstate = '55P03'
    then '10 minutes' else '30 seconds' end;
  now timestamptz := clock_timestamp();
  noted replicache_trouble;
begin
  delete from replicache_trouble as t where t.last_at < now - interval '1 day';
  insert into replicache_trouble as t
    values (client_id, mutation_id, sqlstate, message, 1, now, now)
    on conflict on constraint replicache_trouble_pkey do update set
      sqlstate = excluded.sqlstate,
      message = excluded.message,
      times = t.times + 1,
      last_at = now
    returning * into noted;
  return case when sqlstate = '57014' then noted.times >= timeouts_max
    else noted.times >= times_max and noted.since <= now - least_time end;
end
$$;


-- replicache_check_constraints(path default current_setting('search_path'))
--   returns void
--
-- Internal: lets a deferred constraint that is broken fail now, as at COMMIT
-- it would take the other mutations along; then they are deferred again. Not
-- by `set constraints all deferred`, which would include those that are only
-- deferrable. (A name that a constraint shares with one that is not deferrable
-- can't be set.) The list of names is kept for the transaction. `path` is the
-- search_path of the app's triggers.

create or replace function replicache_check_constraints(
  path text default current_setting('search_path'))
returns void
language plpgsql volatile set search_path from current
as $$
declare
  ours constant text := current_setting('search_path');
  names text := current_setting('replicache.deferred', true);
begin
  perform set_config('search_path', path, true);
  set constraints all immediate;
  perform pg_catalog.set_config('search_path', ours, true);
  if names is null or names = '' then
    select coalesce(string_agg(name, ', '), 'none') into names
      from (
        select format('%I.%I', n.nspname, c.conname)
        from pg_constraint as c
          join pg_namespace as n on n.oid = c.connamespace
        group by n.nspname, c.conname
        having bool_and(c.condeferrable) and bool_or(c.condeferred)
      ) as deferred (name);
    perform set_config('replicache.deferred', names, true);
  end if;
  if names <> 'none' then
    execute 'set constraints ' || names || ' deferred';
  end if;
end
$$;


-- replicache_guard(client_id, client_group_id, mutation_id, user_id, name,
--   args, refused default null, claims default '',
--   path default current_setting('search_path')) returns text
--
-- Runs one mutation so that its failure undoes nothing but itself. Returns
-- null if it was applied, else the code under which it went to the ledger:
--
--     unknown_mutator      no mutator is registered under the name
--     unstorable_text      args hold text that jsonb can't: \u0000 or half of
--                          a surrogate pair
--     number_out_of_range  args hold a number that jsonb can't
--     mutator_error        the mutator failed, see sqlstate and message
--
--     timeout, server_error
--                          see replicache_note_trouble()
--     not_kept             any of these, and the ledger has no room for more of the
--                          client group
--
-- A caller who knows better passes the code as `refused` (timeout, for one:
-- a statement that is cancelled can't be caught here); then nothing is run.
--
-- The mutator, and the triggers it fires, have the search_path `path`, that of the
-- caller. (A default is computed by the caller's statement, before this function
-- has a search_path of its own.)
--
-- What may be no fault of the mutation is raised again and not recorded, so that
-- it can be repeated: connection (08), serialization and deadlock (40001, 40P01),
-- resources (53100, 53200, 53300, 53400), lock not available (55P03), cancelled or
-- shut down (57014, 57P01, 57P02, 57P03), input or output (58030), a read-only
-- transaction (25006), and a function that is gone (RP002), as in the middle of an
-- upgrade of the app. cgi/batch_apply.c knows when to believe it no more. All other
-- errors are the mutation's own: internal ones (XX000) too, which extensions raise
-- for bad input.
--
-- Whoever records failures must call this in a transaction in which nobody else's
-- mutations have run: a setting or a temporary table of theirs could be the cause.
-- One of the same client group could be, too: where a mutator that is not known to
-- leave nothing behind was run before in the transaction, and worked, RP003 is raised
-- instead. What came before is to be committed, and then this one is run first.
--
-- But after a serialization failure (40001) the mutation is run again here
-- first, attempts_max times in all: a push of many that fail so now and then
-- would not get through if all of it began anew each time. A deadlock (40P01)
-- could come back for as long as the locks of the others are held, so then all
-- begins anew.

create or replace function replicache_guard(
  client_id text, client_group_id text, mutation_id bigint, user_id text,
  name text, args text, refused text default null, claims text default '',
  path text default current_setting('search_path'))
returns text
language plpgsql volatile set search_path from current
as $$
declare
  mutator replicache_mutator;
  ours constant text := current_setting('search_path');
  role constant text := current_setting('role');
  attempts_max constant int := 5;
  attempts int := 0;
  parsed boolean;
  code text := refused;
  state text;
  message text;
begin
  perform replicache_enter(client_id, client_group_id, mutation_id, user_id,
    claims);

  if code is null then
    select * into mutator from replicache_mutator as m
      where m.name = replicache_guard.name;
    if not found then
      code := 'unknown_mutator';
    elsif to_regprocedure(mutator.function) is null then
      raise 'function % of mutator "%" is gone', mutator.function, name
        using errcode = 'RP002';
    end if;
  end if;

  while code is null loop
    declare
      args_json json;
      args_jsonb jsonb;
    begin
      parsed := false;
      if mutator.argument = 'jsonb' then
        args_jsonb := args::jsonb;
        parsed := true;
        perform set_config('search_path', path, true);
        execute mutator.run using args_jsonb;
      else
        args_json := args::json;
        parsed := true;
        perform set_config('search_path', path, true);
        execute mutator.run using args_json;
      end if;
      -- It may have left another role, which need not be one that may go on.
      perform pg_catalog.set_config('role', role, true);
      perform pg_catalog.set_config('search_path', ours, true);
      perform replicache_check_constraints(path);
      if not mutator.shared then
        perform pg_catalog.set_config('replicache.left', 'on', true);
      end if;
      return null;
    exception when others or assert_failure then
      get stacked diagnostics state = returned_sqlstate,
        message = message_text;
      attempts := attempts + 1;
      if state = '40001' and attempts < attempts_max then
        continue;
      end if;
      if state in ('40001', '40P01', '53100', '53200', '53300', '53400',
          '55P03', '57014', '57P01', '57P02', '57P03', '58030', '25006')
         or left(state, 2) = '08' then
        raise;
      elsif parsed and current_setting('replicache.left', true) = 'on' then
        raise 'mutation % of client % failed behind others: %', mutation_id,
            client_id, message
          using errcode = 'RP003';
      end if;
      code := case
        when parsed then 'mutator_error'
        when state = '22003' then 'number_out_of_range'
        else 'unstorable_text'
      end;
    end;
  end loop;

  if not replicache_record_failure(client_id, client_group_id, mutation_id,
      user_id, name, args, code, state, message) then
    return 'not_kept';
  end if;
  return code;
end
$$;


-- replicache_retry(client_id text, mutation_id bigint, role name default null,
--   path default current_setting('search_path')) returns text
--
-- Runs a mutation of the ledger again, now, after whatever made it fail was put
-- right: if it works it leaves the ledger, else it stays with what went wrong
-- this time. Returns null or the code, as replicache_guard does. Mutations that
-- its client made later were applied before it: whether that matters only the app
-- knows. The claims of its user's token are gone, so replicache_claim() gives null.
--
-- Runs as the role that it failed as, so that the rights and row policies that
-- refused it hold; the caller has to be a member of it. As any other only if that
-- is given.
--
-- Raises no_data_found if it is not there, data_exception if its args could not
-- be kept, and invalid_parameter_value if no role is known or given.

create or replace function replicache_retry(
  client_id text, mutation_id bigint, role name default null,
  path text default current_setting('search_path'))
returns text
language plpgsql volatile set search_path from current
as $$
declare
  failed replicache_failed_mutation;
  before text := current_setting('role');
  code text;
begin
  perform replicache_next_version();
  select * into failed from replicache_failed_mutation as f
    where f.client_id = replicache_retry.client_id
      and f.mutation_id = replicache_retry.mutation_id;
  if not found then
    raise 'mutation % of client % is not in the ledger', mutation_id, client_id
      using errcode = 'no_data_found';
  elsif failed.args is null then
    raise 'the args of mutation % of client % could not be kept', mutation_id,
        client_id
      using errcode = 'data_exception';
  elsif coalesce(role, failed.role) is null then
    raise 'it is not known as which role mutation % of client % failed',
        mutation_id, client_id
      using errcode = 'invalid_parameter_value',
        hint = 'Name the role to run it as: that of replicache.fcgi.';
  end if;
  perform set_config('role', coalesce(role, failed.role), true);
  perform set_config('replicache.left', 'off', true);
  code := replicache_guard(client_id, failed.client_group_id, mutation_id,
    failed.user_id, failed.name, failed.args::text, path => path);
  perform set_config('role', before, true);
  if code is null then
    delete from replicache_failed_mutation as f
      where f.client_id = replicache_retry.client_id
        and f.mutation_id = replicache_retry.mutation_id;
  end if;
  return code;
end
$$;
