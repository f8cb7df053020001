-- SPDX-License-Identifier: Apache-2.0
--
-- What the cases of t/cases work on, beside the chat: tables of each kind and
-- mutators that do well, fail, wait, conflict and misbehave.

begin;

-- One text per table, to tell whether a request changed anything.
create function case_fingerprint() returns table (name text, digest text)
language plpgsql as $$
declare
	found record;
begin
	for found in
		select c.oid::regclass as t
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and n.nspname !~ '^pg_|^information_schema$'
			-- What was looked through, and that a mutation failed: not what
			-- a request did.
			and c.relname not in ('replicache_examined', 'replicache_trouble')
	loop
		return query execute format(
			'select %L::text, count(*) || '':'' || md5(coalesce(string_agg(
				x::text, E''\n'' order by x::text), '''')) from %s x',
			found.t::text, found.t);
	end loop;
end $$;

-- Away with all rows but those that say what is registered and which version
-- it is. For a superuser with session_replication_role = replica.
create function case_reset() returns void language plpgsql as $$
declare
	found record;
begin
	for found in
		select c.oid::regclass as t from pg_class c
		where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
			and c.relname not in ('replicache_table', 'replicache_mutator',
				'replicache_schema_version', 'replicache_state', 'replicache_examined',
				'replicache_version', 'replicache_version_time', 'replicache_timeline')
	loop
		execute format('delete from %s', found.t);
	end loop;
	perform setval('case_attempt', 1, false);
end $$;

-- Not synced: every effect a mutator had, in order.
create table journal (
	n bigint generated always as identity primary key,
	client text, mutation bigint, note text
);

-- Rows that are really deleted.
create table item (id text primary key, body jsonb);

-- A composite key.
create table part (box text, slot int, label text, primary key (box, slot));

-- JSON kept as it was sent.
create table raw (id text primary key, body json);

-- A second unique key, and a check.
create table seat (
	id text primary key, place int unique, guest text check (guest <> 'nobody')
);

select replicache_register_table('item');
select replicache_register_table('part');
select replicache_register_table('raw');
select replicache_register_table('seat');

create function note(note text) returns void language sql as $$
	insert into journal (client, mutation, note)
	values (replicache_client_id(), replicache_mutation_id(), note);
$$;

-- Well-behaved ones.

create function case_note(args jsonb) returns void language sql as $$
	select note(args #>> '{}');
$$;

create function case_put_item(args jsonb) returns void language sql as $$
	insert into item (id, body) values (args->>'id', args->'body')
	on conflict (id) do update set body = excluded.body;
$$;

create function case_delete_item(args jsonb) returns void language sql as $$
	delete from item where id = args->>'id';
$$;

create function case_put_part(args jsonb) returns void language sql as $$
	insert into part (box, slot, label)
	values (args->>'box', (args->>'slot')::int, args->>'label')
	on conflict (box, slot) do update set label = excluded.label;
$$;

create function case_delete_part(args jsonb) returns void language sql as $$
	delete from part where box = args->>'box' and slot = (args->>'slot')::int;
$$;

create function case_put_raw(args json) returns void language sql as $$
	insert into raw (id, body) values (args->>'id', args->'body')
	on conflict (id) do update set body = excluded.body;
$$;

create function case_put_seat(args jsonb) returns void language sql as $$
	insert into seat (id, place, guest)
	values (args->>'id', (args->>'place')::int, args->>'guest');
$$;

create function case_noop(args jsonb) returns void language sql as $$ $$;

create function case_who(args jsonb) returns void language sql as $$
	select note(concat_ws(' ', replicache_client_group_id(),
		replicache_client_id(), replicache_mutation_id()));
$$;

-- A count that shows a mutation applied twice.
create function case_count(args jsonb) returns void language sql as $$
	insert into item (id, body) values (args->>'id', '1')
	on conflict (id) do update set body = to_jsonb(item.body::int + 1);
$$;

-- Ones that fail.

create function case_fail_half(args jsonb) returns void language plpgsql as $$
begin
	insert into item (id, body) values (args->>'id', '"half"');
	perform note('half');
	raise exception 'the secret is swordfish';
end $$;

create function case_cast(args jsonb) returns void language sql as $$
	insert into item (id, body) values ('cast', to_jsonb((args->>'n')::int));
$$;

create function case_float(args jsonb) returns void language sql as $$
	insert into item (id, body) values ('float', to_jsonb((args->>'n')::float8));
$$;

create function case_raise(args jsonb) returns void language plpgsql as $$
begin
	perform note('before ' || (args->>'state'));
	raise exception 'raised' using errcode = args->>'state';
end $$;

-- Fails with a state the first times, then does well. The sequence counts
-- over rollbacks.
create sequence case_attempt;

create function case_raise_times(args jsonb) returns void language plpgsql as $$
begin
	perform note('attempt');
	if nextval('case_attempt') <= (args->>'times')::int then
		raise exception 'raised' using errcode = args->>'state';
	end if;
end $$;

-- Fails with a state each so manieth time that it is called.
create function case_raise_every(args jsonb) returns void language plpgsql as $$
begin
	perform note('attempt');
	if nextval('case_attempt') % (args->>'every')::int = 0 then
		raise exception 'raised' using errcode = args->>'state';
	end if;
end $$;

-- Ones that wait or misbehave.

create function case_sleep(args jsonb) returns void language plpgsql as $$
begin
	perform nextval('case_attempt');
	perform note('slept');
	perform pg_sleep((args->>'seconds')::float8);
end $$;

create function case_commit(args jsonb) returns void language plpgsql as $$
begin
	perform note('commit');
	commit;
end $$;

create function case_rollback(args jsonb) returns void language plpgsql as $$
begin
	perform note('rollback');
	rollback;
end $$;

create function case_set(args jsonb) returns void language plpgsql as $$
begin
	perform note('set');
	perform set_config(args->>'name', args->>'value', false);
end $$;

create function case_set_role(args jsonb) returns void language plpgsql as $$
begin
	set role other;
end $$;

create function case_notify(args jsonb) returns void language sql as $$
	select pg_notify('flood', i::text) from generate_series(1, (args->>'n')::int) i;
$$;

create function case_large(args jsonb) returns void language sql as $$
	insert into item (id, body)
	values ('large', to_jsonb(repeat('x', (args->>'n')::int)));
$$;

create function case_temp(args jsonb) returns void language plpgsql as $$
begin
	create temp table replicache_client (id text) on commit preserve rows;
	perform note('temp');
end $$;

-- Two of these at once, on two rows in opposite order, deadlock.
create function case_two_rows(args jsonb) returns void language plpgsql as $$
begin
	update item set body = '1' where id = args->>0;
	update item set body = '1' where id = args->>1;
end $$;

select replicache_register_mutator(name, 'case_' || function)
from (values
	('note', 'note'), ('putItem', 'put_item'), ('deleteItem', 'delete_item'),
	('putPart', 'put_part'), ('deletePart', 'delete_part'),
	('putRaw', 'put_raw'), ('putSeat', 'put_seat'), ('noop', 'noop'),
	('who', 'who'), ('count', 'count'), ('failHalf', 'fail_half'),
	('cast', 'cast'), ('float', 'float'), ('raise', 'raise'),
	('raiseTimes', 'raise_times'), ('raiseEvery', 'raise_every'),
	('sleep', 'sleep'), ('commit', 'commit'), ('rollback', 'rollback'),
	('set', 'set'), ('setRole', 'set_role'), ('notify', 'notify'),
	('large', 'large'), ('temp', 'temp'), ('twoRows', 'two_rows')
) as mutator (name, function);

commit;
