-- SPDX-License-Identifier: Apache-2.0
--
-- admin.sql: every statement that replicache-admin runs, except the files of
-- this folder. The build turns each `prepare NAME as` into ADMIN_NAME. Can be
-- tried:
--
--     psql -f admin.sql app, then: execute status_tables;
--
-- What they return is shown as it is: the names of columns are labels.


----------------------------------------------------------------------------
-- Install and upgrade
----------------------------------------------------------------------------

-- Whether replicache is installed in the schema that it would be installed in.
prepare installed as
select to_regclass(format('%I.replicache_state', current_schema())) is not null
    as installed,
  coalesce(current_schema(), '') as schema;

-- The number of the schema; 0 before there were numbers.
prepare number as
select coalesce((to_jsonb(s) ->> 'schema_number')::int, 0) as number
from replicache_state as s;

-- No push may be half-way, and nobody may upgrade at the same time. It is the
-- function of the schema that is there: what a lock is changed with schema 2.
prepare upgrade_lock as
select replicache_lock();

-- $1 the number; no row if another has done it meanwhile. The revision, so that
-- programs that run notice.
prepare upgrade_number as
update replicache_state
set schema_number = $1::int, revision = revision + 1
where schema_number = $1::int - 1
returning schema_number;

-- $1 role.
prepare grant as
select replicache_grant($1::name);


----------------------------------------------------------------------------
-- Status
----------------------------------------------------------------------------

-- Moments are given in UTC, by ISO 8601; numbers that are no integers as JSON.

-- The age is that of the version, as far as it is known.
prepare status_database as
select current_database() as database,
  current_schema() as database_schema,
  schema_number,
  (select max(version) from replicache_version) as version,
  floor,
  epoch,
  revision,
  to_char(timestamp '2020-01-01 00:00:00' + make_interval(secs => epoch >> 20),
    'YYYY-MM-DD"T"HH24:MI:SS"Z"') as epoch_began,
  pg_is_in_recovery() as standby,
  case when pg_is_in_recovery() then
    to_json(round(extract(epoch from clock_timestamp()
      - pg_last_xact_replay_timestamp()), 1)) end as lag_seconds,
  (select count(*) from replicache_tombstone) as tombstones,
  (select count(*) from replicache_hidden) as hidden_keys,
  to_json(round((pg_notification_queue_usage() * 100)::numeric, 1))
    as notify_queue_percent
from replicache_state;

-- Clients, by when the last of their mutations was applied. Versions tell that
-- by the moments that are known: what is not known to be older counts as newer.
prepare status_clients as
with client as (
  select max(version) as version from replicache_client_step group by id
), horizon as (
  select
    (select max(version) from replicache_version_time
     where at <= clock_timestamp() - interval '1 day') as day,
    (select max(version) from replicache_version_time
     where at <= clock_timestamp() - interval '7 days') as week,
    (select max(version) from replicache_version_time
     where at <= clock_timestamp() - interval '30 days') as month,
    (select max(version) from replicache_version_time
     where at <= clock_timestamp() - interval '365 days') as year
)
select count(*) as clients,
  count(*) filter (where version > coalesce(day, 0)) as seen_within_a_day,
  count(*) filter (where version <= day and version > coalesce(week, 0))
    as a_week,
  count(*) filter (where version <= week and version > coalesce(month, 0))
    as a_month,
  count(*) filter (where version <= month and version > coalesce(year, 0))
    as a_year,
  count(*) filter (where version <= year) as longer_ago,
  (select count(*) from replicache_client_group where not retired)
    as client_groups,
  (select count(*) from replicache_client_group where retired)
    as retired_groups,
  (select coalesce(sum(cardinality(forgotten)), 0)
   from replicache_client_group) as forgotten_clients
from client cross join horizon;

