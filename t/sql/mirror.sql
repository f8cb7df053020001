-- SPDX-License-Identifier: Apache-2.0
--
-- A client made of SQL: a row of mirror is what one has after its last pull.
-- mirror_pull() brings it up to date as replicache.fcgi and the browser do
-- together; then its view must be what mirror_truth() says. A client belongs to a
-- user, '' unless it is said.

create table mirror (
	name text primary key,
	cookie bigint,
	view jsonb not null default '{}'
);

-- The rows a registered statement returns: key, gone, value.
create function mirror_rows(statement text, since bigint)
returns table (key text, gone boolean, value jsonb)
language plpgsql as $$
begin
	return query execute format(
		'select key, gone, to_jsonb(q) - ''key'' - ''gone'' from (%s) as q',
		statement) using since;
end $$;

create function mirror_truth(who text default '') returns jsonb
language plpgsql as $$
begin
	perform set_config('replicache.user_id', who, true);
	return (select coalesce(jsonb_object_agg(r.key, r.value), '{}')
		from replicache_table as t, mirror_rows(t.pull_all, null) as r);
end $$;

-- The patch since a version: what is gone first, then what is there.
create function mirror_patch(since bigint, who text default '')
returns table (key text, value jsonb)
language plpgsql as $$
begin
	perform set_config('replicache.user_id', who, true);
	return query
		select t.key, null::jsonb from replicache_tombstone as t
		where t.version > since
		union all
		select h.key, null from replicache_hidden as h
		where h.version > since and h.users @> array[who]
		union all
		select r.key, case when not r.gone then r.value end
		from replicache_table as t, mirror_rows(t.pull_since, since) as r;
end $$;

create function mirror_pull(name text, who text default '') returns void
language plpgsql as $$
declare
	client mirror;
	one record;
	version bigint := (select max(v.version) from replicache_version as v);
begin
	insert into mirror (name) values ($1) on conflict do nothing;
	select * into client from mirror as m where m.name = $1;
	if client.cookie is null
	   or client.cookie < (select floor from replicache_state)
	   or client.cookie < (select u.floor from replicache_user_floor as u
	                       where u.user_id = who) then
		client.view := mirror_truth(who);
	elsif client.cookie < version then
		for one in select * from mirror_patch(client.cookie, who) loop
			client.view := client.view - one.key;
			if one.value is not null then
				client.view := client.view
					|| jsonb_build_object(one.key, one.value);
			end if;
		end loop;
	end if;
	update mirror as m set cookie = version, view = client.view
		where m.name = $1;
end $$;
