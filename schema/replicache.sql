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


----------------------------------------------------------------------------
-- Tables
----------------------------------------------------------------------------

-- Append-only: a commit inserts its version, old rows are trimmed behind. (One
-- row updated in place would make each update step over all its dead versions
-- as long as any snapshot, a backup's say, is open.) xid tells a transaction
-- its own row from another's.
create table if not exists replicache_version (
  version bigint primary key,
  xid     xid8 not null default pg_current_xact_id()
);

-- The version lock: a lock of this table. (An advisory lock would need no right:
-- any role that may connect could hold it, and stop every push.)
create table if not exists replicache_version_lock ();

-- floor          the lowest cookie from which changes are still known
-- epoch          the version at install or at the last replicache_new_epoch()
-- revision       counts changes of what is registered: whoever caches that
--                compares
-- schema_number  of these tables
create table if not exists replicache_state (
  only_row      boolean primary key default true check (only_row),
  floor         bigint not null,
  epoch         bigint not null,
  revision      bigint not null default 0,
  schema_number int not null
);

-- retired    all its clients are forgotten, and so is whatever it pushes
-- forgotten  the marks of its clients that are: see replicache_forget_clients()
create table if not exists replicache_client_group (
  id        text primary key,
  user_id   text not null default '',
  retired   boolean not null default false,
  forgotten bigint[]
);

-- Each push appends a step to those of its clients; the highest is where a client
-- stands, and the lower ones are deleted now and then. A row that is updated in
-- place would leave its dead versions to be read again by each push and pull for
-- as long as a snapshot is open somewhere, as that of a backup; the highest
-- entry of an index is found at once whatever lies below it.
create table if not exists replicache_client_step (
  id               text not null,
  client_group_id  text not null,
  last_mutation_id bigint not null,
  version          bigint not null,
  primary key (id, last_mutation_id)
);

create index if not exists replicache_client_step_client_group_id
  on replicache_client_step (client_group_id, version);

create or replace view replicache_client as
select distinct on (id) id, client_group_id, last_mutation_id, version
from replicache_client_step
order by id, last_mutation_id desc;

-- audience              a table or view: the rows' keys, and users who may see
--                       them; null if everybody may
-- pull_all, pull_since  the statements a pull runs, see replicache_pull_code
-- key                   the key as an expression over the table's row t
-- per_user              whether a pull reads it for the user who asks; if not, for
--                       nobody, and what is read may be shared
-- definition            of table, view and audience, to notice that they changed
-- code                  of the triggers, as installed
-- per_user_given        per_user as registered; null: it was found out
-- per_user_reason       why it was found to be per user; null if it was not
create table if not exists replicache_table (
  id         int primary key,
  table_name regclass not null unique,
  prefix     text not null unique,
  view       regclass,
  audience   regclass,
  omit       text[] not null default '{}',
  soft       boolean not null,
  per_user   boolean not null,
  key        text not null,
  pull_all   text not null,
  pull_since text not null,
  definition text not null,
  code       text not null,
  per_user_given  boolean,
  per_user_reason text,
  ignore_policies boolean not null default false
);

-- What the audience, view or policies of a registered table read, and how its
-- changes are noticed: see replicache_watch().
--
-- condition   which rows of the table a row of the source belongs to, as given; null
--             if the source needs no watch
-- expression  the condition as Postgres understands it
-- columns     of the source that it names
-- automatic   it is that of a foreign key
-- code        of the triggers, as installed
create table if not exists replicache_source (
  id         int primary key,
  table_name regclass not null,
  source     regclass not null,
  condition  text,
  automatic  boolean not null,
  expression text,
  columns    text[],
  code       text,
  unique (table_name, source)
);

-- Within a statement that changes a source: the rows that it concerns, by their
-- primary key, and who saw them before. Empty otherwise.
create unlogged table if not exists replicache_pending (
  watch int not null,
  depth int not null,
  key   text collate "C" not null,
  pk    jsonb not null,
  users text[] not null,
  primary key (watch, depth, key)
);

-- What replicache_grant() granted to a role: to be revoked when it is not needed.
create table if not exists replicache_granted (
  role        name not null,
  kind        text not null,
  object      text not null,
  column_name name,
  privilege   text not null
);

-- function  with its schema and argument, as text: pg_upgrade refuses regproc
-- call      the statement a push runs: client ID, group ID, mutation ID, user
--           ID, args, claims
-- run       the statement replicache_guard runs: args
-- shared    it may run in a transaction with those of other client groups
-- closes    the session is closed after it
-- shared_given  shared as registered; null: it was found out
-- reason    why it was found to be alone; null if it was not
create table if not exists replicache_mutator (
  name     text primary key,
  function text not null,
  argument text not null check (argument in ('json', 'jsonb')),
  call     text not null,
  run      text not null,
  shared   boolean not null default false,
  closes   boolean not null default true,
  shared_given boolean,
  reason   text
);

-- What the mutators were found to be by: see replicache_examine().
create table if not exists replicache_examined (
  only_row    boolean primary key default true check (only_row),
  fingerprint text not null
);

-- A schemaVersion is retired in two steps: pulls first, so that its clients load
-- the app anew, and pushes when nobody has work left that was done offline with
-- it. Whatever is not listed is refused, as soon as anything is.
create table if not exists replicache_schema_version (
  version text primary key,
  pushes  boolean not null default true,
  pulls   boolean not null default true
);

create table if not exists replicache_tombstone (
  key     text collate "C" primary key,
  version bigint not null
);

create index if not exists replicache_tombstone_version
  on replicache_tombstone (version);

-- A key that these users are to forget, because its row is gone or out of their
-- sight; others may still have it. Nobody else is told.
create table if not exists replicache_hidden (
  version bigint not null,
  key     text collate "C" not null,
  users   text[] not null
);

create index if not exists replicache_hidden_version
  on replicache_hidden (version);

-- A user whose clients start over below this version, as everybody's do below
-- that of replicache_state.
create table if not exists replicache_user_floor (
  user_id text primary key,
  floor   bigint not null
);

-- args  json, not jsonb: it keeps what jsonb can't hold
-- role  as which it ran; null where a release before 0.2.0 recorded it
create table if not exists replicache_failed_mutation (
  client_id       text not null,
  mutation_id     bigint not null,
  client_group_id text not null,
  user_id         text not null,
  name            text not null,
  args            json,
  code            text not null check (code in ('unknown_mutator',
                    'unstorable_text', 'number_out_of_range', 'timeout',
                    'mutator_error', 'server_error')),
  sqlstate        text,
  message         text,
  version         bigint not null,
  failed_at       timestamptz not null default clock_timestamp(),
  role            text,
  primary key (client_id, mutation_id)
);

create index if not exists replicache_failed_mutation_client_group_id
  on replicache_failed_mutation (client_group_id);

-- How many more failed than the ledger keeps of one client group
-- (replicache_ledger_max()).
create table if not exists replicache_failed_unkept (
  client_group_id text primary key,
  mutations       bigint not null,
  last_failed_at  timestamptz not null
);

-- A mutation that ran out of time, or failed by an error of the server: alone, and
-- while the server was able to write this. See replicache_note_trouble().
create table if not exists replicache_trouble (
  client_id   text not null,
  mutation_id bigint not null,
  sqlstate    text not null,
  message     text,
  times       int not null default 1,
  since       timestamptz not null default clock_timestamp(),
  last_at     timestamptz not null default clock_timestamp(),
  primary key (client_id, mutation_id)
);

-- All versions up to this one were taken before this moment.
create table if not exists replicache_version_time (
  at      timestamptz primary key,
  version bigint not null
);

-- The server's history forks where a standby is promoted: what the old primary
-- committed beyond that is not known here, but its clients may have been told.
-- Each row is a promotion: `before` was the last version until then, `first`
-- the first one since. Who comes with a version between has seen what is lost.
create table if not exists replicache_timeline (
  before   bigint primary key,
  first    bigint not null,
  timeline text not null
);


----------------------------------------------------------------------------
-- Versions
----------------------------------------------------------------------------

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


----------------------------------------------------------------------------
-- Who is mutating
----------------------------------------------------------------------------

-- replicache_user_id() returns text
-- replicache_claim(name text) returns text
-- replicache_client_id() returns text
-- replicache_client_group_id() returns text
-- replicache_mutation_id() returns bigint
--
-- Who called the mutator that is running, and what the claim `name` of their
-- token says: for mutators, triggers, row policies and views. Null outside of a
-- mutator (in a pull only the user and the claims are known). A claim that is an
-- array or an object comes as JSON.
-- They have a bound body and no search_path so that they can be inlined: a
-- view may call them once per row.

create or replace function replicache_user_id() returns text
language sql stable parallel safe
return nullif(current_setting('replicache.user_id', true), '');

create or replace function replicache_claim(name text) returns text
language sql stable parallel safe
return nullif(current_setting('replicache.claims', true), '')::json ->> name;

create or replace function replicache_client_id() returns text
language sql stable parallel safe
return nullif(current_setting('replicache.client_id', true), '');

create or replace function replicache_client_group_id() returns text
language sql stable parallel safe
return nullif(current_setting('replicache.client_group_id', true), '');

create or replace function replicache_mutation_id() returns bigint
language sql stable parallel safe
return nullif(current_setting('replicache.mutation_id', true), '')::bigint;


-- replicache_enter(client_id, client_group_id, mutation_id, user_id,
--   claims default '') returns void
--
-- From here to the end of the transaction, or to the next call, this mutation
-- is being run. For replicache.fcgi, and for running a mutator from psql as a
-- client would. Claims are those of a token, a JSON object.

create or replace function replicache_enter(
  client_id text, client_group_id text, mutation_id bigint, user_id text,
  claims text default '')
returns void
language plpgsql volatile
as $$
declare
  before constant pg_catalog.text := pg_catalog.current_setting(
    'replicache.client_group_id', true);
  ignored pg_catalog.text;
  begun pg_catalog.text[];
begin
  if (before OPERATOR(pg_catalog.=) client_group_id) is not true then
    -- The first one notes what stands; before the first of each other client
    -- group what is not so any more is put back.
    ignored := pg_catalog.concat_ws(E'\x1f',
      pg_catalog.current_setting('role'),
      pg_catalog.current_setting('search_path'),
      pg_catalog.current_setting('TimeZone'),
      pg_catalog.current_setting('DateStyle'),
      pg_catalog.current_setting('IntervalStyle'),
      pg_catalog.current_setting('bytea_output'),
      pg_catalog.current_setting('extra_float_digits'),
      pg_catalog.current_setting('row_security'),
      pg_catalog.current_setting('statement_timeout'),
      pg_catalog.current_setting('lock_timeout'),
      pg_catalog.current_setting('idle_in_transaction_session_timeout'));
    if before is null or before OPERATOR(pg_catalog.=) '' then
      ignored := pg_catalog.set_config('replicache.begun', ignored, true);
    elsif ignored OPERATOR(pg_catalog.<>)
          pg_catalog.current_setting('replicache.begun', true) then
      begun := pg_catalog.string_to_array(
        pg_catalog.current_setting('replicache.begun', true), E'\x1f');
      ignored := pg_catalog.concat(
        pg_catalog.set_config('role', begun[1], true),
        pg_catalog.set_config('search_path', begun[2], true),
        pg_catalog.set_config('TimeZone', begun[3], true),
        pg_catalog.set_config('DateStyle', begun[4], true),
        pg_catalog.set_config('IntervalStyle', begun[5], true),
        pg_catalog.set_config('bytea_output', begun[6], true),
        pg_catalog.set_config('extra_float_digits', begun[7], true),
        pg_catalog.set_config('row_security', begun[8], true),
        pg_catalog.set_config('statement_timeout', begun[9], true),
        pg_catalog.set_config('lock_timeout', begun[10], true),
        pg_catalog.set_config('idle_in_transaction_session_timeout', begun[11],
          true));
    end if;
  end if;
  ignored := pg_catalog.concat(
    pg_catalog.set_config('replicache.client_id', client_id, true),
    pg_catalog.set_config('replicache.client_group_id', client_group_id, true),
    pg_catalog.set_config('replicache.mutation_id',
      mutation_id::pg_catalog.text, true),
    pg_catalog.set_config('replicache.user_id', user_id, true),
    pg_catalog.set_config('replicache.claims', claims, true));
end
$$;


----------------------------------------------------------------------------
-- Push
----------------------------------------------------------------------------

-- replicache_mark(client_id text) returns bigint
--
-- Internal: what remains of a client that is forgotten: 64 bits of a hash that
-- is the same on every server, of every version. Among the clients of one group
-- two don't share it: of 10,000 forgotten ones, a new one would be taken for
-- one of them once in 10^15 times.

create or replace function replicache_mark(client_id text) returns bigint
language sql stable
return ('x' || encode(substr(sha256(convert_to(client_id, 'UTF8')), 1, 8),
  'hex'))::bit(64)::bigint;


-- replicache_is_forgotten(client_id text, client_group_id text)
--   returns boolean
--
-- Whether a client of which nothing is known is known to be no new one.

create or replace function replicache_is_forgotten(
  client_id text, client_group_id text)
returns boolean
language plpgsql stable security definer set search_path from current
as $$
begin
  return exists (select from replicache_client_group as g
    where g.id = client_group_id
      and (g.retired or g.forgotten is not null
           and replicache_mark(client_id) = any (g.forgotten)));
end
$$;


-- replicache_push_begin(groups, users, clients, client_groups, client_users,
--   before, after, registered default null) returns bigint
--
-- The first statement of a transaction that applies mutations. clients[i] of
-- client_groups[i], each named once, is pushed by client_users[i] and goes from
-- the last mutation ID before[i] (0: it is new) to after[i]. groups[i], of
-- users[i], is created unless it is there. Takes the version and returns it, and
-- sets the last mutation IDs.
--
-- Raises RP001 if the database is not as the arguments say: a group is not there,
-- belongs to another user or is retired, a client is of another group, its last
-- mutation ID has moved, it should be new and was forgotten, or the revision is
-- not `registered`. Whoever called has looked without the lock, and should look
-- again.
--
-- The IDs are set first and not last because the whole transaction stands or
-- falls with them: that saves a statement. One statement checks and moves all
-- clients, at little more than what a client alone would take. The limit tells the
-- planner that they are few, so that it keeps its plan.

create or replace function replicache_push_begin(
  groups text[], users text[], clients text[], client_groups text[],
  client_users text[], before bigint[], after bigint[],
  registered bigint default null)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
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


-- replicache_ledger_max() returns int
--
-- How many failed mutations of one client group the ledger keeps: more than anybody
-- will look through. The others are passed over all the same, and counted in
-- replicache_failed_unkept: else one push could fill the disk.

create or replace function replicache_ledger_max() returns int
language sql immutable
return 1000;


-- replicache_record_failures(clients text[], client_groups text[],
--   mutations bigint[], users text[], names text[], args text[], codes text[],
--   sqlstate text default null, message text default null) returns int
--
-- Internal: writes rows into the ledger, the i-th of the i-th of each array. What
-- is recorded already is recorded anew. Returns how many it did not keep. What
-- failed by the server's errors (replicache_note_trouble()) has the last one.
--
-- The role is not an argument: whoever may call this could have a mutation run as
-- somebody else by replicache_retry(). It is that of the session, since this
-- function runs as its owner.

create or replace function replicache_record_failures(
  clients text[], client_groups text[], mutations bigint[], users text[],
  names text[], args text[], codes text[], sqlstate text default null,
  message text default null)
returns int
language plpgsql volatile security definer set search_path from current
as $$
declare
  taken bigint := replicache_next_version();
  kept int;
begin
  with given as (
    select g.*, recorded.client_id is not null as again,
      row_number() over (partition by g.client_group_id,
        recorded.client_id is null order by g.n) as nth
    from (select *
          from unnest(clients, client_groups, mutations, users, names, args,
              codes) with ordinality as a (client_id, client_group_id,
                mutation_id, user_id, name, args, code, n)
          limit cardinality(clients)) as g
      left join replicache_failed_mutation as recorded
        on recorded.client_id = g.client_id
          and recorded.mutation_id = g.mutation_id
  ), room as (
    select client_group_id,
      replicache_ledger_max() - (select count(*)
        from (select from replicache_failed_mutation as f
              where f.client_group_id = a.client_group_id
              limit replicache_ledger_max()) as those) as free
    from (select distinct client_group_id from given) as a
  ), recorded as (
    insert into replicache_failed_mutation as f
      select g.client_id, g.mutation_id, g.client_group_id, g.user_id, g.name,
        g.args::json, g.code, coalesce(replicache_record_failures.sqlstate, t.sqlstate),
        coalesce(replicache_record_failures.message, t.message), taken, clock_timestamp(),
        coalesce(nullif(current_setting('role'), 'none'), session_user)
      from given as g
        join room using (client_group_id)
        left join replicache_trouble as t
          on t.client_id = g.client_id and t.mutation_id = g.mutation_id
      where g.again or g.nth <= room.free
      on conflict on constraint replicache_failed_mutation_pkey do update set
        client_group_id = excluded.client_group_id,
        user_id = excluded.user_id,
        name = excluded.name,
        args = excluded.args,
        code = excluded.code,
        sqlstate = excluded.sqlstate,
        message = excluded.message,
        version = excluded.version,
        failed_at = excluded.failed_at,
        role = excluded.role
      returning f.client_id
  ), unkept as (
    insert into replicache_failed_unkept as u
      select g.client_group_id, count(*), clock_timestamp()
      from given as g join room using (client_group_id)
      where not g.again and g.nth > room.free
      group by g.client_group_id
      on conflict (client_group_id) do update set
        mutations = u.mutations + excluded.mutations,
        last_failed_at = excluded.last_failed_at
  ), settled as (
    delete from replicache_trouble as t
      using given as g
      where t.client_id = g.client_id and t.mutation_id = g.mutation_id
  )
  select count(*) into kept from recorded;
  return cardinality(clients) - kept;
end
$$;


-- replicache_record_failure(...) returns boolean
--
-- Internal: the same of one mutation, whose args may be no JSON: then they are
-- left out. Returns whether it was kept.

create or replace function replicache_record_failure(
  client_id text, client_group_id text, mutation_id bigint, user_id text,
  name text, args text, code text, sqlstate text, message text)
returns boolean
language plpgsql volatile security definer set search_path from current
as $$
declare
  readable text := args;
begin
  begin
    perform args::json;
  exception when data_exception then
    readable := null;
  end;
  return replicache_record_failures(array[client_id], array[client_group_id],
    array[mutation_id], array[user_id], array[name], array[readable],
    array[code], sqlstate, message) = 0;
end
$$;


-- replicache_note_trouble(client_id text, mutation_id bigint, sqlstate text,
--   message text) returns boolean
--
-- Notes that a mutation ran out of time or failed by an error of the server's,
-- alone in its transaction. That this can be written shows that the server
-- works. Returns whether it is enough to hold the mutation itself for the cause:
--
--     out of time (57014)  the third time: each took statement_timeout
--     a lock (55P03)       the fifth time, if ten minutes have passed since the
--                          first: longer than a migration holds one
--     others               the fifth time, if half a minute has passed since the
--                          first: longer than a failover or a checkpoint that
--                          chokes the disk
--
-- Then it is to be recorded as `timeout` or `server_error`: it would block its
-- client for ever. What is a day old is begun anew.

create or replace function replicache_note_trouble(
  client_id text, mutation_id bigint, sqlstate text, message text)
returns boolean
language plpgsql volatile security definer set search_path from current
as $$
declare
  timeouts_max constant int := 3;
  times_max constant int := 5;
  least_time constant interval := case when sqlstate = '55P03'
    then '10 minutes' else '30 seconds' end;
  now timestamptz := clock_timestamp();
  noted replicache_trouble;
begin
  delete from replicache_trouble as t where t.last_at < now - interval '1 day';
  insert into replicache_trouble as t
    values (client_id, mutation_id, sqlstate, message, 1, now, now)
    on conflict on constraint replicache_trouble_pkey do update set
      sqlstate = excluded.sqlstate,
      message = excluded.message,
      times = t.times + 1,
      last_at = now
    returning * into noted;
  return case when sqlstate = '57014' then noted.times >= timeouts_max
    else noted.times >= times_max and noted.since <= now - least_time end;
end
$$;


-- replicache_check_constraints(path default current_setting('search_path'))
--   returns void
--
-- Internal: lets a deferred constraint that is broken fail now, as at COMMIT
-- it would take the other mutations along; then they are deferred again. Not
-- by `set constraints all deferred`, which would include those that are only
-- deferrable. (A name that a constraint shares with one that is not deferrable
-- can't be set.) The list of names is kept for the transaction. `path` is the
-- search_path of the app's triggers.

create or replace function replicache_check_constraints(
  path text default current_setting('search_path'))
returns void
language plpgsql volatile set search_path from current
as $$
declare
  ours constant text := current_setting('search_path');
  names text := current_setting('replicache.deferred', true);
begin
  perform set_config('search_path', path, true);
  set constraints all immediate;
  perform pg_catalog.set_config('search_path', ours, true);
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


-- replicache_guard(client_id, client_group_id, mutation_id, user_id, name,
--   args, refused default null, claims default '',
--   path default current_setting('search_path')) returns text
--
-- Runs one mutation so that its failure undoes nothing but itself. Returns
-- null if it was applied, else the code under which it went to the ledger:
--
--     unknown_mutator      no mutator is registered under the name
--     unstorable_text      args hold text that jsonb can't: \u0000 or half of
--                          a surrogate pair
--     number_out_of_range  args hold a number that jsonb can't
--     mutator_error        the mutator failed, see sqlstate and message
--
--     timeout, server_error
--                          see replicache_note_trouble()
--     not_kept             any of these, and the ledger has no room for more of the
--                          client group
--
-- A caller who knows better passes the code as `refused` (timeout, for one:
-- a statement that is cancelled can't be caught here); then nothing is run.
--
-- The mutator, and the triggers it fires, have the search_path `path`, that of the
-- caller. (A default is computed by the caller's statement, before this function
-- has a search_path of its own.)
--
-- What may be no fault of the mutation is raised again and not recorded, so that
-- it can be repeated: connection (08), serialization and deadlock (40001, 40P01),
-- resources (53100, 53200, 53300, 53400), lock not available (55P03), cancelled or
-- shut down (57014, 57P01, 57P02, 57P03), input or output (58030), a read-only
-- transaction (25006), and a function that is gone (RP002), as in the middle of an
-- upgrade of the app. cgi/batch_apply.c knows when to believe it no more. All other
-- errors are the mutation's own: internal ones (XX000) too, which extensions raise
-- for bad input.
--
-- Whoever records failures must call this in a transaction in which nobody else's
-- mutations have run: a setting or a temporary table of theirs could be the cause.
-- One of the same client group could be, too: where a mutator that is not known to
-- leave nothing behind was run before in the transaction, and worked, RP003 is raised
-- instead. What came before is to be committed, and then this one is run first.
--
-- But after a serialization failure (40001) the mutation is run again here
-- first, attempts_max times in all: a push of many that fail so now and then
-- would not get through if all of it began anew each time. A deadlock (40P01)
-- could come back for as long as the locks of the others are held, so then all
-- begins anew.

create or replace function replicache_guard(
  client_id text, client_group_id text, mutation_id bigint, user_id text,
  name text, args text, refused text default null, claims text default '',
  path text default current_setting('search_path'))
returns text
language plpgsql volatile set search_path from current
as $$
declare
  mutator replicache_mutator;
  ours constant text := current_setting('search_path');
  role constant text := current_setting('role');
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
      raise 'function % of mutator "%" is gone', mutator.function, name
        using errcode = 'RP002';
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
        perform set_config('search_path', path, true);
        execute mutator.run using args_jsonb;
      else
        args_json := args::json;
        parsed := true;
        perform set_config('search_path', path, true);
        execute mutator.run using args_json;
      end if;
      -- It may have left another role, which need not be one that may go on.
      perform pg_catalog.set_config('role', role, true);
      perform pg_catalog.set_config('search_path', ours, true);
      perform replicache_check_constraints(path);
      if not mutator.shared then
        perform pg_catalog.set_config('replicache.left', 'on', true);
      end if;
      return null;
    exception when others or assert_failure then
      get stacked diagnostics state = returned_sqlstate,
        message = message_text;
      attempts := attempts + 1;
      if state = '40001' and attempts < attempts_max then
        continue;
      end if;
      if state in ('40001', '40P01', '53100', '53200', '53300', '53400',
          '55P03', '57014', '57P01', '57P02', '57P03', '58030', '25006')
         or left(state, 2) = '08' then
        raise;
      elsif parsed and current_setting('replicache.left', true) = 'on' then
        raise 'mutation % of client % failed behind others: %', mutation_id,
            client_id, message
          using errcode = 'RP003';
      end if;
      code := case
        when parsed then 'mutator_error'
        when state = '22003' then 'number_out_of_range'
        else 'unstorable_text'
      end;
    end;
  end loop;

  if not replicache_record_failure(client_id, client_group_id, mutation_id,
      user_id, name, args, code, state, message) then
    return 'not_kept';
  end if;
  return code;
end
$$;


-- replicache_retry(client_id text, mutation_id bigint, role name default null,
--   path default current_setting('search_path')) returns text
--
-- Runs a mutation of the ledger again, now, after whatever made it fail was put
-- right: if it works it leaves the ledger, else it stays with what went wrong
-- this time. Returns null or the code, as replicache_guard does. Mutations that
-- its client made later were applied before it: whether that matters only the app
-- knows. The claims of its user's token are gone, so replicache_claim() gives null.
--
-- Runs as the role that it failed as, so that the rights and row policies that
-- refused it hold; the caller has to be a member of it. As any other only if that
-- is given.
--
-- Raises no_data_found if it is not there, data_exception if its args could not
-- be kept, and invalid_parameter_value if no role is known or given.

create or replace function replicache_retry(
  client_id text, mutation_id bigint, role name default null,
  path text default current_setting('search_path'))
returns text
language plpgsql volatile set search_path from current
as $$
declare
  failed replicache_failed_mutation;
  before text := current_setting('role');
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
  elsif coalesce(role, failed.role) is null then
    raise 'it is not known as which role mutation % of client % failed',
        mutation_id, client_id
      using errcode = 'invalid_parameter_value',
        hint = 'Name the role to run it as: that of replicache.fcgi.';
  end if;
  perform set_config('role', coalesce(role, failed.role), true);
  perform set_config('replicache.left', 'off', true);
  code := replicache_guard(client_id, failed.client_group_id, mutation_id,
    failed.user_id, failed.name, failed.args::text, path => path);
  perform set_config('role', before, true);
  if code is null then
    delete from replicache_failed_mutation as f
      where f.client_id = replicache_retry.client_id
        and f.mutation_id = replicache_retry.mutation_id;
  end if;
  return code;
end
$$;


----------------------------------------------------------------------------
-- Registered tables: keys
----------------------------------------------------------------------------

-- replicache_base_type(type oid) returns oid
--
-- Internal: the type under a domain, or under a domain over one; else the type.

create or replace function replicache_base_type(type oid) returns oid
language plpgsql stable set search_path from current
as $$
declare
  base oid := type;
begin
  while (select typtype = 'd' from pg_type where oid = base) loop
    base := (select typbasetype from pg_type where oid = base);
  end loop;
  return base;
end
$$;


-- replicache_key_part(type oid, value text, escape boolean) returns text
--
-- Internal: an expression that turns the expression `value` of this type into
-- text that does not depend on any setting of a session; null for a type that
-- has none. With `escape`, % and / are percent-escaped where they may occur.

create or replace function replicache_key_part(
  type oid, value text, escape boolean)
returns text
language plpgsql stable set search_path from current
as $$
declare
  base oid := replicache_base_type(type);
begin
  if (select typtype = 'e' from pg_type where oid = base)
     or base in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
       'name'::regtype) then
    return format(case when escape
        then 'pg_catalog.replace(pg_catalog.replace(%s::pg_catalog.text, '
          '''%%'', ''%%25''), ''/'', ''%%2F'')'
        else '%s::pg_catalog.text' end, value);
  elsif base in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
      'numeric'::regtype, 'bool'::regtype, 'uuid'::regtype) then
    return format('%s::pg_catalog.text', value);
  elsif base in ('date'::regtype, 'timestamp'::regtype) then
    return format('(pg_catalog.to_json(%s) OPERATOR(pg_catalog.#>>) ''{}'')',
      value);
  elsif base = 'timestamptz'::regtype then
    return format('(pg_catalog.to_json(%s at time zone ''UTC'') '
      'OPERATOR(pg_catalog.#>>) ''{}'') OPERATOR(pg_catalog.||) ''Z''', value);
  elsif base = 'bytea'::regtype then
    return format('pg_catalog.encode(%s, ''hex'')', value);
  end if;
  return null;
end
$$;


-- replicache_key(table_name regclass, prefix text, row_name text) returns text
--
-- Internal: the expression for the key of the row called row_name: the prefix
-- and the primary key. A primary key of several columns is joined by slashes,
-- its parts escaped, so that different rows have different keys.

create or replace function replicache_key(
  table_name regclass, prefix text, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format('(%L OPERATOR(pg_catalog.||) %s) collate "C"', prefix, string_agg(
    replicache_key_part(a.atttypid, format('%s.%I', row_name, a.attname),
      cardinality(i.indkey::int2[]) > 1),
    ' OPERATOR(pg_catalog.||) ''/'' OPERATOR(pg_catalog.||) '
      order by k.position))
  from pg_index as i
    cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = table_name and i.indisprimary;
$$;


-- replicache_key_match(table_name regclass, one text, other text)
--   returns text
--
-- Internal: the condition that the rows called `one` and `other` have the same
-- primary key.

create or replace function replicache_key_match(
  table_name regclass, one text, other text)
returns text
language sql stable set search_path from current
as $$
  select string_agg(format('%s.%I OPERATOR(pg_catalog.=) %s.%I', one, a.attname,
    other, a.attname), ' and ' order by a.attnum)
  from pg_index as i
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
  where i.indrelid = table_name and i.indisprimary;
$$;


-- replicache_operator(operator oid) returns text
--
-- Internal: it, as it is written between two operands whatever search_path is.

create or replace function replicache_operator(operator oid) returns text
language sql stable set search_path from current
as $$
  select format('OPERATOR(%I.%s)', n.nspname, o.oprname)
  from pg_operator as o join pg_namespace as n on n.oid = o.oprnamespace
  where o.oid = operator;
$$;


-- replicache_is_invoker(view regclass) returns boolean
--
-- Internal: whether it is a view that reads as whoever asks (security_invoker).

create or replace function replicache_is_invoker(view regclass) returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_class as c
      cross join lateral pg_options_to_table(c.reloptions) as o
    where c.oid = view and c.relkind = 'v'
      and o.option_name = 'security_invoker' and o.option_value::boolean);
$$;


-- replicache_is_kept(table_name regclass, attnum int2) returns boolean
--
-- Internal: whether a pull reads this column of a registered table in any case: one
-- of the primary key, or of the book-keeping.

create or replace function replicache_is_kept(table_name regclass, attnum int2)
returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_attribute as a
      where a.attrelid = table_name and a.attnum = replicache_is_kept.attnum
        and (a.attname = 'version'
             or a.attname = 'deleted' and a.atttypid = 'bool'::regtype))
    or exists (select from pg_index as i
      where i.indrelid = table_name and i.indisprimary
        and replicache_is_kept.attnum = any (i.indkey::int2[]));
$$;


-- replicache_qualified(relation regclass) returns text
--
-- Internal: its name with its schema, quoted.

create or replace function replicache_qualified(relation regclass)
returns text
language sql stable set search_path from current
as $$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where c.oid = relation;
$$;


----------------------------------------------------------------------------
-- Registered tables: what a pull reads
----------------------------------------------------------------------------

-- replicache_value_columns(relation, row_name, omit) returns text
--
-- Internal: the select list of a row's value, each column under its own name,
-- with a comma before each. Numbers, booleans, text and JSON come as they are;
-- the value of any other type is made JSON here. The column `version`, and a
-- boolean `deleted`, are book-keeping and no part of it.

create or replace function replicache_value_columns(
  relation regclass, row_name text, omit text[])
returns text
language plpgsql stable set search_path from current
as $$
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
        else E',\n  pg_catalog.to_json(%1$s.%2$I) as %2$I' end,
      row_name, a.attname);
  end loop;
  return list;
