-- SPDX-License-Identifier: Apache-2.0
--
-- chat.sql: the chat, and an example of how to make a table sync.
--
--     psql -v ON_ERROR_STOP=1 -f replicache.sql -f chat.sql app
--
-- Messages reach clients under message/<id>, as {"from", "content", "order"}.
-- Clients change them by the mutations createMessage and deleteMessage, which run
-- as the role of replicache.fcgi: beside what grants.sql grants, it needs INSERT,
-- UPDATE and DELETE on message. Can be run again.

begin;

set local client_min_messages = warning;

-- pg_temp last, for the functions below: a temporary table can't pose as ours.
do $$
begin
  perform set_config('search_path',
    current_setting('search_path') || ', pg_temp', true);
end
$$;

create table if not exists message (
  id      varchar(36) primary key,
  sender  varchar(255) not null,
  content text not null,
  ord     bigint not null,
  deleted boolean not null default false,
  version bigint not null
);

-- What clients see of a message. `deleted` is no part of the value; it is
-- here to spare a first pull the way to the table.
create or replace view message_entry as
  select id, sender as "from", content, ord as "order", deleted
  from message;

do $$
begin
  perform replicache_register_table('message',
    view => 'message_entry', omit => '{id}');
end
$$;


-- create_message(args jsonb): {"id", "from", "content", "order"}
--
-- The arguments come from a browser: anything may be in them. What raises here
-- is written to replicache_failed_mutation, and the client goes on without it.
-- A null (a member that is missing) is `is not true`, too.

create or replace function create_message(args jsonb) returns void
language plpgsql set search_path from current
as $$
begin
  if (jsonb_typeof(args -> 'id') = 'string'
      and jsonb_typeof(args -> 'from') = 'string'
      and jsonb_typeof(args -> 'content') = 'string'
      and jsonb_typeof(args -> 'order') = 'number'
      and args ->> 'id' <> '') is not true then
    raise 'createMessage takes {"id", "from", "content", "order"}'
      using errcode = 'invalid_parameter_value';
  end if;

  insert into message (id, sender, content, ord)
    values (args ->> 'id', args ->> 'from', args ->> 'content',
      (args ->> 'order')::bigint);
end
$$;


-- delete_message(args jsonb): "id" or {"id"}
--
-- To delete a message that is not there is no error: two clients may delete
-- the same one.

create or replace function delete_message(args jsonb) returns void
language plpgsql set search_path from current
as $$
declare
  which jsonb := case jsonb_typeof(args)
    when 'object' then args -> 'id' else args end;
begin
  if jsonb_typeof(which) is distinct from 'string' then
    raise 'deleteMessage takes an id' using errcode = 'invalid_parameter_value';
  end if;

  delete from message where id = which #>> '{}';
end
$$;

revoke execute on function create_message(jsonb), delete_message(jsonb)
  from public;

do $$
begin
  perform replicache_register_mutator('createMessage', 'create_message');
  perform replicache_register_mutator('deleteMessage', 'delete_message');
end
$$;

commit;
