-- t/golden/watch.sql: made by make golden, compared by t/235-sql-golden.t. Of:
--
-- create table list (id int primary key, owner text);
-- create table item (id int primary key, list_id int references list, text text, deleted boolean);
-- create view item_viewer as select i.id, l.owner as viewer from item as i join list as l on l.id = i.list_id;
-- select replicache_register_table('item', audience => 'item_viewer');

-- replicache_table.pull_all

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.list_id,
  t.text
from public.item as t
where t.deleted is not true and exists (select from public.item_viewer as a where a.id OPERATOR(pg_catalog.=) t.id and a.viewer OPERATOR(pg_catalog.=) public.replicache_user_id())

-- replicache_table.pull_since

select ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, t.deleted is true as gone,
  t.id,
  t.list_id,
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
  if row(old.id, old.list_id)::record *<> row(new.id, new.list_id)::record then
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
  if (old.deleted is true and old.version <= (select floor from replicache_state)) is not true then
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

create or replace function public.replicache_1_bury() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if old.version <= (select floor from replicache_state)
    or false then
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
    if false then
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

-- replicache_source.code

create or replace trigger zz_replicache_watch_lock
  before insert or update or delete or truncate on public.list
  for each statement execute function public.replicache_trigger_lock();
create or replace trigger zz_replicache_watch_empty after truncate on public.list
  for each statement execute function public.replicache_trigger_truncate();

create or replace function public.replicache_watch_1_before() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
begin
  if tg_op = 'UPDATE' and not (row(old.id, old.owner)::record *<> row(new.id, new.owner)::record) then
    return new;
  end if;
  if to_regclass('public.item') is not null then
    if tg_op <> 'INSERT' then
      insert into replicache_pending
        select 1, pg_trigger_depth(), ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C",
          jsonb_build_object('id', t.id), array(select distinct a.viewer::text from public.item_viewer as a
          where a.id OPERATOR(pg_catalog.=) t.id and a.viewer is not null)
        from (select item.* from public.item as item, (select old.*) as list
              where (list.id = item.list_id)) as t
        on conflict do nothing;
    end if;
    if tg_op <> 'DELETE' then
      insert into replicache_pending
        select 1, pg_trigger_depth(), ('item/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C",
          jsonb_build_object('id', t.id), array(select distinct a.viewer::text from public.item_viewer as a
          where a.id OPERATOR(pg_catalog.=) t.id and a.viewer is not null)
        from (select item.* from public.item as item, (select new.*) as list
              where (list.id = item.list_id)) as t
        on conflict do nothing;
    end if;
  end if;
  if tg_op = 'DELETE' then
    return old;
  end if;
  return new;
end
$trigger$;
revoke execute on function public.replicache_watch_1_before() from public;
create or replace trigger zz_replicache_watch_1
  before insert or update or delete on public.list
  for each row execute function public.replicache_watch_1_before();

create or replace function public.replicache_watch_1_after() returns trigger
language plpgsql volatile security definer set search_path from current
as $trigger$
declare
  needless_max constant bigint := 1000;
  version bigint;
  changed jsonb[];
  gained text[];
  needless bigint;
begin
  if not exists (select from replicache_pending where watch = 1 and depth >= pg_trigger_depth())
     or not to_regclass('public.item') is not null then
    return null;
  end if;
  version := replicache_next_version();
  with noted as (
    select p.key, p.pk, p.users as before, array(select distinct a.viewer::text from public.item_viewer as a
          where a.id OPERATOR(pg_catalog.=) k.id and a.viewer is not null) as after
    from replicache_pending as p
      cross join lateral jsonb_to_record(p.pk) as k (id integer)
    where watch = 1 and depth >= pg_trigger_depth()
  ), lost as (
    insert into replicache_hidden
      select version, key, array(select unnest(before)
        except select unnest(after))
      from noted where not before <@ after
  )
  select array_agg(pk), coalesce(sum(cardinality(after)), 0)
    into changed, needless
    from noted where not after <@ before;
  if changed is not null and not false then
    select array_agg(distinct u), needless - count(*) into gained, needless
      from replicache_pending as p
        cross join lateral jsonb_to_record(p.pk) as k (id integer)
        cross join lateral unnest(array(select distinct a.viewer::text from public.item_viewer as a
          where a.id OPERATOR(pg_catalog.=) k.id and a.viewer is not null)) as u
      where watch = 1 and depth >= pg_trigger_depth() and u <> all (p.users);
    if needless > needless_max * cardinality(gained) then
      perform replicache_touch(gained);
      changed := null;
    end if;
  end if;
  delete from replicache_pending where watch = 1 and depth >= pg_trigger_depth();
  if changed is not null then
    perform set_config('replicache.touching', 'on', true);
    update public.item as t set version = t.version
      from unnest(changed) as p (pk)
        cross join lateral jsonb_to_record(p.pk) as k (id integer)
      where t.id OPERATOR(pg_catalog.=) k.id and t.deleted is not true;
    perform set_config('replicache.touching', 'off', true);
  end if;
  return null;
end
$trigger$;
revoke execute on function public.replicache_watch_1_after() from public;
create or replace trigger zz_replicache_watched_1
  after insert or update or delete on public.list
  for each statement execute function public.replicache_watch_1_after();