end
$$;


-- replicache_audience_match(table_name, audience, row_name) returns text
--
-- Internal: the condition that the user who asks is in the audience of the row;
-- null without an audience.

create or replace function replicache_audience_match(
  table_name regclass, audience regclass, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format('exists (select from %s as a where %s '
      'and a.viewer OPERATOR(pg_catalog.=) %I.replicache_user_id())',
    replicache_qualified(audience),
    replicache_key_match(table_name, 'a', row_name), current_schema())
  where audience is not null;
$$;


-- replicache_hide_code(registered replicache_table, version text,
--   row_name text, source text) returns text
--
-- Internal: the statement that tells those who are in the audience now to forget
-- the key of the row called row_name, or of each row of source.

create or replace function replicache_hide_code(
  registered replicache_table, version text, row_name text,
  source text default '')
returns text
language sql stable set search_path from current
as $$
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


-- replicache_pull_code(...)
--
-- Internal: the two statements that read a registered table.
--
--     pull_all          all rows that are there
--     pull_since ($1)   rows with a version above $1
--
-- Both give the key, `gone` (the client is to delete the key; the other
-- columns mean nothing then) and the columns of the value, in no order.
--
-- A view is joined to its table by the primary key. A row that the view leaves
-- out is gone. To read all rows of a view that hands on the table's column
-- `deleted`, the table is not needed: that is faster. To read a few, the view
-- is asked for each of them (offset 0 keeps the planner from turning that into
-- a join): the way to a single row of a view is short, also where its rows are
-- computed from others, while a join may well compute all of them.
--
-- With an audience, both give only rows that the user is in the audience of. Of
-- others not even the key is told.
--
-- `version <= 9223372036854775807` is always true, and stands there for the
-- planner. Rows above a value it does not know yet it takes for a third of the
-- table, and reads all of it; those in a range for 0.5 %, and uses the index.

create or replace function replicache_pull_code(
  table_name regclass, prefix text, soft boolean, view regclass,
  audience regclass, omit text[], out pull_all text, out pull_since text)
language plpgsql stable set search_path from current
as $$
declare
  source text := replicache_qualified(table_name);
  key text := replicache_key(table_name, prefix, 't');
  above text := E'\nwhere t.version OPERATOR(pg_catalog.>) $1'
    '\n  and t.version OPERATOR(pg_catalog.<=) 9223372036854775807';
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
$$;


-- replicache_is_steady(function oid) returns boolean
--
-- Internal: whether a function gives the same whoever asks: Postgres's own, and
-- immutable or one of those named here. Not named are those that read settings or
-- who the session's user is, run SQL that they are given, or count. (Time and chance
-- are no users: what is read once and shared has those of the first reader.)

