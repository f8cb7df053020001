-- SPDX-License-Identifier: Apache-2.0
--
-- How is a commit given its version, and in what order?


-- replicache_clock_version() returns bigint
--
-- The version that belongs to this moment: seconds since 2020-01-01 UTC,
-- times 2^20. Versions start here and go up by one a commit, so that they
-- stay behind the clock at less than a million commits a second. A database
-- that is wiped or restored and then starts from the clock again is therefore
-- ahead of every cookie it ever gave. Stays below 2^53 until the year 2292.

create or replace function replicache_clock_version() returns bigint
language sql volatile set search_path from current
as $$
  select floor(extract(epoch from clock_timestamp()
    - timestamptz '2020-01-01 00:00:00+00'))::bigint << 20;
$$;


-- replicache_lock() returns void
-- replicache_trigger_lock()
--
-- Takes the version lock: to the end of the transaction nobody else can take a
-- version, and hence nobody else can write to a synced table. The mode conflicts
-- with itself and with what writes, but not with what reads (pg_dump takes ACCESS
-- SHARE). Who calls the first, or fires the second, needs no right on the table:
-- it is locked as its owner.
--
-- This and other functions that run for each mutation avoid three things that
-- cost a microsecond each time: a search_path of their own, where they can name
-- all they use with its schema (as this one, which is written for the schema);
-- PERFORM, which runs an executor where an assignment just calls the function; and
-- an expression more than is needed, as each is made ready anew in each
-- transaction.

do $$
declare
  head text;
  tail text;
begin
  for head, tail in values
    ('replicache_lock() returns void', ''),
    ('replicache_trigger_lock() returns trigger', E'\n  return null;')
  loop
    execute format('create or replace function %s
language plpgsql volatile security definer
as $code$
begin
  lock table %I.replicache_version_lock in share row exclusive mode;%s
end
$code$', head, current_schema(), tail);
  end loop;
end
$$;


-- replicache_raise_version(latest bigint, at_least bigint) returns bigint
--
-- Internal. Under the lock, appends the version after `latest`, the highest there
-- is, or at_least when that is higher, and tells it to whoever listens on the
-- channel `replicache`.
--
-- In REPEATABLE READ and above the snapshot may be older than the lock: then
-- another transaction may have taken versions that can't be seen here. The
-- insert fails with 40001 when it meets such a version. It would not meet one
-- that has been trimmed already; but then the highest version that can be seen
-- here has been trimmed as well, and locking that row fails with 40001.
--
-- The first version on another timeline than the last one, hence the first after
-- a standby was promoted (or a backup restored by recovery), must not be one
-- that the old primary may have given to what is lost. So it jumps: by the clock,
-- as a new epoch does, and in case the clocks of the two differ, by more than
-- the commits that could be missing. What it jumps over is noted.

create or replace function replicache_raise_version(
  latest bigint, at_least bigint)
returns bigint
language plpgsql volatile set search_path from current
as $$
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


-- replicache_next_version() returns bigint
--
-- The version of this transaction: takes the version lock, appends the next
-- version the first time it is called in a transaction, and returns the same
-- one from then on. The triggers of synced tables call it; an app need not,
-- except to take the lock early: a transaction that locks rows of synced
-- tables (SELECT ... FOR UPDATE) before it writes to them should call it
-- first, or it may run into a deadlock with a push.
--
-- Raises 40001 in REPEATABLE READ and above if another transaction took a
-- version since the snapshot.
--
-- The lock is taken in a statement of its own, before the highest version is
-- read: so in READ COMMITTED that one is read by a later snapshot, and the
-- order of versions is the order of commits. That the row is ours is told by
-- its xid: no setting can forge it, and after a ROLLBACK TO SAVEPOINT the row
-- is gone like the rest. (Its age is asked too, since a dump that was loaded
-- brings the xids of another cluster.)

create or replace function replicache_next_version() returns bigint
language plpgsql volatile security definer set search_path from current
as $$
declare
  latest bigint;
  ours boolean;
  ignored text;
begin
  ignored := replicache_lock();
  select version, xid = pg_current_xact_id_if_assigned() and age(xmin) <= 0
    into latest, ours
    from replicache_version order by version desc limit 1;
  if ours then
    return latest;
  end if;
  return replicache_raise_version(latest, 0);
end
$$;


-- The first version, and the state that goes with it.

do $$
declare
  first bigint := replicache_clock_version();
begin
  perform replicache_lock();
  if not exists (select from replicache_state) then
    insert into replicache_version (version) values (first);
    insert into replicache_state (floor, epoch, schema_number) values
      (first, first, current_setting('replicache.schema_number')::int);
    insert into replicache_version_time values (clock_timestamp(), first - 1);
  end if;
  if not exists (select from replicache_timeline) then
    insert into replicache_timeline
      select max(version), max(version),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
      from replicache_version;
  end if;
end
$$;
