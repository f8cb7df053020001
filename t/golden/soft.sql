-- t/golden/soft.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create table list (id int primary key);
-- create table item (id int primary key, list_id int references list on delete cascade, text text,
--   length int generated always as (length(text)) stored, deleted boolean);
-- create view item_view as select id, text from item where text <> '';
-- select replicache_register_table('item', view => 'item_view');

-- replicache_table.pull_all

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  v.id,
  v.text
from public.item as t join public.item_view as v on v.id OPERATOR(pg_catalog.=) t.id
where t.deleted is not true

-- replicache_table.pull_since

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, t.deleted is true or v.id is null as gone,
  v.id,
  v.text
from public.item as t
  left join lateral (select * from public.item_view as v where v.id OPERATOR(pg_catalog.=) t.id offset 0) as v on true
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
  old.length := null;
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
     and (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then
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

create or replace function public.replicache_1_bury() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if old.version <= (select floor from replicache_state)
    or (old.list_id is not null)
      and not exists (select from public.list as p where p.id OPERATOR(pg_catalog.=) old.list_id) then
    return old;
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_bury() from public;
create trigger zz_replicache_bury before delete on public.item
  for each row when (old.deleted is true) execute function public.replicache_1_bury();

create or replace function public.replicache_1_delete() returns trigger
language plpgsql volatile security invoker
as $trigger$
begin
  if pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1 then
    if (old.list_id is not null)
      and not exists (select from public.list as p where p.id OPERATOR(pg_catalog.=) old.list_id) then
      return old;
    end if;
  end if;
  update public.item as t set deleted = true where t.id OPERATOR(pg_catalog.=) old.id;
  if not found then
    raise 'a row of % could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_delete() from public;
create trigger zz_replicache_delete before delete on public.item
  for each row when (old.deleted is not true)
  execute function public.replicache_1_delete();

create or replace function public.replicache_1_revive() returns trigger
language plpgsql volatile security invoker
as $trigger$
declare
  assignments pg_catalog.text;
  revived pg_catalog.int8;
begin
  if (select t.deleted from public.item as t where t.id OPERATOR(pg_catalog.=) new.id) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%I = ($1).%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid OPERATOR(pg_catalog.=) tg_relid
      and attnum OPERATOR(pg_catalog.>) 0 and not attisdropped
      and attgenerated OPERATOR(pg_catalog.=) ''
      and attidentity OPERATOR(pg_catalog.<>) 'a'
      and attname OPERATOR(pg_catalog.<>) 'version';
  execute pg_catalog.concat('update public.item as t set ', assignments, ' where t.id OPERATOR(pg_catalog.=) ($1).id') using new;
  get diagnostics revived = row_count;
  if revived OPERATOR(pg_catalog.=) 0 then
    return new;
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_1_revive() from public;
create trigger zz_replicache_revive before insert on public.item
  for each row execute function public.replicache_1_revive();