create or replace function replicache_is_steady(function oid) returns boolean
language sql stable set search_path from current
as $$
  select p.oid < 16384 and p.pronamespace = 'pg_catalog'::regnamespace
    and (p.provolatile = 'i'
      or p.proname ~ '^(jsonb?|date|time|timetz|timestamp|timestamptz|interval'
        '|in_range_timestamptz|enum|cash|array|to_ts|ts_headline)(_|$)'
      or p.proname = any (array['to_json', 'to_jsonb', 'row_to_json', 'concat',
        'concat_ws', 'format', 'quote_literal', 'quote_nullable', 'textanycat',
        'anytextcat', 'to_char', 'to_date', 'to_timestamp', 'to_number', 'now',
        'statement_timestamp', 'transaction_timestamp', 'clock_timestamp',
        'timeofday', 'age', 'timezone', 'extract', 'make_timestamptz',
        'overlaps', 'generate_series', 'plainto_tsquery', 'phraseto_tsquery',
        'websearch_to_tsquery', 'random', 'gen_random_uuid', 'pg_typeof',
        'pg_column_size', 'money', 'numeric', 'xml', 'xmlcomment']))
  from pg_proc as p
  where p.oid = function;
$$;


-- replicache_view_code(relation regclass, out definition, out asks, out reason)
--
-- Internal. What a table or view shows, by all it is made of: the views and
-- tables under it, and the functions, operators and types they use. Of those that
-- are pinned, as Postgres's own are, pg_depend knows nothing; they are read from
-- the rules themselves. (What a materialized view shows was read when it was
-- refreshed, for nobody: what is under it is not looked at, but for definition.)
--
--     definition  the columns, and the text of every view and function it is made
--                 of, to be compared with an earlier one. Of functions also those
--                 that they call, as far as their names are found in the text.
--     asks        it says itself that it depends on who asks: its text, or that of
--                 a function it calls, names replicache_user_id or
--                 replicache_claim, or a table under it has row policies.
--     reason      what keeps it from being proven to be the same for everybody;
--                 null if nothing does.

create or replace function replicache_view_code(
  relation regclass, out definition text, out asks boolean, out reason text)
language sql stable set search_path from current
as $$
  with recursive used (class, object, live) as (
    select 'pg_class'::regclass::oid, relation::oid, true
    union
    select found.class, found.object, u.live and c.relkind <> 'm'
    from used as u
      join pg_class as c
        on u.class = 'pg_class'::regclass and c.oid = u.object
      join pg_rewrite as r on r.ev_class = c.oid and r.ev_type = '1'
      cross join lateral (
        select d.refclassid, d.refobjid from pg_depend as d
        where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        union all
        select case m[1] when 'relid' then 'pg_class'::regclass
            else 'pg_proc'::regclass end, m[2]::oid
        from regexp_matches(r.ev_action::text,
          ':(relid|funcid|opfuncid) (\d+)', 'g') as m
      ) as found (class, object)
    where c.relkind in ('v', 'm')
  ), functions (object) as (
    select object from used
    where class = 'pg_proc'::regclass and object >= 16384
    union
    select p.oid
    from functions as f
      join pg_proc as caller on caller.oid = f.object
        and caller.prokind in ('f', 'p')
      cross join lateral (
        select array_agg(m[1]) as names
        from regexp_matches(lower(pg_get_functiondef(caller.oid)),
          '([a-z_][a-z0-9_$]*)"?\s*\(', 'g') as m) as called
      join pg_proc as p on p.oid >= 16384 and lower(p.proname) = any (names)
        and p.proname !~ '^replicache_'
  ), text as (
    select pg_describe_object(class, object, 0) as name,
      case
        when class = 'pg_proc'::regclass then pg_get_functiondef(object)
        else pg_get_viewdef(object)
      end as text, true as near
    from (select distinct class, object from used where object >= 16384) as used
    where class = 'pg_class'::regclass
          and (select relkind in ('v', 'm') from pg_class where oid = object)
      or class = 'pg_proc'::regclass
          and (select prokind in ('f', 'p') from pg_proc where oid = object)
    union all
    select pg_describe_object('pg_proc'::regclass, object, 0),
      pg_get_functiondef(object), false
    from functions
    where (select prokind in ('f', 'p') from pg_proc where oid = object)
      and object not in (select object from used
                         where class = 'pg_proc'::regclass)
  ), types (object, named) as (
    -- Those of the columns, and those that the rules name, whose checks run.
    select a.atttypid, false
    from used as u join pg_attribute as a on a.attrelid = u.object
    where u.live and u.class = 'pg_class'::regclass and a.attnum > 0
      and not a.attisdropped
    union
    select object, true from used where live and class = 'pg_type'::regclass
    union
    select part.object, t.named
    from types as t join pg_type as y on y.oid = t.object
      cross join lateral (
        select unnest(array[y.typbasetype, y.typelem])
        union all
        select a.atttypid from pg_attribute as a
        where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
        union all
        select r.rngsubtype from pg_range as r where r.rngtypid = y.oid
      ) as part (object)
    where y.oid >= 16384 and part.object <> 0
  ), doubt (reason) as (
    select pg_describe_object(class, object, 0) from used
    where live and (class = 'pg_proc'::regclass
        and not replicache_is_steady(object)
      or class not in ('pg_proc'::regclass, 'pg_class'::regclass,
          'pg_type'::regclass, 'pg_rewrite'::regclass,
          'pg_collation'::regclass, 'pg_ts_config'::regclass,
          'pg_ts_dict'::regclass, 'pg_namespace'::regclass,
          'pg_constraint'::regclass))
    union all
    select 'the role of the session' from used as u
      join pg_rewrite as r on r.ev_class = u.object
    where u.live and u.class = 'pg_class'::regclass and r.ev_type = '1'
      -- CURRENT_ROLE, CURRENT_USER, USER, SESSION_USER, CURRENT_SCHEMA
      and r.ev_action::text ~ '\{SQLVALUEFUNCTION :op (9|10|11|12|14) '
    union all
    select 'foreign table ' || c.oid::regclass
    from used as u join pg_class as c on c.oid = u.object
    where u.live and u.class = 'pg_class'::regclass and c.relkind = 'f'
    union all
    select 'the computed column ' || a.attname
    from used as u join pg_attribute as a on a.attrelid = u.object
    where u.live and u.class = 'pg_class'::regclass and a.attgenerated = 'v'
    union all
    -- to_json() takes it, for one.
    select pg_describe_object('pg_cast'::regclass, c.oid, 0)
    from types as t join pg_cast as c on c.castsource = t.object
    where c.castfunc <> 0 and not replicache_is_steady(c.castfunc)
      and c.casttarget in ('json'::regtype, 'jsonb'::regtype, 'text'::regtype)
    union all
    select 'the check of ' || format_type(t.object, null)
    from types as t join pg_constraint as c on c.contypid = t.object
      join pg_depend as d
        on d.classid = 'pg_constraint'::regclass and d.objid = c.oid
        and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
    where t.named
  )
  select
    (select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
       order by attnum)
     from pg_attribute
     where attrelid = relation and attnum > 0 and not attisdropped
       and attname <> 'version')
      || coalesce((select string_agg(E'\n' || name || E'\n' || text, ''
                     order by name collate "C") from text), ''),
    exists (select from text
              where near and text ~* 'replicache[._](user_id|claim)')
      or exists (select from used join pg_class as c
                   on class = 'pg_class'::regclass and c.oid = object
                 where c.relrowsecurity),
    (select min(reason collate "C") from doubt);
$$;


----------------------------------------------------------------------------
-- Registered tables: triggers
----------------------------------------------------------------------------

-- The triggers of a registered table, in the order in which they fire. Their
-- names sort behind most, so that a BEFORE trigger of the app is done with the
-- row when these see it. "Soft" tables are those with a column `deleted`.
--
--     zz_replicache_lock      before any statement   takes the lock
--     zz_replicache_bury      before delete (soft)   of a deleted row: lets it
--                                                    go only to be purged
--     zz_replicache_delete    before delete (soft)   of a live row: makes it an
--                                                    update of `deleted`
--     zz_replicache_revive    before insert (soft)   of a deleted row's key:
--                                                    makes it an update
--     zz_replicache_hide      before delete          tells the audience
--     zz_replicache_stamp     before insert          sets the version
--     zz_replicache_restamp   before update          sets it if anything changes
--     zz_replicache_insert    after insert (hard)    removes a tombstone
--     zz_replicache_rekey     after update           of a key: leaves a
--                                                    tombstone for the old one
--     zz_replicache_gone      after delete           leaves a tombstone
--     zz_replicache_truncate  after truncate         raises the floor
--
-- A soft table leaves a tombstone only where the key of a row changes, or a row has
-- to go with one that it refers to. If the key is then taken again the tombstone
-- stays: the row has no lower version, and a patch says what is gone before what is
-- there. To look for one at each insert would cost more.
--
-- A table with an audience leaves no tombstones, which everybody would hear of:
-- it has none of insert, rekey and gone. Instead, before a row is deleted or
-- changes the columns that its audience depends on, those who could see it are
-- told to forget its key; whoever can see it afterwards gets it again, since it
-- has a new version.
--
-- The lock is taken before the statement locks its first row, as a push does
-- it: so the two can't wait for each other.


-- replicache_trigger_truncate()
--
-- Nobody can say any more which keys are gone: below this version, clients
-- start over.

create or replace function replicache_trigger_truncate() returns trigger
language plpgsql volatile security definer set search_path from current
as $$
begin
  update replicache_state set floor = replicache_next_version();
  return null;
end
$$;


-- replicache_define(name text, attributes text, body text) returns text
--
-- Internal: the statements that create a trigger function.

create or replace function replicache_define(
  name text, attributes text, body text)
returns text
language sql stable set search_path from current
as $$
  select format(E'create or replace function %s() returns trigger\n'
      'language plpgsql volatile %s\nas %L;\n'
      'revoke execute on function %1$s() from public;\n\n',
    name, attributes, body);
$$;


-- replicache_trigger_code(table replicache_table) returns text
--
-- Internal: the statements that create the triggers of a registered table and
-- their functions. These are written out for the table, since a dynamic
-- statement per row would be slow.
--
-- Those that read and write the book-keeping do it as their owner. (The one for
-- each new row calls but one function, by its schema, and needs no search_path.)
-- Those that write to the table itself do it as whoever fired them, so that rights
-- and row policies hold, and with that session's search_path, which the app's own
-- triggers may need.
--
-- A trigger per row costs little more than one per statement that joins a
-- transition table, and less for the single rows of a push; and its plan, kept
-- for the session, is right for one row and for many.
--
-- The code names columns: of the primary key, of foreign keys, and generated
-- ones. After one of them changed, the table has to be registered again.

create or replace function replicache_trigger_code(registered replicache_table)
returns text
language plpgsql stable set search_path from current
as $$
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
      (select string_agg(format('p.%I %s old.%I', theirs.attname,
             replicache_operator(k.same), ours.attname), ' and ')
         from unnest(c.conkey, c.confkey, c.conpfeqop) as k (ours, theirs, same)
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
$code$, E'  if pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1 then\n    if ' || orphan
        || E' then\n      return old;\n    end if;\n  end if;\n',
      target, replicache_key_match(registered.table_name, 't', 'old')));

    code := code || replicache_define(name || 'revive', '', format($code$
declare
  assignments pg_catalog.text;
  revived pg_catalog.int8;
begin
  if (select t.deleted from %1$s as t where %2$s) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%%I = ($1).%%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid OPERATOR(pg_catalog.=) tg_relid
      and attnum OPERATOR(pg_catalog.>) 0 and not attisdropped
      and attgenerated OPERATOR(pg_catalog.=) ''
      and attidentity OPERATOR(pg_catalog.<>) 'a'
      and attname OPERATOR(pg_catalog.<>) 'version';
  execute pg_catalog.concat(%3$L, assignments, %4$L) using new;
  get diagnostics revived = row_count;
  if revived OPERATOR(pg_catalog.=) 0 then
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
  for each row when (%3$s OPERATOR(pg_catalog.<>) %4$s)
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
$$;


-- replicache_drop_triggers_code(table_name regclass) returns text
--
-- Internal: the statements that drop all our triggers on a table.

create or replace function replicache_drop_triggers_code(table_name regclass)
returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(format('drop trigger if exists %I on %s;',
      name, replicache_qualified(table_name)), E'\n'), '')
  from unnest(array['lock', 'bury', 'delete', 'revive', 'hide', 'stamp',
      'restamp', 'insert', 'rekey', 'gone', 'truncate']) as kind,
    lateral (select 'zz_replicache_' || kind) as t (name);
$$;


----------------------------------------------------------------------------
-- Registered tables: register and unregister
----------------------------------------------------------------------------

-- replicache_leave_tombstones(registered replicache_table, version bigint)
--   returns void
--
-- Internal: tells clients that all keys of a registered table are gone. Where
-- that can't be found out any more, since the table or a column of its key
-- was dropped, or is not for everybody to know, raises the floor, so that clients
-- start over.

create or replace function replicache_leave_tombstones(
  registered replicache_table, version bigint)
returns void
language plpgsql volatile set search_path from current
as $$
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


-- replicache_drop_functions(id int) returns void
--
-- Internal: drops the trigger functions of a registered table that no trigger
-- uses any more.

create or replace function replicache_drop_functions(id int) returns void
language plpgsql volatile set search_path from current
as $$
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
$$;


-- replicache_has_version_index(of_table regclass) returns boolean
--
-- Internal: whether a pull finds the rows above a version by an index.

create or replace function replicache_has_version_index(of_table regclass)
returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = of_table and a.attname = 'version'
      and i.indpred is null and i.indisvalid);
$$;


-- replicache_stamp_all(table_name regclass, version bigint) returns void
--
-- Internal: stamps all rows with the version, adding the column if there is
-- none (with a constant default, which rewrites nothing). The app's triggers
-- stay quiet: to their mind, nothing happens to the rows.

create or replace function replicache_stamp_all(
  table_name regclass, version bigint)
returns void
language plpgsql volatile set search_path from current
as $$
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


-- replicache_check_table(table_name regclass, view regclass, omit text[],
--   audience regclass) returns void
--
-- Internal: raises unless the table can be registered.

create or replace function replicache_check_table(
  table_name regclass, view regclass, omit text[], audience regclass)
returns void
language plpgsql stable set search_path from current
as $$
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


