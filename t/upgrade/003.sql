-- SPDX-License-Identifier: Apache-2.0
--
-- A made-up upgrade, for a test: schema 3 has a column more.

alter table replicache_client_group add column made_up int not null default 3;
