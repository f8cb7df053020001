-- SPDX-License-Identifier: Apache-2.0
--
-- statements.sql: every statement that replicache.fcgi runs, except BEGIN,
-- COMMIT, ROLLBACK and LISTEN, and the ones the database itself hands out: the columns
-- pull_all and pull_since of registry_tables and call of registry_mutators.
--
-- The build turns each `prepare NAME as` into STATEMENT_NAME. Can be tried:
--
--     psql -f statements.sql app, then: execute look_groups('{g1}');
--
-- They name tables and functions without a schema: search_path has to begin
-- with the schema that replicache.sql was installed into.


-- Where the database is, and whether a commit waits for standbys.
prepare state as
select (select max(version) from replicache_version) as version,
  floor, epoch, revision, schema_number,
  current_setting('synchronous_standby_names') <> '' as synchronous
from replicache_state;

-- Sessions that run the statement below and that nobody waits for any more: they
-- would stay until a standby is there. $1 ms that one does wait.
prepare replicate_no_more as
select pg_cancel_backend(pid)
from pg_stat_activity
where datname = current_database() and usename = current_user
  and wait_event = 'SyncRep'
  and query like 'select pg_logical_emit_message(true, ''replicache''%'
  and query_start < clock_timestamp() - $1::bigint * interval '1 ms';

-- A commit of nothing, which waits until synchronous standbys have all that was
-- committed before it.
prepare replicate as
select pg_logical_emit_message(true, 'replicache', '');

-- Once a session: a large piece of memory is taken and given back. From then on
-- the session keeps what a transaction takes, a MB or two, which glibc's malloc()
-- else returns to the system after each and takes again for the next
-- (M_TRIM_THRESHOLD in mallopt(3)).
prepare keep_memory as
select length(repeat(' ', 1000000));

-- $1 group IDs: those that exist, and whose they are.
prepare look_groups as
select id, user_id
from replicache_client_group
where id = any ($1::text[]);

-- $1 client IDs, $2 the group of each: those that exist, and how far they are,
-- and those that do no more, since they were forgotten.
prepare look_clients as
select asked.id, c.client_group_id, c.last_mutation_id, c.version,
  c.id is null as forgotten
from (select *
      from unnest($1::text[], $2::text[]) as a (id, client_group_id)
      limit cardinality($1::text[])) as asked
  left join lateral
    (select * from replicache_client_step
     where id = asked.id order by last_mutation_id desc limit 1) as c on true
where c.id is not null
  or replicache_is_forgotten(asked.id, asked.client_group_id);

