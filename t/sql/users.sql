-- SPDX-License-Identifier: Apache-2.0
--
-- More of the app of Rig::History, for psql behind t/sql/history.sql as its owner:
-- what users see depends on who they are, on the role that their token has, on other
-- tables and on row policies; and some mutators leave things in their session, which
-- others look for. The program runs as the role "web".
--
-- history_register(part) has a part of it synced.

begin;

create or replace view history_asker as
	select who, role, concat_ws('/', who, nullif(role, '')) as name
	from unnest('{u0,u1,u2}'::text[]) as who, unnest('{"",admin}'::text[]) as role;

create table person (id text primary key);
insert into person values ('u0'), ('u1'), ('u2');

-- A text says whose secret it is, so that it is known wherever it comes to light.
create function secret_text() returns text language sql stable as $$
	select 'secret of ' || replicache_user_id() || ' ' || replicache_client_id() || '.' || replicache_mutation_id()
$$;

-- Everybody knows of the row, and its owner alone what it says. The view asks by a
-- function of a function.
create function auth_uid() returns text language sql stable as $$
	select replicache_user_id()
$$;
create function is_mine(owner text) returns boolean language sql stable as $$
	select owner = auth_uid()
$$;
create table secret (id text primary key, owner text not null, body text not null);
create view secret_seen as
	select id, case when is_mine(owner) then body else '(hidden)' end as body from secret;

-- The same, by a name in capitals.
create function loud_uid() returns text language sql stable as $$
	SELECT REPLICACHE_USER_ID()
$$;
create function loud_mine(owner text) returns boolean language sql stable as $$
	SELECT OWNER = LOUD_UID()
$$;
create table loud (id text primary key, owner text not null, body text not null);
create view loud_seen as
	select id, case when loud_mine(owner) then body else '(hidden)' end as body from loud;

-- What one of a role sees.
create table pay (id text primary key, amount text not null);
create view pay_seen as
	select id, case when replicache_claim('role') = 'admin' then amount end as body from pay;

-- Lists: their items are for the owner and the members of the list.
create table list (id text primary key, owner text not null);
create table member (list_id text references list on delete cascade, who text, primary key (list_id, who));
create table item (id text primary key, list_id text not null references list on delete cascade, body text not null);
create table note (id text primary key, list_id text not null references list on delete cascade, body text not null,
	deleted boolean not null default false);
create view list_reader as
	select id as list_id, owner as viewer from list union select list_id, who from member;
create view item_audience as
	select id, viewer from item join list_reader using (list_id);
create view note_audience as
	select id, viewer from note join list_reader using (list_id);

-- Row policies hold for the program's role: by the table itself, and by a view that
-- is read as its reader.
create table paper (id text primary key, owner text not null, body text not null);
alter table paper enable row level security;
create policy paper_mine on paper using (is_mine(owner));
create view paper_audience as select paper.id, person.id as viewer from paper, person;

create table doc (id text primary key, owner text not null, body text not null);
alter table doc enable row level security;
create policy doc_mine on doc using (owner = replicache_user_id());
create view doc_seen with (security_invoker) as select id, body from doc;
create view doc_audience as select doc.id, person.id as viewer from doc, person;

create function history_register(part text) returns void language plpgsql as $$
begin
	if part in ('secret', 'loud') then
		perform replicache_register_table(part::regclass, view => (part || '_seen')::regclass);
	elsif part = 'pay' then
		perform replicache_register_table('pay', view => 'pay_seen', per_user => true);
	elsif part = 'list' then
		perform replicache_register_table('item', audience => 'item_audience');
		perform replicache_register_table('note', audience => 'note_audience');
		perform replicache_watch('item', 'member', 'item.list_id = member.list_id');
		perform replicache_watch('note', 'member', 'note.list_id = member.list_id');
	elsif part = 'policy' then
		perform replicache_register_table('paper', audience => 'paper_audience');
		perform replicache_register_table('doc', view => 'doc_seen', audience => 'doc_audience');
	else
		raise 'no part %', part;
	end if;