-- replicache_register_table(table_name regclass, prefix text default null,
--   view regclass default null, omit text[] default '{}',
--   audience regclass default null, per_user boolean default null,
--   ignore_policies boolean default false) returns void
--
-- Makes a table sync: from now on any change of a row, whoever makes it,
-- reaches the clients, and so do the rows that are there already.
--
--     key    prefix, then the primary key. The prefix is `table_name/` unless
--            given. A primary key of several columns is joined by slashes, its
--            parts with % and / percent-escaped.
--     value  an object of all columns of the table, or of the view, but for
--            those of omit, `version`, and a boolean `deleted`.
--     view   shows the table's rows as clients should see them: columns
--            renamed, computed, hidden; rows left out. It needs the columns of
--            the primary key under their own names, and may have the table's
--            `deleted` (without, a first pull is slower). Only a change of
--            the table's own row is noticed; for one of other tables that it
--            reads there is replicache_touch().
--     audience
--            a table or view with the columns of the primary key, and viewer
--            text, a user ID: a row for each row of the table and each user who may see
--            it. Others are sent nothing of that row, not even that it exists.
--     per_user
--            whether the values, or which rows there are, depend on who asks. If
--            not, a pull reads the rows for nobody: replicache_user_id() and
--            replicache_claim() are null there, and what was read is sent to
--            others, too. If so, it reads them for its user, and shares nothing.
--            Null: it is found out. Rows are everybody's only if all that the
--            table or view is made of is Postgres's own, asks for no setting and
--            no role, and has no row policies; a notice names what else there is.
--     ignore_policies
--            true lets a view pass by the row policies of a table that it reads. An
--            ordinary view reads as its owner, whom none holds who owns the table,
--            too. Such a view is refused otherwise; one with security_invoker
--            reads as the role of replicache.fcgi, so that policies hold.
--
-- Whose rows. What a view shows may depend on replicache_user_id() and
-- replicache_claim(), and a table may have row level security (not forced, and
-- its policies hold for the role of replicache.fcgi, which must not own it).
-- Where that shows in the view's own text or in that of a function it calls, the
-- table needs an audience, or `per_user => true`, by which all users are told of
-- all keys. An audience says who may know of a row at all; view and
-- policies may hide rows beyond that from users in it, who are then told that
-- the key is gone. When a row changes, the audience before and after is known:
-- who lost it is told to forget its key, who gained it gets it. When something
-- else changes that audience, view or policies depend on (a member leaves),
-- call replicache_touch() in the same transaction, before. An audience of nothing
-- but the table's own columns needs no touch. (A BEFORE trigger of the app whose
-- name sorts behind zz_replicache_ must not call off the change of a row.)
--
-- The table gets a column `version` if it has none, an index on it, and the
-- triggers. It needs a primary key of types whose text never changes:
-- integers, numeric, text, uuid, boolean, enums, date, timestamp, bytea.
-- No prefix may be the start of another one, else keys could meet.
--
-- Deleting. If the table has a column `deleted boolean`, a DELETE becomes an
-- update that sets it (and reports 0 rows), deleted rows stay until
-- replicache_purge() removes them, and an INSERT with the key of a deleted row
-- becomes an update of that row (and reports 0 rows, with nothing RETURNING).
-- Foreign keys don't see such a delete. Any other table really deletes, and
-- the key goes to replicache_tombstone. An update that changes nothing is not
-- noticed. (An INSERT takes a version even if ON CONFLICT makes nothing of
-- it.) After a TRUNCATE, clients start over.
--
-- Register again after the table, the view, the audience or row level security
-- changed (a column added, the table renamed), or to change the prefix: then
-- clients get all rows anew. If nothing changed, registering again does nothing;
-- but if its triggers were dropped or disabled, they are made again, and clients
-- start over, as nobody knows what they missed.
--
-- Not noticed is what fires no triggers: ALTER TABLE, and changes that arrive
-- by logical replication.
--
-- Blocks writers of the table meanwhile. Raises if the table can't sync, or a
-- prefix collides.

create or replace function replicache_register_table(
  table_name regclass, prefix text default null, view regclass default null,
  omit text[] default '{}', audience regclass default null,
  per_user boolean default null, ignore_policies boolean default false)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  fresh boolean := not exists (select from replicache_table as r
    where r.table_name = replicache_register_table.table_name);
  reason text := replicache_register_quietly(table_name, prefix, view, omit,
    audience, per_user, ignore_policies);
begin
  perform replicache_watch_sources(table_name, fresh);
  if reason is not null then
    raise notice 'what clients see of % may depend on the user', table_name
      using detail = format('It uses %s, of which is not known that it gives '
          'the same to everybody. So each pull reads the rows for its user, and '
          'what was read is not shared.', reason),
        hint = 'If everybody sees the same, register it with per_user => false; '
          'if not, with per_user => true, or with an audience if its keys are '
          'not for everybody.';
  end if;
end
$$;


-- replicache_check_policies(table_name regclass, view regclass) returns void
--
-- Internal: raises if the view passes by the row policies of a table. (An audience
-- may: it says who may know of a row, and triggers have to see all of it.)

create or replace function replicache_check_policies(
  table_name regclass, view regclass)
returns void
language plpgsql stable set search_path from current
as $$
declare
  found_policed record;
begin
  for found_policed in
    select * from replicache_policed(view, current_user)
    where through is not null and not replicache_is_invoker(through)
      and not holds
  loop
    raise 'row level security of % would not hold for what clients see of %',
        found_policed.policed, table_name
      using errcode = 'invalid_parameter_value',
        detail = format('View %s reads it as its owner, %s, whom no policy holds.',
          found_policed.through, found_policed.reader),
        hint = format('ALTER VIEW %s SET (security_invoker = true), from '
          'PostgreSQL 15 on; or register with ignore_policies => true, if the '
          'view may show what it shows.', found_policed.through);
  end loop;
end
$$;


-- replicache_register_quietly(...) returns text
--
-- Internal: does it. Returns what keeps it from being proven that everybody sees the
-- same, if that has just decided.

create or replace function replicache_register_quietly(
  table_name regclass, prefix text, view regclass, omit text[],
  audience regclass, per_user boolean, ignore_policies boolean)
returns text
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  before replicache_table;
  after replicache_table;
  other text;
  version bigint;
  lost boolean;
