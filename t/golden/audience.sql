-- t/golden/audience.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create table item (id int primary key, owner text, text text);
-- create view item_viewer as select id, owner as viewer from item;
-- select replicache_register_table('item', audience => 'item_viewer');

-- replicache_table.pull_all

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.owner,
  t.text
from public.item as t
where exists (select from public.item_viewer as a where a.id OPERATOR(pg_catalog.=) t.id and a.viewer OPERATOR(pg_catalog.=) public.replicache_user_id())

-- replicache_table.pull_since

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.owner,
  t.text
from public.item as t
where t.version OPERATOR(pg_catalog.>) $1
  and t.version OPERATOR(pg_catalog.<=) 9223372036854775807
  and exists (select from public.item_viewer as a where a.id OPERATOR(pg_catalog.=) t.id and a.viewer OPERATOR(pg_catalog.=) public.replicache_user_id())

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
  if row(old.id, old.owner)::record *<> row(new.id, new.owner)::record then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C" as key, array(select distinct viewer::text
            from public.item_viewer as a where a.id OPERATOR(pg_catalog.=) old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  new.version := replicache_next_version();
  return new;
end
$trigger$;
revoke execute on function public.replicache_1_restamp() from public;
create trigger zz_replicache_restamp before update on public.item
  for each row execute function public.replicache_1_restamp();

create or replace function public.replicache_1_hide() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if false is not true then
    insert into replicache_hidden
    select replicache_next_version(), key, users
    from (select ('item/' OPERATOR(pg_catalog.||) old.id::pg_catalog.text) collate "C" as key, array(select distinct viewer::text
            from public.item_viewer as a where a.id OPERATOR(pg_catalog.=) old.id
              and viewer is not null) as users) as seen
    where users <> '{}';
  end if;
  return old;
end
$trigger$;
revoke execute on function public.replicache_1_hide() from public;
create trigger zz_replicache_hide before delete on public.item
  for each row execute function public.replicache_1_hide();
