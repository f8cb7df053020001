-- SPDX-License-Identifier: Apache-2.0
--
-- Which users may see a row, and how is a change of that reported?


-- replicache_audience_moves(registered replicache_table) returns text
--
-- Internal: the condition that an update of the row called old to the row called
-- new may change who can see it. It can't if it leaves alone the primary key and
-- the columns of the table that the audience depends on, as far as those are
-- known: not if the audience calls a function of the app, mentions the row as a
-- whole, or depends on a column that is generated; nor with row level security,
-- whose policies hide rows from people in the audience.

create or replace function replicache_audience_moves(
  registered replicache_table)
returns text
language sql stable set search_path from current
as $$
  with recursive used (class, object, column_number, rule) as (
    select 'pg_class'::regclass::oid, registered.audience::oid, 0, null::oid
    union
    select d.refclassid, d.refobjid, d.refobjsubid, r.oid
    from used as u
      join pg_rewrite as r
        on u.class = 'pg_class'::regclass and r.ev_class = u.object
      join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
        and d.deptype = 'n'
    where u.object <> registered.table_name
  ), columns as (
    select attname, attnum, attgenerated
    from pg_attribute
    where attrelid = registered.table_name and attnum > 0
      and not attisdropped
      and (attnum in (select column_number from used
                      where class = 'pg_class'::regclass
                        and object = registered.table_name)
           or attnum = any (array(select unnest(indkey::int2[]) from pg_index
                where indrelid = registered.table_name and indisprimary)))
  )
  select case
    when exists (select from used where class = 'pg_proc'::regclass)
      or exists (select from used as u join pg_rewrite as r on r.oid = u.rule
                 where r.ev_action::text ~ ':varattno 0 ')
      or exists (select from columns where attgenerated <> '')
      or exists (select from pg_class
                 where oid = registered.table_name and relrowsecurity)
      then 'true'
    else (select format('row(%s)::record *<> row(%s)::record',
        string_agg(format('old.%I', attname), ', ' order by attnum),
        string_agg(format('new.%I', attname), ', ' order by attnum))
      from columns)
  end;
$$;


-- replicache_touch(users text[]) returns void
--
-- To be called when these users may see other rows than before, for a reason
-- that no change of the rows themselves tells: they joined or left a room. Their
-- clients start over with their next pull, and then have what they may see, and
-- nothing else. In the transaction of the change, before or after it.

create or replace function replicache_touch(users text[]) returns void
language plpgsql volatile security definer set search_path from current
as $$
declare
  version bigint := replicache_next_version();
begin
  insert into replicache_user_floor
    select distinct one, version from unnest(users) as one where one <> ''
    on conflict (user_id) do update set floor = excluded.floor;
end
$$;


-- replicache_touch(table_name regclass, column_name text, value text)
--   returns bigint
--
-- To be called before something changes that decides who may see the rows of a
-- registered table, or what the view shows of them: the rows that have this value
-- in this column. In the transaction of that change, and before it: who can see
-- the rows before and not after is told to forget their keys, and who can see
-- them after gets them (again). Where many rows change for a few people,
-- replicache_touch(users) is cheaper.
--
-- Updates the rows as the owner of this function, changing nothing in them but
-- the version; the table's own triggers fire. Returns how many rows there were.
-- So whoever calls it learns whether there is such a value: unless it is called as
-- that owner, as by a mutator of theirs with SECURITY DEFINER, the session's role
-- needs SELECT on the column. Null instead of the number if policies may hide rows
-- from that role.

create or replace function replicache_touch(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile set search_path from current
as $$
begin
  if has_function_privilege('replicache_touch_any(regclass, text, text)',
      'execute') then
    return replicache_touch_any(table_name, column_name, value);
  end if;
  return replicache_touch_readable(table_name, column_name, value);
end
$$;


-- replicache_touch_readable(table_name regclass, column_name text, value text)
--   returns bigint
--
-- Internal: the same, if the session's role may read the column. Who the caller is
-- can't be known here, but the session's role can: nobody takes one by SET ROLE that
-- they are no member of.

create or replace function replicache_touch_readable(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
declare
  asking name := coalesce(nullif(current_setting('role'), 'none'), session_user);
  touched bigint;
begin
  if exists (select from pg_attribute where attrelid = table_name
        and attname = column_name and attnum > 0 and not attisdropped)
     and not has_column_privilege(asking, table_name, column_name, 'select') then
    raise 'permission denied for column % of %', column_name, table_name
      using errcode = 'insufficient_privilege',
        hint = format('Who calls it learns whether there is such a value: GRANT '
          'SELECT (%I) ON %s TO %I, or call it in a mutator with SECURITY '
          'DEFINER.', column_name, table_name, asking);
  end if;
  touched := replicache_touch_any(table_name, column_name, value);
  return case when (select holds from replicache_policed(table_name, asking))
    is not true then touched end;
end
$$;


-- replicache_touch_any(table_name regclass, column_name text, value text)
--   returns bigint
--
-- Internal: does it.

create or replace function replicache_touch_any(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
declare
  registered replicache_table;
  type text := (select format_type(atttypid, atttypmod) from pg_attribute
    where attrelid = table_name and attname = column_name and attnum > 0
      and not attisdropped);
  target text;
  chosen text;
  touched bigint;
begin
  select * into registered from replicache_table as r
    where r.table_name = replicache_touch_any.table_name;
  if not found then
    raise '% is not registered', table_name
      using errcode = 'undefined_table';
  elsif type is null then
    raise '% has no column %', table_name, column_name
      using errcode = 'undefined_column';
  end if;

  target := replicache_qualified(table_name);
  chosen := format(E'\n          where t.%I = $1::%s', column_name, type);
  perform replicache_next_version();
  if registered.audience is not null then
    -- Deleted rows too: not all may have heard that they are gone.
    execute replicache_forget_code(registered, 'replicache_next_version()', 't',
      E'\n          from ' || target || ' as t' || chosen) using value;
  end if;
  perform set_config('replicache.touching', 'on', true);
  execute 'update ' || target || ' as t set version = t.version' || chosen
    || case when registered.soft then ' and t.deleted is not true' else '' end
    using value;
  get diagnostics touched = row_count;
  perform set_config('replicache.touching', 'off', true);
  return touched;
end
$$;