begin
  perform replicache_check_table(table_name, view, omit, audience);
  if not ignore_policies then
    perform replicache_check_policies(table_name, view);
  end if;
  perform replicache_lock();
  perform replicache_forget_dropped();

  select * into before from replicache_table as r
    where r.table_name = replicache_register_quietly.table_name;
  after := before;
  after.id := coalesce(before.id,
    (select coalesce(max(id), 0) + 1 from replicache_table));
  after.table_name := table_name;
  after.prefix := coalesce(prefix, (select relname || '/' from pg_class
    where oid = table_name));
  after.view := view;
  after.audience := audience;
  after.omit := coalesce(omit, '{}');
  after.per_user_given := per_user;
  after.ignore_policies := ignore_policies;
  if audience is not null and not per_user then
    raise 'what has an audience is per user'
      using errcode = 'invalid_parameter_value';
  end if;

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
    return null;
  elsif per_user is null and audience is null
        and (replicache_view_code(coalesce(view, table_name))).asks then
    raise 'what clients see of % depends on the user', table_name
      using errcode = 'invalid_parameter_value',
        hint = 'It needs an audience: a table or view of the primary key and '
          'viewer, the ID of a user who may see that row. If everybody may '
          'know of every key, per_user => true will do.';
  end if;
  delete from replicache_table where id = after.id;
  insert into replicache_table select after.*;

  -- What clients see has changed, and not only how it is done.
  if lost
     or not replicache_same_key(before, after)
     or (before.soft, before.view, before.omit, before.audience,
      before.definition, before.per_user) is distinct from
     (after.soft, after.view, after.omit, after.audience,
      after.definition, after.per_user) then
    version := replicache_next_version();
    if lost
       or before.audience is not null
       or (before.id is not null and after.audience is not null) then
      -- Who has which rows is not known any more.
      update replicache_state set floor = version;
    elsif not replicache_same_key(before, after) then
      perform replicache_leave_tombstones(before, version);
    end if;
    perform replicache_stamp_all(table_name, version);
    execute format('delete from replicache_tombstone where key in
      (select %s from %s as t)', after.key, replicache_qualified(table_name));
  end if;
  execute after.code;
  perform replicache_drop_functions(after.id);
  return case when audience is null then after.per_user_reason end;
end
$$;


-- replicache_same_key(one replicache_table, other replicache_table)
--   returns boolean
--
-- Internal: whether both give a row the same key. (Release 0.1.0 wrote the
-- expression without the schemas of what it calls.)

create or replace function replicache_same_key(
  one replicache_table, other replicache_table)
returns boolean
language sql immutable set search_path from current
as $$
  select one.prefix = other.prefix
    and regexp_replace(one.key, 'OPERATOR\(pg_catalog\.([^)]+)\)|pg_catalog\.',
      '\1', 'g')
      = regexp_replace(other.key, 'OPERATOR\(pg_catalog\.([^)]+)\)|pg_catalog\.',
      '\1', 'g');
$$;


-- replicache_describe(registered replicache_table) returns replicache_table
--
-- Internal: the same row with what follows from table, prefix, view, omit,
-- audience and per_user_given.

create or replace function replicache_describe(registered replicache_table)
returns replicache_table
language plpgsql stable set search_path from current
as $$
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
  select c.definition, coalesce(registered.per_user_given,
      registered.audience is not null or c.asks or c.reason is not null),
      case
        when registered.per_user_given is not null then null
        when registered.audience is not null then 'it has an audience'
        when c.asks then 'it asks who asks, or has row policies'
        else c.reason
      end
    into registered.definition, registered.per_user, registered.per_user_reason
    from replicache_view_code(coalesce(registered.view,
      registered.table_name)) as c;
  if registered.audience is not null then
    registered.definition := registered.definition || E'\naudience '
      || (replicache_view_code(registered.audience)).definition;
  end if;
  registered.code := replicache_trigger_code(registered);
  return registered;
end
$$;


-- replicache_forget(registered replicache_table) returns void
--
-- Internal: tells clients that the rows are gone, and drops what registering
-- created, except the column `version` and its index.

create or replace function replicache_forget(registered replicache_table)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
begin
  perform replicache_leave_tombstones(registered, replicache_next_version());
  if exists (select from pg_class where oid = registered.table_name) then
    execute replicache_drop_triggers_code(registered.table_name);
  end if;
  perform replicache_unwatch_source(s) from replicache_source as s
    where s.table_name = registered.table_name;
  perform replicache_drop_functions(registered.id);
  delete from replicache_table where id = registered.id;
end
$$;


-- replicache_forget_dropped() returns void
--
-- Internal: unregisters the tables that were dropped, and forgets dropped sources.

create or replace function replicache_forget_dropped() returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_forget(r) from replicache_table as r
    where not exists (select from pg_class as c where c.oid = r.table_name);
  perform replicache_unwatch_source(s) from replicache_source as s
    where not exists (select from pg_class as c where c.oid = s.source);
end
$$;


-- replicache_unregister_table(table_name regclass) returns void
--
-- Undoes replicache_register_table: clients are told that the rows are gone.
-- The column `version` stays, and rows with `deleted` set stay as well. Does
-- nothing if the table is not registered.

create or replace function replicache_unregister_table(table_name regclass)
returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_lock();
  perform replicache_forget(r) from replicache_table as r
    where r.table_name = replicache_unregister_table.table_name;
end
$$;


----------------------------------------------------------------------------
-- Who may see what
----------------------------------------------------------------------------

-- replicache_audience_moves(registered replicache_table) returns text
--
-- Internal: the condition that an update of the row called old to the row called
-- new may change who can see it. It can't if it leaves alone the primary key and
-- the columns of the table that the audience depends on, as far as those are
-- known: not if the audience calls a function of the app, mentions the row as a
-- whole, or depends on a column that is generated; nor with row level security,
-- whose policies hide rows from people in the audience.

create or replace function replicache_audience_moves(
  registered replicache_table)
returns text
language sql stable set search_path from current
as $$
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


-- replicache_touch(users text[]) returns void
--
-- To be called when these users may see other rows than before, for a reason
-- that no change of the rows themselves tells: they joined or left a room. Their
-- clients start over with their next pull, and then have what they may see, and
-- nothing else. In the transaction of the change, before or after it.

create or replace function replicache_touch(users text[]) returns void
language plpgsql volatile security definer set search_path from current
as $$
declare
  version bigint := replicache_next_version();
begin
  insert into replicache_user_floor
    select distinct one, version from unnest(users) as one where one <> ''
    on conflict (user_id) do update set floor = excluded.floor;
end
$$;


-- replicache_touch(table_name regclass, column_name text, value text)
--   returns bigint
--
-- To be called before something changes that decides who may see the rows of a
-- registered table, or what the view shows of them: the rows that have this value
-- in this column. In the transaction of that change, and before it: who can see
-- the rows before and not after is told to forget their keys, and who can see
-- them after gets them (again). Where many rows change for a few people,
-- replicache_touch(users) is cheaper.
--
-- Updates the rows as the owner of this function, changing nothing in them but
-- the version; the table's own triggers fire. Returns how many rows there were.
-- So whoever calls it learns whether there is such a value: unless it is called as
-- that owner, as by a mutator of theirs with SECURITY DEFINER, the session's role
-- needs SELECT on the column. Null instead of the number if policies may hide rows
-- from that role.

create or replace function replicache_touch(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile set search_path from current
as $$
begin
  if has_function_privilege('replicache_touch_any(regclass, text, text)',
      'execute') then
    return replicache_touch_any(table_name, column_name, value);
  end if;
  return replicache_touch_readable(table_name, column_name, value);
end
$$;


-- replicache_touch_readable(table_name regclass, column_name text, value text)
--   returns bigint
--
-- Internal: the same, if the session's role may read the column. Who the caller is
-- can't be known here, but the session's role can: nobody takes one by SET ROLE that
-- they are no member of.

create or replace function replicache_touch_readable(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
declare
  asking name := coalesce(nullif(current_setting('role'), 'none'), session_user);
  touched bigint;
begin
  if exists (select from pg_attribute where attrelid = table_name
        and attname = column_name and attnum > 0 and not attisdropped)
     and not has_column_privilege(asking, table_name, column_name, 'select') then
    raise 'permission denied for column % of %', column_name, table_name
      using errcode = 'insufficient_privilege',
        hint = format('Who calls it learns whether there is such a value: GRANT '
          'SELECT (%I) ON %s TO %I, or call it in a mutator with SECURITY '
          'DEFINER.', column_name, table_name, asking);
  end if;
  touched := replicache_touch_any(table_name, column_name, value);
  return case when (select holds from replicache_policed(table_name, asking))
    is not true then touched end;
end
$$;


-- replicache_touch_any(table_name regclass, column_name text, value text)
--   returns bigint
--
-- Internal: does it.

create or replace function replicache_touch_any(
  table_name regclass, column_name text, value text)
returns bigint
language plpgsql volatile security definer set search_path from current
as $$
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
    where r.table_name = replicache_touch_any.table_name;
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
$$;


----------------------------------------------------------------------------
-- Who may see what, when it changes elsewhere
----------------------------------------------------------------------------

-- An audience, a view and row policies read other tables, their sources: the list
-- that an item is on, the members of that list. A watch has a change of a source
-- reach the rows of the registered table that it concerns:
--
--     zz_replicache_watch_lock    before any statement  takes the lock
--     zz_replicache_watch_N       before each row       notes the rows of the table
--                                                       that belong to the source's
--                                                       row, as it was and as it
--                                                       will be, and who sees them
--     zz_replicache_watched_N     after any statement   compares: who lost a row is
--                                                       told to forget its key, and
--                                                       where somebody gained it,
--                                                       it gets a new version
--     zz_replicache_watch_empty   after truncate        raises the floor
--
-- What is noted is kept in replicache_pending, and not in the transition tables of
-- Postgres: these have no row that ON CONFLICT DO NOTHING left out, and who saw the
-- rows before can't be found out any more when they are there. Rows are noted
-- before the foreign keys cascade, since those are triggers after each row. What a
-- statement noted is kept apart by the depth of triggers: one that is run by a
-- trigger within another ends before it. (The triggers after a statement that
-- cascades are run with those of the statement it comes from, at its depth. And a
-- function that is called by an update of a source must not update it as well: the
-- two are of the same depth.) Of a row that is noted twice the first counts, as
-- nothing had changed then.
--
-- An update that leaves alone the columns that matter is none.


-- replicache_sources(registered replicache_table)
--   returns table (source oid, times bigint, audience boolean, value boolean,
--     what text)
--
-- Internal: what the audience, the view and the row policies of a registered table
-- read, down through views. `times`: how often, at most in one of them, as in a
-- join with itself. `audience`: the audience reads it; `value`: the view or a
-- policy does. `what`: null for a table that can be watched, else why it can't be.
-- The registered table itself is a source if it is read more than once.
--
-- What a function reads is known only if its body is bound (RETURN, BEGIN ATOMIC);
-- of another one that reads anything, the row names the function.

create or replace function replicache_sources(registered replicache_table)
returns table (source oid, times bigint, audience boolean, value boolean,
  what text)
language sql stable set search_path from current
as $$
  with recursive used (class, object, root, times, path) as (
    select 'pg_class'::regclass::oid, root.oid, root.name, 1::bigint,
      array[root.oid]
    from (values (registered.audience::oid, 'audience'),
      (coalesce(registered.view, registered.table_name)::oid, 'value'))
      as root (oid, name)
    where root.oid is not null
    union all
    select found.class, found.object, u.root, u.times * found.times,
      u.path || found.object
    from used as u cross join lateral (
      -- Of the queries that a union joins, none reads what the others read.
      select 'pg_class'::regclass::oid as class, object,
        case when apart then max(times) else sum(times) end::bigint as times
      from (
        select m[1]::oid as object, rule.apart, count(*) as times
        from pg_rewrite as r
          join pg_class as c on c.oid = r.ev_class and c.relkind = 'v'
          cross join lateral (
            select count(*) filter (where m[1] = 'SETOPERATIONSTMT') > 0
              and count(*) filter (where m[1] = 'QUERY')
                = count(*) filter (where m[1] = 'SETOPERATIONSTMT') + 2 as apart
            from regexp_matches(r.ev_action::text,
              '\{(QUERY|SETOPERATIONSTMT) ', 'g') as m) as rule
          cross join regexp_split_to_table(r.ev_action::text, '\{QUERY ')
            with ordinality as query (text, n)
          cross join regexp_matches(query.text,
            '(?<!RTEPERMISSIONINFO ):relid (\d+) ', 'g') as m
        where u.class = 'pg_class'::regclass and r.ev_class = u.object
          and r.ev_type = '1' and m[1]::oid <> r.ev_class
        group by m[1], rule.apart, query.n) as read
      group by object, apart
      union all
      select 'pg_proc'::regclass, p.oid, 1
      from pg_rewrite as r
        join pg_class as c on c.oid = r.ev_class and c.relkind = 'v'
        join pg_depend as d
          on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        join pg_proc as p
          on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
      where u.class = 'pg_class'::regclass and r.ev_class = u.object
      group by p.oid
      union all
      -- Policies, and functions with a bound body.
      select d.refclassid, d.refobjid, 1
      from pg_depend as d left join pg_policy as o
        on d.classid = 'pg_policy'::regclass and o.oid = d.objid
      where (u.class = 'pg_class'::regclass and o.polrelid = u.object
          and (select relrowsecurity from pg_class where oid = u.object)
          and d.refobjid <> u.object
        or u.class = 'pg_proc'::regclass
          and d.classid = 'pg_proc'::regclass and d.objid = u.object)
        and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
      group by d.refclassid, d.refobjid
    ) as found
    where found.object <> all (u.path)
  ), total as (
    select class, object, root, sum(times)::bigint as times
    from used group by class, object, root
  ), found as (
    select class, object, max(t.times) as times,
      bool_or(root = 'audience') as audience, bool_or(root = 'value') as value
    from total as t
    where object <> registered.table_name or t.times > 1
    group by class, object
  )
  select f.object, f.times, f.audience, f.value,
    case
      when c.relkind = 'r' and not c.relispartition and not c.relhassubclass
        then null
      when c.relkind = 'm' then 'It is a materialized view.'
      else 'It is no ordinary table.'
    end
  from found as f join pg_class as c on c.oid = f.object
  where f.class = 'pg_class'::regclass and c.relkind in ('r', 'm', 'f', 'p')
    and c.relnamespace <> 'pg_catalog'::regnamespace
  union all
  select f.object, f.times, f.audience, f.value,
    'It is a function, and what it reads is not known.'
  from found as f join pg_proc as p on p.oid = f.object
    join pg_language as l on l.oid = p.prolang
  where f.class = 'pg_proc'::regclass and p.oid >= 16384
    and p.proname !~ '^replicache_' and p.prosqlbody is null
    and p.provolatile <> 'i'
    and (l.lanname not in ('sql', 'plpgsql')
         or p.prosrc ~* '\m(from|join|table|execute)\M');
$$;


-- replicache_reads(class oid, object oid)
--   returns table (refclassid oid, refobjid oid, refobjsubid int, whole boolean)
--
-- Internal: the tables, columns, views and functions that a view, the row policies
-- of a table, or a function with a bound body depend on. `whole`: it takes rows as
-- a whole.

create or replace function replicache_reads(class oid, object oid)
returns table (refclassid oid, refobjid oid, refobjsubid int, whole boolean)
language sql stable set search_path from current
as $$
  select d.refclassid, d.refobjid, d.refobjsubid, case d.classid
      when 'pg_rewrite'::regclass then r.ev_action::text ~ ':varattno 0 '
      when 'pg_policy'::regclass then concat(o.polqual, o.polwithcheck)
        ~ ':varattno 0 '
      else p.prosqlbody::text ~ ':varattno 0 '
    end
  from pg_depend as d
    left join pg_rewrite as r
      on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_policy as o
      on d.classid = 'pg_policy'::regclass and o.oid = d.objid
    left join pg_proc as p
      on d.classid = 'pg_proc'::regclass and p.oid = d.objid
  where (class = 'pg_class'::regclass and object in (r.ev_class, o.polrelid)
      or class = 'pg_proc'::regclass and p.oid = object)
    and (d.refclassid <> class or d.refobjid <> object)
    and d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass);
$$;


-- replicache_source_columns(registered replicache_table, source regclass,
--   named text[]) returns text[]
--
-- Internal: the columns of a source that matter: those that the audience, the view
-- and the policies use, and those that are named besides; all if one of them takes
-- the row as a whole, or none is known to use the source.

create or replace function replicache_source_columns(
  registered replicache_table, source regclass, named text[])
returns text[]
language sql stable set search_path from current
as $$
  with recursive used (class, object) as (
    select 'pg_class'::regclass::oid, root.oid
    from (values (registered.audience::oid), (registered.view::oid),
      (registered.table_name::oid)) as root (oid)
    where root.oid is not null
    union
    select d.refclassid, d.refobjid
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
  ), columns (attnum, whole) as (
    select d.refobjsubid, d.whole
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
    where d.refclassid = 'pg_class'::regclass and d.refobjid = source
  )
  select array_agg(a.attname::text order by a.attnum)
  from pg_attribute as a
  where a.attrelid = source and a.attnum > 0 and not a.attisdropped
    and ((select bool_or(whole) is not false from columns)
      or not exists (select from columns where attnum > 0)
      or a.attname = any (named)
      or a.attnum in (select attnum from columns));
$$;


-- replicache_foreign_condition(table_name regclass, source regclass) returns text
--
-- Internal: the condition by which a foreign key joins the two; null unless exactly
-- one does.

create or replace function replicache_foreign_condition(
  table_name regclass, source regclass)
returns text
language sql stable set search_path from current
as $$
  select case when count(*) = 1 and table_name <> source then min(
    (select string_agg(format('%I.%I %s %I.%I',
          (select relname from pg_class where oid = c.confrelid), theirs.attname,
          replicache_operator(k.same),
          (select relname from pg_class where oid = c.conrelid), ours.attname),
          ' and ' order by ours.attnum)
     from unnest(c.conkey, c.confkey, c.conpfeqop) as k (ours, theirs, same)
       join pg_attribute as ours
         on ours.attrelid = c.conrelid and ours.attnum = k.ours
       join pg_attribute as theirs
         on theirs.attrelid = c.confrelid and theirs.attnum = k.theirs)) end
  from pg_constraint as c
  where c.contype = 'f' and (c.conrelid, c.confrelid)
    in ((table_name, source), (source, table_name));
$$;


-- replicache_watch_condition(table_name regclass, source regclass, condition text,
--   out expression text, out columns text[])
--
-- Internal: the condition as Postgres understands it, with each name qualified, and
-- the columns of the source that it names. Raises unless it is one expression, a
-- boolean, over the columns of both: a name without its table that is a column of
-- both is ambiguous. It is opened as a cursor first, which takes one statement and
-- runs nothing, and in brackets of two kinds, so that it can't close them.

create or replace function replicache_watch_condition(
  table_name regclass, source regclass, condition text,
  out expression text, out columns text[])
language plpgsql volatile set search_path from current
as $$
declare
  one name := (select relname from pg_class where oid = table_name);
  -- A table that is joined with itself.
  other name := coalesce(nullif((select relname from pg_class
    where oid = source), one), 'source');
  tables text := format('%s as %I, %s as %I', replicache_qualified(table_name),
    one, replicache_qualified(source), other);
  probe refcursor;
begin
  for i in 1 .. 2 loop
    open probe for execute format(case i
        when 1 then E'select from %s where coalesce((%s\n), false)'
        else E'select from %s where (array[(%s\n), false])[1]' end,
      tables, condition);
    close probe;
  end loop;
  execute format(E'create view replicache_probe as\n'
    'select (%s\n) as is_watched from %s', condition, tables);
  expression := (regexp_match(pg_get_viewdef('replicache_probe'::regclass),
    '^ SELECT (.*) AS is_watched\n   FROM '))[1];
  columns := array(select a.attname::text
    from pg_rewrite as r
      join pg_depend as d on d.classid = 'pg_rewrite'::regclass
        and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
      join pg_attribute as a
        on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where r.ev_class = 'replicache_probe'::regclass and d.refobjid = source
      and a.attnum > 0);
  drop view replicache_probe;
  if exists (select from pg_attribute where attrelid = source
             and attname = any (columns) and attgenerated <> '') then
    raise 'the condition names a column of % that is generated', source
      using errcode = 'feature_not_supported',
        hint = 'It is not computed yet when the row is looked at: name the '
          'columns that it is made of.';
  end if;
end
$$;


-- replicache_viewers_code(registered replicache_table, row_name text) returns text
--
-- Internal: the array of the users who may see the row called row_name; nobody, if
-- there is no audience.

create or replace function replicache_viewers_code(
  registered replicache_table, row_name text)
returns text
language sql stable set search_path from current
as $$
  select case when registered.audience is null then '''{}''::text[]'
    else format(E'array(select distinct a.viewer::text from %s as a\n'
        '          where %s and a.viewer is not null)',
      replicache_qualified(registered.audience),
      replicache_key_match(registered.table_name, 'a', row_name)) end;
$$;


-- replicache_note_code(registered replicache_table, watch replicache_source,
--   row_name text) returns text
--
-- Internal: the statement that notes the rows of the table that belong to the row
-- of the source called row_name, and who sees them.

create or replace function replicache_note_code(
  registered replicache_table, watch replicache_source, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format(E'    insert into replicache_pending\n'
      '      select %s, pg_trigger_depth(), %s,\n'
      '        jsonb_build_object(%s), %s\n'
      '      from (select %5$I.* from %6$s as %5$I, (select %7$s.*) as %8$I\n'
      '            where %9$s) as t\n'
      '      on conflict do nothing;\n',
    watch.id,
    replicache_key(registered.table_name, registered.prefix, 't'),
    (select string_agg(format('%L, t.%I', a.attname, a.attname), ', ')
     from pg_index as i join pg_attribute as a
       on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
     where i.indrelid = registered.table_name and i.indisprimary),
    replicache_viewers_code(registered, 't'),
    t.relname, replicache_qualified(registered.table_name), row_name,
    coalesce(nullif(s.relname, t.relname), 'source'), watch.expression)
  from pg_class as t, pg_class as s
  where t.oid = registered.table_name and s.oid = watch.source;
$$;


-- replicache_watch_code(registered replicache_table, watch replicache_source)
--   returns text
--
-- Internal: the statements that create the triggers of a watch and their functions.
-- These do nothing when the table is not there (any more): whoever writes to the
-- source is not stopped by it.
--
-- If only the audience reads the source, a row gets a new version where somebody
-- gained it; if the view or a policy does, in any case. To have the row sent to all
-- who see it because a few gained it can cost more than to have these few start
-- over: that is done beyond 1,000 rows sent for nothing for each of them.

create or replace function replicache_watch_code(
  registered replicache_table, watch replicache_source)
returns text
language plpgsql stable set search_path from current
as $$
declare
  target text := replicache_qualified(registered.table_name);
  source text := replicache_qualified(watch.source);
  name text := format('%I.replicache_watch_%s_', current_schema(), watch.id);
  definer text := 'security definer set search_path from current';
  there text := format('to_regclass(%L) is not null', target);
  mine text := format('watch = %s and depth >= pg_trigger_depth()', watch.id);
  value boolean := registered.audience is null or coalesce((select s.value
    from replicache_sources(registered) as s where s.source = watch.source),
    true);
  columns text[] := replicache_source_columns(registered, watch.source,
    watch.columns);
  key_columns text := (select string_agg(format('%I %s', a.attname,
      format_type(a.atttypid, a.atttypmod)), ', ')
    from pg_index as i join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
    where i.indrelid = registered.table_name and i.indisprimary);
begin
  return replicache_define(name || 'before', definer, format($code$
begin
  if tg_op = 'UPDATE' and not (%s *<> %s) then
    return new;
  end if;
  if %s then
    if tg_op <> 'INSERT' then
%s    end if;
    if tg_op <> 'DELETE' then
%s    end if;
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$code$,
      format('row(%s)::record', (select string_agg(format('old.%I', c), ', ')
        from unnest(columns) as c)),
      format('row(%s)::record', (select string_agg(format('new.%I', c), ', ')
        from unnest(columns) as c)),
      there, replicache_note_code(registered, watch, 'old'),
      replicache_note_code(registered, watch, 'new')))
    || replicache_define(name || 'after', definer, format($code$
declare
  needless_max constant bigint := 1000;
  version bigint;
  changed jsonb[];
  gained text[];
  needless bigint;
begin
  if not exists (select from replicache_pending where %1$s) or not %2$s then
    return null;
  end if;
  version := replicache_next_version();
  with noted as (
    select p.key, p.pk, p.users as before, %3$s as after
    from replicache_pending as p
      cross join lateral jsonb_to_record(p.pk) as k (%4$s)
    where %1$s
  ), lost as (
    insert into replicache_hidden
      select version, key, array(select unnest(before)
        except select unnest(after))
      from noted where not before <@ after
  )
  select array_agg(pk), coalesce(sum(cardinality(after)), 0)
    into changed, needless
    from noted where %5$s;
  if changed is not null and not %6$s then
    select array_agg(distinct u), needless - count(*) into gained, needless
      from replicache_pending as p
        cross join lateral jsonb_to_record(p.pk) as k (%4$s)
        cross join lateral unnest(%3$s) as u
      where %1$s and u <> all (p.users);
    if needless > needless_max * cardinality(gained) then
      perform replicache_touch(gained);
      changed := null;
    end if;
  end if;
  delete from replicache_pending where %1$s;
  if changed is not null then
    perform set_config('replicache.touching', 'on', true);
    update %7$s as t set version = t.version
      from unnest(changed) as p (pk)
        cross join lateral jsonb_to_record(p.pk) as k (%4$s)
      where %8$s%9$s;
    perform set_config('replicache.touching', 'off', true);
  end if;
  return null;
end
$code$, mine, there, replicache_viewers_code(registered, 'k'), key_columns,
      case when value then 'true' else 'not after <@ before' end,
      value::text, target,
      replicache_key_match(registered.table_name, 't', 'k'),
      case when registered.soft then ' and t.deleted is not true' else '' end))
    || format($code$
create or replace trigger zz_replicache_watch_lock
  before insert or update or delete or truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_lock();
create or replace trigger zz_replicache_watch_empty after truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_truncate();
create or replace trigger zz_replicache_watch_%3$s
  before insert or update or delete on %1$s
  for each row execute function %4$sbefore();
create or replace trigger zz_replicache_watched_%3$s
  after insert or update or delete on %1$s
  for each statement execute function %4$safter();
$code$, source, current_schema(), watch.id, name);
end
$$;


-- replicache_unwatch_source(watch replicache_source) returns void
--
-- Internal: drops the triggers of a watch, their functions, and the row.

create or replace function replicache_unwatch_source(watch replicache_source)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  source text := replicache_qualified(watch.source);
begin
  delete from replicache_source as s where s.id = watch.id;
  if source is not null then
    execute format('drop trigger if exists zz_replicache_watch_%s on %s',
      watch.id, source);
    execute format('drop trigger if exists zz_replicache_watched_%s on %s',
      watch.id, source);
    if not exists (select from replicache_source as s
        where s.source = watch.source and s.expression is not null) then
      execute format('drop trigger if exists zz_replicache_watch_lock on %s',
        source);
      execute format('drop trigger if exists zz_replicache_watch_empty on %s',
        source);
    end if;
  end if;
  execute format('drop function if exists %I.replicache_watch_%s_before()',
    current_schema(), watch.id);
  execute format('drop function if exists %I.replicache_watch_%s_after()',
    current_schema(), watch.id);
end
$$;


-- replicache_set_watch(registered replicache_table, watch replicache_source,
--   fresh boolean) returns void
--
-- Internal: installs a watch, or brings it up to date. Where it was not there
-- before, or its triggers were not, nobody knows what clients missed, so they start
-- over; unless the table is fresh, and no client has any of it, or nobody asked for
-- the watch, as when the database is upgraded: then they would all come at once.

create or replace function replicache_set_watch(
  registered replicache_table, watch replicache_source, fresh boolean)
returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
declare
  before replicache_source;
  free int := (select coalesce(max(id), 0) + 1 from replicache_source);
  understood record;
  lost text;
begin
  select * into before from replicache_source as s
    where s.table_name = watch.table_name and s.source = watch.source;
  if watch.condition is null then
    perform replicache_unwatch_source(before) where before.id is not null;
    insert into replicache_source (id, table_name, source, automatic)
      values (free, watch.table_name, watch.source, false);
    return;
  end if;

  understood := replicache_watch_condition(watch.table_name, watch.source,
    watch.condition);
  watch.id := coalesce(before.id, free);
  watch.expression := understood.expression;
  watch.columns := understood.columns;
  watch.code := replicache_watch_code(registered, watch);
  lost := replicache_missing_watch(before);
  if watch is distinct from before or lost is not null then
    delete from replicache_source as s where s.id = watch.id;
    insert into replicache_source select watch.*;
    execute watch.code;
    if not fresh and (lost is not null or not watch.automatic
          and before.expression is distinct from watch.expression) then
      update replicache_state set floor = replicache_next_version();
    end if;
  end if;
end
$$;


-- replicache_missing_watch(watch replicache_source) returns text
--
-- Internal: the names of its triggers that are dropped or disabled; null if none is.

create or replace function replicache_missing_watch(watch replicache_source)
returns text
language sql stable set search_path from current
as $$
  select string_agg(name[1], ', ' order by name[1])
  from regexp_matches(watch.code,
      'create or replace trigger (zz_replicache_\w+)', 'g') as name
  where not exists (select from pg_trigger
    where tgrelid = watch.source and tgname = name[1]
      and tgenabled in ('O', 'A'));
$$;


-- replicache_unwatched(registered replicache_table)
--   returns table (source text, why text, advice text)
--
-- Internal: the sources of a registered table whose changes nobody notices, and what
-- to do about each.

create or replace function replicache_unwatched(registered replicache_table)
returns table (source text, why text, advice text)
language sql stable set search_path from current
as $$
  select case when f.what like 'It is a function%' then f.source::regprocedure::text
      else f.source::regclass::text end,
    case
      when f.what is not null then f.what
      when f.source = registered.table_name then 'It is joined with itself.'
      when f.times > 1 then 'It is read more than once.'
      else 'No one foreign key joins the two.'
    end,
    case
      when f.what is not null then format('Call replicache_touch(%L, ...) '
        'before what it reads changes.', registered.table_name)
      else format('select replicache_watch(%L, %L, ''%I. ... = %I. ...'')',
        registered.table_name, f.source::regclass,
        (select relname from pg_class where oid = registered.table_name),
        coalesce(nullif((select relname from pg_class where oid = f.source),
          (select relname from pg_class where oid = registered.table_name)),
          'source'))
    end
  from replicache_sources(registered) as f
  where not exists (select from replicache_source as s
    where s.table_name = registered.table_name and s.source = f.source
      and (f.what is null or f.what not like 'It is a function%'));
$$;


-- replicache_watch_sources(table_name regclass, fresh boolean) returns void
--
-- Internal: after a table was registered (again): watches the sources that one
-- foreign key joins to it, brings the watches that are there up to date, and names
-- the sources that nobody watches.

create or replace function replicache_watch_sources(
  table_name regclass, fresh boolean)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
  found_source record;
begin
  select * into registered from replicache_table as r
    where r.table_name = replicache_watch_sources.table_name;
  for watch in select * from replicache_source as s
      where s.table_name = registered.table_name order by s.id loop
    if not exists (select from pg_class where oid = watch.source)
       or watch.automatic and (
         replicache_foreign_condition(registered.table_name, watch.source)
           is null
         or not exists (select from replicache_sources(registered) as f
           where f.source = watch.source and f.times = 1)) then
      perform replicache_unwatch_source(watch);
    elsif watch.condition is not null then
      if watch.automatic then
        watch.condition := replicache_foreign_condition(registered.table_name,
          watch.source);
      end if;
      perform replicache_set_watch(registered, watch, fresh);
    end if;
  end loop;

  for watch in
    select null::int, registered.table_name, f.source::regclass,
      replicache_foreign_condition(registered.table_name, f.source), true
    from replicache_sources(registered) as f
    where f.what is null and f.times = 1
      and replicache_foreign_condition(registered.table_name, f.source)
        is not null
      and not exists (select from replicache_source as s
        where s.table_name = registered.table_name and s.source = f.source)
      and has_table_privilege(f.source, 'trigger')
  loop
    perform replicache_set_watch(registered, watch, fresh);
  end loop;

  for found_source in select * from replicache_unwatched(registered) loop
    raise notice 'nobody watches %, on which depends what clients see of %',
        found_source.source, registered.table_name
      using detail = found_source.why, hint = found_source.advice;
  end loop;
end
$$;


-- replicache_watch(table_name regclass, source regclass, condition text)
--   returns void
--
-- Has each change of the source (insert, update, delete, by a cascade too, and
-- truncate) reach the rows of a registered table that it concerns: who can't see
-- such a row any more is told to forget its key, who came to see it gets it, and if
-- the source is read by the view, all who see it get it again.
--
--     select replicache_watch('item', 'list', 'item.list_id = list.id');
--
-- The condition says which rows of the table a row of the source belongs to: an
-- SQL expression, a boolean, over the columns of both. Each is named by its table,
-- or alone where only one of the two has it. A table that is joined with itself is
-- its own source, called `source`. An index on the columns of the table that it
-- compares makes it fast.
--
-- A condition of null says that the source needs no watch, as it never changes, or
-- the app calls replicache_touch(): it is then not named any more.
--
-- Of a source that one foreign key joins to the table, this is done when the table
-- is registered, with the key for a condition. Another call for the same source
-- replaces the condition. As nobody knows what clients missed until then, they
-- start over. Registering the table again keeps its watches.

create or replace function replicache_watch(
  table_name regclass, source regclass, condition text)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
begin
  perform replicache_lock();
  select * into registered from replicache_table as r
    where r.table_name = replicache_watch.table_name;
  if not found then
    raise '% is not registered', table_name using errcode = 'undefined_table';
  elsif condition is not null and not exists (select from pg_class
      where oid = source and relkind = 'r' and not relispartition
        and not relhassubclass) then
    raise '% is not an ordinary table', source
      using errcode = 'wrong_object_type',
        hint = format('Call replicache_touch(%L, ...) before what it shows '
          'changes.', table_name);
  end if;
  watch.table_name := table_name;
  watch.source := source;
  watch.condition := condition;
  watch.automatic := false;
  perform replicache_set_watch(registered, watch, false);
end
$$;


-- replicache_unwatch(table_name regclass, source regclass) returns void
--
-- Undoes replicache_watch(). A source that a foreign key joins is watched again when
-- the table is registered again. Does nothing if the source is not watched.

create or replace function replicache_unwatch(
  table_name regclass, source regclass)
returns void
language plpgsql volatile set search_path from current
as $$
begin
  perform replicache_lock();
  perform replicache_unwatch_source(s) from replicache_source as s
    where s.table_name = replicache_unwatch.table_name
      and s.source = replicache_unwatch.source;
end
$$;


----------------------------------------------------------------------------
-- Mutators
----------------------------------------------------------------------------

-- replicache_read_code(source text, language text,
--   out reason text, out blind boolean, out calls text[], out members text[],
--   out names text[], out operators text[])
--
-- Internal: looks through the text of a function (language sql or plpgsql), or of an
-- expression or query of the catalog (language ''). reason: what it has that may
-- leave something behind for who comes next in the transaction or session, or that
-- can't be read; null if nothing. blind: it may call what is not named. calls: what it calls, by name; members: what it
-- names behind a dot, which may be a function of a row; names: all that it names;
-- operators: those it uses.
--
-- Only statements that are known to leave nothing are let pass, and SQL that is put
-- together is not: so where each statement begins has to be known. Words that are
-- quoted are names and never statements. A text that is in doubt is not read.

create or replace function replicache_read_code(
  source text, language text,
  out reason text, out blind boolean, out calls text[], out members text[],
  out names text[], out operators text[])
language plpgsql immutable set search_path from current
as $$
declare
  -- What may stand before a parenthesis, though it is no function.
  words constant text[] := array['all', 'and', 'any', 'as', 'array', 'between',
    'by', 'case', 'cast', 'coalesce', 'conflict', 'cross', 'distinct', 'else',
    'elsif', 'except', 'exists', 'extract', 'filter', 'from', 'greatest',
    'group', 'having', 'if', 'ilike', 'in', 'intersect', 'is', 'join',
    'lateral', 'least', 'like', 'limit', 'materialized', 'not', 'nullif',
    'offset', 'on', 'operator', 'or', 'order', 'over', 'overlay', 'partition',
    'perform', 'position', 'return', 'returning', 'row', 'rows', 'select',
    'set', 'sets', 'similar', 'some', 'substring', 'table', 'then', 'to',
    'treat', 'trim', 'union', 'unique', 'using', 'values', 'when', 'where',
    'while', 'window', 'with', 'within', 'rollup', 'cube', 'grouping', 'check',
    'default', 'primary', 'foreign', 'key', 'do', 'for', 'foreach', 'slice',
    'into', 'strict', 'only', 'query', 'next', 'raise', 'assert', 'xmlelement',
    'xmlforest', 'xmlparse', 'xmlpi', 'xmlroot', 'xmlserialize', 'xmltable',
    'normalize', 'json_object', 'json_array', 'ordinality'];
  -- What statements may begin with.
  statements constant text[] := case language when 'sql'
    then array['select', 'insert', 'update', 'delete', 'merge', 'with',
      'values', 'table', 'notify']
    else array['select', 'insert', 'update', 'delete', 'merge', 'with',
      'values', 'notify', 'declare', 'begin', 'end', 'exception', 'if',
      'elsif', 'elseif', 'else', 'case', 'when', 'while', 'for', 'foreach',
      'loop', 'exit', 'continue', 'return', 'perform', 'raise', 'assert',
      'get', 'null'] end;
  tokens text[];
  token text;
  word text;    -- the token if it is an unquoted word, in lower case
  before text := '';
  after text;
  first text := '';       -- the word that the statement began with
  starts boolean := language <> '';
  declares boolean := false;
  depth int := 0;         -- of parentheses
  cases int := 0;         -- CASE expressions that are open
  skips int := 0;
begin
  calls := '{}'; members := '{}'; names := '{}'; operators := '{}';
  blind := true;
  if source ~ '\$[A-Za-z_]*\$' then
    reason := 'dollar quotes';
    return;
  end if;
  select array_agg(m[1] order by n) into tokens
    from regexp_matches(source, '(\s+|--[^\n]*'
      '|/\*(?:[^*]|\*+[^*/])*\*+/'
      '|[eE]''(?:\\.|''''|[^''\\])*''|[bBxXnN]?''(?:''''|[^''])*'''
      '|"(?:""|[^"])*"'
      '|(?:[A-Za-z_]|[^\x01-\x7f])(?:[A-Za-z0-9_$]|[^\x01-\x7f])*'
      '|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|\$[0-9]+|:=|::|\.\.'
      '|[-+*/<>=~!@#%^&|`?]+|.)', 'g') with ordinality as t (m, n);
  if array_to_string(tokens, '') <> source then
    reason := 'text that can''t be read';
    return;
  end if;
  blind := false;
  select array_agg(t order by n) into tokens
    from unnest(tokens) with ordinality as u (t, n)
    where t !~ '^(\s|--)' and t !~ '^/\*([^/]|/(?!\*))*$';

  for i in 1 .. coalesce(cardinality(tokens), 0) loop
    token := tokens[i];
    after := coalesce(tokens[i + 1], '');
    word := case when token ~ '^([A-Za-z_]|[^\x01-\x7f])' and token !~ '''$'
      then lower(token) end;
    if token ~ '^/\*' or token ~ '^[-+*/<>=~!@#%^&|`?]+(--|/\*)'
       or token ~ '^[^eE]?''.*\\''' or token ~ '^''.*\\''$'
       or (word = 'u' and after = '&') then
      reason := 'text that can''t be read';
      blind := true;
      return;
    elsif word = 'execute' then
      reason := coalesce(reason, 'SQL that is put together (EXECUTE)');
      blind := true;
    elsif word = 'into' and lower(after) in ('temp', 'temporary', 'unlogged',
            'table', 'local', 'global')
       or word = 'into' and language = 'sql'
          and before not in ('insert', 'merge') then
      reason := coalesce(reason, 'SELECT INTO');
    end if;

    -- Names.
    if word is not null or token like '"%' then
      names := names || coalesce(word, replace(substr(token, 2,
        length(token) - 2), '""', '"'));
      if before = '.' then
        members := members || names[cardinality(names)];
      end if;
      if after = '(' and before not in ('as', 'recursive')
         and (before = '.' or (word = any (words)) is not true) then
        calls := calls || names[cardinality(names)];
      end if;
    elsif token ~ '^[-+*/<>=~!@#%^&|`?]+$' then
      operators := operators || token;
    end if;

    -- Statements.
    if skips > 0 then
      skips := skips - 1;
    elsif starts and token = '<<' then
      skips := 2;
    elsif starts and token = '#' then
      skips := 2;
    elsif starts and token <> ';' then
      starts := false;
      first := coalesce(word, '');
      if declares and word is distinct from 'begin' then
        if word = 'declare' then
          starts := true;
        end if;
      elsif word = 'declare' then
        declares := true;
        starts := true;
      elsif word in ('begin', 'else', 'loop', 'exception') then
        declares := false;
        starts := true;
      elsif (word = any (statements)) is not true
            and not (language = 'plpgsql' and after in (':=', '=', '.', '[')
                     and (word is not null or token like '"%'))
      then
        reason := coalesce(reason, upper(token));
        blind := blind or word in ('do', 'call');
      end if;
    elsif word = 'case' and first <> 'end' then
      cases := cases + 1;
    elsif word = 'end' and cases > 0 then
      cases := cases - 1;
    elsif depth = 0 and cases = 0 and language = 'plpgsql'
          and (word = 'then'
               and first in ('if', 'elsif', 'elseif', 'case', 'when')
            or word = 'loop' and first in ('for', 'foreach', 'while')) then
      starts := true;
    elsif token in ('(', '[') then
      depth := depth + 1;
    elsif token in (')', ']') then
      depth := depth - 1;
    elsif token = ';' and language <> '' then
      starts := true;
      if depth <> 0 or cases <> 0 then
        reason := 'text that can''t be read';
        blind := true;
        return;
      end if;
    end if;
    before := coalesce(word, token);
  end loop;
end
$$;


-- replicache_is_harmless(function oid) returns boolean
--
-- Internal: whether a function that is not read leaves nothing behind: Postgres's
-- own unless it may do something (random and what tells the time do not; nextval()
-- leaves what currval() gives, but no mutator that asks for it shares), and those
-- in C of extensions that are known.

create or replace function replicache_is_harmless(function oid) returns boolean
language sql stable set search_path from current
as $$
  select case
    when p.oid < 16384 and n.nspname = 'pg_catalog' then
      p.proname !~ '(_to_xml|_to_xmlschema|_to_xml_and_xmlschema)$'
      and (p.provolatile <> 'v' or p.proname = any (array['random',
        'random_normal', 'gen_random_uuid', 'uuidv4', 'uuidv7',
        'clock_timestamp', 'timeofday', 'pg_sleep', 'pg_sleep_for',
        'pg_sleep_until', 'pg_notify', 'nextval'])
        or p.proname ~ '^RI_FKey_' or p.proname = 'unique_key_recheck')
    else coalesce(l.lanname = 'c' and (
      e.extname in ('pgcrypto', 'uuid-ossp', 'pg_stat_statements',
        'pg_buffercache', 'pg_prewarm', 'pgstattuple', 'pgrowlocks')
      or p.provolatile <> 'v' and e.extname in ('citext', 'hstore', 'ltree',
        'pg_trgm', 'unaccent', 'btree_gin', 'btree_gist', 'intarray', 'cube',
        'earthdistance', 'fuzzystrmatch', 'isn', 'seg', 'postgis', 'vector')),
      false)
  end
  from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_language as l on l.oid = p.prolang
    left join pg_depend as d
      on d.classid = 'pg_proc'::regclass and d.objid = p.oid
        and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
  where p.oid = function;
$$;


-- replicache_relation_code(relation oid) returns text
--
-- Internal: the expressions and queries that writing to a relation, or reading it,
-- runs: defaults, generated columns, checks, indexes, policies, rules, and the
-- conditions of triggers.

create or replace function replicache_relation_code(relation oid) returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(code, E';\n'), '')
  from (
    select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = relation
    union all
    select pg_get_expr(conbin, conrelid) from pg_constraint
    where conrelid = relation and contype = 'c'
    union all
    select pg_get_indexdef(indexrelid) from pg_index
    where indrelid = relation and (indexprs is not null or indpred is not null)
    union all
    select concat_ws(' ', pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid))
    from pg_policy where polrelid = relation
    union all
    select pg_get_ruledef(oid) from pg_rewrite where ev_class = relation
    union all
    select pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = relation and not tgisinternal and tgqual is not null
      and tgname !~ '^zz_replicache_'
  ) as part (code);
