-- SPDX-License-Identifier: Apache-2.0
--
-- grants.sql: what the role of replicache.fcgi may do, and no more.
--
--     createuser web
--     psql -v ON_ERROR_STOP=1 -v role=web -f grants.sql app
--
-- Run it as the owner of what replicache.sql installed, in the same schema, after
-- tables and mutators were registered, and again when others are. It grants
--
--     SELECT   on what a push or pull looks at, and on the tables, views and
--              audiences that are registered (of a table that syncs through a
--              view, only on the primary key, version and deleted)
--     EXECUTE  on the functions that a push calls, on those for use in mutators
--              and views, and on the mutators
--
-- and nothing to write with: what a push has to write itself, functions write as
-- their owner. A mutator runs as this role, so that it can do what is granted to
-- the role here and elsewhere, or as its own owner if it is SECURITY DEFINER: the
-- choice of who wrote it.
--
-- The role is refused if it could step around all this: as a superuser, with
-- BYPASSRLS or CREATEROLE, as the owner of a registered table (whom row level
-- security does not hold), or as a member of such a role.

begin;

set local client_min_messages = warning;
select set_config('replicache.role', :'role', true) as role \gset

do $$
declare
  web name := current_setting('replicache.role');
  one record;
begin
  if not exists (select from pg_roles where rolname = web) then
    raise 'there is no role %', web using errcode = 'undefined_object';
  elsif to_regclass('replicache_state') is null then
    raise 'replicache.sql is not installed in %', current_schema()
      using errcode = 'undefined_table';
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

  execute format('grant usage on schema %I to %I', current_schema(), web);
  execute format('grant select on replicache_version, replicache_state,
    replicache_client_group, replicache_client_step, replicache_table,
    replicache_mutator, replicache_schema_version, replicache_tombstone,
    replicache_hidden, replicache_user_floor to %I', web);
  execute format('grant execute on function
    replicache_push_begin, replicache_enter, replicache_guard,
    replicache_check_constraints, replicache_record_failure,
    replicache_user_id, replicache_claim, replicache_client_id,
    replicache_client_group_id, replicache_mutation_id,
    replicache_next_version, replicache_touch(text[]),
    replicache_touch(regclass, text, text) to %I', web);

  for one in
    select replicache_qualified(t.table_name) as target, t.view, t.audience,
      (select string_agg(quote_ident(a.attname), ', ') from pg_attribute as a
       where a.attrelid = t.table_name and not a.attisdropped
         and (a.attname in ('version', 'deleted') or exists
              (select from pg_index as i
               where i.indrelid = t.table_name and i.indisprimary
                 and a.attnum = any (i.indkey::int2[])))) as columns
    from replicache_table as t join pg_class as c on c.oid = t.table_name
  loop
    execute format('grant select %s on %s to %I',
      case when one.view is null then '' else '(' || one.columns || ')' end,
      one.target, web);
    if one.view is not null then
      execute format('grant select on %s to %I',
        replicache_qualified(one.view), web);
    end if;
    if one.audience is not null then
      execute format('grant select on %s to %I',
        replicache_qualified(one.audience), web);
    end if;
  end loop;

  for one in
    select to_regprocedure(function) as function from replicache_mutator
    where to_regprocedure(function) is not null
  loop
    execute format('grant execute on function %s to %I', one.function, web);
  end loop;
end
$$;

commit;
