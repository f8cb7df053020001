-- SPDX-License-Identifier: Apache-2.0
--
-- What has to be purged, and what after history was lost?


-- replicache_new_epoch() returns bigint
--
-- To be called after history was lost: the database was restored from a
-- backup, or failed over to a standby that lacked the last commits. Then
-- clients know versions that are not, or no longer, the truth. Jumps the
-- version by the clock to where it was never before, and the floor with it, so
-- that every client starts over. Returns the new version.

create or replace function replicache_new_epoch() returns bigint
language plpgsql volatile set search_path from current
as $$
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


-- replicache_horizon(older_than interval) returns bigint
--
-- Internal: a version such that it and all below were taken longer ago; null if
-- none is known. Takes the version lock. Versions carry no time, but it is
-- known how far they were at some moments (replicache_version_time), and this is
-- one of them.

create or replace function replicache_horizon(older_than interval)
returns bigint
language plpgsql volatile set search_path from current
as $$
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


-- replicache_purge(older_than interval default '30 days') returns bigint
--
-- Drops what was deleted longer ago: tombstones, rows with `deleted` set in
-- synced tables (except those that other rows refer to), and failed mutations.
-- Raises the floor accordingly: a client that has not pulled since starts
-- over. Returns the number of rows dropped. For a nightly job; nobody else can
-- write to synced tables while it runs. (replicache-admin purge does the same in
-- steps.) What is dropped is at least as old as asked for.

create or replace function replicache_purge(
  older_than interval default '30 days')
returns bigint
language plpgsql volatile set search_path from current
as $$
declare
  horizon bigint := replicache_horizon(older_than);
begin
  return replicache_purge_failed(older_than) + replicache_purge_to(horizon);
end
$$;


-- replicache_purge_failed(older_than interval) returns bigint
--
-- Internal: drops failed mutations, and of the moments that are known all but
-- one a day, where a day is longer ago. Returns how many mutations.

create or replace function replicache_purge_failed(older_than interval)
returns bigint
language plpgsql volatile set search_path from current
as $$
declare
  dropped bigint;
begin
  delete from replicache_version_time as t
    where at <= clock_timestamp() - greatest(older_than, interval '1 day')
      and exists (select from replicache_version_time as later
        where later.at > t.at and later.at < date_trunc('day', t.at)
          + interval '1 day');
  delete from replicache_failed_unkept
    where last_failed_at <= clock_timestamp() - older_than;
  delete from replicache_failed_mutation
    where failed_at <= clock_timestamp() - older_than;
  get diagnostics dropped = row_count;
  return dropped;
end
$$;


-- replicache_unreferenced(table_name regclass) returns text
--
-- Internal: the condition that no other row refers to the row t of the table
-- by a foreign key that would forbid to delete it.

create or replace function replicache_unreferenced(table_name regclass)
returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(format(
      E'\n  and not exists (select from %s as r where %s)',
      replicache_qualified(c.conrelid),
      (select string_agg(format('t.%I %s r.%I', ours.attname,
             replicache_operator(k.same), theirs.attname), ' and ')
         from unnest(c.conkey, c.confkey, c.conpfeqop) as k (theirs, ours, same)
           join pg_attribute as theirs
             on theirs.attrelid = c.conrelid and theirs.attnum = k.theirs
           join pg_attribute as ours
             on ours.attrelid = c.confrelid and ours.attnum = k.ours)), ''), '')
  from pg_constraint as c
  where c.confrelid = table_name and c.contype = 'f'
    and c.confdeltype in ('a', 'r');
$$;


-- replicache_purge_code() returns text
--
-- Internal: the query for the versions of all that can be purged and lies at $1
-- or below.

create or replace function replicache_purge_code() returns text
language sql stable set search_path from current
as $$
  select E'select version from replicache_tombstone where version <= $1'
      '\nunion all select version from replicache_hidden where version <= $1'
    || coalesce(string_agg(format(
        E'\nunion all select version from %s as t'
          ' where deleted and version <= $1%s',
        replicache_qualified(t.table_name),
        replicache_unreferenced(t.table_name)), ''), '')
  from replicache_table as t join pg_class as c on c.oid = t.table_name
  where t.soft;
$$;


-- replicache_purge_steps(horizon bigint, most bigint) returns setof bigint
--
-- Internal: the horizons, in order, with which replicache_purge_to() drops at
-- most so many rows each time, as far as they are not of one version.

create or replace function replicache_purge_steps(horizon bigint, most bigint)
returns setof bigint
language plpgsql stable set search_path from current
as $$
begin
  return query execute 'select distinct max(version) from (select version,'
      ' (row_number() over (order by version) - 1) / $2 as step from ('
      || replicache_purge_code() || ') as gone) as numbered'
      ' group by step order by 1'
    using horizon, most;
end
$$;


-- replicache_purge_to(horizon bigint) returns bigint
--
-- Internal: drops what was deleted at this version or below; nothing if it is
-- null. Returns the number of rows.

create or replace function replicache_purge_to(horizon bigint) returns bigint
language plpgsql volatile set search_path from current
as $$
declare
  highest bigint;
  one bigint;
  dropped bigint := 0;
  registered record;
begin
  perform replicache_lock();
  -- The floor first: the triggers let only rows below it go.
  execute 'select max(version) from (' || replicache_purge_code() || ') as gone'
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
$$;


-- replicache_forget_clients(unseen_for interval, most bigint default null)
--   returns bigint
--
-- Drops what is known of clients (tabs, in a browser) of whose mutations none
-- was applied for so long; at most so many of them. Returns their number.
--
-- A client that comes back all the same must not be taken for a new one: it may
-- push mutations that were applied long ago, and did not hear of it. So its
-- mark stays with its group, 8 bytes; and a group (a browser profile) of which
-- all clients are forgotten is retired: it stays, without marks. The rule:
--
--     a client that is known          goes on from its last mutation
--     unknown, of a retired group     ClientStateNotFound, for a pull too
--     unknown, its mark is there      ClientStateNotFound
--     unknown, from mutation 1 on     is new
--     unknown, from a later one on    ClientStateNotFound
--
-- The answer makes the browser start over with a new group and what the server
-- has. What it did while it was away, and did not push, is lost then, as it is
-- when somebody clears the browser's data; so choose an age that is long, such
-- as a year. Mutations that were applied stay applied, once.
--
-- Under the version lock, so that no push is half-way: one that looked before
-- and is applied after finds in replicache_push_begin() that the client is not
-- as it looked.

create or replace function replicache_forget_clients(
  unseen_for interval, most bigint default null)
returns bigint
language plpgsql volatile set search_path from current
as $$
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
