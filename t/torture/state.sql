-- SPDX-License-Identifier: Apache-2.0
--
-- The state of the cases' tables as one text, kept, and taken back to. For a
-- superuser, in a schema that nobody else sees.

-- The tables that a request may change, but those that say when.
create function torture.tables() returns setof regclass language sql as $$
	select c.oid::regclass from pg_class c
	where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
	order by c.oid
$$;

-- Without times and numbers of transactions, and whatever a transaction that was
-- rolled back leaves a gap in.
create function torture.columns(t regclass) returns text language sql as $$
	select coalesce(string_agg(quote_ident(attname), ',' order by attnum), '1')
	from pg_attribute
	where attrelid = t and attnum > 0 and not attisdropped
		and atttypid not in ('timestamptz'::regtype, 'xid8'::regtype)
		and attidentity = ''
$$;

-- Stable, so that all of it is read of one snapshot: a commit that nobody waits for
-- any more may come meanwhile.
create function torture.state() returns text language plpgsql stable as $$
declare
	t regclass;
	part text;
	state text := '';
begin
	for t in select torture.tables() loop
		-- The last two are not about what a request did: what was tried,
		-- and when it was last seen that no function had changed.
		continue when t::text in ('replicache_version',
			'replicache_version_time', 'replicache_client_step',
			'replicache_trouble', 'replicache_examined');
		execute format('select md5(coalesce(string_agg(x::text, E''\n'' %s), ''''))
			from (select %s from %s %s) x',
			case when t::text = 'journal' then '' else 'order by x::text' end,
			torture.columns(t), t,
			case when t::text = 'journal' then 'order by n' else '' end) into part;
		state := state || t::text || ' ' || part || E'\n';
	end loop;
	select state || max(version) into state from replicache_version;
	select state || E'\n' || md5(coalesce(string_agg(x::text, E'\n' order by id), ''))
		into state from replicache_client x;
	return state;
end $$;

create function torture.keep() returns void language plpgsql as $$
declare
	t regclass;
begin
	set local client_min_messages = error;
	drop schema if exists torture_kept cascade;
	create schema torture_kept;
	for t in select torture.tables() loop
		execute format('create unlogged table torture_kept.%I as table %s', t::text, t);
	end loop;
	create unlogged table torture_kept.torture_sequences as
		select schemaname, sequencename, last_value, start_value from pg_sequences
		where schemaname = 'public';
end $$;

create function torture.back() returns void language plpgsql as $$
declare
	t regclass;
	s record;
	same boolean;
begin
	set local session_replication_role = replica;
	-- A session whose link was cut may not have noticed yet.
	while exists (select from pg_stat_activity
		where usename = 'app' and datname = current_database()
			and application_name <> 'psql' and state <> 'idle') loop
		perform pg_sleep(0.001), pg_stat_clear_snapshot();
	end loop;
	-- Or not have begun: it comes before all of this or after it.
	perform public.replicache_lock();
	for t in select torture.tables() loop
		execute format('select (select md5(string_agg(x::text, E''\n'' order by x::text)) from %s x)
			is not distinct from
			(select md5(string_agg(x::text, E''\n'' order by x::text)) from torture_kept.%I x)',
			t, t::text) into same;
		continue when same;
		execute format('delete from %s', t);
		execute format('insert into %s overriding system value table torture_kept.%I',
			t, t::text);
	end loop;
	for s in select * from torture_kept.torture_sequences loop
		perform setval(format('%I.%I', s.schemaname, s.sequencename),
			coalesce(s.last_value, s.start_value), s.last_value is not null);
	end loop;
end $$;
