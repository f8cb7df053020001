-- SPDX-License-Identifier: Apache-2.0
--
-- What release 0.1.0 leaves behind, by pg_dump: the chat, the rooms, two tables more,
-- clients, tombstones and failed mutations. For tests of upgrades.

--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: public; Type: SCHEMA; Schema: -; Owner: -
--

-- *not* creating schema, since initdb creates it


--
-- Name: create_message(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.create_message(args jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  if (jsonb_typeof(args -> 'id') = 'string'
      and jsonb_typeof(args -> 'from') = 'string'
      and jsonb_typeof(args -> 'content') = 'string'
      and jsonb_typeof(args -> 'order') = 'number'
      and args ->> 'id' <> '') is not true then
    raise 'createMessage takes {"id", "from", "content", "order"}'
      using errcode = 'invalid_parameter_value';
  end if;

  insert into message (id, sender, content, ord)
    values (args ->> 'id', args ->> 'from', args ->> 'content',
      (args ->> 'order')::bigint);
end
$$;


--
-- Name: create_room(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.create_room(args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  insert into room (id, name) values (args ->> 'id', args ->> 'name');
  insert into room_member (room_id, user_id)
    values (args ->> 'id', replicache_user_id());
end
$$;


--
-- Name: delete_message(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.delete_message(args jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
declare
  which jsonb := case jsonb_typeof(args)
    when 'object' then args -> 'id' else args end;
begin
  if jsonb_typeof(which) is distinct from 'string' then
    raise 'deleteMessage takes an id' using errcode = 'invalid_parameter_value';
  end if;

  delete from message where id = which #>> '{}';
end
$$;


--
-- Name: invite(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.invite(args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  insert into room_member (room_id, user_id)
    values (room_of_mine(args ->> 'room'), args ->> 'user')
    on conflict do nothing;
end
$$;


--
-- Name: leave_room(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.leave_room(args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
declare
  mine text := room_of_mine(args ->> 'room');
begin
  delete from room_member
    where room_id = mine and user_id = replicache_user_id();
  delete from room where id = mine
    and not exists (select from room_member where room_id = mine);
end
$$;


--
-- Name: replicache_1_bury(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_bury() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if old.version <= (select floor from replicache_state) then
    return old;
  end if;
  return null;
end
$$;


--
-- Name: replicache_1_delete(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_delete() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update public.message as t set deleted = true where t.id = old.id;
  if not found then
    raise 'a row of % could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$$;


--
-- Name: replicache_1_gone(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.message as t
      where t.id = old.id and ('message/' || t.id::text) collate "C" = ('message/' || old.id::text) collate "C") is null
     and (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then
    insert into replicache_tombstone values (('message/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$$;


--
-- Name: replicache_1_rekey(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_rekey() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.message as t
      where t.id = old.id and ('message/' || t.id::text) collate "C" = ('message/' || old.id::text) collate "C") is null then
    insert into replicache_tombstone values (('message/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = ('message/' || new.id::text) collate "C";
  return null;
end
$$;


--
-- Name: replicache_1_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_1_revive(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_revive() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
declare
  assignments text;
  revived bigint;
begin
  if (select t.deleted from public.message as t where t.id = new.id) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%I = ($1).%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid = tg_relid and attnum > 0 and not attisdropped
      and attgenerated = '' and attidentity <> 'a' and attname <> 'version';
  execute 'update public.message as t set ' || assignments || ' where t.id = ($1).id' using new;
  get diagnostics revived = row_count;
  if revived = 0 then
    return new;
  end if;
  return null;
end
$_$;


--
-- Name: replicache_1_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_1_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_2_hide(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_2_hide() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if true then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room/' || old.id::text) collate "C" as key, array(select distinct viewer::text
            from public.room_audience as a where a.id = old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  return old;
end
$$;


--
-- Name: replicache_2_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_2_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  if row(old.id)::record *<> row(new.id)::record then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room/' || old.id::text) collate "C" as key, array(select distinct viewer::text
            from public.room_audience as a where a.id = old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_2_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_2_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_3_hide(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_3_hide() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if true then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room_member/' || replace(replace(old.room_id::text, '%', '%25'), '/', '%2F') || '/' || replace(replace(old.user_id::text, '%', '%25'), '/', '%2F')) collate "C" as key, array(select distinct viewer::text
            from public.room_member_audience as a where a.room_id = old.room_id and a.user_id = old.user_id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  return old;
end
$$;


--
-- Name: replicache_3_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_3_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  if row(old.room_id, old.user_id)::record *<> row(new.room_id, new.user_id)::record then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room_member/' || replace(replace(old.room_id::text, '%', '%25'), '/', '%2F') || '/' || replace(replace(old.user_id::text, '%', '%25'), '/', '%2F')) collate "C" as key, array(select distinct viewer::text
            from public.room_member_audience as a where a.room_id = old.room_id and a.user_id = old.user_id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_3_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_3_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_4_hide(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_4_hide() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if true then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room_message/' || old.id::text) collate "C" as key, array(select distinct viewer::text
            from public.room_message_audience as a where a.id = old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  return old;
end
$$;


--
-- Name: replicache_4_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_4_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  if row(old.id, old.room_id)::record *<> row(new.id, new.room_id)::record then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('room_message/' || old.id::text) collate "C" as key, array(select distinct viewer::text
            from public.room_message_audience as a where a.id = old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_4_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_4_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_5_gone(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_5_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.todo as t
      where t.id = old.id and ('todo/' || t.id::text) collate "C" = ('todo/' || old.id::text) collate "C") is null then
    insert into replicache_tombstone values (('todo/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$$;


--
-- Name: replicache_5_insert(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_5_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  delete from replicache_tombstone where key = ('todo/' || new.id::text) collate "C";
  return null;
end
$$;


--
-- Name: replicache_5_rekey(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_5_rekey() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.todo as t
      where t.id = old.id and ('todo/' || t.id::text) collate "C" = ('todo/' || old.id::text) collate "C") is null then
    insert into replicache_tombstone values (('todo/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = ('todo/' || new.id::text) collate "C";
  return null;
end
$$;


--
-- Name: replicache_5_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_5_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_5_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_5_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_6_bury(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_bury() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if old.version <= (select floor from replicache_state) then
    return old;
  end if;
  return null;
end
$$;


--
-- Name: replicache_6_delete(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_delete() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update public.own as t set deleted = true where t.id = old.id;
  if not found then
    raise 'a row of % could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$$;


--
-- Name: replicache_6_gone(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_gone() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.own as t
      where t.id = old.id and ('mine/' || t.id::text) collate "C" = ('mine/' || old.id::text) collate "C") is null
     and (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then
    insert into replicache_tombstone values (('mine/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$$;


--
-- Name: replicache_6_rekey(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_rekey() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if (select true from public.own as t
      where t.id = old.id and ('mine/' || t.id::text) collate "C" = ('mine/' || old.id::text) collate "C") is null then
    insert into replicache_tombstone values (('mine/' || old.id::text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = ('mine/' || new.id::text) collate "C";
  return null;
end
$$;


--
-- Name: replicache_6_restamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_restamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  new.version := replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_6_revive(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_revive() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$
declare
  assignments text;
  revived bigint;
begin
  if (select t.deleted from public.own as t where t.id = new.id) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%I = ($1).%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid = tg_relid and attnum > 0 and not attisdropped
      and attgenerated = '' and attidentity <> 'a' and attname <> 'version';
  execute 'update public.own as t set ' || assignments || ' where t.id = ($1).id' using new;
  get diagnostics revived = row_count;
  if revived = 0 then
    return new;
  end if;
  return null;
end
$_$;


--
-- Name: replicache_6_stamp(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_6_stamp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
begin
  new.version := public.replicache_next_version();
  return new;
end
$$;


--
-- Name: replicache_audience_match(regclass, regclass, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_audience_match(table_name regclass, audience regclass, row_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select format('exists (select from %s as a where %s and a.viewer = '
      '%I.replicache_user_id())',
    replicache_qualified(audience),
    replicache_key_match(table_name, 'a', row_name), current_schema())
  where audience is not null;
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: replicache_table; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_table (
    id integer NOT NULL,
    table_name regclass NOT NULL,
    prefix text NOT NULL,
    view regclass,
    audience regclass,
    omit text[] DEFAULT '{}'::text[] NOT NULL,
    soft boolean NOT NULL,
    per_user boolean NOT NULL,
    key text NOT NULL,
    pull_all text NOT NULL,
    pull_since text NOT NULL,
    definition text NOT NULL,
    code text NOT NULL
);


--
-- Name: replicache_audience_moves(public.replicache_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_audience_moves(registered public.replicache_table) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_base_type(oid); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_base_type(type oid) RETURNS oid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  base oid := type;
begin
  while (select typtype = 'd' from pg_type where oid = base) loop
    base := (select typbasetype from pg_type where oid = base);
  end loop;
  return base;
end
$$;


--
-- Name: replicache_check(name); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check(role name DEFAULT CURRENT_USER) RETURNS TABLE(result text, what text, advice text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  part record;
begin
  for part in
    select * from replicache_check_server()
    union all select * from replicache_check_tables()
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


--
-- Name: replicache_check_constraints(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_constraints() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  names text := current_setting('replicache.deferred', true);
begin
  set constraints all immediate;
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


--
-- Name: replicache_check_mutators(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_mutators() RETURNS TABLE(result text, what text, advice text)
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select case when to_regprocedure(function) is null then 'fault'
      else 'fine' end,
    format('mutator %s', name),
    case when to_regprocedure(function) is null then format('There is no '
      'function %s. Its mutations are refused until there is, or until it is '
      'unregistered.', function) else '' end
  from replicache_mutator
  order by name collate "C";
$$;


--
-- Name: replicache_check_role(name); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_role(role name) RETURNS TABLE(result text, what text, advice text)
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  with needed (what, allowed) as (
    select format('USAGE on schema %s', current_schema()),
      has_schema_privilege(role, current_schema(), 'usage')
    union all
    select format('SELECT on %s', name), has_table_privilege(role, name, 'select')
    from unnest(replicache_web_tables()) as name
    union all
    select format('EXECUTE on %s', f::regprocedure),
      has_function_privilege(role, f, 'execute')
    from unnest(replicache_web_functions()) as f
    union all
    select format('SELECT on %s', t.table_name),
      case when t.view is null
        then has_table_privilege(role, t.table_name, 'select')
        else has_any_column_privilege(role, t.table_name, 'select') end
    from replicache_table as t join pg_class as c on c.oid = t.table_name
    union all
    select format('SELECT on %s', v), has_table_privilege(role, v, 'select')
    from replicache_table as t, unnest(array[t.view, t.audience]) as v
    where v is not null and exists (select from pg_class where oid = v)
    union all
    select format('EXECUTE on %s', function),
      has_function_privilege(role, to_regprocedure(function), 'execute')
    from replicache_mutator where to_regprocedure(function) is not null
  ), mighty (name) as (
    select rolname from pg_roles
    where (rolsuper or rolbypassrls or rolcreaterole or rolreplication)
      and pg_has_role(role, oid, 'member')
  ), owned (name) as (
    select t.table_name::text
    from replicache_table as t join pg_class as c on c.oid = t.table_name
    where c.relrowsecurity and pg_has_role(role, c.relowner, 'member')
  )
  select case when bool_and(allowed) then 'fine' else 'fault' end,
    format('role %s may do what it needs', role),
    case when bool_and(allowed) then '' else format('It lacks %s: select '
      'replicache_grant(%L)', string_agg(needed.what, ', ')
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
  select case when count(*) = 0 then 'fine' else 'fault' end,
    format('row level security holds for role %s', role),
    case when count(*) = 0 then '' else format('It owns %s.',
      string_agg(name, ', ')) end
  from owned;
$$;


--
-- Name: replicache_check_server(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_server() RETURNS TABLE(result text, what text, advice text)
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_check_table(regclass, regclass, text[], regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_table(table_name regclass, view regclass, omit text[], audience regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_check_tables(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_check_tables() RETURNS TABLE(result text, what text, advice text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
      result := 'fine'; advice := '';
      return next;
    end if;
  end loop;
end
$$;


--
-- Name: replicache_claim(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_claim(name text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN ((NULLIF(current_setting('replicache.claims'::text, true), ''::text))::json ->> name);


--
-- Name: replicache_client_group_id(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_client_group_id() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('replicache.client_group_id'::text, true), ''::text);


--
-- Name: replicache_client_id(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_client_id() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('replicache.client_id'::text, true), ''::text);


--
-- Name: replicache_clock_version(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_clock_version() RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select floor(extract(epoch from clock_timestamp()
    - timestamptz '2020-01-01 00:00:00+00'))::bigint << 20;
$$;


--
-- Name: replicache_define(text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_define(name text, attributes text, body text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
  select format(E'create or replace function %s() returns trigger\n'
      'language plpgsql volatile %s\nas %L;\n'
      'revoke execute on function %1$s() from public;\n\n',
    name, attributes, body);
$_$;


--
-- Name: replicache_describe(public.replicache_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_describe(registered public.replicache_table) RETURNS public.replicache_table
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
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
  select c.definition, c.per_user
    into registered.definition, registered.per_user
    from replicache_view_code(coalesce(registered.view,
      registered.table_name)) as c;
  if registered.audience is not null then
    registered.per_user := true;
    registered.definition := registered.definition || E'\naudience '
      || (replicache_view_code(registered.audience)).definition;
  end if;
  registered.code := replicache_trigger_code(registered);
  return registered;
end
$$;


--
-- Name: replicache_drop_functions(integer); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_drop_functions(id integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $_$
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
$_$;


--
-- Name: replicache_drop_triggers_code(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_drop_triggers_code(table_name regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select coalesce(string_agg(format('drop trigger if exists %I on %s;',
      name, replicache_qualified(table_name)), E'\n'), '')
  from unnest(array['lock', 'bury', 'delete', 'revive', 'hide', 'stamp',
      'restamp', 'insert', 'rekey', 'gone', 'truncate']) as kind,
    lateral (select 'zz_replicache_' || kind) as t (name);
$$;


--
-- Name: replicache_enter(text, text, bigint, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_enter(client_id text, client_group_id text, mutation_id bigint, user_id text, claims text DEFAULT ''::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  ignored text;
begin
  ignored := pg_catalog.concat(
    pg_catalog.set_config('replicache.client_id', client_id, true),
    pg_catalog.set_config('replicache.client_group_id', client_group_id, true),
    pg_catalog.set_config('replicache.mutation_id',
      mutation_id::pg_catalog.text, true),
    pg_catalog.set_config('replicache.user_id', user_id, true),
    pg_catalog.set_config('replicache.claims', claims, true));
end
$$;


--
-- Name: replicache_forget(public.replicache_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_forget(registered public.replicache_table) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
begin
  perform replicache_leave_tombstones(registered, replicache_next_version());
  if exists (select from pg_class where oid = registered.table_name) then
    execute replicache_drop_triggers_code(registered.table_name);
  end if;
  perform replicache_drop_functions(registered.id);
  delete from replicache_table where id = registered.id;
end
$$;


--
-- Name: replicache_forget_clients(interval, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_forget_clients(unseen_for interval, most bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  horizon bigint := replicache_horizon(unseen_for);
  ids text[];
  groups text[];
begin
  select array_agg(id), array_agg(distinct client_group_id) into ids, groups
    from (select id, min(client_group_id) as client_group_id
          from replicache_client_step
          group by id
          having max(version) <= horizon
          order by id limit most) as unseen;
  if ids is null then
    return 0;
  end if;

  update replicache_client_group as g
    set forgotten = coalesce(g.forgotten, '{}') || unseen.marks
    from (select client_group_id, array_agg(replicache_mark(id)) as marks
          from (select distinct id, client_group_id
                from replicache_client_step where id = any (ids)) as one
          group by client_group_id) as unseen
    where g.id = unseen.client_group_id;
  delete from replicache_client_step where id = any (ids);
  update replicache_client_group as g
    set retired = true, forgotten = null
    where g.id = any (groups)
      and not exists (select from replicache_client_step
                      where client_group_id = g.id);
  return cardinality(ids);
end
$$;


--
-- Name: replicache_forget_dropped(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_forget_dropped() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  perform replicache_forget(r) from replicache_table as r
    where not exists (select from pg_class as c where c.oid = r.table_name);
end
$$;


--
-- Name: replicache_gone_code(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_gone_code() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
  select E'select version from replicache_tombstone where version <= $1'
      '\nunion all select version from replicache_hidden where version <= $1'
    || coalesce(string_agg(format(
        E'\nunion all select version from %s as t'
          ' where deleted and version <= $1%s',
        replicache_qualified(t.table_name),
        replicache_unreferenced(t.table_name)), ''), '')
  from replicache_table as t join pg_class as c on c.oid = t.table_name
  where t.soft;
$_$;


--
-- Name: replicache_grant(name); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_grant(role name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
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

  execute format('grant usage on schema %I to %I', current_schema(), web);
  execute format('grant select on %s to %I',
    array_to_string(replicache_web_tables(), ', '), web);
  execute format('grant execute on function %s to %I',
    array_to_string(replicache_web_functions(), ', '), web);

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


--
-- Name: replicache_guard(text, text, bigint, text, text, text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_guard(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, refused text DEFAULT NULL::text, claims text DEFAULT ''::text) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  mutator replicache_mutator;
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
      -- As in the middle of an upgrade of the app: no reason to drop data.
      raise 'function % of mutator "%" is gone', mutator.function, name
        using errcode = 'object_not_in_prerequisite_state';
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
        execute mutator.run using args_jsonb;
      else
        args_json := args::json;
        parsed := true;
        execute mutator.run using args_json;
      end if;
      perform replicache_check_constraints();
      return null;
    exception when others or assert_failure then
      get stacked diagnostics state = returned_sqlstate,
        message = message_text;
      attempts := attempts + 1;
      if state = '40001' and attempts < attempts_max then
        continue;
      end if;
      if left(state, 2) in ('08', '40', '53', '55', '57', '58', 'XX')
         or state = '25006' then
        raise;
      end if;
      code := case
        when parsed then 'mutator_error'
        when state = '22003' then 'number_out_of_range'
        else 'unstorable_text'
      end;
    end;
  end loop;

  perform replicache_record_failure(client_id, client_group_id, mutation_id,
    user_id, name, args, code, state, message);
  return code;
end
$$;


--
-- Name: replicache_has_version_index(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_has_version_index(of_table regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select exists (select from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = of_table and a.attname = 'version'
      and i.indpred is null and i.indisvalid);
$$;


--
-- Name: replicache_hide_code(public.replicache_table, text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_hide_code(registered public.replicache_table, version text, row_name text, source text DEFAULT ''::text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select format(E'insert into replicache_hidden\n'
      '    select %s, key, users\n'
      '    from (select %s as key, array(select distinct viewer::text\n'
      '            from %s as a where %s\n'
      '              and viewer is not null) as users%s) as seen\n'
      '    where users <> ''{}'';',
    version,
    replicache_key(registered.table_name, registered.prefix, row_name),
    replicache_qualified(registered.audience),
    replicache_key_match(registered.table_name, 'a', row_name), source);
$$;


--
-- Name: replicache_horizon(interval); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_horizon(older_than interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  if older_than < interval '0' or older_than is null then
    raise 'the age is negative' using errcode = 'invalid_parameter_value';
  end if;
  perform replicache_lock();
  insert into replicache_version_time
    select clock_timestamp(), max(version) from replicache_version;
  return (select max(version) from replicache_version_time
    where at <= clock_timestamp() - older_than);
end
$$;


--
-- Name: replicache_is_forgotten(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_is_forgotten(client_id text, client_group_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  return exists (select from replicache_client_group as g
    where g.id = client_group_id
      and (g.retired or g.forgotten is not null
           and replicache_mark(client_id) = any (g.forgotten)));
end
$$;


--
-- Name: replicache_key(regclass, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_key(table_name regclass, prefix text, row_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select format('(%L || %s) collate "C"', prefix, string_agg(
    replicache_key_part(a.atttypid, format('%s.%I', row_name, a.attname),
      cardinality(i.indkey::int2[]) > 1), ' || ''/'' || ' order by k.position))
  from pg_index as i
    cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = table_name and i.indisprimary;
$$;


--
-- Name: replicache_key_match(regclass, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_key_match(table_name regclass, one text, other text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select string_agg(format('%s.%I = %s.%I', one, a.attname, other, a.attname),
    ' and ' order by a.attnum)
  from pg_index as i
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
  where i.indrelid = table_name and i.indisprimary;
$$;


--
-- Name: replicache_key_part(oid, text, boolean); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_key_part(type oid, value text, escape boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  base oid := replicache_base_type(type);
begin
  if (select typtype = 'e' from pg_type where oid = base)
     or base in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
       'name'::regtype) then
    return format(case when escape
        then $q$replace(replace(%s::text, '%%', '%%25'), '/', '%%2F')$q$
        else '%s::text' end, value);
  elsif base in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
      'numeric'::regtype, 'bool'::regtype, 'uuid'::regtype) then
    return format('%s::text', value);
  elsif base in ('date'::regtype, 'timestamp'::regtype) then
    return format($q$(to_json(%s) #>> '{}')$q$, value);
  elsif base = 'timestamptz'::regtype then
    return format($q$(to_json(%s at time zone 'UTC') #>> '{}') || 'Z'$q$,
      value);
  elsif base = 'bytea'::regtype then
    return format($q$encode(%s, 'hex')$q$, value);
  end if;
  return null;
end
$_$;


--
-- Name: replicache_leave_tombstones(public.replicache_table, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_leave_tombstones(registered public.replicache_table, version bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_lock(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_lock() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  ignored text;
begin
  ignored := pg_catalog.pg_advisory_xact_lock(8243118303898460515);
end
$$;


--
-- Name: replicache_mark(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_mark(client_id text) RETURNS bigint
    LANGUAGE sql STABLE
    RETURN ((('x'::text || encode(substr(sha256(convert_to(client_id, 'UTF8'::name)), 1, 8), 'hex'::text)))::bit(64))::bigint;


--
-- Name: replicache_missing_triggers(public.replicache_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_missing_triggers(registered public.replicache_table) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select string_agg(name[1], ', ' order by name[1])
  from regexp_matches(registered.code, 'create trigger (zz_replicache_\w+)',
      'g') as name
  where not exists (select from pg_trigger
    where tgrelid = registered.table_name and tgname = name[1]
      and tgenabled in ('O', 'A'));
$$;


--
-- Name: replicache_mutation_id(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_mutation_id() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (NULLIF(current_setting('replicache.mutation_id'::text, true), ''::text))::bigint;


--
-- Name: replicache_new_epoch(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_new_epoch() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  taken bigint;
begin
  perform replicache_lock();
  taken := replicache_raise_version(
    (select max(version) from replicache_version), replicache_clock_version());
  delete from replicache_version where version < taken;
  delete from replicache_hidden;
  delete from replicache_user_floor;
  -- Whatever was lost, nobody is left who goes on from there.
  delete from replicache_timeline;
  insert into replicache_timeline
    values (taken, taken, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8));
  update replicache_state set floor = taken, epoch = taken;
  return taken;
end
$$;


--
-- Name: replicache_next_version(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_next_version() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  latest bigint;
  ours boolean;
  ignored text;
begin
  ignored := pg_advisory_xact_lock(8243118303898460515);
  select version, xid = pg_current_xact_id_if_assigned() and age(xmin) <= 0
    into latest, ours
    from replicache_version order by version desc limit 1;
  if ours then
    return latest;
  end if;
  return replicache_raise_version(latest, 0);
end
$$;


--
-- Name: replicache_pull_code(regclass, text, boolean, regclass, regclass, text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_pull_code(table_name regclass, prefix text, soft boolean, view regclass, audience regclass, omit text[], OUT pull_all text, OUT pull_since text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  source text := replicache_qualified(table_name);
  key text := replicache_key(table_name, prefix, 't');
  above text := E'\nwhere t.version > $1 and t.version <= 9223372036854775807';
  -- What a first pull gives, of the rows called %1$s.
  alive text := coalesce(E'\nwhere ' || nullif(concat_ws(' and ',
    case when soft then '%1$s.deleted is not true' end,
    replicache_audience_match(table_name, audience, '%1$s')), ''), '');
  list text := replicache_value_columns(coalesce(view, table_name),
    case when view is null then 't' else 'v' end, omit);
begin
  above := concat_ws(E'\n  and ', above,
    replicache_audience_match(table_name, audience, 't'));
  if view is null then
    pull_all := format(E'select %s as key, false as gone%s\nfrom %s as t%s',
      key, list, source, format(alive, 't'));
    pull_since := format(E'select %s as key, %s as gone%s\nfrom %s as t%s',
      key, case when soft then 't.deleted is true' else 'false' end, list,
      source, above);
    return;
  end if;

  pull_since := format(
    E'select %s as key, %sv.%I is null as gone%s\nfrom %s as t\n  left join '
      'lateral (select * from %s as v where %s offset 0) as v on true%s',
    key, case when soft then 't.deleted is true or ' else '' end,
    (select a.attname from pg_index as i join pg_attribute as a
       on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
     where i.indrelid = table_name and i.indisprimary),
    list, source, replicache_qualified(view),
    replicache_key_match(table_name, 'v', 't'), above);

  if not soft or exists (select from pg_attribute
      where attrelid = view and attname = 'deleted'
        and atttypid = 'bool'::regtype and not attisdropped) then
    pull_all := format(E'select %s as key, false as gone%s\nfrom %s as v%s',
      replicache_key(table_name, prefix, 'v'), list, replicache_qualified(view),
      format(alive, 'v'));
  else
    pull_all := format(
      E'select %s as key, false as gone%s\nfrom %s as t join %s as v on %s%s',
      key, list, source, replicache_qualified(view),
      replicache_key_match(table_name, 'v', 't'), format(alive, 't'));
  end if;
end
$_$;


--
-- Name: replicache_purge(interval); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_purge(older_than interval DEFAULT '30 days'::interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  horizon bigint := replicache_horizon(older_than);
begin
  return replicache_purge_failed(older_than) + replicache_purge_to(horizon);
end
$$;


--
-- Name: replicache_purge_failed(interval); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_purge_failed(older_than interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  dropped bigint;
begin
  delete from replicache_version_time as t
    where at <= clock_timestamp() - greatest(older_than, interval '1 day')
      and exists (select from replicache_version_time as later
        where later.at > t.at and later.at < date_trunc('day', t.at)
          + interval '1 day');
  delete from replicache_failed_mutation
    where failed_at <= clock_timestamp() - older_than;
  get diagnostics dropped = row_count;
  return dropped;
end
$$;


--
-- Name: replicache_purge_steps(bigint, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_purge_steps(horizon bigint, most bigint) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
begin
  return query execute 'select distinct max(version) from (select version,'
      ' (row_number() over (order by version) - 1) / $2 as step from ('
      || replicache_gone_code() || ') as gone) as numbered'
      ' group by step order by 1'
    using horizon, most;
end
$_$;


--
-- Name: replicache_purge_to(bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_purge_to(horizon bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  highest bigint;
  one bigint;
  dropped bigint := 0;
  registered record;
begin
  perform replicache_lock();
  -- The floor first: the triggers let only rows below it go.
  execute 'select max(version) from (' || replicache_gone_code() || ') as gone'
    into highest using horizon;
  if highest is null then
    return 0;
  end if;
  update replicache_state set floor = highest where floor < highest;

  delete from replicache_tombstone where version <= horizon;
  get diagnostics one = row_count;
  dropped := dropped + one;
  delete from replicache_hidden where version <= horizon;
  get diagnostics one = row_count;
  dropped := dropped + one;
  delete from replicache_user_floor as u using replicache_state as s
    where u.floor <= s.floor;
  for registered in
    select replicache_qualified(t.table_name) as target,
      replicache_unreferenced(t.table_name) as unreferenced
    from replicache_table as t join pg_class as c on c.oid = t.table_name
    where t.soft
  loop
    execute format('delete from %s as t where deleted and version <= $1%s',
      registered.target, registered.unreferenced) using horizon;
    get diagnostics one = row_count;
    dropped := dropped + one;
  end loop;
  return dropped;
end
$_$;


--
-- Name: replicache_push_begin(text[], text[], text[], text[], text[], bigint[], bigint[], bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_push_begin(groups text[], users text[], clients text[], client_groups text[], client_users text[], before bigint[], after bigint[], registered bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_qualified(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_qualified(relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where c.oid = relation;
$$;


--
-- Name: replicache_raise_version(bigint, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_raise_version(latest bigint, at_least bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
declare
  taken bigint;
  here text := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
  known text;
  ignored text;
begin
  select timeline into known
    from replicache_timeline order by before desc limit 1;
  if current_setting('transaction_isolation') <> 'read committed' then
    perform from replicache_version where version = latest for key share;
  end if;

  taken := greatest(coalesce(latest + 1, replicache_clock_version()),
    at_least);
  if known <> here then
    taken := greatest(taken, latest + (1 << 24), replicache_clock_version());
    insert into replicache_timeline values (coalesce(latest, 0), taken, here)
      on conflict do nothing;
  end if;
  insert into replicache_version (version) values (taken)
    on conflict do nothing;
  if not found then
    raise 'replicache version % is taken', taken
      using errcode = 'serialization_failure';
  end if;

  -- Trimming takes a range bounded on both sides, not everything below: an
  -- index scan from the left end would meet all entries that were trimmed
  -- before and are not yet vacuumed.
  if taken % 64 = 0 then
    insert into replicache_version_time values (clock_timestamp(), taken - 1)
      on conflict do nothing;
    if taken % 1024 = 0 then
      delete from replicache_version
        where version >= taken - 2048 and version < taken - 1024;
    end if;
  end if;

  ignored := pg_notify('replicache', taken::text);
  return taken;
end
$$;


--
-- Name: replicache_record_failure(text, text, bigint, text, text, text, text, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_record_failure(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, code text, sqlstate text, message text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  args_json json;
begin
  begin
    args_json := args::json;
  exception when data_exception then
    null;
  end;
  insert into replicache_failed_mutation as f values (
      client_id, mutation_id, client_group_id, user_id, name, args_json,
      code, sqlstate, message, replicache_next_version())
    on conflict on constraint replicache_failed_mutation_pkey do update set
      client_group_id = excluded.client_group_id,
      user_id = excluded.user_id,
      name = excluded.name,
      args = excluded.args,
      code = excluded.code,
      sqlstate = excluded.sqlstate,
      message = excluded.message,
      version = excluded.version,
      failed_at = excluded.failed_at;
end
$$;


--
-- Name: replicache_register_mutator(text, regprocedure); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_register_mutator(name text, function regprocedure) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  found_function record;
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
  if not exists (select from replicache_mutator as m where m = mutator) then
    delete from replicache_mutator as m where m.name = mutator.name;
    insert into replicache_mutator select mutator.*;
  end if;
end
$_$;


--
-- Name: replicache_register_mutator(text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_register_mutator(name text, function text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  known regprocedure := case when function like '%(%'
    then to_regprocedure(function)
    else coalesce(to_regprocedure(function || '(jsonb)'),
      to_regprocedure(function || '(json)'))
  end;
begin
  if known is null then
    raise 'there is no function % of one jsonb or json', function
      using errcode = 'undefined_function';
  end if;
  perform replicache_register_mutator(name, known);
end
$$;


--
-- Name: replicache_register_table(regclass, text, regclass, text[], regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_register_table(table_name regclass, prefix text DEFAULT NULL::text, view regclass DEFAULT NULL::regclass, omit text[] DEFAULT '{}'::text[], audience regclass DEFAULT NULL::regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
  before replicache_table;
  after replicache_table;
  other text;
  version bigint;
  lost boolean;
begin
  perform replicache_check_table(table_name, view, omit, audience);
  perform replicache_lock();
  perform replicache_forget_dropped();

  select * into before from replicache_table as r
    where r.table_name = replicache_register_table.table_name;
  after := before;
  after.id := coalesce(before.id,
    (select coalesce(max(id), 0) + 1 from replicache_table));
  after.table_name := table_name;
  after.prefix := coalesce(prefix, (select relname || '/' from pg_class
    where oid = table_name));
  after.view := view;
  after.audience := audience;
  after.omit := coalesce(omit, '{}');

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
    return;
  elsif after.per_user and audience is null then
    raise 'what clients see of % depends on the user', table_name
      using errcode = 'invalid_parameter_value',
        hint = 'It needs an audience: a table or view of the primary key and '
          'viewer, the ID of a user who may see that row.';
  end if;
  delete from replicache_table where id = after.id;
  insert into replicache_table select after.*;

  -- What clients see has changed, and not only how it is done.
  if lost
     or (before.key, before.soft, before.view, before.omit, before.audience,
      before.definition) is distinct from
     (after.key, after.soft, after.view, after.omit, after.audience,
      after.definition) then
    version := replicache_next_version();
    if lost
       or before.audience is not null
       or (before.id is not null and after.audience is not null) then
      -- Who has which rows is not known any more.
      update replicache_state set floor = version;
    elsif before.key <> after.key then
      perform replicache_leave_tombstones(before, version);
    end if;
    perform replicache_stamp_all(table_name, version);
    execute format('delete from replicache_tombstone where key in
      (select %s from %s as t)', after.key, replicache_qualified(table_name));
  end if;
  execute after.code;
  perform replicache_drop_functions(after.id);
end
$$;


--
-- Name: replicache_retry(text, bigint, name); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_retry(client_id text, mutation_id bigint, role name DEFAULT NULL::name) RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  failed replicache_failed_mutation;
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
  end if;
  if role is not null then
    perform set_config('role', role, true);
  end if;
  code := replicache_guard(client_id, failed.client_group_id, mutation_id,
    failed.user_id, failed.name, failed.args::text);
  if role is not null then
    perform set_config('role', 'none', true);
  end if;
  if code is null then
    delete from replicache_failed_mutation as f
      where f.client_id = replicache_retry.client_id
        and f.mutation_id = replicache_retry.mutation_id;
  end if;
  return code;
end
$$;


--
-- Name: replicache_stamp_all(regclass, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_stamp_all(table_name regclass, version bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
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


--
-- Name: replicache_touch(text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_touch(users text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
declare
  version bigint := replicache_next_version();
begin
  insert into replicache_user_floor
    select distinct one, version from unnest(users) as one where one <> ''
    on conflict (user_id) do update set floor = excluded.floor;
end
$$;


--
-- Name: replicache_touch(regclass, text, text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_touch(table_name regclass, column_name text, value text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $_$
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
    where r.table_name = replicache_touch.table_name;
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
    execute replicache_hide_code(registered, 'replicache_next_version()', 't',
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
$_$;


--
-- Name: replicache_trigger_code(public.replicache_table); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_trigger_code(registered public.replicache_table) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  target text := replicache_qualified(registered.table_name);
  prefix text := registered.prefix;
  soft boolean := registered.soft;
  name text := format('%I.replicache_%s_', current_schema(), registered.id);
  definer text := 'security definer set search_path from current';
  old_key text := replicache_key(registered.table_name, prefix, 'old');
  new_key text := replicache_key(registered.table_name, prefix, 'new');
  -- Whether there is a row with the key of the row called old: true or null.
  same_key text;
  -- Generated columns are not yet computed in NEW: out of the comparison.
  generated text;
  -- The row called old lost a row that it refers to, and has to go with it.
  orphan text;
  hide text := '';
  code text := '';
begin
  same_key := format(E'(select true from %s as t\n      where %s and %s = %s)',
    target, replicache_key_match(registered.table_name, 't', 'old'),
    replicache_key(registered.table_name, prefix, 't'), old_key);

  select string_agg(format(E'  old.%I := null;\n', attname), ''
      order by attnum)
    into generated
    from pg_attribute
    where attrelid = registered.table_name and attnum > 0
      and not attisdropped and attgenerated <> '';

  select string_agg(format(
      E'(%s)\n      and not exists (select from %s as p where %s)',
      (select string_agg(format('old.%I is not null', attname), ' and ')
         from pg_attribute
         where attrelid = c.conrelid and attnum = any (c.conkey)),
      replicache_qualified(c.confrelid),
      (select string_agg(format('p.%I = old.%I', theirs.attname, ours.attname),
           ' and ')
         from unnest(c.conkey, c.confkey) as k (ours, theirs)
           join pg_attribute as ours
             on ours.attrelid = c.conrelid and ours.attnum = k.ours
           join pg_attribute as theirs
             on theirs.attrelid = c.confrelid and theirs.attnum = k.theirs)),
      E'\n    or ' order by c.conname)
    into orphan
    from pg_constraint as c
    where c.conrelid = registered.table_name and c.contype = 'f'
      and c.confdeltype = 'c';

  if registered.audience is not null then
    hide := replicache_hide_code(registered, 'replicache_next_version()', 'old');
    code := code || replicache_define(name || 'hide', definer, format($code$
begin
  if %s then
    %s
  end if;
  return old;
end
$code$, case when soft then E'(old.deleted is true and old.version <='
        ' (select floor from replicache_state)) is not true' else 'true' end,
      hide));
    hide := format(E'  if %s then\n    %s\n  end if;\n',
      replicache_audience_moves(registered), hide);
  end if;

  code := code || replicache_define(name || 'stamp', 'security definer',
    format($code$
begin
  new.version := %I.replicache_next_version();
  return new;
end
$code$, current_schema()));

  -- An update that changes nothing is none, but for replicache_touch().
  code := code || replicache_define(name || 'restamp', definer, format($code$
begin
  new.version := old.version;
%s  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
%s  new.version := replicache_next_version();
  return new;
end
$code$, coalesce(generated, ''), hide));

  code := code || replicache_define(name || 'insert', definer, format($code$
begin
  delete from replicache_tombstone where key = %s;
  return null;
end
$code$, new_key));

  code := code || replicache_define(name || 'rekey', definer, format($code$
begin
  if %s is null then
    insert into replicache_tombstone values (%s, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = %s;
  return null;
end
$code$, same_key, old_key, new_key));

  -- A row that purge lets go has been below the floor: nobody will ask for it.
  code := code || replicache_define(name || 'gone', definer, format($code$
begin
  if %s then
    insert into replicache_tombstone values (%s, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$code$, same_key || ' is null' || case when soft then
      E'\n     and (old.deleted is true and old.version <='
      ' (select floor from replicache_state)) is not true' else '' end,
    old_key));

  if soft then
    code := code || replicache_define(name || 'bury', definer, format($code$
begin
  if old.version <= (select floor from replicache_state)%s then
    return old;
  end if;
  return null;
end
$code$, E'\n    or ' || orphan));

    code := code || replicache_define(name || 'delete', '', format($code$
begin
%s  update %s as t set deleted = true where %s;
  if not found then
    raise 'a row of %% could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$code$, E'  if pg_catalog.pg_trigger_depth() > 1 then\n    if ' || orphan
        || E' then\n      return old;\n    end if;\n  end if;\n',
      target, replicache_key_match(registered.table_name, 't', 'old')));

    code := code || replicache_define(name || 'revive', '', format($code$
declare
  assignments text;
  revived bigint;
begin
  if (select t.deleted from %1$s as t where %2$s) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%%I = ($1).%%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid = tg_relid and attnum > 0 and not attisdropped
      and attgenerated = '' and attidentity <> 'a' and attname <> 'version';
  execute %3$L || assignments || %4$L using new;
  get diagnostics revived = row_count;
  if revived = 0 then
    return new;
  end if;
  return null;
end
$code$, target, replicache_key_match(registered.table_name, 't', 'new'),
      format('update %s as t set ', target), format(' where %s',
        replicache_key_match(registered.table_name, 't', '($1)'))));
  end if;

  return code || replicache_drop_triggers_code(registered.table_name)
    || format($code$
create trigger zz_replicache_lock
  before insert or update or delete or truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_lock();
create trigger zz_replicache_stamp before insert on %1$s
  for each row execute function %3$sstamp();
create trigger zz_replicache_restamp before update on %1$s
  for each row execute function %3$srestamp();
create trigger zz_replicache_truncate after truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_truncate();
$code$, target, current_schema(), name)
    || case when registered.audience is null and not soft then format($code$
create trigger zz_replicache_insert after insert on %1$s
  for each row execute function %2$sinsert();
$code$, target, name) else '' end
    || format(case when registered.audience is null then $code$
create trigger zz_replicache_rekey after update on %1$s
  for each row when (%3$s <> %4$s)
  execute function %2$srekey();
create trigger zz_replicache_gone after delete on %1$s
  for each row execute function %2$sgone();
$code$ else $code$
create trigger zz_replicache_hide before delete on %1$s
  for each row execute function %2$shide();
$code$ end, target, name, old_key, new_key)
    || case when soft then format($code$
create trigger zz_replicache_bury before delete on %1$s
  for each row when (old.deleted is true) execute function %2$sbury();
create trigger zz_replicache_delete before delete on %1$s
  for each row when (old.deleted is not true)
  execute function %2$sdelete();
create trigger zz_replicache_revive before insert on %1$s
  for each row execute function %2$srevive();
$code$, target, name) else '' end;
end
$_$;


--
-- Name: replicache_trigger_lock(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_trigger_lock() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  ignored text;
begin
  ignored := pg_catalog.pg_advisory_xact_lock(8243118303898460515);
  return null;
end
$$;


--
-- Name: replicache_trigger_revision(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_trigger_revision() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  perform replicache_lock();
  update replicache_state set revision = revision + 1;
  return null;
end
$$;


--
-- Name: replicache_trigger_truncate(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_trigger_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  update replicache_state set floor = replicache_next_version();
  return null;
end
$$;


--
-- Name: replicache_unreferenced(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_unreferenced(table_name regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select coalesce(string_agg(format(
      E'\n  and not exists (select from %s as r where %s)',
      replicache_qualified(c.conrelid),
      (select string_agg(format('r.%I = t.%I', theirs.attname, ours.attname),
           ' and ')
         from unnest(c.conkey, c.confkey) as k (theirs, ours)
           join pg_attribute as theirs
             on theirs.attrelid = c.conrelid and theirs.attnum = k.theirs
           join pg_attribute as ours
             on ours.attrelid = c.confrelid and ours.attnum = k.ours)), ''), '')
  from pg_constraint as c
  where c.confrelid = table_name and c.contype = 'f'
    and c.confdeltype in ('a', 'r');
$$;


--
-- Name: replicache_unregister_mutator(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_unregister_mutator(name text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'public', 'pg_temp'
    AS $_$
  delete from replicache_mutator as m where m.name = $1;
$_$;


--
-- Name: replicache_unregister_table(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_unregister_table(table_name regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$
begin
  perform replicache_lock();
  perform replicache_forget(r) from replicache_table as r
    where r.table_name = replicache_unregister_table.table_name;
end
$$;


--
-- Name: replicache_user_id(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_user_id() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('replicache.user_id'::text, true), ''::text);


--
-- Name: replicache_value_columns(regclass, text, text[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_value_columns(relation regclass, row_name text, omit text[]) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $_$
declare
  list text := '';
  a record;
begin
  for a in
    select attname, atttypid from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped
      and attname <> 'version'
      and not (attname = 'deleted' and atttypid = 'bool'::regtype)
      and attname <> all (omit)
    order by attnum
  loop
    list := list || format(
      case when replicache_base_type(a.atttypid) in ('int2'::regtype,
          'int4'::regtype, 'int8'::regtype, 'bool'::regtype, 'text'::regtype,
          'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype)
        then E',\n  %1$s.%2$I'
        else E',\n  to_json(%1$s.%2$I) as %2$I' end,
      row_name, a.attname);
  end loop;
  return list;
end
$_$;


--
-- Name: replicache_view_code(regclass); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_view_code(relation regclass, OUT definition text, OUT per_user boolean) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  with recursive used (class, object) as (
    select 'pg_class'::regclass::oid, relation::oid
    union
    select d.refclassid, d.refobjid
    from used as u
      join pg_rewrite as r
        on u.class = 'pg_class'::regclass and r.ev_class = u.object
      join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
  ), text as (
    select pg_describe_object(class, object, 0) as name,
      case
        when class = 'pg_proc'::regclass then pg_get_functiondef(object)
        else pg_get_viewdef(object)
      end as text
    from used
    where class = 'pg_class'::regclass
          and (select relkind in ('v', 'm') from pg_class where oid = object)
      or class = 'pg_proc'::regclass
          and (select prokind in ('f', 'p') from pg_proc where oid = object)
  )
  select
    (select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
       order by attnum)
     from pg_attribute
     where attrelid = relation and attnum > 0 and not attisdropped
       and attname <> 'version')
      || coalesce((select string_agg(E'\n' || name || E'\n' || text, ''
                     order by name collate "C") from text), ''),
    exists (select from text where text ~ 'replicache[._](user_id|claim)')
      or exists (select from used join pg_class as c
                   on class = 'pg_class'::regclass and c.oid = object
                 where c.relrowsecurity);
$$;


--
-- Name: replicache_web_functions(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_web_functions() RETURNS regprocedure[]
    LANGUAGE sql STABLE
    SET search_path TO 'public', 'pg_temp'
    AS $$
  select array_agg(p.oid::regprocedure order by p.oid)
  from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
  where n.nspname = current_schema() and p.proname = any (array[
    'replicache_push_begin', 'replicache_is_forgotten', 'replicache_enter',
    'replicache_guard', 'replicache_check_constraints',
    'replicache_record_failure', 'replicache_user_id', 'replicache_claim',
    'replicache_client_id', 'replicache_client_group_id',
    'replicache_mutation_id', 'replicache_next_version', 'replicache_touch']);
$$;


--
-- Name: replicache_web_tables(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.replicache_web_tables() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN ARRAY['replicache_version'::text, 'replicache_state'::text, 'replicache_client_group'::text, 'replicache_client_step'::text, 'replicache_table'::text, 'replicache_mutator'::text, 'replicache_schema_version'::text, 'replicache_tombstone'::text, 'replicache_hidden'::text, 'replicache_user_floor'::text, 'replicache_timeline'::text];


--
-- Name: room_member_changed(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.room_member_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  if tg_op <> 'INSERT' then
    perform replicache_touch(array[old.user_id]);
  end if;
  if tg_op <> 'DELETE' then
    perform replicache_touch(array[new.user_id]);
  end if;
  return null;
end
$$;


--
-- Name: room_of_mine(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.room_of_mine(id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  if not exists (select from room_member as m
      where m.room_id = room_of_mine.id
        and m.user_id = replicache_user_id()) then
    raise 'no room % of yours', id using errcode = 'insufficient_privilege';
  end if;
  return id;
end
$$;


--
-- Name: say_in_room(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.say_in_room(args jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public', 'pg_temp'
    AS $$
begin
  insert into room_message (id, room_id, sender, content)
    values (args ->> 'id', room_of_mine(args ->> 'room'),
      replicache_user_id(), args ->> 'content');
end
$$;


--
-- Name: message; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.message (
    id character varying(36) NOT NULL,
    sender character varying(255) NOT NULL,
    content text NOT NULL,
    ord bigint NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    version bigint NOT NULL
);


--
-- Name: message_entry; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.message_entry AS
 SELECT message.id,
    message.sender AS "from",
    message.content,
    message.ord AS "order",
    message.deleted
   FROM public.message;


--
-- Name: todo; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.todo (
    id integer NOT NULL,
    text text NOT NULL,
    version bigint DEFAULT '228545308655619'::bigint NOT NULL
);


--
-- Name: open_todo; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.open_todo AS
 SELECT todo.id,
    todo.text
   FROM public.todo;


--
-- Name: own; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.own (
    id integer NOT NULL,
    body text,
    deleted boolean,
    version bigint DEFAULT '228545308655620'::bigint NOT NULL
);


--
-- Name: replicache_client_step; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_client_step (
    id text NOT NULL,
    client_group_id text NOT NULL,
    last_mutation_id bigint NOT NULL,
    version bigint NOT NULL
);


--
-- Name: replicache_client; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.replicache_client AS
 SELECT DISTINCT ON (replicache_client_step.id) replicache_client_step.id,
    replicache_client_step.client_group_id,
    replicache_client_step.last_mutation_id,
    replicache_client_step.version
   FROM public.replicache_client_step
  ORDER BY replicache_client_step.id, replicache_client_step.last_mutation_id DESC;


--
-- Name: replicache_client_group; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_client_group (
    id text NOT NULL,
    user_id text DEFAULT ''::text NOT NULL,
    retired boolean DEFAULT false NOT NULL,
    forgotten bigint[]
);


--
-- Name: replicache_failed_mutation; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_failed_mutation (
    client_id text NOT NULL,
    mutation_id bigint NOT NULL,
    client_group_id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    args json,
    code text NOT NULL,
    sqlstate text,
    message text,
    version bigint NOT NULL,
    failed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT replicache_failed_mutation_code_check CHECK ((code = ANY (ARRAY['unknown_mutator'::text, 'unstorable_text'::text, 'number_out_of_range'::text, 'timeout'::text, 'mutator_error'::text])))
);


--
-- Name: replicache_hidden; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_hidden (
    version bigint NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    users text[] NOT NULL
);


--
-- Name: replicache_mutator; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_mutator (
    name text NOT NULL,
    function text NOT NULL,
    argument text NOT NULL,
    call text NOT NULL,
    run text NOT NULL,
    CONSTRAINT replicache_mutator_argument_check CHECK ((argument = ANY (ARRAY['json'::text, 'jsonb'::text])))
);


--
-- Name: replicache_schema_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_schema_version (
    version text NOT NULL
);


--
-- Name: replicache_state; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_state (
    only_row boolean DEFAULT true NOT NULL,
    floor bigint NOT NULL,
    epoch bigint NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    schema_number integer NOT NULL,
    CONSTRAINT replicache_state_only_row_check CHECK (only_row)
);


--
-- Name: replicache_timeline; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_timeline (
    before bigint NOT NULL,
    first bigint NOT NULL,
    timeline text NOT NULL
);


--
-- Name: replicache_tombstone; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_tombstone (
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL
);


--
-- Name: replicache_user_floor; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_user_floor (
    user_id text NOT NULL,
    floor bigint NOT NULL
);


--
-- Name: replicache_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_version (
    version bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);


--
-- Name: replicache_version_time; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.replicache_version_time (
    at timestamp with time zone NOT NULL,
    version bigint NOT NULL
);


--
-- Name: room; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.room (
    id text NOT NULL,
    name text NOT NULL,
    version bigint DEFAULT '228545308655618'::bigint NOT NULL
);


--
-- Name: room_member; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.room_member (
    room_id text NOT NULL,
    user_id text NOT NULL,
    version bigint DEFAULT '228545308655618'::bigint NOT NULL
);


--
-- Name: room_audience; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.room_audience AS
 SELECT room_member.room_id AS id,
    room_member.user_id AS viewer
   FROM public.room_member;


--
-- Name: room_member_audience; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.room_member_audience AS
 SELECT m.room_id,
    m.user_id,
    other.user_id AS viewer
   FROM (public.room_member m
     JOIN public.room_member other USING (room_id));


--
-- Name: room_message; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.room_message (
    id text NOT NULL,
    room_id text NOT NULL,
    sender text NOT NULL,
    content text NOT NULL,
    sent_at timestamp with time zone DEFAULT now() NOT NULL,
    version bigint DEFAULT '228545308655618'::bigint NOT NULL
);


--
-- Name: room_message_audience; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.room_message_audience AS
 SELECT message.id,
    m.user_id AS viewer
   FROM (public.room_message message
     JOIN public.room_member m USING (room_id));


--
-- Data for Name: message; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.message (id, sender, content, ord, deleted, version) FROM stdin;
m1	u	hello	1	f	228545308655623
\.


--
-- Data for Name: own; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.own (id, body, deleted, version) FROM stdin;
1	x	\N	228545308655622
2	y	t	228545308655625
\.


--
-- Data for Name: replicache_client_group; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_client_group (id, user_id, retired, forgotten) FROM stdin;
g		f	\N
h	v	f	\N
g2		f	\N
\.


--
-- Data for Name: replicache_client_step; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_client_step (id, client_group_id, last_mutation_id, version) FROM stdin;
a	g	1	228545308655623
b	g	70	228545308655623
c	h	2	228545308655623
d	g2	3	228545308655626
\.


--
-- Data for Name: replicache_failed_mutation; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_failed_mutation (client_id, mutation_id, client_group_id, user_id, name, args, code, sqlstate, message, version, failed_at) FROM stdin;
c	1	h	v	nope	{}	unknown_mutator	\N	\N	228545308655623	2026-11-27 15:49:52.391808+00
c	2	h	v	createMessage	{"id":7}	mutator_error	22023	createMessage takes {"id", "from", "content", "order"}	228545308655623	2026-11-27 15:49:52.392221+00
\.


--
-- Data for Name: replicache_hidden; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_hidden (version, key, users) FROM stdin;
\.


--
-- Data for Name: replicache_mutator; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_mutator (name, function, argument, call, run) FROM stdin;
createMessage	public.create_message(jsonb)	jsonb	select public.create_message($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.create_message($1)
deleteMessage	public.delete_message(jsonb)	jsonb	select public.delete_message($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.delete_message($1)
createRoom	public.create_room(jsonb)	jsonb	select public.create_room($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.create_room($1)
invite	public.invite(jsonb)	jsonb	select public.invite($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.invite($1)
leaveRoom	public.leave_room(jsonb)	jsonb	select public.leave_room($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.leave_room($1)
sayInRoom	public.say_in_room(jsonb)	jsonb	select public.say_in_room($5::pg_catalog.jsonb) where public.replicache_enter($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.int8, $4::pg_catalog.text, $6::pg_catalog.text) is not null	select public.say_in_room($1)
\.


--
-- Data for Name: replicache_schema_version; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_schema_version (version) FROM stdin;

1
\.


--
-- Data for Name: replicache_state; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_state (only_row, floor, epoch, revision, schema_number) FROM stdin;
t	228545308655616	228545308655616	25	1
\.


--
-- Data for Name: replicache_table; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_table (id, table_name, prefix, view, audience, omit, soft, per_user, key, pull_all, pull_since, definition, code) FROM stdin;
1	public.message	message/	public.message_entry	\N	{id}	t	f	('message/' || t.id::text) collate "C"	select ('message/' || v.id::text) collate "C" as key, false as gone,\n  v."from",\n  v.content,\n  v."order"\nfrom public.message_entry as v\nwhere v.deleted is not true	select ('message/' || t.id::text) collate "C" as key, t.deleted is true or v.id is null as gone,\n  v."from",\n  v.content,\n  v."order"\nfrom public.message as t\n  left join lateral (select * from public.message_entry as v where v.id = t.id offset 0) as v on true\nwhere t.version > $1 and t.version <= 9223372036854775807	id character varying(36), from character varying(255), content text, order bigint, deleted boolean\nview message_entry\n SELECT message.id,\n    message.sender AS "from",\n    message.content,\n    message.ord AS "order",\n    message.deleted\n   FROM message;	create or replace function public.replicache_1_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_1_stamp() from public;\n\ncreate or replace function public.replicache_1_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_1_restamp() from public;\n\ncreate or replace function public.replicache_1_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''message/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_insert() from public;\n\ncreate or replace function public.replicache_1_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.message as t\n      where t.id = old.id and (''message/'' || t.id::text) collate "C" = (''message/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''message/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''message/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_rekey() from public;\n\ncreate or replace function public.replicache_1_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.message as t\n      where t.id = old.id and (''message/'' || t.id::text) collate "C" = (''message/'' || old.id::text) collate "C") is null\n     and (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then\n    insert into replicache_tombstone values ((''message/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_gone() from public;\n\ncreate or replace function public.replicache_1_bury() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if old.version <= (select floor from replicache_state) then\n    return old;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_bury() from public;\n\ncreate or replace function public.replicache_1_delete() returns trigger\nlanguage plpgsql volatile \nas '\nbegin\n  update public.message as t set deleted = true where t.id = old.id;\n  if not found then\n    raise ''a row of % could not be marked as deleted'',\n        tg_relid::pg_catalog.regclass using errcode = ''insufficient_privilege'';\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_delete() from public;\n\ncreate or replace function public.replicache_1_revive() returns trigger\nlanguage plpgsql volatile \nas '\ndeclare\n  assignments text;\n  revived bigint;\nbegin\n  if (select t.deleted from public.message as t where t.id = new.id) is not true then\n    return new;\n  end if;\n  select pg_catalog.string_agg(\n      pg_catalog.format(''%I = ($1).%1$I'', attname), '', '') into assignments\n    from pg_catalog.pg_attribute\n    where attrelid = tg_relid and attnum > 0 and not attisdropped\n      and attgenerated = '''' and attidentity <> ''a'' and attname <> ''version'';\n  execute ''update public.message as t set '' || assignments || '' where t.id = ($1).id'' using new;\n  get diagnostics revived = row_count;\n  if revived = 0 then\n    return new;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_1_revive() from public;\n\ndrop trigger if exists zz_replicache_lock on public.message;\ndrop trigger if exists zz_replicache_bury on public.message;\ndrop trigger if exists zz_replicache_delete on public.message;\ndrop trigger if exists zz_replicache_revive on public.message;\ndrop trigger if exists zz_replicache_hide on public.message;\ndrop trigger if exists zz_replicache_stamp on public.message;\ndrop trigger if exists zz_replicache_restamp on public.message;\ndrop trigger if exists zz_replicache_insert on public.message;\ndrop trigger if exists zz_replicache_rekey on public.message;\ndrop trigger if exists zz_replicache_gone on public.message;\ndrop trigger if exists zz_replicache_truncate on public.message;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.message\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.message\n  for each row execute function public.replicache_1_stamp();\ncreate trigger zz_replicache_restamp before update on public.message\n  for each row execute function public.replicache_1_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.message\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_rekey after update on public.message\n  for each row when (('message/' || old.id::text) collate "C" <> ('message/' || new.id::text) collate "C")\n  execute function public.replicache_1_rekey();\ncreate trigger zz_replicache_gone after delete on public.message\n  for each row execute function public.replicache_1_gone();\n\ncreate trigger zz_replicache_bury before delete on public.message\n  for each row when (old.deleted is true) execute function public.replicache_1_bury();\ncreate trigger zz_replicache_delete before delete on public.message\n  for each row when (old.deleted is not true)\n  execute function public.replicache_1_delete();\ncreate trigger zz_replicache_revive before insert on public.message\n  for each row execute function public.replicache_1_revive();\n
2	public.room	room/	\N	public.room_audience	{}	f	t	('room/' || t.id::text) collate "C"	select ('room/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.name\nfrom public.room as t\nwhere exists (select from public.room_audience as a where a.id = t.id and a.viewer = public.replicache_user_id())	select ('room/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.name\nfrom public.room as t\nwhere t.version > $1 and t.version <= 9223372036854775807\n  and exists (select from public.room_audience as a where a.id = t.id and a.viewer = public.replicache_user_id())	id text, name text\naudience id text, viewer text\nview room_audience\n SELECT room_member.room_id AS id,\n    room_member.user_id AS viewer\n   FROM room_member;	create or replace function public.replicache_2_hide() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if true then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room/'' || old.id::text) collate "C" as key, array(select distinct viewer::text\n            from public.room_audience as a where a.id = old.id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  return old;\nend\n';\nrevoke execute on function public.replicache_2_hide() from public;\n\ncreate or replace function public.replicache_2_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_2_stamp() from public;\n\ncreate or replace function public.replicache_2_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  if row(old.id)::record *<> row(new.id)::record then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room/'' || old.id::text) collate "C" as key, array(select distinct viewer::text\n            from public.room_audience as a where a.id = old.id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_2_restamp() from public;\n\ncreate or replace function public.replicache_2_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''room/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_2_insert() from public;\n\ncreate or replace function public.replicache_2_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room as t\n      where t.id = old.id and (''room/'' || t.id::text) collate "C" = (''room/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''room/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''room/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_2_rekey() from public;\n\ncreate or replace function public.replicache_2_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room as t\n      where t.id = old.id and (''room/'' || t.id::text) collate "C" = (''room/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''room/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_2_gone() from public;\n\ndrop trigger if exists zz_replicache_lock on public.room;\ndrop trigger if exists zz_replicache_bury on public.room;\ndrop trigger if exists zz_replicache_delete on public.room;\ndrop trigger if exists zz_replicache_revive on public.room;\ndrop trigger if exists zz_replicache_hide on public.room;\ndrop trigger if exists zz_replicache_stamp on public.room;\ndrop trigger if exists zz_replicache_restamp on public.room;\ndrop trigger if exists zz_replicache_insert on public.room;\ndrop trigger if exists zz_replicache_rekey on public.room;\ndrop trigger if exists zz_replicache_gone on public.room;\ndrop trigger if exists zz_replicache_truncate on public.room;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.room\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.room\n  for each row execute function public.replicache_2_stamp();\ncreate trigger zz_replicache_restamp before update on public.room\n  for each row execute function public.replicache_2_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.room\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_hide before delete on public.room\n  for each row execute function public.replicache_2_hide();\n
3	public.room_member	room_member/	\N	public.room_member_audience	{}	f	t	('room_member/' || replace(replace(t.room_id::text, '%', '%25'), '/', '%2F') || '/' || replace(replace(t.user_id::text, '%', '%25'), '/', '%2F')) collate "C"	select ('room_member/' || replace(replace(t.room_id::text, '%', '%25'), '/', '%2F') || '/' || replace(replace(t.user_id::text, '%', '%25'), '/', '%2F')) collate "C" as key, false as gone,\n  t.room_id,\n  t.user_id\nfrom public.room_member as t\nwhere exists (select from public.room_member_audience as a where a.room_id = t.room_id and a.user_id = t.user_id and a.viewer = public.replicache_user_id())	select ('room_member/' || replace(replace(t.room_id::text, '%', '%25'), '/', '%2F') || '/' || replace(replace(t.user_id::text, '%', '%25'), '/', '%2F')) collate "C" as key, false as gone,\n  t.room_id,\n  t.user_id\nfrom public.room_member as t\nwhere t.version > $1 and t.version <= 9223372036854775807\n  and exists (select from public.room_member_audience as a where a.room_id = t.room_id and a.user_id = t.user_id and a.viewer = public.replicache_user_id())	room_id text, user_id text\naudience room_id text, user_id text, viewer text\nview room_member_audience\n SELECT m.room_id,\n    m.user_id,\n    other.user_id AS viewer\n   FROM (room_member m\n     JOIN room_member other USING (room_id));	create or replace function public.replicache_3_hide() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if true then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C" as key, array(select distinct viewer::text\n            from public.room_member_audience as a where a.room_id = old.room_id and a.user_id = old.user_id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  return old;\nend\n';\nrevoke execute on function public.replicache_3_hide() from public;\n\ncreate or replace function public.replicache_3_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_3_stamp() from public;\n\ncreate or replace function public.replicache_3_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  if row(old.room_id, old.user_id)::record *<> row(new.room_id, new.user_id)::record then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C" as key, array(select distinct viewer::text\n            from public.room_member_audience as a where a.room_id = old.room_id and a.user_id = old.user_id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_3_restamp() from public;\n\ncreate or replace function public.replicache_3_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''room_member/'' || replace(replace(new.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(new.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_3_insert() from public;\n\ncreate or replace function public.replicache_3_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room_member as t\n      where t.room_id = old.room_id and t.user_id = old.user_id and (''room_member/'' || replace(replace(t.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(t.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C" = (''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C") is null then\n    insert into replicache_tombstone values ((''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''room_member/'' || replace(replace(new.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(new.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_3_rekey() from public;\n\ncreate or replace function public.replicache_3_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room_member as t\n      where t.room_id = old.room_id and t.user_id = old.user_id and (''room_member/'' || replace(replace(t.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(t.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C" = (''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C") is null then\n    insert into replicache_tombstone values ((''room_member/'' || replace(replace(old.room_id::text, ''%'', ''%25''), ''/'', ''%2F'') || ''/'' || replace(replace(old.user_id::text, ''%'', ''%25''), ''/'', ''%2F'')) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_3_gone() from public;\n\ndrop trigger if exists zz_replicache_lock on public.room_member;\ndrop trigger if exists zz_replicache_bury on public.room_member;\ndrop trigger if exists zz_replicache_delete on public.room_member;\ndrop trigger if exists zz_replicache_revive on public.room_member;\ndrop trigger if exists zz_replicache_hide on public.room_member;\ndrop trigger if exists zz_replicache_stamp on public.room_member;\ndrop trigger if exists zz_replicache_restamp on public.room_member;\ndrop trigger if exists zz_replicache_insert on public.room_member;\ndrop trigger if exists zz_replicache_rekey on public.room_member;\ndrop trigger if exists zz_replicache_gone on public.room_member;\ndrop trigger if exists zz_replicache_truncate on public.room_member;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.room_member\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.room_member\n  for each row execute function public.replicache_3_stamp();\ncreate trigger zz_replicache_restamp before update on public.room_member\n  for each row execute function public.replicache_3_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.room_member\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_hide before delete on public.room_member\n  for each row execute function public.replicache_3_hide();\n
4	public.room_message	room_message/	\N	public.room_message_audience	{}	f	t	('room_message/' || t.id::text) collate "C"	select ('room_message/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.room_id,\n  t.sender,\n  t.content,\n  to_json(t.sent_at) as sent_at\nfrom public.room_message as t\nwhere exists (select from public.room_message_audience as a where a.id = t.id and a.viewer = public.replicache_user_id())	select ('room_message/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.room_id,\n  t.sender,\n  t.content,\n  to_json(t.sent_at) as sent_at\nfrom public.room_message as t\nwhere t.version > $1 and t.version <= 9223372036854775807\n  and exists (select from public.room_message_audience as a where a.id = t.id and a.viewer = public.replicache_user_id())	id text, room_id text, sender text, content text, sent_at timestamp with time zone\naudience id text, viewer text\nview room_message_audience\n SELECT message.id,\n    m.user_id AS viewer\n   FROM (room_message message\n     JOIN room_member m USING (room_id));	create or replace function public.replicache_4_hide() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if true then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room_message/'' || old.id::text) collate "C" as key, array(select distinct viewer::text\n            from public.room_message_audience as a where a.id = old.id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  return old;\nend\n';\nrevoke execute on function public.replicache_4_hide() from public;\n\ncreate or replace function public.replicache_4_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_4_stamp() from public;\n\ncreate or replace function public.replicache_4_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  if row(old.id, old.room_id)::record *<> row(new.id, new.room_id)::record then\n    insert into replicache_hidden\n    select replicache_next_version(), key, users\n    from (select (''room_message/'' || old.id::text) collate "C" as key, array(select distinct viewer::text\n            from public.room_message_audience as a where a.id = old.id\n              and viewer is not null) as users) as seen\n    where users <> ''{}'';\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_4_restamp() from public;\n\ncreate or replace function public.replicache_4_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''room_message/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_4_insert() from public;\n\ncreate or replace function public.replicache_4_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room_message as t\n      where t.id = old.id and (''room_message/'' || t.id::text) collate "C" = (''room_message/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''room_message/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''room_message/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_4_rekey() from public;\n\ncreate or replace function public.replicache_4_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.room_message as t\n      where t.id = old.id and (''room_message/'' || t.id::text) collate "C" = (''room_message/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''room_message/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_4_gone() from public;\n\ndrop trigger if exists zz_replicache_lock on public.room_message;\ndrop trigger if exists zz_replicache_bury on public.room_message;\ndrop trigger if exists zz_replicache_delete on public.room_message;\ndrop trigger if exists zz_replicache_revive on public.room_message;\ndrop trigger if exists zz_replicache_hide on public.room_message;\ndrop trigger if exists zz_replicache_stamp on public.room_message;\ndrop trigger if exists zz_replicache_restamp on public.room_message;\ndrop trigger if exists zz_replicache_insert on public.room_message;\ndrop trigger if exists zz_replicache_rekey on public.room_message;\ndrop trigger if exists zz_replicache_gone on public.room_message;\ndrop trigger if exists zz_replicache_truncate on public.room_message;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.room_message\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.room_message\n  for each row execute function public.replicache_4_stamp();\ncreate trigger zz_replicache_restamp before update on public.room_message\n  for each row execute function public.replicache_4_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.room_message\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_hide before delete on public.room_message\n  for each row execute function public.replicache_4_hide();\n
5	public.todo	todo/	\N	\N	{}	f	f	('todo/' || t.id::text) collate "C"	select ('todo/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.text\nfrom public.todo as t	select ('todo/' || t.id::text) collate "C" as key, false as gone,\n  t.id,\n  t.text\nfrom public.todo as t\nwhere t.version > $1 and t.version <= 9223372036854775807	id integer, text text	create or replace function public.replicache_5_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_5_stamp() from public;\n\ncreate or replace function public.replicache_5_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_5_restamp() from public;\n\ncreate or replace function public.replicache_5_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''todo/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_5_insert() from public;\n\ncreate or replace function public.replicache_5_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.todo as t\n      where t.id = old.id and (''todo/'' || t.id::text) collate "C" = (''todo/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''todo/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''todo/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_5_rekey() from public;\n\ncreate or replace function public.replicache_5_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.todo as t\n      where t.id = old.id and (''todo/'' || t.id::text) collate "C" = (''todo/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''todo/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_5_gone() from public;\n\ndrop trigger if exists zz_replicache_lock on public.todo;\ndrop trigger if exists zz_replicache_bury on public.todo;\ndrop trigger if exists zz_replicache_delete on public.todo;\ndrop trigger if exists zz_replicache_revive on public.todo;\ndrop trigger if exists zz_replicache_hide on public.todo;\ndrop trigger if exists zz_replicache_stamp on public.todo;\ndrop trigger if exists zz_replicache_restamp on public.todo;\ndrop trigger if exists zz_replicache_insert on public.todo;\ndrop trigger if exists zz_replicache_rekey on public.todo;\ndrop trigger if exists zz_replicache_gone on public.todo;\ndrop trigger if exists zz_replicache_truncate on public.todo;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.todo\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.todo\n  for each row execute function public.replicache_5_stamp();\ncreate trigger zz_replicache_restamp before update on public.todo\n  for each row execute function public.replicache_5_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.todo\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_insert after insert on public.todo\n  for each row execute function public.replicache_5_insert();\n\ncreate trigger zz_replicache_rekey after update on public.todo\n  for each row when (('todo/' || old.id::text) collate "C" <> ('todo/' || new.id::text) collate "C")\n  execute function public.replicache_5_rekey();\ncreate trigger zz_replicache_gone after delete on public.todo\n  for each row execute function public.replicache_5_gone();\n
6	public.own	mine/	\N	\N	{body}	t	f	('mine/' || t.id::text) collate "C"	select ('mine/' || t.id::text) collate "C" as key, false as gone,\n  t.id\nfrom public.own as t\nwhere t.deleted is not true	select ('mine/' || t.id::text) collate "C" as key, t.deleted is true as gone,\n  t.id\nfrom public.own as t\nwhere t.version > $1 and t.version <= 9223372036854775807	id integer, body text, deleted boolean	create or replace function public.replicache_6_stamp() returns trigger\nlanguage plpgsql volatile security definer\nas '\nbegin\n  new.version := public.replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_6_stamp() from public;\n\ncreate or replace function public.replicache_6_restamp() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  new.version := old.version;\n  if new *= old\n     and current_setting(''replicache.touching'', true) is distinct from ''on'' then\n    return new;\n  end if;\n  new.version := replicache_next_version();\n  return new;\nend\n';\nrevoke execute on function public.replicache_6_restamp() from public;\n\ncreate or replace function public.replicache_6_insert() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  delete from replicache_tombstone where key = (''mine/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_insert() from public;\n\ncreate or replace function public.replicache_6_rekey() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.own as t\n      where t.id = old.id and (''mine/'' || t.id::text) collate "C" = (''mine/'' || old.id::text) collate "C") is null then\n    insert into replicache_tombstone values ((''mine/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  delete from replicache_tombstone where key = (''mine/'' || new.id::text) collate "C";\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_rekey() from public;\n\ncreate or replace function public.replicache_6_gone() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if (select true from public.own as t\n      where t.id = old.id and (''mine/'' || t.id::text) collate "C" = (''mine/'' || old.id::text) collate "C") is null\n     and (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then\n    insert into replicache_tombstone values ((''mine/'' || old.id::text) collate "C", replicache_next_version())\n      on conflict (key) do update set version = excluded.version;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_gone() from public;\n\ncreate or replace function public.replicache_6_bury() returns trigger\nlanguage plpgsql volatile security definer set search_path from current\nas '\nbegin\n  if old.version <= (select floor from replicache_state) then\n    return old;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_bury() from public;\n\ncreate or replace function public.replicache_6_delete() returns trigger\nlanguage plpgsql volatile \nas '\nbegin\n  update public.own as t set deleted = true where t.id = old.id;\n  if not found then\n    raise ''a row of % could not be marked as deleted'',\n        tg_relid::pg_catalog.regclass using errcode = ''insufficient_privilege'';\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_delete() from public;\n\ncreate or replace function public.replicache_6_revive() returns trigger\nlanguage plpgsql volatile \nas '\ndeclare\n  assignments text;\n  revived bigint;\nbegin\n  if (select t.deleted from public.own as t where t.id = new.id) is not true then\n    return new;\n  end if;\n  select pg_catalog.string_agg(\n      pg_catalog.format(''%I = ($1).%1$I'', attname), '', '') into assignments\n    from pg_catalog.pg_attribute\n    where attrelid = tg_relid and attnum > 0 and not attisdropped\n      and attgenerated = '''' and attidentity <> ''a'' and attname <> ''version'';\n  execute ''update public.own as t set '' || assignments || '' where t.id = ($1).id'' using new;\n  get diagnostics revived = row_count;\n  if revived = 0 then\n    return new;\n  end if;\n  return null;\nend\n';\nrevoke execute on function public.replicache_6_revive() from public;\n\ndrop trigger if exists zz_replicache_lock on public.own;\ndrop trigger if exists zz_replicache_bury on public.own;\ndrop trigger if exists zz_replicache_delete on public.own;\ndrop trigger if exists zz_replicache_revive on public.own;\ndrop trigger if exists zz_replicache_hide on public.own;\ndrop trigger if exists zz_replicache_stamp on public.own;\ndrop trigger if exists zz_replicache_restamp on public.own;\ndrop trigger if exists zz_replicache_insert on public.own;\ndrop trigger if exists zz_replicache_rekey on public.own;\ndrop trigger if exists zz_replicache_gone on public.own;\ndrop trigger if exists zz_replicache_truncate on public.own;\ncreate trigger zz_replicache_lock\n  before insert or update or delete or truncate on public.own\n  for each statement execute function public.replicache_trigger_lock();\ncreate trigger zz_replicache_stamp before insert on public.own\n  for each row execute function public.replicache_6_stamp();\ncreate trigger zz_replicache_restamp before update on public.own\n  for each row execute function public.replicache_6_restamp();\ncreate trigger zz_replicache_truncate after truncate on public.own\n  for each statement execute function public.replicache_trigger_truncate();\n\ncreate trigger zz_replicache_rekey after update on public.own\n  for each row when (('mine/' || old.id::text) collate "C" <> ('mine/' || new.id::text) collate "C")\n  execute function public.replicache_6_rekey();\ncreate trigger zz_replicache_gone after delete on public.own\n  for each row execute function public.replicache_6_gone();\n\ncreate trigger zz_replicache_bury before delete on public.own\n  for each row when (old.deleted is true) execute function public.replicache_6_bury();\ncreate trigger zz_replicache_delete before delete on public.own\n  for each row when (old.deleted is not true)\n  execute function public.replicache_6_delete();\ncreate trigger zz_replicache_revive before insert on public.own\n  for each row execute function public.replicache_6_revive();\n
\.


--
-- Data for Name: replicache_timeline; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_timeline (before, first, timeline) FROM stdin;
228545308655616	228545308655616	00000001
\.


--
-- Data for Name: replicache_tombstone; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_tombstone (key, version) FROM stdin;
todo/2	228545308655624
\.


--
-- Data for Name: replicache_user_floor; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_user_floor (user_id, floor) FROM stdin;
\.


--
-- Data for Name: replicache_version; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_version (version, xid) FROM stdin;
228545308655616	729
228545308655617	730
228545308655618	732
228545308655619	734
228545308655620	737
228545308655621	738
228545308655622	739
228545308655623	740
228545308655624	742
228545308655625	743
228545308655626	745
\.


--
-- Data for Name: replicache_version_time; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.replicache_version_time (at, version) FROM stdin;
2026-11-27 15:49:51.896313+00	228545308655615
\.


--
-- Data for Name: room; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.room (id, name, version) FROM stdin;
\.


--
-- Data for Name: room_member; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.room_member (room_id, user_id, version) FROM stdin;
\.


--
-- Data for Name: room_message; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.room_message (id, room_id, sender, content, sent_at, version) FROM stdin;
\.


--
-- Data for Name: todo; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.todo (id, text, version) FROM stdin;
1	todo 1	228545308655621
3	todo 3	228545308655621
\.


--
-- Name: message message_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (id);


--
-- Name: own own_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.own
    ADD CONSTRAINT own_pkey PRIMARY KEY (id);


--
-- Name: replicache_client_group replicache_client_group_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_client_group
    ADD CONSTRAINT replicache_client_group_pkey PRIMARY KEY (id);


--
-- Name: replicache_client_step replicache_client_step_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_client_step
    ADD CONSTRAINT replicache_client_step_pkey PRIMARY KEY (id, last_mutation_id);


--
-- Name: replicache_failed_mutation replicache_failed_mutation_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_failed_mutation
    ADD CONSTRAINT replicache_failed_mutation_pkey PRIMARY KEY (client_id, mutation_id);


--
-- Name: replicache_mutator replicache_mutator_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_mutator
    ADD CONSTRAINT replicache_mutator_pkey PRIMARY KEY (name);


--
-- Name: replicache_schema_version replicache_schema_version_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_schema_version
    ADD CONSTRAINT replicache_schema_version_pkey PRIMARY KEY (version);


--
-- Name: replicache_state replicache_state_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_state
    ADD CONSTRAINT replicache_state_pkey PRIMARY KEY (only_row);


--
-- Name: replicache_table replicache_table_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_table
    ADD CONSTRAINT replicache_table_pkey PRIMARY KEY (id);


--
-- Name: replicache_table replicache_table_prefix_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_table
    ADD CONSTRAINT replicache_table_prefix_key UNIQUE (prefix);


--
-- Name: replicache_table replicache_table_table_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_table
    ADD CONSTRAINT replicache_table_table_name_key UNIQUE (table_name);


--
-- Name: replicache_timeline replicache_timeline_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_timeline
    ADD CONSTRAINT replicache_timeline_pkey PRIMARY KEY (before);


--
-- Name: replicache_tombstone replicache_tombstone_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_tombstone
    ADD CONSTRAINT replicache_tombstone_pkey PRIMARY KEY (key);


--
-- Name: replicache_user_floor replicache_user_floor_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_user_floor
    ADD CONSTRAINT replicache_user_floor_pkey PRIMARY KEY (user_id);


--
-- Name: replicache_version replicache_version_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_version
    ADD CONSTRAINT replicache_version_pkey PRIMARY KEY (version);


--
-- Name: replicache_version_time replicache_version_time_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.replicache_version_time
    ADD CONSTRAINT replicache_version_time_pkey PRIMARY KEY (at);


--
-- Name: room_member room_member_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.room_member
    ADD CONSTRAINT room_member_pkey PRIMARY KEY (room_id, user_id);


--
-- Name: room_message room_message_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.room_message
    ADD CONSTRAINT room_message_pkey PRIMARY KEY (id);


--
-- Name: room room_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.room
    ADD CONSTRAINT room_pkey PRIMARY KEY (id);


--
-- Name: todo todo_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.todo
    ADD CONSTRAINT todo_pkey PRIMARY KEY (id);


--
-- Name: message_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX message_version_idx ON public.message USING btree (version);


--
-- Name: own_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX own_version_idx ON public.own USING btree (version);


--
-- Name: replicache_client_step_client_group_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX replicache_client_step_client_group_id ON public.replicache_client_step USING btree (client_group_id, version);


--
-- Name: replicache_hidden_version; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX replicache_hidden_version ON public.replicache_hidden USING btree (version);


--
-- Name: replicache_tombstone_version; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX replicache_tombstone_version ON public.replicache_tombstone USING btree (version);


--
-- Name: room_member_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX room_member_version_idx ON public.room_member USING btree (version);


--
-- Name: room_message_room_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX room_message_room_id ON public.room_message USING btree (room_id);


--
-- Name: room_message_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX room_message_version_idx ON public.room_message USING btree (version);


--
-- Name: room_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX room_version_idx ON public.room USING btree (version);


--
-- Name: todo_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX todo_version_idx ON public.todo USING btree (version);


--
-- Name: replicache_mutator replicache_revision; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER replicache_revision BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.replicache_mutator FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_revision();


--
-- Name: replicache_schema_version replicache_revision; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER replicache_revision BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.replicache_schema_version FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_revision();


--
-- Name: replicache_table replicache_revision; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER replicache_revision BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.replicache_table FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_revision();


--
-- Name: room_member room_member_changed; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER room_member_changed AFTER INSERT OR DELETE OR UPDATE ON public.room_member FOR EACH ROW EXECUTE FUNCTION public.room_member_changed();


--
-- Name: message zz_replicache_bury; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_bury BEFORE DELETE ON public.message FOR EACH ROW WHEN ((old.deleted IS TRUE)) EXECUTE FUNCTION public.replicache_1_bury();


--
-- Name: own zz_replicache_bury; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_bury BEFORE DELETE ON public.own FOR EACH ROW WHEN ((old.deleted IS TRUE)) EXECUTE FUNCTION public.replicache_6_bury();


--
-- Name: message zz_replicache_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_delete BEFORE DELETE ON public.message FOR EACH ROW WHEN ((old.deleted IS NOT TRUE)) EXECUTE FUNCTION public.replicache_1_delete();


--
-- Name: own zz_replicache_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_delete BEFORE DELETE ON public.own FOR EACH ROW WHEN ((old.deleted IS NOT TRUE)) EXECUTE FUNCTION public.replicache_6_delete();


--
-- Name: message zz_replicache_gone; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_gone AFTER DELETE ON public.message FOR EACH ROW EXECUTE FUNCTION public.replicache_1_gone();


--
-- Name: own zz_replicache_gone; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_gone AFTER DELETE ON public.own FOR EACH ROW EXECUTE FUNCTION public.replicache_6_gone();


--
-- Name: todo zz_replicache_gone; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_gone AFTER DELETE ON public.todo FOR EACH ROW EXECUTE FUNCTION public.replicache_5_gone();


--
-- Name: room zz_replicache_hide; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_hide BEFORE DELETE ON public.room FOR EACH ROW EXECUTE FUNCTION public.replicache_2_hide();


--
-- Name: room_member zz_replicache_hide; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_hide BEFORE DELETE ON public.room_member FOR EACH ROW EXECUTE FUNCTION public.replicache_3_hide();


--
-- Name: room_message zz_replicache_hide; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_hide BEFORE DELETE ON public.room_message FOR EACH ROW EXECUTE FUNCTION public.replicache_4_hide();


--
-- Name: todo zz_replicache_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_insert AFTER INSERT ON public.todo FOR EACH ROW EXECUTE FUNCTION public.replicache_5_insert();


--
-- Name: message zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.message FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: own zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.own FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: room zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.room FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: room_member zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.room_member FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: room_message zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.room_message FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: todo zz_replicache_lock; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_lock BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON public.todo FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_lock();


--
-- Name: message zz_replicache_rekey; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_rekey AFTER UPDATE ON public.message FOR EACH ROW WHEN (((('message/'::text || (old.id)::text) COLLATE "C") <> (('message/'::text || (new.id)::text) COLLATE "C"))) EXECUTE FUNCTION public.replicache_1_rekey();


--
-- Name: own zz_replicache_rekey; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_rekey AFTER UPDATE ON public.own FOR EACH ROW WHEN (((('mine/'::text || (old.id)::text) COLLATE "C") <> (('mine/'::text || (new.id)::text) COLLATE "C"))) EXECUTE FUNCTION public.replicache_6_rekey();


--
-- Name: todo zz_replicache_rekey; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_rekey AFTER UPDATE ON public.todo FOR EACH ROW WHEN (((('todo/'::text || (old.id)::text) COLLATE "C") <> (('todo/'::text || (new.id)::text) COLLATE "C"))) EXECUTE FUNCTION public.replicache_5_rekey();


--
-- Name: message zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.message FOR EACH ROW EXECUTE FUNCTION public.replicache_1_restamp();


--
-- Name: own zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.own FOR EACH ROW EXECUTE FUNCTION public.replicache_6_restamp();


--
-- Name: room zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.room FOR EACH ROW EXECUTE FUNCTION public.replicache_2_restamp();


--
-- Name: room_member zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.room_member FOR EACH ROW EXECUTE FUNCTION public.replicache_3_restamp();


--
-- Name: room_message zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.room_message FOR EACH ROW EXECUTE FUNCTION public.replicache_4_restamp();


--
-- Name: todo zz_replicache_restamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_restamp BEFORE UPDATE ON public.todo FOR EACH ROW EXECUTE FUNCTION public.replicache_5_restamp();


--
-- Name: message zz_replicache_revive; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_revive BEFORE INSERT ON public.message FOR EACH ROW EXECUTE FUNCTION public.replicache_1_revive();


--
-- Name: own zz_replicache_revive; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_revive BEFORE INSERT ON public.own FOR EACH ROW EXECUTE FUNCTION public.replicache_6_revive();


--
-- Name: message zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.message FOR EACH ROW EXECUTE FUNCTION public.replicache_1_stamp();


--
-- Name: own zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.own FOR EACH ROW EXECUTE FUNCTION public.replicache_6_stamp();


--
-- Name: room zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.room FOR EACH ROW EXECUTE FUNCTION public.replicache_2_stamp();


--
-- Name: room_member zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.room_member FOR EACH ROW EXECUTE FUNCTION public.replicache_3_stamp();


--
-- Name: room_message zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.room_message FOR EACH ROW EXECUTE FUNCTION public.replicache_4_stamp();


--
-- Name: todo zz_replicache_stamp; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_stamp BEFORE INSERT ON public.todo FOR EACH ROW EXECUTE FUNCTION public.replicache_5_stamp();


--
-- Name: message zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.message FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: own zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.own FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: room zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.room FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: room_member zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.room_member FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: room_message zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.room_message FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: todo zz_replicache_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER zz_replicache_truncate AFTER TRUNCATE ON public.todo FOR EACH STATEMENT EXECUTE FUNCTION public.replicache_trigger_truncate();


--
-- Name: room_member room_member_room_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.room_member
    ADD CONSTRAINT room_member_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.room(id) ON DELETE CASCADE;


--
-- Name: room_message room_message_room_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.room_message
    ADD CONSTRAINT room_message_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.room(id) ON DELETE CASCADE;


--
-- Name: FUNCTION create_message(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.create_message(args jsonb) FROM PUBLIC;


--
-- Name: FUNCTION create_room(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.create_room(args jsonb) FROM PUBLIC;


--
-- Name: FUNCTION delete_message(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.delete_message(args jsonb) FROM PUBLIC;


--
-- Name: FUNCTION invite(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.invite(args jsonb) FROM PUBLIC;


--
-- Name: FUNCTION leave_room(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.leave_room(args jsonb) FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_bury(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_bury() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_delete(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_delete() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_gone(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_gone() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_rekey(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_rekey() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_revive(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_revive() FROM PUBLIC;


--
-- Name: FUNCTION replicache_1_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_1_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_2_hide(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_2_hide() FROM PUBLIC;


--
-- Name: FUNCTION replicache_2_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_2_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_2_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_2_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_3_hide(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_3_hide() FROM PUBLIC;


--
-- Name: FUNCTION replicache_3_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_3_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_3_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_3_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_4_hide(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_4_hide() FROM PUBLIC;


--
-- Name: FUNCTION replicache_4_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_4_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_4_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_4_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_5_gone(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_5_gone() FROM PUBLIC;


--
-- Name: FUNCTION replicache_5_insert(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_5_insert() FROM PUBLIC;


--
-- Name: FUNCTION replicache_5_rekey(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_5_rekey() FROM PUBLIC;


--
-- Name: FUNCTION replicache_5_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_5_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_5_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_5_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_bury(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_bury() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_delete(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_delete() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_gone(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_gone() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_rekey(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_rekey() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_restamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_restamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_revive(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_revive() FROM PUBLIC;


--
-- Name: FUNCTION replicache_6_stamp(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_6_stamp() FROM PUBLIC;


--
-- Name: FUNCTION replicache_audience_match(table_name regclass, audience regclass, row_name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_audience_match(table_name regclass, audience regclass, row_name text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_audience_moves(registered public.replicache_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_audience_moves(registered public.replicache_table) FROM PUBLIC;


--
-- Name: FUNCTION replicache_base_type(type oid); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_base_type(type oid) FROM PUBLIC;


--
-- Name: FUNCTION replicache_check(role name); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check(role name) FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_constraints(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_constraints() FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_mutators(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_mutators() FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_role(role name); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_role(role name) FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_server(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_server() FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_table(table_name regclass, view regclass, omit text[], audience regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_table(table_name regclass, view regclass, omit text[], audience regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_check_tables(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_check_tables() FROM PUBLIC;


--
-- Name: FUNCTION replicache_claim(name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_claim(name text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_client_group_id(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_client_group_id() FROM PUBLIC;


--
-- Name: FUNCTION replicache_client_id(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_client_id() FROM PUBLIC;


--
-- Name: FUNCTION replicache_clock_version(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_clock_version() FROM PUBLIC;


--
-- Name: FUNCTION replicache_define(name text, attributes text, body text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_define(name text, attributes text, body text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_describe(registered public.replicache_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_describe(registered public.replicache_table) FROM PUBLIC;


--
-- Name: FUNCTION replicache_drop_functions(id integer); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_drop_functions(id integer) FROM PUBLIC;


--
-- Name: FUNCTION replicache_drop_triggers_code(table_name regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_drop_triggers_code(table_name regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_enter(client_id text, client_group_id text, mutation_id bigint, user_id text, claims text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_enter(client_id text, client_group_id text, mutation_id bigint, user_id text, claims text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_forget(registered public.replicache_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_forget(registered public.replicache_table) FROM PUBLIC;


--
-- Name: FUNCTION replicache_forget_clients(unseen_for interval, most bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_forget_clients(unseen_for interval, most bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_forget_dropped(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_forget_dropped() FROM PUBLIC;


--
-- Name: FUNCTION replicache_gone_code(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_gone_code() FROM PUBLIC;


--
-- Name: FUNCTION replicache_grant(role name); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_grant(role name) FROM PUBLIC;


--
-- Name: FUNCTION replicache_guard(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, refused text, claims text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_guard(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, refused text, claims text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_has_version_index(of_table regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_has_version_index(of_table regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_hide_code(registered public.replicache_table, version text, row_name text, source text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_hide_code(registered public.replicache_table, version text, row_name text, source text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_horizon(older_than interval); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_horizon(older_than interval) FROM PUBLIC;


--
-- Name: FUNCTION replicache_is_forgotten(client_id text, client_group_id text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_is_forgotten(client_id text, client_group_id text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_key(table_name regclass, prefix text, row_name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_key(table_name regclass, prefix text, row_name text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_key_match(table_name regclass, one text, other text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_key_match(table_name regclass, one text, other text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_key_part(type oid, value text, escape boolean); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_key_part(type oid, value text, escape boolean) FROM PUBLIC;


--
-- Name: FUNCTION replicache_leave_tombstones(registered public.replicache_table, version bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_leave_tombstones(registered public.replicache_table, version bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_lock(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_lock() FROM PUBLIC;


--
-- Name: FUNCTION replicache_mark(client_id text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_mark(client_id text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_missing_triggers(registered public.replicache_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_missing_triggers(registered public.replicache_table) FROM PUBLIC;


--
-- Name: FUNCTION replicache_mutation_id(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_mutation_id() FROM PUBLIC;


--
-- Name: FUNCTION replicache_new_epoch(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_new_epoch() FROM PUBLIC;


--
-- Name: FUNCTION replicache_next_version(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_next_version() FROM PUBLIC;


--
-- Name: FUNCTION replicache_pull_code(table_name regclass, prefix text, soft boolean, view regclass, audience regclass, omit text[], OUT pull_all text, OUT pull_since text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_pull_code(table_name regclass, prefix text, soft boolean, view regclass, audience regclass, omit text[], OUT pull_all text, OUT pull_since text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_purge(older_than interval); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_purge(older_than interval) FROM PUBLIC;


--
-- Name: FUNCTION replicache_purge_failed(older_than interval); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_purge_failed(older_than interval) FROM PUBLIC;


--
-- Name: FUNCTION replicache_purge_steps(horizon bigint, most bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_purge_steps(horizon bigint, most bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_purge_to(horizon bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_purge_to(horizon bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_push_begin(groups text[], users text[], clients text[], client_groups text[], client_users text[], before bigint[], after bigint[], registered bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_push_begin(groups text[], users text[], clients text[], client_groups text[], client_users text[], before bigint[], after bigint[], registered bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_qualified(relation regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_qualified(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_raise_version(latest bigint, at_least bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_raise_version(latest bigint, at_least bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_record_failure(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, code text, sqlstate text, message text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_record_failure(client_id text, client_group_id text, mutation_id bigint, user_id text, name text, args text, code text, sqlstate text, message text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_register_mutator(name text, function regprocedure); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_register_mutator(name text, function regprocedure) FROM PUBLIC;


--
-- Name: FUNCTION replicache_register_mutator(name text, function text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_register_mutator(name text, function text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_register_table(table_name regclass, prefix text, view regclass, omit text[], audience regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_register_table(table_name regclass, prefix text, view regclass, omit text[], audience regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_retry(client_id text, mutation_id bigint, role name); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_retry(client_id text, mutation_id bigint, role name) FROM PUBLIC;


--
-- Name: FUNCTION replicache_stamp_all(table_name regclass, version bigint); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_stamp_all(table_name regclass, version bigint) FROM PUBLIC;


--
-- Name: FUNCTION replicache_touch(users text[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_touch(users text[]) FROM PUBLIC;


--
-- Name: FUNCTION replicache_touch(table_name regclass, column_name text, value text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_touch(table_name regclass, column_name text, value text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_trigger_code(registered public.replicache_table); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_trigger_code(registered public.replicache_table) FROM PUBLIC;


--
-- Name: FUNCTION replicache_trigger_lock(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_trigger_lock() FROM PUBLIC;


--
-- Name: FUNCTION replicache_trigger_revision(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_trigger_revision() FROM PUBLIC;


--
-- Name: FUNCTION replicache_trigger_truncate(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_trigger_truncate() FROM PUBLIC;


--
-- Name: FUNCTION replicache_unreferenced(table_name regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_unreferenced(table_name regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_unregister_mutator(name text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_unregister_mutator(name text) FROM PUBLIC;


--
-- Name: FUNCTION replicache_unregister_table(table_name regclass); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_unregister_table(table_name regclass) FROM PUBLIC;


--
-- Name: FUNCTION replicache_user_id(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_user_id() FROM PUBLIC;


--
-- Name: FUNCTION replicache_value_columns(relation regclass, row_name text, omit text[]); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_value_columns(relation regclass, row_name text, omit text[]) FROM PUBLIC;


--
-- Name: FUNCTION replicache_view_code(relation regclass, OUT definition text, OUT per_user boolean); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_view_code(relation regclass, OUT definition text, OUT per_user boolean) FROM PUBLIC;


--
-- Name: FUNCTION replicache_web_functions(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_web_functions() FROM PUBLIC;


--
-- Name: FUNCTION replicache_web_tables(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.replicache_web_tables() FROM PUBLIC;


--
-- Name: FUNCTION room_member_changed(); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.room_member_changed() FROM PUBLIC;


--
-- Name: FUNCTION room_of_mine(id text); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.room_of_mine(id text) FROM PUBLIC;


--
-- Name: FUNCTION say_in_room(args jsonb); Type: ACL; Schema: public; Owner: -
--

REVOKE ALL ON FUNCTION public.say_in_room(args jsonb) FROM PUBLIC;


--
-- PostgreSQL database dump complete
--