$$;


-- replicache_judge_mutator(function oid, out reason text, out closes boolean)
--
-- Internal: whether a mutator leaves nothing to who comes next. reason: why it is
-- alone in its transaction, null if it may share one. closes: the session is to be
-- closed after it, since it may have left what no SQL can find or undo, as the
-- variables of another language.
--
-- Looked at are the function, what it can call by name, the tables it can name, what
-- writing to them runs (triggers, cascades, defaults, policies, ...) and so on. Names
-- are taken for anything in the database that is called so, in whatever schema; casts
-- and domains, which run without being named, are all looked at.

create or replace function replicache_judge_mutator(
  function oid, out reason text, out closes boolean)
language plpgsql stable set search_path from current
as $$
declare
  -- Of ours, what leaves nothing: the others could pose as somebody else.
  ours constant text[] := array['replicache_user_id', 'replicache_claim',
    'replicache_client_id', 'replicache_client_group_id',
    'replicache_mutation_id', 'replicache_next_version', 'replicache_touch'];
  system constant oid[] := array['pg_catalog'::regnamespace::oid,
    'information_schema'::regnamespace::oid];
  here constant oid := (select n.oid from pg_namespace as n
    where n.nspname = current_schema());
  functions oid[] := array[function];
  relations oid[] := '{}';
  f int := 0;
  r int := 0;
  source text;
  code record;
  one record;
  found_reason text;
  blind boolean := false;
  reads boolean;
