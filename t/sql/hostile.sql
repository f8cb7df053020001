-- SPDX-License-Identifier: Apache-2.0
--
-- What every app of Rig::Hostile has: a journal, and functions by which its mutators
-- look for what others have left behind. Tables, triggers and mutators are made up.

begin;

-- A mutation that is applied twice is there twice.
create table done (n bigint generated always as identity primary key,
	client text not null, mutation bigint not null, name text not null, version bigint not null);
create table met (client text, what text);

create function note_done(name text) returns void language sql security definer set search_path from current as $$
	insert into done (client, mutation, name, version) values (replicache_client_id(), replicache_mutation_id(), name,
		replicache_next_version())
$$;

create function note_met(what text[]) returns void language sql security definer set search_path from current as $$
	insert into met select replicache_client_id(), one from unnest(what) as one
$$;

-- All that a mutator leaves behind names its client group, g and a figure. What names
-- another one is met. It sees what its caller does: no search_path.
create function look(mine text) returns void language plpgsql as $$
declare
	seen text[];
begin
	select array_agg(kind || ' ' || what) into seen
	from (
		select 'setting' as kind, current_setting('app.mark', true) as what
		union all select 'setting', current_setting('app.mark2', true)
		union all select 'search_path', current_setting('search_path')
		union all select 'application_name', current_setting('application_name')
		union all select 'role', current_user::text
		union all select 'temporary table', relname::text from pg_class where relnamespace = pg_my_temp_schema()
		union all select 'prepared statement', name from pg_prepared_statements
		union all select 'cursor', name from pg_cursors
		union all select 'channel', c from pg_listening_channels() as c
		union all select 'advisory lock', 'left_g' || (objid::bigint - 5000) from pg_locks
			where locktype = 'advisory' and objid::bigint between 5000 and 5099 and pid = pg_backend_pid()
		union all select 'timeout', 'left_g' || substr(current_setting('statement_timeout'), 3, 2)::int
			where current_setting('statement_timeout') ~ '^77\d\dms$'
	) as all_seen
	where what ~ 'left_g\d+' and substring(what from 'left_(g\d+)') <> mine;
	if seen is not null then
		perform public.note_met(seen);
	end if;
end $$;

-- The number a sequence gave, if it gave one to this session.
create function number_of(sequence text) returns bigint language plpgsql as $$
begin
	return currval(sequence::regclass);
exception when object_not_in_prerequisite_state then
	return null;
end $$;

create sequence counted;

-- For constraints that are checked at the end.
create table parent (id text primary key);
create table child (id text primary key, parent text references parent deferrable initially deferred);

create function recurse(depth int) returns int language plpgsql as $$
begin
	return case when depth = 0 then 0 else 1 + recurse(depth - 1) end;
end $$;

commit;