-- $1 group IDs, $2 a version and $3 a user for each. What pulls have to know
-- first, all of one snapshot: where the database is, and the floor of the user;
-- since when it runs (another server, or one that was restored, started at
-- another time); whose the group is (null if it does not exist); which of its
-- clients moved on since the version, as the members of a JSON object; and whether
-- the version was lost, when a standby was promoted that lacked it.
--
-- The limits tell the planner that there are few, so that it keeps one plan, and
-- the left join that it should read the state once.
prepare pull_look as
select asked.n, version,
  case when asked.user_id = '' then floor else
    greatest(floor, (select mine.floor from replicache_user_floor as mine
                     where mine.user_id = asked.user_id)) end as floor,
  epoch, revision,
  (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as started,
  (select user_id from replicache_client_group
   where id = asked.client_group_id) as user_id,
  pg_is_in_recovery() as standby,
  case when version > asked.since then
    (select string_agg(to_json(id) || ':' || last_mutation_id, ',')
     from (select id, max(last_mutation_id) as last_mutation_id
           from replicache_client_step
           where client_group_id = asked.client_group_id
             and version > asked.since
           group by id) as moved)
  end as clients,
  (select retired from replicache_client_group
   where id = asked.client_group_id) as retired,
  version > asked.since and
    (select first from replicache_timeline
     where before < asked.since
     order by before desc limit 1) > asked.since as lost
from (select (select max(version) from replicache_version) as version,
        floor, epoch, revision
      from replicache_state limit 1) as here
  left join (select *
             from unnest($1::text[], $2::bigint[], $3::text[])
                 with ordinality as a (client_group_id, since, user_id, n)
             limit cardinality($1::text[])) as asked on true;

-- $1 version: the keys that are gone since. (Why the upper bound: see
-- replicache_pull_code.)
prepare pull_tombstones as
select key
from replicache_tombstone
where version > $1::bigint and version <= 9223372036854775807;

-- $1 version, $2 user: the keys that this user lost since, though others may
-- still have them.
prepare pull_hidden as
select distinct key
from replicache_hidden
where version > $1::bigint and version <= 9223372036854775807
  and users @> array[$2::text];

-- For this transaction: $1 statement_timeout, $2 lock_timeout,
-- $3 idle_in_transaction_session_timeout, in milliseconds.
prepare set_limits as
select set_config('statement_timeout', $1::text, true),
  set_config('lock_timeout', $2::text, true),
  set_config('idle_in_transaction_session_timeout', $3::text, true);

-- For this transaction, a pull: $1 who asks, $2 the claims of the token. A pull
-- of many rows looks dear to the planner, but is over before a JIT compiler or
-- parallel workers would pay.
prepare set_user as
select set_config('replicache.user_id', $1::text, true),
  set_config('replicache.claims', $2::text, true),
  set_config('jit', 'off', true),
  set_config('max_parallel_workers_per_gather', '0', true);

-- $1 new groups, $2 their users, $3 clients, $4 the group and $5 the user of each,
-- $6 last mutation IDs before, $7 and after, $8 the revision of what is registered.
prepare push_begin as
select replicache_push_begin($1::text[], $2::text[], $3::text[], $4::text[],
    $5::text[], $6::bigint[], $7::bigint[], $8::bigint) as version,
  (extract(epoch from clock_timestamp() - statement_timestamp())
    * 1000)::bigint as waited_ms;

-- $1 client ID, $2 group ID, $3 mutation ID, $4 user ID, $5 name, $6 args,
-- $7 the code if the mutation is not to be run, else null, $8 claims.
prepare guard as
select replicache_guard($1::text, $2::text, $3::bigint, $4::text, $5::text,
  $6::text, $7::text, $8::text) as code;

-- Mutations that are not run. $1 client IDs, $2 group IDs, $3 mutation IDs, $4 user
-- IDs, $5 names, $6 args, $7 codes: how many of them the ledger had no room for.
prepare record_failures as
select replicache_record_failures($1::text[], $2::text[], $3::bigint[],
  $4::text[], $5::text[], $6::text[], $7::text[]) as unkept;

-- $1 client ID, $2 mutation ID, $3 SQLSTATE, $4 message: whether it has failed so
-- often enough.
prepare note_trouble as
select replicache_note_trouble($1::text, $2::bigint, $3::text, $4::text)
  as enough;

-- What a mutator that is alone may have left in the session, besides what RESET,
-- DISCARD and the like undo.
prepare forget_session as
select replicache_forget_session();

-- What is registered.
prepare registry_tables as
select prefix, pull_all, pull_since, per_user
from replicache_table
order by id;

prepare registry_mutators as
select name, call, shared, closes
from replicache_mutator;

-- Looks through the mutators again if a function, trigger or the like has changed
-- since: whether it did.
prepare examine as
select replicache_examine() as changed;

prepare registry_schema_versions as
select version, pushes, pulls
from replicache_schema_version;

-- What the last commit came to.
prepare current_version as
select max(version) as version
from replicache_version;

-- Whether the database answers.
prepare health as
select (select max(version) from replicache_version) as version,
  revision, floor, pg_is_in_recovery() as in_recovery, schema_number, epoch
from replicache_state;
