-- SPDX-License-Identifier: Apache-2.0
--
-- Is all in order here, and what is to be done if not?


-- replicache_missing_triggers(registered replicache_table) returns text
--
-- Internal: the names of its triggers that are dropped or disabled; null if none
-- is. What was written meanwhile nobody knows.

create or replace function replicache_missing_triggers(
  registered replicache_table)
returns text
language sql stable set search_path from current
as $$
  select string_agg(name[1], ', ' order by name[1])
  from regexp_matches(registered.code, 'create trigger (zz_replicache_\w+)',
      'g') as name
  where not exists (select from pg_trigger
    where tgrelid = registered.table_name and tgname = name[1]
      and tgenabled in ('O', 'A'));
$$;


-- replicache_check(role name default current_user)
--   returns table (result text, what text, advice text)
--
-- Looks for faults, in what this file installed and in what was registered, and
-- in the rights of the role of replicache.fcgi. A row for each thing it looked
-- at: result is `fine`, `warning` or `fault`, and advice says what to do about
-- the last two. Changes nothing. replicache-admin check shows it, and looks at
-- LISTEN and at the web server besides.

create or replace function replicache_check(role name default current_user)
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
declare
  part record;
begin
  for part in
    select * from replicache_check_server()
    union all select * from replicache_check_tables()
    union all select * from replicache_check_sources()
    union all select * from replicache_check_mutators()
  loop
    result := part.result; what := part.what; advice := part.advice;
    return next;
  end loop;
  if exists (select from pg_roles where rolname = role) then
    return query select * from replicache_check_role(role);
  else
    result := 'fault'; what := format('role %s', role);
    advice := 'It does not exist.';
    return next;
  end if;
end
$$;


-- Internal: the parts of it.

create or replace function replicache_check_server()
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
  with latest as (
    select max(version) as version from replicache_version
  ), test (kind, good, what, advice) as (
    select 'fault', version is not null
        and (select count(*) = 1 from replicache_state),
      'version and state', 'Their rows are gone: restore them from a backup, '
        'and begin a new epoch.'
    from latest
    union all
    select 'warning', version is null
        or version < replicache_clock_version() + (3600::bigint << 20),
      'the clock', 'It is behind the versions it once gave: it went wrong '
        'before, or does now. A new epoch may not be ahead of all cookies.'
    from latest
    union all
    select 'fault', not current_setting('default_transaction_read_only')::bool
        or pg_is_in_recovery(),
      'transactions may write', 'default_transaction_read_only is on.'
    union all
    select 'warning', not pg_is_in_recovery(), 'a primary',
      'This is a standby: it can serve pulls, but no pushes.'
    union all
    select 'warning', current_setting('fsync')::bool
        and current_setting('synchronous_commit') <> 'off',
      'commits are durable', 'fsync or synchronous_commit is off: after a '
        'crash, what clients were told is done may be gone. Then begin a new '
        'epoch.'
    union all
    select 'warning', pg_notification_queue_usage() < 0.1,
      'the queue of notifications', 'It fills up: a session that said LISTEN '
        'stays in a transaction.'
    union all
    select 'warning', count(*) = 0, 'no transaction is open for long',
      format('Process %s: it keeps back vacuum, and may hold locks.',
        string_agg(pid::text, ', '))
    from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'
      and xact_start < clock_timestamp() - interval '5 minutes'
    union all
    select 'warning', pushes, 'pushes of schemaVersion ' || version,
      'They are refused: what its clients did offline is lost when they load '
        'the app anew. Accept pushes as long as there may be such clients, '
        'and refuse only pulls: update replicache_schema_version set pushes = '
        'true, pulls = false where version = ' || quote_literal(version)
    from replicache_schema_version
    union all
    select 'warning', not exists (select
        from pg_namespace as n
          cross join lateral aclexplode(coalesce(nspacl,
            acldefault('n', nspowner))) as a
        where nspname = current_schema() and a.grantee = 0
          and a.privilege_type = 'CREATE'),
      format('schema %s', current_schema()), format('Every role may create '
        'objects in it: REVOKE CREATE ON SCHEMA %I FROM PUBLIC',
        current_schema())
  )
  select case when good then 'fine' else kind end, what,
    case when good then '' else advice end
  from test;
$$;

create or replace function replicache_check_tables()
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
declare
  registered replicache_table;
  again text;
