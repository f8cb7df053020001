-- SPDX-License-Identifier: Apache-2.0
--
-- rooms.sql: a chat with private rooms, and an example of read rules: everybody
-- syncs the rooms they are a member of, with members and messages, and hears of
-- no other.
--
--     psql -v ON_ERROR_STOP=1 -f replicache.sql -f rooms.sql app
--
-- Clients have room/<id>, room_member/<room>/<user> and room_message/<id>, and
-- change them by the mutations createRoom, invite, leaveRoom and sayInRoom. Needs
-- another `auth` than `none`: who is nobody is a member of nothing. Can be run
-- again.

begin;

set local client_min_messages = warning;

do $$
begin
  perform set_config('search_path',
    current_setting('search_path') || ', pg_temp', true);
end
$$;

create table if not exists room (
  id      text primary key,
  name    text not null
);

create table if not exists room_member (
  room_id text not null references room on delete cascade,
  user_id text not null,
  primary key (room_id, user_id)
);

create table if not exists room_message (
  id      text primary key,
  room_id text not null references room on delete cascade,
  sender  text not null,
  content text not null,
  sent_at timestamptz not null default now()
);

create index if not exists room_message_room_id on room_message (room_id);


-- Who may see what: the primary key of each table, and a user. This is the only
-- place that says so, and a pull follows no other rule.

create or replace view room_audience as
  select room_id as id, user_id as viewer from room_member;

create or replace view room_member_audience as
  select m.room_id, m.user_id, other.user_id as viewer
  from room_member as m join room_member as other using (room_id);

create or replace view room_message_audience as
  select message.id, m.user_id as viewer
  from room_message as message join room_member as m using (room_id);

do $$
begin
  perform replicache_register_table('room', audience => 'room_audience');
  perform replicache_register_table('room_member',
    audience => 'room_member_audience');
  perform replicache_register_table('room_message',
    audience => 'room_message_audience');
end
$$;


-- Who joins or leaves sees other rooms, members and messages than before, though
-- those did not change: the table of members is watched for each. For rooms that is
-- done already, by the foreign key.

do $$
begin
  perform replicache_watch('room_member', 'room_member',
    'room_member.room_id = source.room_id');
  perform replicache_watch('room_message', 'room_member',
    'room_message.room_id = room_member.room_id');
end
$$;

-- What an older version of this file did instead.
drop trigger if exists room_member_changed on room_member;
drop function if exists room_member_changed();


-- The mutators run as their owner (SECURITY DEFINER), so that the role of
-- replicache.fcgi may do with rooms what these allow, and nothing else.


-- room_of_mine(id text) returns text
--
-- The room, if the one who asks is a member of it. Otherwise raises, in the same
-- way whether there is such a room or not.

create or replace function room_of_mine(id text) returns text
language plpgsql stable set search_path from current
as $$
begin
  if not exists (select from room_member as m
      where m.room_id = room_of_mine.id
        and m.user_id = replicache_user_id()) then
    raise 'no room % of yours', id using errcode = 'insufficient_privilege';
  end if;
  return id;
end
$$;


-- create_room(args jsonb): {"id", "name"}

create or replace function create_room(args jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
  insert into room (id, name) values (args ->> 'id', args ->> 'name');
  insert into room_member (room_id, user_id)
    values (args ->> 'id', replicache_user_id());
end
$$;


-- invite(args jsonb): {"room", "user"}

create or replace function invite(args jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
  insert into room_member (room_id, user_id)
    values (room_of_mine(args ->> 'room'), args ->> 'user')
    on conflict do nothing;
end
$$;


-- leave_room(args jsonb): {"room"}
--
-- The last one to leave takes the room along.

create or replace function leave_room(args jsonb) returns void
language plpgsql security definer set search_path from current
as $$
declare
  mine text := room_of_mine(args ->> 'room');
begin
  delete from room_member
    where room_id = mine and user_id = replicache_user_id();
  delete from room where id = mine
    and not exists (select from room_member where room_id = mine);
end
$$;


-- say_in_room(args jsonb): {"id", "room", "content"}

create or replace function say_in_room(args jsonb) returns void
language plpgsql security definer set search_path from current
as $$
begin
  insert into room_message (id, room_id, sender, content)
    values (args ->> 'id', room_of_mine(args ->> 'room'),
      replicache_user_id(), args ->> 'content');
end
$$;

revoke execute on function room_of_mine(text), create_room(jsonb),
  invite(jsonb), leave_room(jsonb), say_in_room(jsonb) from public;

do $$
begin
  perform replicache_register_mutator('createRoom', 'create_room');
  perform replicache_register_mutator('invite', 'invite');
  perform replicache_register_mutator('leaveRoom', 'leave_room');
  perform replicache_register_mutator('sayInRoom', 'say_in_room');
end
$$;

commit;