end $$;

create function synced(name text) returns boolean language sql stable as $$
	select exists (select from replicache_table where prefix = name || '/')
$$;

create or replace function history_more(who text, role text) returns table (key text, body text) language sql stable as $$
	select 'secret/' || id, case when owner = who then body else '(hidden)' end from secret where synced('secret')
	union all select 'loud/' || id, case when owner = who then body else '(hidden)' end from loud where synced('loud')
	union all select 'pay/' || id, case when role = 'admin' then amount end from pay where synced('pay')
	union all select 'item/' || id, body from item as i
		where synced('item') and exists (select from list_reader as r where r.list_id = i.list_id and r.viewer = who)
	union all select 'note/' || id, body from note as n
		where synced('note') and not deleted
			and exists (select from list_reader as r where r.list_id = n.list_id and r.viewer = who)
	union all select 'paper/' || id, body from paper where synced('paper') and owner = who
	union all select 'doc/' || id, body from doc where synced('doc') and owner = who
$$;

-- Which keys somebody has seen, or could have.
create table was_seen (who text, key text, primary key (who, key));

create or replace function journal(name text) returns void language plpgsql
security definer set search_path from current as $$
begin
	insert into journal (client, mutation, version, name) values
		(replicache_client_id(), replicache_mutation_id(), replicache_next_version(), name);
	insert into was_seen select a.who, r.key
		from (select distinct a.who from history_asker as a) as a, history_rows(a.who, '') as r
		where r.key !~ '^(shared|kept)/'
		on conflict do nothing;
	-- A note that is deleted stays in its table, and so in the audience.
	insert into was_seen select viewer, 'note/' || id from note_audience
		where synced('note') on conflict do nothing;
end $$;

-- Ordinary mutators.

create function history_keep(args jsonb) returns void language plpgsql as $$
declare
	me text := replicache_user_id();
	mine text := me || '/' || (args ->> 'id');
	gone text := me || '/' || (args ->> 'drop');
begin
	insert into secret values (mine, me, secret_text()) on conflict (id) do update set body = excluded.body;
	insert into loud values (mine, me, secret_text()) on conflict (id) do update set body = excluded.body;
	insert into paper values (mine, me, secret_text()) on conflict (id) do update set body = excluded.body;
	insert into doc values (mine, me, secret_text()) on conflict (id) do update set body = excluded.body;
	delete from secret where id = gone;
	delete from loud where id = gone;
	delete from paper where id = gone;
	delete from doc where id = gone;
	perform tick(), journal('keep');
end $$;

create function history_pay(args jsonb) returns void language plpgsql as $$
begin
	insert into pay values (args ->> 'id', 'salary ' || replicache_mutation_id())
		on conflict (id) do update set amount = excluded.amount;
	perform tick(), journal('pay');
end $$;

-- What happens to lists, whoever does it. Nobody is told of it by the app.
create function change_list(one text, change text, whom text) returns void language plpgsql as $$
begin
	if change = 'make' then
		insert into list values (one, whom) on conflict do nothing;
	elsif change = 'give' then
		update list set owner = whom where id = one;
	elsif change = 'drop' then
		delete from list where id = one;
	elsif change = 'join' then
		insert into member select one, whom where exists (select from list where id = one) on conflict do nothing;
	elsif change = 'leave' then
		delete from member where list_id = one and who = whom;
	elsif change = 'move' then
		update item set list_id = one where id = 'i' || right(whom, 1) and exists (select from list where id = one);
	end if;
end $$;

create function history_list(args jsonb) returns void language plpgsql as $$
begin
	perform change_list(args ->> 'id', args ->> 'what', args ->> 'who');
	perform tick(), journal('list');
end $$;

create function history_item(args jsonb) returns void language plpgsql as $$
begin
	if exists (select from list where id = args ->> 'list') then
		insert into item values ('i' || (args ->> 'id'), args ->> 'list', replicache_client_id() || '.' || replicache_mutation_id())
			on conflict (id) do update set body = excluded.body;
		insert into note values ('n' || (args ->> 'id'), args ->> 'list', replicache_client_id() || '.' || replicache_mutation_id())
			on conflict (id) do update set body = excluded.body, list_id = excluded.list_id;
	end if;
	delete from note where id = 'n' || (args ->> 'drop');
	perform tick(), journal('item');
