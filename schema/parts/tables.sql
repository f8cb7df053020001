-- SPDX-License-Identifier: Apache-2.0
--
-- What does Postgres keep of clients, and of what syncs?

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
