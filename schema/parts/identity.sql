-- SPDX-License-Identifier: Apache-2.0
--
-- Which user, client and mutation is this transaction for?


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