end $$;

-- The errors that are a mutator's own, whatever they look like.
create function history_wrong(args jsonb) returns void language plpgsql as $$
begin
	perform tick();
	raise 'this is wrong' using errcode = args ->> 'code';
end $$;

-- Some leave what they should not have others meet. Each can be done twice in one
-- session, if its traces are its own.
create sequence number_left;
create function history_leave(args jsonb) returns void language plpgsql as $$
declare
	me text := replicache_client_group_id();
	what text := args ->> 'what';
begin
	perform tick(), journal('leave');
	if what = 'local' then
		perform set_config('app.left', me, true);
	elsif what = 'setting' then
		perform set_config('app.left', me, false);
	elsif what = 'path' then
		perform set_config('search_path', 'public, left_there', (args ->> 'id')::int % 2 = 0);
	elsif what = 'zone' then
		perform set_config('timezone', 'Asia/Tokyo', (args ->> 'id')::int % 2 = 0);
	elsif what = 'timeout' then
		perform set_config('statement_timeout', '54321', (args ->> 'id')::int % 2 = 0);
	elsif what = 'role' then
		perform set_config('role', 'other', true);
	elsif what = 'table' then
		create temporary table scratch on commit drop as select me as left;
	elsif what = 'kept table' then
		create temporary table if not exists scratch_kept as select me as left;
	elsif what = 'statement' then
		if not exists (select from pg_prepared_statements where name = 'left_there') then
			execute 'prepare left_there as select 1';
		end if;
	elsif what = 'cursor' then
		if not exists (select from pg_cursors where name = 'left_there') then
			execute 'declare left_there cursor with hold for select 1';
		end if;
	elsif what = 'lock' then
		perform pg_advisory_lock_shared(4711);
	elsif what = 'listen' then
		execute 'listen left_there';
	elsif what = 'sequence' then
		perform nextval('number_left');
	end if;
end $$;

create table met (who text not null, what text not null);
create function history_look(args jsonb) returns void language plpgsql as $$
declare
	met text[] := '{}';
begin
	met := met || case when current_setting('app.left', true) <> '' then 'setting of ' || current_setting('app.left') end;
	met := met || case when current_setting('search_path') ~ 'left_there' then 'search_path' end;
	met := met || case when current_setting('timezone') ~ 'Tokyo' then 'timezone' end;
	met := met || case when current_setting('statement_timeout') = '54321ms' then 'statement_timeout' end;
	met := met || case when current_user <> session_user then 'role ' || current_user end;
	met := met || case when to_regclass('pg_temp.scratch') is not null then 'temporary table' end;
	met := met || case when to_regclass('pg_temp.scratch_kept') is not null then 'temporary table of the session' end;
	met := met || (select 'prepared statement' from pg_prepared_statements where name = 'left_there');
	met := met || (select 'cursor' from pg_cursors where name = 'left_there');
	met := met || (select 'advisory lock' from pg_locks where locktype = 'advisory' and objid = 4711 and pid = pg_backend_pid() limit 1);
	met := met || (select 'channel' from pg_listening_channels() as c where c = 'left_there');
	begin
		met := met || ('number ' || currval('public.number_left'));
	exception when object_not_in_prerequisite_state then
		null;
	end;
	insert into met select replicache_client_group_id(), one from unnest(met) as one where one is not null;
	perform tick(), journal('look');
end $$;

do $$ begin
	perform replicache_register_mutator(name, 'history_' || name)
	from unnest('{keep,pay,list,item,wrong,leave,look}'::text[]) as name;
end $$;

grant select, insert, update, delete on shared, kept, mine, pal, was_pal, secret, loud, pay, list, member, item, note,
	paper, doc, met to web;
grant usage on sequence shaky, number_left to web;

commit;
