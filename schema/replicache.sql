-- SPDX-License-Identifier: Apache-2.0
--
-- replicache.sql: everything a database needs to be synced by replicache.fcgi.
--
--     psql -v ON_ERROR_STOP=1 -f replicache.sql app
--
-- Run it as the owner of the database or of a schema in it; a superuser is not
-- needed. It installs into the current schema (the first one of search_path
-- that exists), in one transaction. Running it again, also on a database in
-- use, brings functions and triggers up to date and leaves all data alone.
--
-- In the source tree this is the table of contents, and psql takes in the parts
-- (parts/*.sql); the build joins them into the one file that is installed.
--
-- The idea (Replicache's "Global Version"): one number, the version, counts
-- the commits that clients should hear of. Every synced row carries the
-- version that last changed it. The version is the cookie a client gets with a
-- pull; the next pull brings the rows above it.
--
--     table                        one row per
--     replicache_version           commit, lately; the version is max(version)
--     replicache_version_lock      none: it is locked, not read
--     replicache_state             database (one row): floor, epoch, revision
--     replicache_client_group      browser profile, and whose it is
--     replicache_client            tab, and its last mutation that was applied;
--                                  a view of replicache_client_step
--     replicache_table             table that syncs
--     replicache_source            other table on which depends what clients see of one
--     replicache_pending           row that a change elsewhere concerns, within it
--     replicache_granted           right that replicache_grant() granted
--     replicache_mutator           mutation that clients may call
--     replicache_examined          database (one row): what mutators were found by
--     replicache_schema_version    schemaVersions whose pushes and pulls are
--                                  accepted; no row = all
--     replicache_tombstone         key that is gone
--     replicache_hidden            key that some users lost
--     replicache_user_floor        user who has to start over
--     replicache_failed_mutation   mutation that failed
--     replicache_failed_unkept     client group with more of them than are kept
--     replicache_trouble           mutation that may be what its errors come from
--     replicache_version_time      moment, and how far versions were then
--     replicache_timeline          standby that was promoted, and what it began at
--
-- What an app calls (each is described where it is defined):
--
--     replicache_register_table(table, prefix =>, view =>, omit =>,
--       audience =>)
--     replicache_unregister_table(table)
--     replicache_watch(table, source, condition), replicache_unwatch(table, source)
--     replicache_register_mutator(name, function, shared =>)
--     replicache_unregister_mutator(name)
--     replicache_user_id(), _claim(name)
--     replicache_client_id(), _client_group_id(), _mutation_id()
--     replicache_touch(users), replicache_touch(table, column, value)
--     replicache_next_version()
--     replicache_new_epoch()
--     replicache_purge(older_than =>)
--     replicache_forget_clients(unseen_for)
--     replicache_grant(role)
--     replicache_check(role)
--
-- What replicache.fcgi calls besides: replicache_push_begin, replicache_enter,
-- replicache_guard. All other functions are internal.
--
-- Rights. PUBLIC may execute nothing here and read nothing. A role that only
-- writes to synced tables needs no grants here: the triggers do their
-- book-keeping as their owner. (Rows of a table with a column `deleted` are
-- deleted and revived by an UPDATE as the writing role itself, which therefore
-- needs the UPDATE right there.) What the role of replicache.fcgi needs, and no
-- more, is granted by grants.sql.
--
-- Why functions name a search_path: with `set search_path from current`, a
-- function finds these tables whatever the caller's search_path is, and a
-- temporary object can't pose as one of them (pg_temp comes last). The few
-- that run an app's own code (its mutators, or its triggers by way of an
-- UPDATE) don't, since that code must see its caller's search_path. Nor do those
-- that a search_path would make too slow. Both name each function, type and
-- operator with its schema, as all that is generated does: OPERATOR(pg_catalog.=),
-- since a caller can put a schema of their own before pg_catalog. (A body after
-- RETURN or BEGIN ATOMIC is bound when it is created, and needs none of that.)
-- t/298-sql-search-path.t checks it.

begin;

set local client_min_messages = warning;

-- The number of what this file installs. Whoever changes a table raises it, and
-- SCHEMA_NUMBER in common/schema.h, and writes upgrade/NNN.sql, which makes
-- schema NNN of the one before. Functions and triggers need none of that:
-- they are brought up to date by this file.
set local replicache.schema_number = 2;

do $$
declare
  number int := current_setting('replicache.schema_number');
  present int := number;
begin
  if current_setting('server_version_num')::int < 140000 then
    raise 'replicache needs PostgreSQL 14 or later';
  elsif current_setting('server_encoding') <> 'UTF8' then
    raise 'replicache needs a database in UTF8, as JSON is';
  elsif current_schema() is null then
    raise 'no schema of search_path exists: %', current_setting('search_path');
  end if;
  perform set_config('search_path',
    quote_ident(current_schema()) || ', pg_temp', true);

  if to_regclass('replicache_state') is not null then
    begin
      execute 'select schema_number from replicache_state' into present;
    exception when undefined_column then
      raise 'schema % has replicache tables of before the first release',
          current_schema()
        using errcode = 'object_not_in_prerequisite_state',
          hint = 'There is no way from those to here.';
    end;
    if present <> number then
      raise 'the database has schema %, this file is of schema %', present,
          number
        using errcode = 'object_not_in_prerequisite_state',
          hint = case when present < number
            then 'Run replicache-admin upgrade.'
            else 'It is used by a newer replicache-fcgi.' end;
    end if;
  end if;
end
$$;


-- What does Postgres keep of clients, and of what syncs?
\ir parts/tables.sql

-- How is a commit given its version, and in what order?
\ir parts/versions.sql

-- Which user, client and mutation is this transaction for?
\ir parts/identity.sql

-- How is a mutation applied once, and what becomes of one that fails?
\ir parts/push.sql

-- Which key does a row have, and how are names written for any search_path?
\ir parts/keys.sql

-- By which statements does a pull read a table?
\ir parts/pull.sql

-- Does a view show the same to everybody?
\ir parts/per_user.sql

-- Which users may see a row, and how is a change of that reported?
\ir parts/audience.sql

-- What keeps the versions and tombstones of a table, whoever writes to it?
\ir parts/triggers.sql

-- How does a table begin and cease to sync?
\ir parts/register.sql

-- On which other tables does it depend what clients see of one?
\ir parts/sources.sql

-- How does a change of another table reach the rows that it concerns?
\ir parts/watch.sql

-- May a mutator share its transaction with those of other users?
\ir parts/shared.sql

-- Which functions may clients call?
\ir parts/mutators.sql

-- What may the role of replicache.fcgi do?
\ir parts/rights.sql

-- Is all in order here, and what is to be done if not?
\ir parts/check.sql

-- What has to be purged, and what after history was lost?
\ir parts/upkeep.sql

-- How is what an older version installed brought up to date?
\ir parts/older.sql

commit;
