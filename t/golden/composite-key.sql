-- t/golden/composite-key.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create table "My Item" ("The List" uuid, "100%" text, primary key ("The List", "100%"));
-- select replicache_register_table('"My Item"', 'it''s/');

-- replicache_table.pull_all

select ('it''s/' OPERATOR(pg_catalog.||) t."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(t."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C" as key, false as gone,
  pg_catalog.to_json(t."The List") as "The List",
  t."100%"
from public."My Item" as t

-- replicache_table.pull_since

select ('it''s/' OPERATOR(pg_catalog.||) t."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(t."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C" as key, false as gone,
  pg_catalog.to_json(t."The List") as "The List",
  t."100%"
from public."My Item" as t
where t.version OPERATOR(pg_catalog.>) $1
  and t.version OPERATOR(pg_catalog.<=) 9223372036854775807

-- replicache_table.code

drop trigger if exists zz_replicache_lock on public."My Item";
drop trigger if exists zz_replicache_bury on public."My Item";
drop trigger if exists zz_replicache_delete on public."My Item";
drop trigger if exists zz_replicache_revive on public."My Item";
drop trigger if exists zz_replicache_hide on public."My Item";
drop trigger if exists zz_replicache_stamp on public."My Item";
drop trigger if exists zz_replicache_restamp on public."My Item";
drop trigger if exists zz_replicache_insert on public."My Item";
drop trigger if exists zz_replicache_rekey on public."My Item";
drop trigger if exists zz_replicache_gone on public."My Item";
drop trigger if exists zz_replicache_truncate on public."My Item";

create trigger zz_replicache_lock
  before insert or update or delete or truncate on public."My Item"
  for each statement execute function public.replicache_trigger_lock();
create trigger zz_replicache_truncate after truncate on public."My Item"
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
create trigger zz_replicache_stamp before insert on public."My Item"
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
create trigger zz_replicache_restamp before update on public."My Item"
  for each row execute function public.replicache_1_restamp();

create or replace function public.replicache_1_insert() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  delete from replicache_tombstone where key = ('it''s/' OPERATOR(pg_catalog.||) new."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(new."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C";
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_insert() from public;
create trigger zz_replicache_insert after insert on public."My Item"
  for each row execute function public.replicache_1_insert();

create or replace function public.replicache_1_rekey() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if not exists (select from public."My Item" as t
      where t."The List" OPERATOR(pg_catalog.=) old."The List" and t."100%" OPERATOR(pg_catalog.=) old."100%"
        and ('it''s/' OPERATOR(pg_catalog.||) t."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(t."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C" = ('it''s/' OPERATOR(pg_catalog.||) old."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(old."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C") then
    insert into replicache_tombstone
      values (('it''s/' OPERATOR(pg_catalog.||) old."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(old."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = ('it''s/' OPERATOR(pg_catalog.||) new."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(new."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C";
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_rekey() from public;
create trigger zz_replicache_rekey after update on public."My Item"
  for each row when (('it''s/' OPERATOR(pg_catalog.||) old."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(old."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C" OPERATOR(pg_catalog.<>) ('it''s/' OPERATOR(pg_catalog.||) new."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(new."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C")
  execute function public.replicache_1_rekey();

create or replace function public.replicache_1_gone() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if not exists (select from public."My Item" as t
      where t."The List" OPERATOR(pg_catalog.=) old."The List" and t."100%" OPERATOR(pg_catalog.=) old."100%"
        and ('it''s/' OPERATOR(pg_catalog.||) t."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(t."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C" = ('it''s/' OPERATOR(pg_catalog.||) old."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(old."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C")
     and false is not true then
    insert into replicache_tombstone
      values (('it''s/' OPERATOR(pg_catalog.||) old."The List"::pg_catalog.text OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(old."100%"::pg_catalog.text, '%', '%25'), '/', '%2F')) collate "C", replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_gone() from public;
create trigger zz_replicache_gone after delete on public."My Item"
  for each row execute function public.replicache_1_gone();
