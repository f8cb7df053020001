-- SPDX-License-Identifier: Apache-2.0
--
-- The reference's database: the public walkthrough's, with one version row that
-- is updated in place. Its two queries by version get indexes, which the
-- walkthrough leaves to its reader, and its numbers are wider.

create table replicache_server (
  id integer primary key,
  version bigint not null
);
insert into replicache_server (id, version) values (1, 1);

create table message (
  id varchar(36) primary key,
  sender varchar(255) not null,
  content text not null,
  ord bigint not null,
  deleted boolean not null,
  version bigint not null
);
create index on message (version);

create table replicache_client (
  id varchar(36) primary key,
  client_group_id varchar(36) not null,
  last_mutation_id bigint not null,
  version bigint not null
);
create index on replicache_client (client_group_id, version);
