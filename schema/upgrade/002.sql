-- SPDX-License-Identifier: Apache-2.0
--
-- Makes schema 2 of schema 1, which release 0.1.0 has. replicache-admin upgrade
-- runs it, and then replicache.sql, in one transaction.


-- A mutation that failed is run again as the role that it failed as. Of those that
-- are there nobody knows it: replicache_retry() then has to be told.
alter table replicache_failed_mutation add column role text;


-- Whether a table is read for each user can be given at registration, and the reason
-- is kept. Those that are there are found out anew as replicache.sql registers
-- them again.
alter table replicache_table
  add column per_user_given boolean,
  add column per_user_reason text;
drop function replicache_view_code(regclass);
drop function replicache_register_table(regclass, text, regclass, text[], regclass);


-- These take the search_path of the app's code as well.
drop function replicache_check_constraints();
drop function replicache_guard(text, text, bigint, text, text, text, text, text);
drop function replicache_retry(text, bigint, name);
drop function replicache_register_mutator(text, text);


-- Pushes and pulls of a schemaVersion are accepted separately. Those that are
-- listed were accepted for both.
alter table replicache_schema_version
  add column pushes boolean not null default true,
  add column pulls boolean not null default true;


-- What fails by errors of the server's again and again is recorded, too.
alter table replicache_failed_mutation
  drop constraint replicache_failed_mutation_code_check,
  add check (code in ('unknown_mutator', 'unstorable_text',
    'number_out_of_range', 'timeout', 'mutator_error', 'server_error'));

-- It returns something else now.
drop function replicache_record_failure(text, text, bigint, text, text, text,
  text, text, text);

-- Whether a mutator may share a transaction. Found out as replicache.sql registers
-- those that are there again.
alter table replicache_mutator
  add column shared boolean not null default false,
  add column closes boolean not null default true,
  add column shared_given boolean,
  add column reason text;
drop function replicache_register_mutator(text, regprocedure);


-- Whether a view may pass by row policies. None was refused for that; replicache.sql
-- sets it for those that do.
alter table replicache_table
  add column ignore_policies boolean not null default false;
