-- SPDX-License-Identifier: Apache-2.0
--
-- What may the role of replicache.fcgi do?


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


-- replicache_grant(role name) returns void
--
-- Grants the role of replicache.fcgi what it needs, and no more:
--
--     USAGE    on the schemas of these
--     SELECT   on what a push or pull looks at, and on the tables, views and
--              audiences that are registered (of a table that syncs through a
--              view, only on the primary key, version and deleted; of one without,
--              not on columns that are omitted), and on the columns that views with
--              security_invoker, and row policies, read as this role
--     EXECUTE  on the functions that a push calls, on those for use in mutators
--              and views, on those that views call, and on the mutators
--
-- and nothing to write with: what a push has to write itself, functions write as
-- their owner. A mutator runs as this role, so that it can do what is granted to
-- the role here and elsewhere, or as its own owner if it is SECURITY DEFINER: the
-- choice of who wrote it.
--
-- To be called as the owner of all this, after tables and mutators were
-- registered, and again when others are. What it granted before and is not needed
-- any more is revoked: as a table is unregistered, or a view now hides a column.
-- What others granted stays: replicache_granted has what was granted here, and the
-- role did not have. The role is refused if it could step
-- around all this: as a superuser, with BYPASSRLS or CREATEROLE, as the owner of
-- a registered table (whom row level security does not hold), or as a member of
-- such a role.

create or replace function replicache_grant(role name) returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  web name := role;
  one record;
begin
  if not exists (select from pg_roles where rolname = web) then
    raise 'there is no role %', web using errcode = 'undefined_object';
  end if;

  for one in
    select rolname from pg_roles
    where (rolsuper or rolbypassrls or rolcreaterole or rolreplication)
      and pg_has_role(web, oid, 'member')
  loop
    raise 'role % may do too much: it is, or is a member of, %', web,
        one.rolname
      using errcode = 'invalid_grant_operation',
        detail = 'That role is a superuser, or has BYPASSRLS, CREATEROLE or '
          'REPLICATION.';
  end loop;

  for one in
    select c.oid::regclass as relation from pg_class as c
    where (c.oid = 'replicache_state'::regclass
           or c.oid in (select table_name from replicache_table))
      and pg_has_role(web, c.relowner, 'member')
  loop
    raise 'role % may do too much: % is its own', web, one.relation
      using errcode = 'invalid_grant_operation';
  end loop;
  if has_schema_privilege(web, current_schema(), 'create') then
    raise warning 'role % may create objects in schema %', web,
        current_schema()
      using hint = format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC',
        current_schema());
  end if;

  -- What it was granted here and does not need any more. (To revoke a right on a
  -- table takes those on its columns along, which others may have granted.)
  for one in
    select g.*, c.others
    from replicache_granted as g
      left join lateral (select string_agg(quote_ident(a.attname), ', ')
          as others
        from pg_attribute as a cross join lateral aclexplode(a.attacl) as x
        where g.kind = 'table' and g.column_name is null
          and a.attrelid = to_regclass(g.object) and a.attnum > 0
          and x.grantee = (select oid from pg_roles where rolname = web)
          and x.privilege_type = 'SELECT'
          and not exists (select from replicache_granted as h
            where h.role = web and h.object = g.object
              and h.column_name = a.attname)) as c on true
    where g.role = web
      and not exists (select from replicache_needs(web) as n
        where (n.kind, n.object, n.privilege)
            = (g.kind, g.object, g.privilege)
          and n.column_name is not distinct from g.column_name)
    order by g.column_name is not null
  loop
    if (one.kind = 'schema'
        or one.kind = 'table' and to_regclass(one.object) is not null
        or one.kind = 'function'
          and to_regprocedure(one.object) is not null) then
      begin
        execute format('revoke %s%s on %s from %I', one.privilege,
          coalesce(' (' || quote_ident(one.column_name) || ')', ''),
          case one.kind when 'schema' then one.object
            else one.kind || ' ' || one.object end, web);
        if one.others is not null then
          execute format('grant select (%s) on %s to %I', one.others, one.object,
            web);
        end if;
      exception when undefined_column or invalid_schema_name then
        null;
      end;
    end if;
    delete from replicache_granted as g
      where (g.role, g.kind, g.object, g.privilege)
          = (web, one.kind, one.object, one.privilege)
        and g.column_name is not distinct from one.column_name;
  end loop;

  for one in select * from replicache_needs(web) as n where not n.present loop
    execute format('grant %s%s on %s to %I', one.privilege,
      coalesce(' (' || quote_ident(one.column_name) || ')', ''),
      case one.kind when 'schema' then one.object
        else one.kind || ' ' || one.object end, web);
    insert into replicache_granted
      select web, one.kind, one.object, one.column_name, one.privilege
      where not exists (select from replicache_granted as g
        where (g.role, g.kind, g.object, g.privilege)
            = (web, one.kind, one.object, one.privilege)
          and g.column_name is not distinct from one.column_name);
  end loop;
end
$$;