prepare status_failed as
select count(*) as failed_mutations,
  count(*) filter (where failed_at > clock_timestamp() - interval '1 day')
    as failed_within_a_day,
  to_char(max(failed_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    as last_failed,
  (select coalesce(sum(mutations), 0) from replicache_failed_unkept)
    as failed_and_not_kept
from replicache_failed_mutation;

prepare status_tables as
select coalesce(c.oid::regclass::text, 'dropped') as "table", t.prefix,
  t.view::text as view, t.audience::text as audience, t.soft as keeps_deleted,
  case when c.reltuples >= 0 then c.reltuples::bigint end as rows_about
from replicache_table as t left join pg_class as c on c.oid = t.table_name
order by t.id;

prepare status_mutators as
select m.name, m.function, not m.shared as alone, m.reason as alone_because_of,
  (select count(*) from replicache_failed_mutation as f
   where f.name = m.name) as failed
from replicache_mutator as m
order by m.name collate "C";

prepare status_schema_versions as
select version, pushes, pulls
from replicache_schema_version
order by version collate "C";

-- Who is connected; a replicache.fcgi calls itself so, unless its conninfo says
-- something else.
prepare status_sessions as
select coalesce(nullif(application_name, ''), '?') as application,
  usename::text as role, client_addr::text as address, count(*) as sessions,
  count(*) filter (where state = 'active') as active,
  to_char(min(backend_start) at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
group by 1, 2, 3
order by 1, 2, 3;

prepare status_standbys as
select application_name, client_addr::text as address, state, sync_state,
  to_json(round(extract(epoch from replay_lag), 3)) as lag_seconds
from pg_stat_replication
order by application_name;


----------------------------------------------------------------------------
-- Check
----------------------------------------------------------------------------

-- $1 the role of replicache.fcgi; null: this one.
prepare check as
select * from replicache_check(coalesce($1::name, current_user));

-- A channel of its own, as programs listen to the real one.
prepare check_listen as
listen replicache_check;

prepare check_notify as
select pg_notify('replicache_check', '');


----------------------------------------------------------------------------
-- Failed mutations
----------------------------------------------------------------------------

prepare failed_list as
select client_id, mutation_id, name, code, sqlstate, message, user_id,
  to_char(failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    as failed_at
from replicache_failed_mutation as failed
order by version desc, failed.failed_at desc, mutation_id desc;

-- $1 client ID, $2 mutation ID.
prepare failed_show as
select client_id, mutation_id, client_group_id, user_id, role, name, code,
  sqlstate, message, version,
  to_char(failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    as failed_at, args
from replicache_failed_mutation
where client_id = $1::text and mutation_id::text = $2::text;

-- The same; $3 a role, or null for the one it failed as. The code if it failed
-- again.
prepare failed_retry as
select replicache_retry(client_id, mutation_id, $3::name) as code
from replicache_failed_mutation
where client_id = $1::text and mutation_id::text = $2::text;

prepare failed_discard as
delete from replicache_failed_mutation
where client_id = $1::text and mutation_id::text = $2::text
returning null::text;


----------------------------------------------------------------------------
-- Upkeep
----------------------------------------------------------------------------

-- $1 age: how many failed mutations went.
prepare purge_failed as
select replicache_purge_failed($1::interval);

-- $1 age, $2 rows in a step: the horizons to purge to.
prepare purge_steps as
select horizon from replicache_purge_steps(
  (select replicache_horizon($1::interval)), $2::bigint) as step (horizon)
order by horizon;

-- $1 horizon: how many rows went.
prepare purge_to as
select replicache_purge_to($1::bigint);

-- $1 age.
prepare unseen_clients as
select count(*)
from (select from replicache_client_step group by id
      having max(version) <= (select replicache_horizon($1::interval)))
  as unseen;

-- $1 age, $2 how many at most: how many were forgotten.
prepare forget_clients as
select replicache_forget_clients($1::interval, $2::bigint);

prepare new_epoch as
select replicache_new_epoch();
