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

-- Internal: what replicache_grant() grants.

create or replace function replicache_web_tables() returns text[]
language sql immutable
return array['replicache_version', 'replicache_state',
  'replicache_client_group', 'replicache_client_step', 'replicache_table',
  'replicache_mutator', 'replicache_schema_version', 'replicache_tombstone',
  'replicache_hidden', 'replicache_user_floor', 'replicache_timeline'];

create or replace function replicache_web_functions() returns regprocedure[]
language sql stable set search_path from current
as $$
  select array_agg(p.oid::regprocedure order by p.oid)
  from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
  where n.nspname = current_schema() and p.proname = any (array[
    'replicache_push_begin', 'replicache_is_forgotten', 'replicache_enter',
    'replicache_guard', 'replicache_check_constraints',
    'replicache_record_failure', 'replicache_record_failures',
    'replicache_note_trouble', 'replicache_examine',
    'replicache_forget_session', 'replicache_user_id', 'replicache_claim',
    'replicache_client_id', 'replicache_client_group_id',
    'replicache_mutation_id', 'replicache_next_version', 'replicache_touch',
    'replicache_touch_readable']);
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

-- replicache_policed(relation regclass, role name)
--   returns table (policed regclass, through regclass, reader name, holds boolean)
--
-- Internal: the tables with row level security that a table or view is made of, as
-- whom each is read, and through which view, if the role reads the relation; and
-- whether policies hold for that reader. An ordinary view reads as its owner, one
-- with security_invoker as whoever asks, wherever it stands.

create or replace function replicache_policed(relation regclass, role name)
returns table (policed regclass, through regclass, reader name, holds boolean)
language sql stable set search_path from current
as $$
  with recursive used (object, through) as (
    select relation::oid, null::oid
    union
    select d.refobjid, c.oid
    from used as u
      join pg_class as c on c.oid = u.object and c.relkind in ('v', 'm')
      join pg_rewrite as r on r.ev_class = c.oid
      join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
  ), read as (
    select t.oid, t.relowner, t.relforcerowsecurity, u.through,
      case when u.through is null or replicache_is_invoker(u.through)
        then role else pg_get_userbyid(v.relowner) end as reader
    from used as u
      join pg_class as t
        on t.oid = u.object and t.relkind in ('r', 'p') and t.relrowsecurity
      left join pg_class as v on v.oid = u.through
  )
  select read.oid::regclass, read.through::regclass, read.reader,
    not (a.rolsuper or a.rolbypassrls
      or pg_has_role(read.reader, read.relowner, 'usage')
        and not read.relforcerowsecurity)
  from read join pg_roles as a on a.rolname = read.reader
  order by 1, 2;
$$;


-- replicache_needs(role name)
--   returns table (kind text, object text, column_name name, privilege text,
--     present boolean)
--
-- Internal: what the role of replicache.fcgi needs, each once, and whether it has
-- it, from whomever. `kind` is schema, table or function; a table with a column is
-- needed for that column alone.
--
-- A table without a view is read column by column, without those that are omitted;
-- one with a view, for its primary key and the book-keeping. A view with
-- security_invoker reads as the role, wherever it stands below. Functions of views
-- are called as the role, whoever owns the view.

create or replace function replicache_needs(role name)
returns table (kind text, object text, column_name name, privilege text,
  present boolean)
language sql stable set search_path from current
as $$
  with recursive registered as (
    select t.* from replicache_table as t
      join pg_class as c on c.oid = t.table_name
  ), mutators as (
    select to_regprocedure(function) as function from replicache_mutator
    where to_regprocedure(function) is not null
  ), used (class, object) as (
    select 'pg_class'::regclass::oid, r.oid::oid
    from registered as t, unnest(array[t.view, t.audience, t.table_name])
      as r (oid)
    where r.oid is not null
    union
    select d.refclassid, d.refobjid
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
    where u.class = 'pg_class'::regclass
  ), columns (relation, attnum) as (
    -- Without a view.
    select t.table_name, a.attnum
    from registered as t join pg_attribute as a
      on a.attrelid = t.table_name and a.attnum > 0 and not a.attisdropped
    where t.view is null and t.omit <> '{}'
      and (a.attname <> all (t.omit)
           or replicache_is_kept(t.table_name, a.attnum))
    union
    select t.table_name, a.attnum
    from registered as t join pg_attribute as a
      on a.attrelid = t.table_name and a.attnum > 0 and not a.attisdropped
    where t.view is not null and replicache_is_kept(t.table_name, a.attnum)
    union
    -- What is read as the role: by its views, and by policies.
    select d.refobjid, a.attnum
    from used as u
      join pg_class as c on c.oid = u.object
      cross join lateral replicache_reads(u.class, u.object) as d
      join pg_attribute as a on a.attrelid = d.refobjid and a.attnum > 0
        and not a.attisdropped
        and (a.attnum = d.refobjsubid or d.whole
          -- Of a table that is counted, one will do.
          or d.refobjsubid = 0 and a.attnum = (select min(attnum)
               from pg_attribute where attrelid = d.refobjid and attnum > 0
                 and not attisdropped))
    where u.class = 'pg_class'::regclass
      and d.refclassid = 'pg_class'::regclass and d.refobjid >= 16384
      and (replicache_is_invoker(c.oid)
        or c.oid in (select p.policed from registered as t
             cross join lateral replicache_policed(
               coalesce(t.view, t.table_name), role) as p
             where p.reader = role))
  ), tables (relation) as (
    select t.table_name from registered as t where t.view is null
      and t.omit = '{}'
    union
    select v from registered as t, unnest(array[t.view, t.audience]) as v
    where exists (select from pg_class where oid = v)
  ), functions (function) as (
    select function::oid from mutators
    union
    select object from used
    where class = 'pg_proc'::regclass and object >= 16384
    except
    select unnest(replicache_web_functions())::oid
  ), schemas (schema) as (
    select quote_ident(current_schema())::regnamespace
    union
    select c.relnamespace::regnamespace from registered as t join pg_class as c
      on c.oid in (t.table_name, t.view, t.audience)
    union
    select p.pronamespace::regnamespace from mutators as m join pg_proc as p on p.oid = function
  )
  select 'schema', format('schema %s', schema), null::name, 'USAGE',
    has_schema_privilege(role, schema::oid, 'usage')
  from schemas
  union all
  select 'table', name, null, 'SELECT', has_table_privilege(role, name, 'select')
  from unnest(replicache_web_tables()) as name
  union all
  select 'function', f::regprocedure::text, null, 'EXECUTE',
    has_function_privilege(role, f, 'execute')
  from unnest(replicache_web_functions()) as f
  union all
  select 'table', relation::regclass::text, null, 'SELECT',
    has_table_privilege(role, relation, 'select')
  from tables
  union all
  select 'table', c.relation::regclass::text, a.attname, 'SELECT',
    has_column_privilege(role, c.relation, c.attnum, 'select')
  from columns as c
    join pg_attribute as a on a.attrelid = c.relation and a.attnum = c.attnum
  where c.relation not in (select relation from tables)
  union all
  select 'function', function::regprocedure::text, null, 'EXECUTE',
    has_function_privilege(role, function, 'execute')
  from functions where exists (select from pg_proc where oid = function);
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
