-- SPDX-License-Identifier: Apache-2.0
--
-- What may the role of replicache.fcgi do?


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
