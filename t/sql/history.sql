-- SPDX-License-Identifier: Apache-2.0
--
-- The app of Rig::History: tables of each kind and mutators, with a journal of
-- what mutators really did and, for each version, what everybody could see then.

begin;

create table shared (id text primary key, body text not null);
create table kept (id text primary key, body text not null,
	deleted boolean not null default false);

-- What is somebody's own, and whom they show it to.
create table mine (id text primary key, owner text not null, body text not null);
create table pal (owner text, who text, primary key (owner, who));
create view mine_audience as
	select id, owner as viewer from mine
	union select m.id, p.who from mine as m join pal as p using (owner);

do $$ begin
	perform replicache_register_table('shared');
	perform replicache_register_table('kept');
	perform replicache_register_table('mine', audience => 'mine_audience');
end $$;

-- Not synced. A mutation that is applied twice is there twice.
create table journal (
	n bigint generated always as identity primary key,
	client text, mutation bigint, version bigint not null, name text
);
create table was_pal (owner text, who text, primary key (owner, who));
create sequence shaky;

-- The ledger, of which nothing is purged.
create table failed (client text, mutation bigint, version bigint, name text, message text);
create function failed() returns trigger language plpgsql security definer set search_path from current as $$
begin
	insert into failed values (new.client_id, new.mutation_id, new.version, new.name, new.message);
	return null;
end $$;
create trigger failed after insert or update on replicache_failed_mutation
	for each row execute function failed();

create function journal(name text) returns void language sql security definer set search_path from current as $$
	insert into journal (client, mutation, version, name) values
		(replicache_client_id(), replicache_mutation_id(), replicache_next_version(), name)
$$;

-- What a user should have, whose token says this of their role. t/sql/users.sql adds
-- to it, and has more roles.
create function history_more(who text, role text) returns table (key text, body text) language sql stable as $$
	select null, null where false
$$;

create function history_rows(who text, role text) returns table (key text, body text) language sql stable as $$
	select 'shared/' || id, body from shared
	union all select 'kept/' || id, body from kept where not deleted
	union all select 'mine/' || id, body from mine
		where exists (select from replicache_table where prefix = 'mine/')
			and (owner = who or exists (select from pal where pal.owner = mine.owner and pal.who = history_rows.who))
	union all select * from history_more(who, role)
$$;

-- As key=body lines in order.
create function history_digest(who text, role text default '') returns text language sql stable as $$
	select md5(coalesce(string_agg(key || '=' || coalesce(body, ''), E'\n' order by key collate "C"), ''))
	from history_rows(who, role)
$$;

-- Of everybody who could ask. Who has no role is there by name alone.
create view history_asker as
	select who, role, concat_ws('/', who, nullif(role, '')) as name
	from unnest('{u0,u1,u2}'::text[]) as who, unnest('{""}'::text[]) as role;

create function history_digests() returns jsonb language sql stable as $$
	select jsonb_object_agg(name, history_digest(who, role)) from history_asker
$$;

-- Written at COMMIT, which is what a deferred trigger is for; once for all that
-- the journal has then.
create table audit (version bigint primary key, digests jsonb not null, n bigint not null);
create function audit() returns trigger language plpgsql security definer set search_path from current as $$
begin
	if exists (select from audit where version = new.version and n >= new.n) then
		return null;
	end if;
	insert into audit values (replicache_next_version(), history_digests(), (select max(n) from journal))
		on conflict (version) do update set digests = excluded.digests, n = excluded.n;
	return null;
end $$;
create constraint trigger audit after insert on journal
	deferrable initially deferred for each row execute function audit();

-- Counts the client's good mutations, so a view tells how many of them it has.
create function tick() returns void language sql as $$
	insert into shared values ('n-' || replicache_client_id(), '1')
	on conflict (id) do update set body = shared.body::int + 1;
$$;

create function history_add(args jsonb) returns void language plpgsql as $$
begin
	insert into kept as l (id, body) values (args ->> 'list', args ->> 'item')
		on conflict (id) do update set body = l.body || ',' || excluded.body;
	perform tick(), journal('add');
end $$;

create function history_toggle(args jsonb) returns void language plpgsql as $$
begin
	delete from shared where id = args ->> 'id';
	if not found then
		insert into shared values (args ->> 'id', 'toggled ' || replicache_client_id());
	end if;
	if exists (select from kept where id = args ->> 'id' and not deleted) then
		delete from kept where id = args ->> 'id';
	else
		insert into kept (id, body) values (args ->> 'id', replicache_client_id());
	end if;
	perform tick(), journal('toggle');
end $$;

create function history_own(args jsonb) returns void language plpgsql as $$
declare
	me text := replicache_user_id();
begin
	insert into mine values (me || '/' || (args ->> 'id'), me, args ->> 'body')
		on conflict (id) do update set body = excluded.body;
	delete from mine where id = me || '/' || (args ->> 'drop');
	perform tick(), journal('own');
end $$;

create function history_show(args jsonb) returns void language plpgsql as $$
declare
	me text := replicache_user_id();
	them text := args ->> 'who';
begin
	if me <> them and exists (select from replicache_table where prefix = 'mine/') then
		if (args ->> 'id')::int % 2 = 0 then
			perform replicache_touch('mine', 'owner', me);
		else
			perform replicache_touch(array[them]);
		end if;
		delete from pal where owner = me and who = them;
		if not found then
			insert into pal values (me, them);
			insert into was_pal values (me, them) on conflict do nothing;
		end if;
	end if;
	perform tick(), journal('show');
end $$;

-- Fails for good, after it wrote.
create function history_fail(args jsonb) returns void language plpgsql as $$
begin
	perform history_toggle(args);
	raise 'this fails';
end $$;

-- Fails for now, now and then: so that it can be run again alone, or not.
create function history_shaky(args jsonb) returns void language plpgsql as $$
begin
	perform tick(), journal('shaky');
	if nextval('shaky') % 20 = 0 then
		raise 'try again' using errcode = case when random() < 0.3
			then 'deadlock_detected' else 'serialization_failure' end;
	end if;
end $$;

do $$ begin
	perform replicache_register_mutator(name, 'history_' || name)
	from unnest('{add,toggle,own,show,fail,shaky}'::text[]) as name;
end $$;

commit;