begin
  closes := false;
  functions := functions || array(select castfunc from pg_cast
    where castfunc >= 16384);
  source := (select string_agg(pg_get_expr(conbin, 0), E';\n')
    from pg_constraint where contypid <> 0 and oid >= 16384);
  while source is not null or f < cardinality(functions)
        or r < cardinality(relations) loop
    found_reason := null;
    reads := true;
    if source is not null then
      select * into code from replicache_read_code(source, '');
      source := null;
    elsif f < cardinality(functions) then
      f := f + 1;
      select p.*, l.lanname, p.oid::regprocedure::text as called
        into one
        from pg_proc as p join pg_language as l on l.oid = p.prolang
        where p.oid = functions[f];
      if one.pronamespace = here and one.proname like 'replicache\_%'
         or replicache_is_harmless(one.oid) then
        continue;
      elsif one.prokind in ('a', 'w') then
        functions := functions || array(select d.refobjid from pg_depend as d
          where d.classid = 'pg_proc'::regclass and d.objid = one.oid
            and d.refclassid = 'pg_proc'::regclass
            and d.refobjid <> all (functions));
        continue;
      elsif one.lanname not in ('sql', 'plpgsql') then
        found_reason := format('%s, which is in %s', one.called, one.lanname);
        closes := closes or one.lanname <> 'internal';
        reads := false;
      else
        select * into code from replicache_read_code(
          coalesce(pg_get_function_sqlbody(one.oid), one.prosrc),
          case when one.prosqlbody is null then one.lanname else '' end);
        if code.reason is not null then
          found_reason := format('%s, in %s', code.reason, one.called);
        end if;
        functions := functions || array(select d.refobjid from pg_depend as d
          where d.classid = 'pg_proc'::regclass and d.objid = one.oid
            and d.refclassid = 'pg_proc'::regclass
            and d.refobjid <> all (functions));
      end if;
    else
      r := r + 1;
      select c.oid::regclass::text as called, c.relkind into one
        from pg_class as c where c.oid = relations[r];
      select * into code
        from replicache_read_code(replicache_relation_code(relations[r]), '');
      if one.relkind = 'f' then
        found_reason := format('the foreign table %s', one.called);
      elsif code.reason is not null then
        found_reason := format('%s, in %s', code.reason, one.called);
      end if;
      for one in
        select t.tgname, t.tgfoid, t.tginitdeferred, t.tgrelid::regclass as on
        from pg_trigger as t
        where t.tgrelid = relations[r] and not t.tgisinternal
          and t.tgenabled <> 'D' and t.tgname !~ '^zz_replicache_'
      loop
        -- At COMMIT it would run as part of whichever mutation was last.
        if one.tginitdeferred then
          found_reason := format('the deferred trigger %s of %s', one.tgname,
            one.on);
        end if;
        if one.tgfoid <> all (functions) then
          functions := functions || one.tgfoid;
        end if;
      end loop;
      relations := relations || array(
        select distinct other
        from (select conrelid from pg_constraint
              where contype = 'f' and confrelid = relations[r]
                and (confdeltype in ('c', 'n', 'd')
                  or confupdtype in ('c', 'n', 'd'))
              union all
              select inhrelid from pg_inherits where inhparent = relations[r]
             ) as linked (other)
        where other <> all (relations));
    end if;

    if reads then
      blind := blind or code.blind;
      functions := functions || array(
        select p.oid from pg_proc as p
        where p.proname = any (code.calls || code.members)
          and p.pronamespace <> all (system) and p.oid <> all (functions)
        union
        select o.oprcode from pg_operator as o
        where o.oprname = any (code.operators) and o.oid >= 16384
          and o.oprcode <> all (functions));
      relations := relations || array(
        select c.oid from pg_class as c
        where c.relname = any (code.names)
          and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and c.relpersistence <> 't' and c.relnamespace <> all (system)
          and c.oid <> all (relations));
    end if;
    if reads and found_reason is null then
      select format('%s()', min(p.proname)) into found_reason
        from pg_proc as p
        where p.proname = any (code.calls)
          and (p.pronamespace = any (system)
              and not replicache_is_harmless(p.oid)
            or p.pronamespace = here and p.proname like 'replicache\_%'
              and p.proname <> all (ours))
        having count(*) > 0;
      if found_reason is null then
        select format('%s(), which is not there', name) into found_reason
          from unnest(code.calls) as name
          where not exists (select from pg_proc where proname = name)
            and not exists (select from pg_class where relname = name)
            and not exists (select from pg_type where typname = name)
            and name not in ('decimal', 'dec', 'character', 'varying',
              'national', 'nchar', 'float', 'precision')
          limit 1;
      end if;
    end if;
    reason := coalesce(reason, found_reason);
  end loop;
  closes := closes or blind and exists (
    select from pg_proc as p join pg_language as l on l.oid = p.prolang
    where p.oid >= 16384 and l.lanname not in ('internal', 'sql', 'plpgsql')
      and not exists (select from pg_language as any_of
        where p.oid in (any_of.lanplcallfoid, any_of.laninline,
          any_of.lanvalidator))
      and not replicache_is_harmless(p.oid));
end
$$;


-- replicache_register_mutator(name text, function text | regprocedure,
--   shared boolean default null) returns void
--
-- Allows clients to call the mutation `name`, which runs the function. The
-- function takes the arguments as its one argument of type jsonb or json, is
-- in any language, and what it returns is ignored. It is given by its name, or
-- by its name and argument: 'create_message' or 'app.create_message(jsonb)'.
-- (plpgsql keeps its plans for a session, SQL functions don't: for mutators
-- that are called a lot, plpgsql is faster.)
--
-- It runs as the role of replicache.fcgi. If it raises, only its own effects are
-- undone and the mutation goes to replicache_failed_mutation. Jsonb can't hold
-- \u0000 and halves of surrogate pairs; a function that must accept those takes
-- json.
--
-- A mutator that leaves nothing in its transaction or session but rows runs in one
-- transaction with those of other users, which is what makes many pushes fast. One
-- that may set something (SET, set_config()), create anything, lock by hand, put
-- SQL together (EXECUTE) or that is in another language than SQL and plpgsql runs
-- in a transaction of its client group alone, and what it left in the session is
-- undone behind it. Which it is follows from its text, and from those of the
-- functions and triggers it reaches, unless `shared` says it. A notice names what
-- made it alone; replicache_check() does later.
--
-- Registering a name again replaces the function.

create or replace function replicache_register_mutator(
  name text, function regprocedure, shared boolean default null)
returns void
language plpgsql volatile set search_path from current
as $$
declare
  reason text := replicache_register_mutator_quietly(name, function, shared);
begin
  if reason is not null then
    raise notice 'mutator % runs in a transaction of its client group alone', name
      using detail = format('Because of %s.', reason),
        hint = 'If it leaves nothing but rows, register it with shared => true.';
  end if;
end
$$;


-- replicache_register_mutator_quietly(name text, function regprocedure,
--   shared boolean) returns text
--
-- Internal: does it. Returns why the mutator is alone, if that is new.

create or replace function replicache_register_mutator_quietly(
  name text, function regprocedure, shared boolean)
returns text
language plpgsql volatile set search_path from current
as $$
declare
  names_max constant int := 256; -- PROTOCOL_NAME_MAX in common/protocol.h
  found_function record;
  judged record;
  before replicache_mutator;
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
  elsif octet_length(name) > names_max then
    raise 'the name of a mutator has % bytes at most', names_max
      using errcode = 'invalid_parameter_value';
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
  select * into judged from replicache_judge_mutator(function);
  mutator.shared := coalesce(shared, judged.reason is null);
  mutator.closes := not mutator.shared and judged.closes;
  mutator.shared_given := shared;
  mutator.reason := case when shared is null then judged.reason end;

  select * into before from replicache_mutator as m where m.name = mutator.name;
  if mutator is not distinct from before then
    return null;
  end if;
  delete from replicache_mutator as m where m.name = mutator.name;
  insert into replicache_mutator select mutator.*;
  return mutator.reason;
end
$$;

-- The name is looked up by the caller's search_path.
create or replace function replicache_register_mutator(
  name text, function text, shared boolean default null,
  path text default current_setting('search_path'))
returns void
language plpgsql volatile set search_path from current
as $$
declare
  ours constant text := current_setting('search_path');
  names constant text[] := case when function like '%(%'
    then array[function]
    else array[function || '(pg_catalog.jsonb)',
      function || '(pg_catalog.json)'] end;
  known regprocedure;
begin
  perform set_config('search_path', path, true);
  known := coalesce(pg_catalog.to_regprocedure(names[1]),
    pg_catalog.to_regprocedure(names[2]));
  perform pg_catalog.set_config('search_path', ours, true);
  if known is null then
    raise 'there is no function % of one jsonb or json', function
      using errcode = 'undefined_function';
  end if;
  perform replicache_register_mutator(name, known, shared);
end
$$;


-- replicache_fingerprint() returns text
--
-- Internal: another one whenever a function, trigger, default, constraint, policy,
-- rule, cast or operator was created, replaced or dropped, but for temporary ones.

create or replace function replicache_fingerprint() returns text
language sql stable set search_path from current
as $$
  select concat(count(*), ':', sum(hashtextextended(
    concat_ws('.', kind, object, changed), 0)))
  from (
    select 'p', p.oid, p.xmin from pg_proc as p
      join pg_namespace as n on n.oid = p.pronamespace
    where p.oid >= 16384 and n.nspname !~ '^pg_temp_'
    union all
    select 't', t.oid, t.xmin from pg_trigger as t
      join pg_class as c on c.oid = t.tgrelid
    where not t.tgisinternal and c.relpersistence <> 't'
    union all
    select 'd', d.oid, d.xmin from pg_attrdef as d
      join pg_class as c on c.oid = d.adrelid
    where c.relpersistence <> 't'
    union all
    select 'c', k.oid, k.xmin from pg_constraint as k
      left join pg_class as c on c.oid = k.conrelid
    where k.oid >= 16384 and c.relpersistence is distinct from 't'
    union all
    select 'r', r.oid, r.xmin from pg_rewrite as r
      join pg_class as c on c.oid = r.ev_class
    where r.oid >= 16384 and c.relpersistence <> 't'
    union all
    select 'o', oid, xmin from pg_policy
    union all
    select 'a', oid, xmin from pg_cast where oid >= 16384
    union all
    select 'x', oid, xmin from pg_operator where oid >= 16384
  ) as part (kind, object, changed);
$$;


-- replicache_examine() returns boolean
--
-- Looks through the mutators again if anything was created, replaced or dropped that
-- may change what they leave behind, and returns whether it was. replicache.fcgi
-- calls it, at most once a second, before it applies mutations: so a function that
-- is replaced, or a trigger that is added, need not be told to anybody.

create or replace function replicache_examine() returns boolean
language plpgsql volatile security definer set search_path from current
set client_min_messages = warning
as $$
declare
  now text := replicache_fingerprint();
  one record;
begin
  if now = (select fingerprint from replicache_examined) then
    return false;
  end if;
  perform replicache_lock();
  -- Of a table that is locked, as by a migration, what it has can't be read, and
  -- all pushes wait for this.
  perform set_config('lock_timeout', '10ms', true);
  for one in select * from replicache_mutator order by name collate "C" loop
    if to_regprocedure(one.function) is not null then
      begin
        perform replicache_register_mutator_quietly(one.name,
          to_regprocedure(one.function), one.shared_given);
      exception when invalid_function_definition then
        -- It fails when it is called.
        null;
      end;
    end if;
  end loop;
  insert into replicache_examined values (true, now)
    on conflict (only_row) do update set fingerprint = excluded.fingerprint;
  return true;
end
$$;


-- replicache_forget_session() returns void
--
-- Internal: takes back what RESET, DISCARD, CLOSE and UNLISTEN leave of what a mutator
-- may have done to the session: advisory locks, and statements prepared by SQL.

create or replace function replicache_forget_session() returns void
language plpgsql volatile set search_path from current
as $$
declare
  statement text;
begin
  perform pg_advisory_unlock_all();
  for statement in select name from pg_prepared_statements where from_sql loop
    execute format('deallocate %I', statement);
  end loop;
end
$$;


-- replicache_unregister_mutator(name text) returns void
--
-- Clients that call it from now on have their mutation skipped, as
-- unknown_mutator. Does nothing if the name is not registered.

create or replace function replicache_unregister_mutator(name text)
returns void
language sql volatile set search_path from current
as $$
  delete from replicache_mutator as m where m.name = $1;
$$;


-- Whoever caches what is registered compares replicache_state.revision. The
-- lock first, as everywhere, so that nobody waits for it with this row locked.

create or replace function replicache_trigger_revision() returns trigger
language plpgsql volatile security definer set search_path from current
as $$
begin
  perform replicache_lock();
  update replicache_state set revision = revision + 1;
  return null;
end
$$;

create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_table
  for each statement execute function replicache_trigger_revision();
create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_mutator
  for each statement execute function replicache_trigger_revision();
create or replace trigger replicache_revision
  before insert or update or delete or truncate on replicache_schema_version
  for each statement execute function replicache_trigger_revision();


----------------------------------------------------------------------------
-- Operation
----------------------------------------------------------------------------

-- replicache_missing_triggers(registered replicache_table) returns text
--
-- Internal: the names of its triggers that are dropped or disabled; null if none
-- is. What was written meanwhile nobody knows.

create or replace function replicache_missing_triggers(
  registered replicache_table)
returns text
language sql stable set search_path from current
as $$
  select string_agg(name[1], ', ' order by name[1])
  from regexp_matches(registered.code, 'create trigger (zz_replicache_\w+)',
      'g') as name
  where not exists (select from pg_trigger
    where tgrelid = registered.table_name and tgname = name[1]
      and tgenabled in ('O', 'A'));
$$;


-- replicache_check(role name default current_user)
--   returns table (result text, what text, advice text)
--
-- Looks for faults, in what this file installed and in what was registered, and
-- in the rights of the role of replicache.fcgi. A row for each thing it looked
-- at: result is `fine`, `warning` or `fault`, and advice says what to do about
-- the last two. Changes nothing. replicache-admin check shows it, and looks at
-- LISTEN and at the web server besides.

create or replace function replicache_check(role name default current_user)
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
declare
  part record;
begin
  for part in
    select * from replicache_check_server()
    union all select * from replicache_check_tables()
    union all select * from replicache_check_sources()
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

-- Internal: what replicache_grant() grants.

create or replace function replicache_web_tables() returns text[]
language sql immutable
return array['replicache_version', 'replicache_state',
  'replicache_client_group', 'replicache_client_step', 'replicache_table',
  'replicache_mutator', 'replicache_schema_version', 'replicache_tombstone',
  'replicache_hidden', 'replicache_user_floor', 'replicache_timeline'];

create or replace function replicache_web_functions() returns regprocedure[]
language sql stable set search_path from current
as $$
  select array_agg(p.oid::regprocedure order by p.oid)
  from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
  where n.nspname = current_schema() and p.proname = any (array[
    'replicache_push_begin', 'replicache_is_forgotten', 'replicache_enter',
    'replicache_guard', 'replicache_check_constraints',
    'replicache_record_failure', 'replicache_record_failures',
    'replicache_note_trouble', 'replicache_examine',
    'replicache_forget_session', 'replicache_user_id', 'replicache_claim',
    'replicache_client_id', 'replicache_client_group_id',
    'replicache_mutation_id', 'replicache_next_version', 'replicache_touch',
    'replicache_touch_readable']);
$$;

-- Internal: the parts of it.

