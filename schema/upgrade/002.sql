-- SPDX-License-Identifier: Apache-2.0
--
-- Makes schema 2 of schema 1, which release 0.1.0 has. replicache-admin upgrade
-- runs it, and then replicache.sql, in one transaction.


-- A mutation that failed is run again as the role that it failed as. Of those that
-- are there nobody knows it: replicache_retry() then has to be told.
alter table replicache_failed_mutation add column role text;
