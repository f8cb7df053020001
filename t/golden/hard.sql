-- t/golden/hard.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create table item (id int primary key, text text, at timestamptz);
-- select replicache_register_table('item');

-- replicache_table.pull_all

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.text,
  pg_catalog.to_json(t.at) as at
from public.item as t

-- replicache_table.pull_since

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.text,
  pg_catalog.to_json(t.at) as at
from public.item as t
where t.version OPERATOR(pg_catalog.>) $1
  and t.version OPERATOR(pg_catalog.<=) 9223372036854775807

-- replicache_table.code

drop trigger if exists zz_replicache_lock on public.item;
drop trigger if exists zz_replicache_bury on public.item;
drop trigger if exists zz_replicache_delete on public.item;
drop trigger if exists zz_replicache_revive on public.item;
drop trigger if exists zz_replicache_hide on public.item;
drop trigger if exists zz_replicache_stamp on public.item;
drop trigger if exists zz_replicache_restamp on public.item;
drop trigger if exists zz_replicache_insert on public.item;
drop trigger if exists zz_replicache_rekey on public.item;
drop trigger if exists zz_replicache_gone on public.item;
drop trigger if exists zz_replicache_truncate on public.item;

create trigger zz_replicache_lock
  before insert or update or delete or truncate on public.item
  for each statement execute function public.replicache_trigger_lock();
create trigger zz_replicache_truncate after truncate on public.item
  for each statement execute function public.replicache_trigger_truncate();

create or replace function public.replicache_1_stamp() returns trigger
language plpgsql volatile security definer
as $trigger$
begin
  new.version := public.replicache_next_version();
  return new;
end
$trigger$;
revoke execute on function public.replicache_1_stamp() from public;
create trigger zz_replicache_stamp before insert on public.item
  for each row execute function public.replicache_1_stamp();

create or replace function public.replicache_1_restamp() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  new.version := old.version;
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
  new.version := replicache_next_version();
  return new;
end
$trigger$;
revoke execute on function public.replicache_1_restamp() from public;
create trigger zz_replicache_restamp before update on public.item
  for each row execute function public.replicache_1_restamp();

create or replace function public.replicache_1_insert() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  delete from replicache_tombstone where key = ('item/' OPERATOR(pg_catalog.||) new.id::pg_catalog.text) collate "C";
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_insert() from public;
create trigger zz_replicache_insert after insert on public.item
  for each row execute function public.replicache_1_insert();

create or replace function public.replicache_1_rekey() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if not exists (select from public.item as t
      where t.id OPERATOR(pg_catalog.=) old.id
        and ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" = ('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C") then
    insert into replicache_tombstone
      values (('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = ('item/' OPERATOR(pg_catalog.||) new.id::pg_catalog.text) collate "C";
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_rekey() from public;
create trigger zz_replicache_rekey after update on public.item
  for each row when (('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C" OPERATOR(pg_catalog.<>) ('item/' OPERATOR(pg_catalog.||) new.id::pg_catalog.text) collate "C")
  execute function public.replicache_1_rekey();

create or replace function public.replicache_1_gone() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if not exists (select from public.item as t
      where t.id OPERATOR(pg_catalog.=) old.id
        and ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" = ('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C")
     and false is not true then
    insert into replicache_tombstone
      values (('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_gone() from public;
create trigger zz_replicache_gone after delete on public.item
  for each row execute function public.replicache_1_gone();