create or replace function replicache_check_server()
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
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
    select 'warning', pushes, 'pushes of schemaVersion ' || version,
      'They are refused: what its clients did offline is lost when they load '
        'the app anew. Accept pushes as long as there may be such clients, '
        'and refuse only pulls: update replicache_schema_version set pushes = '
        'true, pulls = false where version = ' || quote_literal(version)
    from replicache_schema_version
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

create or replace function replicache_check_tables()
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
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
      if not registered.ignore_policies then
        perform replicache_check_policies(registered.table_name,
          registered.view);
      end if;
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
      if registered.audience is null and registered.per_user_reason is not null
      then
        what := format('%s, read for each user because of %s', what,
          registered.per_user_reason);
      end if;
      result := 'fine'; advice := '';
      return next;
    end if;
  end loop;
end
$$;

create or replace function replicache_check_sources()
returns table (result text, what text, advice text)
language plpgsql stable set search_path from current
as $$
declare
  registered replicache_table;
  watch replicache_source;
  one record;
begin
  for registered in
    select t.* from replicache_table as t join pg_class as c on c.oid = t.table_name
    order by t.id
  loop
    for watch in select * from replicache_source as s
        where s.table_name = registered.table_name and s.condition is not null
        order by s.id loop
      what := format('watch of %s for table %s', watch.source::regclass,
        registered.table_name);
      result := 'fault';
      advice := case
        when not exists (select from pg_class where oid = watch.source)
          then 'It was dropped. Register the table again.'
        when replicache_missing_watch(watch) is not null then format('Changes are '
          'missed, for want of %s. Register the table again.',
          replicache_missing_watch(watch))
        when watch.code is distinct from replicache_watch_code(registered, watch)
          then 'It, or the table, its view or audience, has changed since. '
            'Register the table again.'
        end;
      if advice is null then
        result := 'fine';
        advice := '';
      end if;
      return next;
    end loop;
    result := 'warning';
    for one in select * from replicache_unwatched(registered) loop
      what := format('nobody watches %s for table %s', one.source,
        registered.table_name);
      advice := format('%s %s', one.why, one.advice);
      return next;
    end loop;
  end loop;
end
$$;

create or replace function replicache_check_mutators()
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
  with mutator as (
    select m.*, to_regprocedure(m.function) as known, judged.reason as found,
      m.shared_given is null and (m.shared, m.reason) is distinct from
        (judged.reason is null, judged.reason) as stale
    from replicache_mutator as m
      left join lateral replicache_judge_mutator(to_regprocedure(m.function))
        as judged on to_regprocedure(m.function) is not null
  )
  select case when known is null then 'fault'
      when stale or shared_given and found is not null then 'warning'
      else 'fine' end,
    format('mutator %s', name) || case
      when known is null or shared then ''
      when reason is null then ', alone as registered'
      else format(', alone because of %s', reason) end,
    case when known is null then format('There is no function %s. Its '
        'mutations are refused until there is, or until it is unregistered; those '
        'that clients repeat for half a minute are recorded as failed.', function)
      when stale then 'What it reaches has changed since it was looked through: '
        'the next push will see that, or select replicache_examine().'
      when shared_given and found is not null then format('It is registered as '
        'shared, though not known to leave nothing behind, because of %s.', found)
      else '' end
  from mutator
  order by name collate "C";
$$;

-- replicache_policed(relation regclass, role name)
--   returns table (policed regclass, through regclass, reader name, holds boolean)
--
-- Internal: the tables with row level security that a table or view is made of, as
-- whom each is read, and through which view, if the role reads the relation; and
-- whether policies hold for that reader. An ordinary view reads as its owner, one
-- with security_invoker as whoever asks, wherever it stands.

create or replace function replicache_policed(relation regclass, role name)
returns table (policed regclass, through regclass, reader name, holds boolean)
language sql stable set search_path from current
as $$
  with recursive used (object, through) as (
    select relation::oid, null::oid
    union
    select d.refobjid, c.oid
    from used as u
      join pg_class as c on c.oid = u.object and c.relkind in ('v', 'm')
      join pg_rewrite as r on r.ev_class = c.oid
      join pg_depend as d
        on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> c.oid
  ), read as (
    select t.oid, t.relowner, t.relforcerowsecurity, u.through,
      case when u.through is null or replicache_is_invoker(u.through)
        then role else pg_get_userbyid(v.relowner) end as reader
    from used as u
      join pg_class as t
        on t.oid = u.object and t.relkind in ('r', 'p') and t.relrowsecurity
      left join pg_class as v on v.oid = u.through
  )
  select read.oid::regclass, read.through::regclass, read.reader,
    not (a.rolsuper or a.rolbypassrls
      or pg_has_role(read.reader, read.relowner, 'usage')
        and not read.relforcerowsecurity)
  from read join pg_roles as a on a.rolname = read.reader
  order by 1, 2;
$$;


-- replicache_needs(role name)
--   returns table (kind text, object text, column_name name, privilege text,
--     present boolean)
--
-- Internal: what the role of replicache.fcgi needs, each once, and whether it has
-- it, from whomever. `kind` is schema, table or function; a table with a column is
-- needed for that column alone.
--
-- A table without a view is read column by column, without those that are omitted;
-- one with a view, for its primary key and the book-keeping. A view with
-- security_invoker reads as the role, wherever it stands below. Functions of views
-- are called as the role, whoever owns the view.

create or replace function replicache_needs(role name)
returns table (kind text, object text, column_name name, privilege text,
  present boolean)
language sql stable set search_path from current
as $$
  with recursive registered as (
    select t.* from replicache_table as t
      join pg_class as c on c.oid = t.table_name
  ), mutators as (
    select to_regprocedure(function) as function from replicache_mutator
    where to_regprocedure(function) is not null
  ), used (class, object) as (
    select 'pg_class'::regclass::oid, r.oid::oid
    from registered as t, unnest(array[t.view, t.audience, t.table_name])
      as r (oid)
    where r.oid is not null
    union
    select d.refclassid, d.refobjid
    from used as u cross join lateral replicache_reads(u.class, u.object) as d
    where u.class = 'pg_class'::regclass
  ), columns (relation, attnum) as (
    -- Without a view.
    select t.table_name, a.attnum
    from registered as t join pg_attribute as a
      on a.attrelid = t.table_name and a.attnum > 0 and not a.attisdropped
    where t.view is null and t.omit <> '{}'
      and (a.attname <> all (t.omit)
           or replicache_is_kept(t.table_name, a.attnum))
    union
    select t.table_name, a.attnum
    from registered as t join pg_attribute as a
      on a.attrelid = t.table_name and a.attnum > 0 and not a.attisdropped
    where t.view is not null and replicache_is_kept(t.table_name, a.attnum)
    union
    -- What is read as the role: by its views, and by policies.
    select d.refobjid, a.attnum
    from used as u
      join pg_class as c on c.oid = u.object
      cross join lateral replicache_reads(u.class, u.object) as d
      join pg_attribute as a on a.attrelid = d.refobjid and a.attnum > 0
        and not a.attisdropped
        and (a.attnum = d.refobjsubid or d.whole
          -- Of a table that is counted, one will do.
          or d.refobjsubid = 0 and a.attnum = (select min(attnum)
               from pg_attribute where attrelid = d.refobjid and attnum > 0
                 and not attisdropped))
    where u.class = 'pg_class'::regclass
      and d.refclassid = 'pg_class'::regclass and d.refobjid >= 16384
      and (replicache_is_invoker(c.oid)
        or c.oid in (select p.policed from registered as t
             cross join lateral replicache_policed(
               coalesce(t.view, t.table_name), role) as p
             where p.reader = role))
  ), tables (relation) as (
    select t.table_name from registered as t where t.view is null
      and t.omit = '{}'
    union
    select v from registered as t, unnest(array[t.view, t.audience]) as v
    where exists (select from pg_class where oid = v)
  ), functions (function) as (
    select function::oid from mutators
    union
    select object from used
    where class = 'pg_proc'::regclass and object >= 16384
    except
    select unnest(replicache_web_functions())::oid
  ), schemas (schema) as (
    select quote_ident(current_schema())::regnamespace
    union
    select c.relnamespace::regnamespace from registered as t join pg_class as c
      on c.oid in (t.table_name, t.view, t.audience)
    union
    select p.pronamespace::regnamespace from mutators as m join pg_proc as p on p.oid = function
  )
  select 'schema', format('schema %s', schema), null::name, 'USAGE',
    has_schema_privilege(role, schema::oid, 'usage')
  from schemas
  union all
  select 'table', name, null, 'SELECT', has_table_privilege(role, name, 'select')
  from unnest(replicache_web_tables()) as name
  union all
  select 'function', f::regprocedure::text, null, 'EXECUTE',
    has_function_privilege(role, f, 'execute')
  from unnest(replicache_web_functions()) as f
  union all
  select 'table', relation::regclass::text, null, 'SELECT',
    has_table_privilege(role, relation, 'select')
  from tables
  union all
  select 'table', c.relation::regclass::text, a.attname, 'SELECT',
    has_column_privilege(role, c.relation, c.attnum, 'select')
  from columns as c
    join pg_attribute as a on a.attrelid = c.relation and a.attnum = c.attnum
  where c.relation not in (select relation from tables)
  union all
  select 'function', function::regprocedure::text, null, 'EXECUTE',
    has_function_privilege(role, function, 'execute')
  from functions where exists (select from pg_proc where oid = function);
$$;


-- Internal: the part of replicache_check() that is about the role.

create or replace function replicache_check_role(role name)
returns table (result text, what text, advice text)
language sql stable set search_path from current
as $$
  with needed (what, allowed, n) as (
    select format('%s on %s', privilege, object), bool_and(present), min(n)
    from replicache_needs(role) with ordinality
      as n (kind, object, column_name, privilege, present, n)
    group by privilege, object
  ), mighty (name) as (
    select rolname from pg_roles
    where (rolsuper or rolbypassrls or rolcreaterole or rolreplication)
      and pg_has_role(role, oid, 'member')
  ), policed as (
    select t.ignore_policies, p.*
    from replicache_table as t join pg_class as c on c.oid = t.table_name
      cross join lateral replicache_policed(coalesce(t.view, t.table_name), role)
        as p
  )
  select case when bool_and(allowed) then 'fine' else 'fault' end,
    format('role %s may do what it needs', role),
    case when bool_and(allowed) then '' else format('It lacks %s: select '
      'replicache_grant(%L)', string_agg(needed.what, ', ' order by n)
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
  select case when holds then 'fine' when ignore_policies then 'warning'
      else 'fault' end,
    format('row level security of %s holds for role %s', policed, role),
    case
      when holds then ''
      when through is null then format('The role owns %s, or passes all '
        'policies by.', policed)
      else format('View %s reads it as %s, whom no policy holds. %s', through,
        reader, case when ignore_policies
          then 'It was registered with ignore_policies.'
          else format('ALTER VIEW %s SET (security_invoker = true)', through)
        end)
    end
  from policed;
$$;


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


-- replicache_gone_code() returns text
--
-- Internal: the query for the versions of all that can be purged and lies at $1
-- or below.

create or replace function replicache_gone_code() returns text
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
      || replicache_gone_code() || ') as gone) as numbered'
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


----------------------------------------------------------------------------
-- Rights
----------------------------------------------------------------------------

-- replicache_grant(role name) returns void
--
-- Grants the role of replicache.fcgi what it needs, and no more:
--
--     USAGE    on the schemas of these
--     SELECT   on what a push or pull looks at, and on the tables, views and
--              audiences that are registered (of a table that syncs through a
--              view, only on the primary key, version and deleted; of one without,
--              not on columns that are omitted), and on the columns that views with
--              security_invoker, and row policies, read as this role
--     EXECUTE  on the functions that a push calls, on those for use in mutators
--              and views, on those that views call, and on the mutators
--
-- and nothing to write with: what a push has to write itself, functions write as
-- their owner. A mutator runs as this role, so that it can do what is granted to
-- the role here and elsewhere, or as its own owner if it is SECURITY DEFINER: the
-- choice of who wrote it.
--
-- To be called as the owner of all this, after tables and mutators were
-- registered, and again when others are. What it granted before and is not needed
-- any more is revoked: as a table is unregistered, or a view now hides a column.
-- What others granted stays: replicache_granted has what was granted here, and the
-- role did not have. The role is refused if it could step
-- around all this: as a superuser, with BYPASSRLS or CREATEROLE, as the owner of
-- a registered table (whom row level security does not hold), or as a member of
-- such a role.

create or replace function replicache_grant(role name) returns void
language plpgsql volatile set search_path from current
set client_min_messages = warning
as $$
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

  -- What it was granted here and does not need any more. (To revoke a right on a
  -- table takes those on its columns along, which others may have granted.)
  for one in
    select g.*, c.others
    from replicache_granted as g
      left join lateral (select string_agg(quote_ident(a.attname), ', ')
          as others
        from pg_attribute as a cross join lateral aclexplode(a.attacl) as x
        where g.kind = 'table' and g.column_name is null
          and a.attrelid = to_regclass(g.object) and a.attnum > 0
          and x.grantee = (select oid from pg_roles where rolname = web)
          and x.privilege_type = 'SELECT'
          and not exists (select from replicache_granted as h
            where h.role = web and h.object = g.object
              and h.column_name = a.attname)) as c on true
    where g.role = web
      and not exists (select from replicache_needs(web) as n
        where (n.kind, n.object, n.privilege)
            = (g.kind, g.object, g.privilege)
          and n.column_name is not distinct from g.column_name)
    order by g.column_name is not null
  loop
    if (one.kind = 'schema'
        or one.kind = 'table' and to_regclass(one.object) is not null
        or one.kind = 'function'
          and to_regprocedure(one.object) is not null) then
      begin
        execute format('revoke %s%s on %s from %I', one.privilege,
          coalesce(' (' || quote_ident(one.column_name) || ')', ''),
          case one.kind when 'schema' then one.object
            else one.kind || ' ' || one.object end, web);
        if one.others is not null then
          execute format('grant select (%s) on %s to %I', one.others, one.object,
            web);
        end if;
      exception when undefined_column or invalid_schema_name then
        null;
      end;
    end if;
    delete from replicache_granted as g
      where (g.role, g.kind, g.object, g.privilege)
          = (web, one.kind, one.object, one.privilege)
        and g.column_name is not distinct from one.column_name;
  end loop;

  for one in select * from replicache_needs(web) as n where not n.present loop
    execute format('grant %s%s on %s to %I', one.privilege,
      coalesce(' (' || quote_ident(one.column_name) || ')', ''),
      case one.kind when 'schema' then one.object
        else one.kind || ' ' || one.object end, web);
    insert into replicache_granted
      select web, one.kind, one.object, one.column_name, one.privilege
      where not exists (select from replicache_granted as g
        where (g.role, g.kind, g.object, g.privilege)
            = (web, one.kind, one.object, one.privilege)
          and g.column_name is not distinct from one.column_name);
  end loop;
end
$$;


----------------------------------------------------------------------------
-- What an older version of this file installed
----------------------------------------------------------------------------

do $$
declare
  one record;
begin
  for one in
    select p.oid::regprocedure as function
    from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = current_schema() and p.proname like 'replicache\_%'
  loop
    execute format('revoke execute on function %s from public', one.function);
  end loop;

  for one in select * from replicache_table order by id loop
    begin
      -- What syncs goes on; replicache_check() warns of it.
      if not one.ignore_policies then
        begin
          perform replicache_check_policies(one.table_name, one.view);
        exception when invalid_parameter_value then
          raise warning '%', sqlerrm;
          one.ignore_policies := true;
        end;
      end if;
      perform replicache_register_table(one.table_name, one.prefix, one.view,
        one.omit, one.audience, one.per_user_given, one.ignore_policies);
    exception when others then
      raise warning 'table % was not brought up to date: %', one.table_name,
        sqlerrm;
    end;
  end loop;

  for one in select * from replicache_mutator
    where to_regprocedure(function) is not null
  loop
    begin
      perform replicache_register_mutator(one.name, one.function,
        one.shared_given);
    exception when others then
      raise warning 'mutator % was not brought up to date: %', one.name, sqlerrm;
    end;
  end loop;

  -- The roles of replicache.fcgi, for functions that are new.
  for one in
    select pg_get_userbyid(a.grantee) as role
    from pg_proc as p cross join lateral aclexplode(p.proacl) as a
    where p.pronamespace = quote_ident(current_schema())::regnamespace
      and p.proname = 'replicache_push_begin' and a.grantee <> 0
      and a.grantee <> p.proowner
  loop
    begin
      perform replicache_grant(one.role);
    exception when others then
      raise warning 'role % was not granted what it needs: %', one.role, sqlerrm;
    end;
  end loop;
end
$$;

drop function if exists replicache_raise_version(bigint);
drop function if exists replicache_push_begin(
  text[], text[], text[], text[], bigint[], bigint[], bigint);

commit;
