-- SPDX-License-Identifier: Apache-2.0
--
-- How is what an older version installed brought up to date?

do $$
declare
  one record;
begin
  for one in
    select p.oid::regprocedure as function
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = current_schema() and p.proname like 'replicache\_%'
  loop
    execute format('revoke execute on function %s from public', one.function);
  end loop;

  for one in select * from replicache_table order by id loop
    begin
      -- What syncs goes on; replicache_check() warns of it.
      if not one.ignore_policies then
        begin
          perform replicache_check_policies(one.table_name, one.view);
        exception when invalid_parameter_value then
          raise warning '%', sqlerrm;
          one.ignore_policies := true;
        end;
      end if;
      perform replicache_register_table(one.table_name, one.prefix, one.view,
        one.omit, one.audience, one.per_user_given, one.ignore_policies);
    exception when others then
      raise warning 'table % was not brought up to date: %', one.table_name,
        sqlerrm;
    end;
  end loop;

  for one in select * from replicache_mutator
    where to_regprocedure(function) is not null
  loop
    begin
      perform replicache_register_mutator(one.name, one.function,
        one.shared_given);
    exception when others then
      raise warning 'mutator % was not brought up to date: %', one.name, sqlerrm;
    end;
  end loop;

  -- The roles of replicache.fcgi, for functions that are new.
  for one in
    select pg_get_userbyid(a.grantee) as role
    from pg_proc as p cross join lateral aclexplode(p.proacl) as a
    where p.pronamespace = quote_ident(current_schema())::regnamespace
      and p.proname = 'replicache_push_begin' and a.grantee <> 0
      and a.grantee <> p.proowner
  loop
    begin
      perform replicache_grant(one.role);
    exception when others then
      raise warning 'role % was not granted what it needs: %', one.role, sqlerrm;
    end;
  end loop;
end
$$;

drop function if exists replicache_raise_version(bigint);
drop function if exists replicache_define(text, text, text);
drop function if exists replicache_gone_code();
drop function if exists replicache_hide_code(
  replicache_table, text, text, text);
drop function if exists replicache_push_begin(
  text[], text[], text[], text[], bigint[], bigint[], bigint);