begin
  for registered in select * from replicache_table order by id loop
    what := format('table with prefix %s', registered.prefix);
    result := 'fault';
    advice := null;
    if not exists (select from pg_class where oid = registered.table_name) then
      advice := 'It was dropped: select replicache_unregister_table('
        || registered.table_name::oid || ')';
      return next;
      continue;
    end if;
    what := format('table %s', registered.table_name);
    again := format('Register it again: select replicache_register_table(%L%s)',
      registered.table_name, ', ...');
    begin
      perform replicache_check_table(registered.table_name, registered.view,
        registered.omit, registered.audience);
      if not registered.ignore_policies then
        perform replicache_check_policies(registered.table_name,
          registered.view);
      end if;
      if registered is distinct from replicache_describe(registered) then
        advice := 'It, or its view or audience, has changed since it was '
          'registered. ' || again;
        return next;
      end if;
    exception when others then
      advice := format('It can''t sync any more: %s.', sqlerrm);
      return next;
    end;
    if replicache_missing_triggers(registered) is not null then
      advice := format('Changes are missed, for want of %s. %s',
        replicache_missing_triggers(registered), again);
      return next;
    end if;
    if not replicache_has_version_index(registered.table_name) then
      result := 'warning';
      advice := format('Each pull reads all of it: CREATE INDEX ON %s '
        '(version)', replicache_qualified(registered.table_name));
      return next;
    end if;
    if advice is null then
      if registered.audience is null and registered.per_user_reason is not null
      then
        what := format('%s, read for each user because of %s', what,
          registered.per_user_reason);
      end if;
      result := 'fine'; advice := '';
      return next;
    end if;
  end loop;
end
$$;

create or replace function replicache_check_sources()
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
  one record;
begin
  for registered in
    select t.* from replicache_table as t join pg_class as c on c.oid = t.table_name
    order by t.id
  loop
    for watch in select * from replicache_source as s
        where s.table_name = registered.table_name and s.condition is not null
        order by s.id loop
      what := format('watch of %s for table %s', watch.source::regclass,
        registered.table_name);
      result := 'fault';
      advice := case
        when not exists (select from pg_class where oid = watch.source)
          then 'It was dropped. Register the table again.'
        when replicache_missing_watch(watch) is not null then format('Changes are '
          'missed, for want of %s. Register the table again.',
          replicache_missing_watch(watch))
        when watch.code is distinct from replicache_watch_code(registered, watch)
          then 'It, or the table, its view or audience, has changed since. '
            'Register the table again.'
        end;
      if advice is null then
        result := 'fine';
        advice := '';
      end if;
      return next;
    end loop;
    result := 'warning';
    for one in select * from replicache_unwatched(registered) loop
      what := format('nobody watches %s for table %s', one.source,
        registered.table_name);
      advice := format('%s %s', one.why, one.advice);
      return next;
    end loop;
  end loop;
end
$$;

create or replace function replicache_check_mutators()
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
  with mutator as (
    select m.*, to_regprocedure(m.function) as known, judged.reason as found,
      m.shared_given is null and (m.shared, m.reason) is distinct from
        (judged.reason is null, judged.reason) as stale
    from replicache_mutator as m
      left join lateral replicache_judge_mutator(to_regprocedure(m.function))
        as judged on to_regprocedure(m.function) is not null
  )
  select case when known is null then 'fault'
      when stale or shared_given and found is not null then 'warning'
      else 'fine' end,
    format('mutator %s', name) || case
      when known is null or shared then ''
      when reason is null then ', alone as registered'
      else format(', alone because of %s', reason) end,
    case when known is null then format('There is no function %s. Its '
        'mutations are refused until there is, or until it is unregistered; those '
        'that clients repeat for half a minute are recorded as failed.', function)
      when stale then 'What it reaches has changed since it was looked through: '
        'the next push will see that, or select replicache_examine().'
      when shared_given and found is not null then format('It is registered as '
        'shared, though not known to leave nothing behind, because of %s.', found)
      else '' end
  from mutator
  order by name collate "C";
$$;

-- Internal: the part of replicache_check() that is about the role.

create or replace function replicache_check_role(role name)
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
  with needed (what, allowed, n) as (
    select format('%s on %s', privilege, object), bool_and(present), min(n)
    from replicache_needs(role) with ordinality
      as n (kind, object, column_name, privilege, present, n)
    group by privilege, object
  ), mighty (name) as (
    select rolname from pg_roles
    where (rolsuper or rolbypassrls or rolcreaterole or rolreplication)
      and pg_has_role(role, oid, 'member')
  ), policed as (
    select t.ignore_policies, p.*
    from replicache_table as t join pg_class as c on c.oid = t.table_name
      cross join lateral replicache_policed(coalesce(t.view, t.table_name), role)
        as p
  )
  select case when bool_and(allowed) then 'fine' else 'fault' end,
    format('role %s may do what it needs', role),
    case when bool_and(allowed) then '' else format('It lacks %s: select '
      'replicache_grant(%L)', string_agg(needed.what, ', ' order by n)
        filter (where not allowed), role) end
  from needed
  union all
  select case when count(*) = 0 then 'fine' else 'warning' end,
    format('role %s is an ordinary one', role),
    case when count(*) = 0 then '' else format('It is %s, or a member of it: '
      'what a mutator does by mistake nothing will stop.',
      string_agg(name, ', ')) end
  from mighty
  union all
  select case when holds then 'fine' when ignore_policies then 'warning'
      else 'fault' end,
    format('row level security of %s holds for role %s', policed, role),
    case
      when holds then ''
      when through is null then format('The role owns %s, or passes all '
        'policies by.', policed)
      else format('View %s reads it as %s, whom no policy holds. %s', through,
        reader, case when ignore_policies
          then 'It was registered with ignore_policies.'
          else format('ALTER VIEW %s SET (security_invoker = true)', through)
        end)
    end
  from policed;
$$;
