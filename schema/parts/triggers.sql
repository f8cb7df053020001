-- SPDX-License-Identifier: Apache-2.0
--
-- What keeps the versions and tombstones of a table, whoever writes to it?


-- The triggers of a registered table, in the order in which they fire. Their
-- names sort behind most, so that a BEFORE trigger of the app is done with the
-- row when these see it. "Soft" tables are those with a column `deleted`.
--
--     zz_replicache_lock      before any statement   takes the lock
--     zz_replicache_bury      before delete (soft)   of a deleted row: lets it
--                                                    go only to be purged
--     zz_replicache_delete    before delete (soft)   of a live row: makes it an
--                                                    update of `deleted`
--     zz_replicache_revive    before insert (soft)   of a deleted row's key:
--                                                    makes it an update
--     zz_replicache_hide      before delete          tells the audience
--     zz_replicache_stamp     before insert          sets the version
--     zz_replicache_restamp   before update          sets it if anything changes
--     zz_replicache_insert    after insert (hard)    removes a tombstone
--     zz_replicache_rekey     after update           of a key: leaves a
--                                                    tombstone for the old one
--     zz_replicache_gone      after delete           leaves a tombstone
--     zz_replicache_truncate  after truncate         raises the floor
--
-- A soft table leaves a tombstone only where the key of a row changes, or a row has
-- to go with one that it refers to. If the key is then taken again the tombstone
-- stays: the row has no lower version, and a patch says what is gone before what is
-- there. To look for one at each insert would cost more.
--
-- A table with an audience leaves no tombstones, which everybody would hear of:
-- it has none of insert, rekey and gone. Instead, before a row is deleted or
-- changes the columns that its audience depends on, those who could see it are
-- told to forget its key; whoever can see it afterwards gets it again, since it
-- has a new version.
--
-- The lock is taken before the statement locks its first row, as a push does
-- it: so the two can't wait for each other.


-- replicache_trigger_truncate()
--
-- Nobody can say any more which keys are gone: below this version, clients
-- start over.

create or replace function replicache_trigger_truncate() returns trigger
language plpgsql volatile security definer set search_path from current
as $$
begin
  update replicache_state set floor = replicache_next_version();
  return null;
end
$$;


-- replicache_trigger(kind text, attributes text, names jsonb, body text,
--   fires text) returns text
--
-- Internal: the statements that create a trigger function, {name}KIND, and the
-- trigger that calls it, `fires`. Body and fires are templates (replicache_fill()), in
-- which the function is called {function}.

create or replace function replicache_trigger(
  kind text, attributes text, names jsonb, body text, fires text)
returns text
language plpgsql immutable set search_path from current
as $$
declare
  function text := (names ->> 'name') || kind;
  quoted text := replicache_fill(body, names);
begin
  -- A prefix or a name may have the quote in it.
  if position('$trigger$' in quoted) > 0 then
    quoted := quote_literal(quoted);
  else
    quoted := '$trigger$' || quoted || '$trigger$';
  end if;
  return replicache_fill($code$
create or replace function {function}() returns trigger
language plpgsql volatile {attributes}
as {body};
revoke execute on function {function}() from public;{fires}$code$,
    jsonb_build_object('function', function, 'attributes', attributes,
      'body', quoted, 'fires', replicache_fill(fires,
        names || jsonb_build_object('function', function))));
end
$$;


-- What the triggers of a table are written by: a function for each kind, which has
-- the text of its trigger function and of the trigger as a template. They are written
-- out for the table, since a dynamic statement per row would be slow. What comes of
-- them for a few tables is in t/golden.
--
-- Those that read and write the book-keeping do it as their owner. (The one for
-- each new row calls but one function, by its schema, and needs no search_path.)
-- Those that write to the table itself do it as whoever fired them, so that rights
-- and row policies hold, and with that session's search_path, which the app's own
-- triggers may need.
--
-- A trigger per row costs little more than one per statement that joins a
-- transition table, and less for the single rows of a push; and its plan, kept
-- for the session, is right for one row and for many.
--
-- The code names columns: of the primary key, of foreign keys, and generated
-- ones. After one of them changed, the table has to be registered again.


-- replicache_orphan(table_name regclass) returns text
--
-- Internal: the condition that the row called old lost a row that it refers to, and
-- has to go with it; false without a foreign key that cascades.

create or replace function replicache_orphan(table_name regclass) returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(format(
      E'(%s)\n      and not exists (select from %s as p where %s)',
      (select string_agg(format('old.%I is not null', attname), ' and ')
         from pg_attribute
         where attrelid = c.conrelid and attnum = any (c.conkey)),
      replicache_qualified(c.confrelid),
      (select string_agg(format('p.%I %s old.%I', theirs.attname,
             replicache_operator(k.same), ours.attname), ' and ')
         from unnest(c.conkey, c.confkey, c.conpfeqop) as k (ours, theirs, same)
           join pg_attribute as ours
             on ours.attrelid = c.conrelid and ours.attnum = k.ours
           join pg_attribute as theirs
             on theirs.attrelid = c.confrelid and theirs.attnum = k.theirs)),
      E'\n    or ' order by c.conname), 'false')
  from pg_constraint as c
  where c.conrelid = table_name and c.contype = 'f' and c.confdeltype = 'c';
$$;


-- replicache_table_names(registered replicache_table) returns jsonb
--
-- Internal: what the templates of a table's triggers name:
--
--     schema      of replicache
--     table       with its schema
--     name        what the names of its trigger functions begin with
--     old_key, new_key, key
--                 the key of the row called old, new or t
--     is_old, is_new, is_given
--                 the row called t has the primary key of old, new or ($1)
--     is_purged   of the row called old: it was deleted below the floor, where nobody
--                 will ask for it, and purge lets it go; true, false or null
--     orphan      of the row called old: it has to go with one that it refers to
--     forget      statements: who may see the row called old are told to forget its
--                 key; none without an audience
--     moves       the update of old to new may change who that is

create or replace function replicache_table_names(registered replicache_table)
returns jsonb
language sql stable set search_path from current
as $$
  select jsonb_build_object(
    'schema', quote_ident(current_schema()),
    'table', replicache_qualified(registered.table_name),
    'name', format('%I.replicache_%s_', current_schema(), registered.id),
    'old_key', replicache_key(registered.table_name, registered.prefix, 'old'),
    'new_key', replicache_key(registered.table_name, registered.prefix, 'new'),
    'key', replicache_key(registered.table_name, registered.prefix, 't'),
    'is_old', replicache_key_match(registered.table_name, 't', 'old'),
    'is_new', replicache_key_match(registered.table_name, 't', 'new'),
    'is_given', replicache_key_match(registered.table_name, 't', '($1)'),
    'is_purged', case when registered.soft
      then '(old.deleted is true and old.version <= (select floor from replicache_state))'
      else 'false' end,
    'orphan', replicache_orphan(registered.table_name),
    'forget', coalesce(replicache_forget_code(registered,
      'replicache_next_version()', 'old'), ''),
    'moves', case when registered.audience is not null
      then replicache_audience_moves(registered) end);
$$;


-- zz_replicache_lock and zz_replicache_truncate, whose functions are the same for
-- every table.

create or replace function replicache_statement_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_fill($code$
create trigger zz_replicache_lock
  before insert or update or delete or truncate on {table}
  for each statement execute function {schema}.replicache_trigger_lock();
create trigger zz_replicache_truncate after truncate on {table}
  for each statement execute function {schema}.replicache_trigger_truncate();
$code$, names);
$$;


-- zz_replicache_stamp: a new row has the version of its transaction.

create or replace function replicache_stamp_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('stamp', 'security definer', names, $body$
begin
  new.version := {schema}.replicache_next_version();
  return new;
end
$body$, $fires$
create trigger zz_replicache_stamp before insert on {table}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_restamp: so has a row that changes. An update that changes nothing is
-- none, but for replicache_touch(). Generated columns are not computed in NEW yet, so
-- they are not compared. If it may change who can see the row, those who could are
-- told to forget it first.

create or replace function replicache_restamp_code(
  names jsonb, table_name regclass)
returns text
language sql stable set search_path from current
as $$
  select replicache_trigger('restamp',
    'security definer set search_path from current',
    names || jsonb_build_object(
      'forget_generated', (select coalesce(string_agg(
          format(E'\n  old.%I := null;', attname), '' order by attnum), '')
        from pg_attribute
        where attrelid = table_name and attnum > 0 and not attisdropped
          and attgenerated <> ''),
      'forget_moved', case when names ->> 'moves' is not null
        then replicache_fill(E'\n  if {moves} then\n    {forget}\n  end if;', names)
        else '' end), $body$
begin
  new.version := old.version;{forget_generated}
  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;{forget_moved}
  new.version := replicache_next_version();
  return new;
end
$body$, $fires$
create trigger zz_replicache_restamp before update on {table}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_hide, with an audience: who could see a row that is deleted is told to
-- forget it; not of one that is purged, which nobody has.

create or replace function replicache_hide_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('hide',
    'security definer set search_path from current', names, $body$
begin
  if {is_purged} is not true then
    {forget}
  end if;
  return old;
end
$body$, $fires$
create trigger zz_replicache_hide before delete on {table}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_insert, of a hard table without an audience: a key that is there again
-- is no longer gone.

create or replace function replicache_insert_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('insert',
    'security definer set search_path from current', names, $body$
begin
  delete from replicache_tombstone where key = {new_key};
  return null;
end
$body$, $fires$
create trigger zz_replicache_insert after insert on {table}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_rekey, without an audience: an update of a key leaves a tombstone for
-- the old one, unless another row has it by now, and takes away that of the new one.

create or replace function replicache_rekey_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('rekey',
    'security definer set search_path from current', names, $body$
begin
  if not exists (select from {table} as t
      where {is_old}
        and {key} = {old_key}) then
    insert into replicache_tombstone
      values ({old_key}, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = {new_key};
  return null;
end
$body$, $fires$
create trigger zz_replicache_rekey after update on {table}
  for each row when ({old_key} OPERATOR(pg_catalog.<>) {new_key})
  execute function {function}();
$fires$);
$$;


-- zz_replicache_gone, without an audience: a row that is deleted leaves a tombstone,
-- unless another one has its key by now; not one that is purged, which nobody has.

create or replace function replicache_gone_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('gone',
    'security definer set search_path from current', names, $body$
begin
  if not exists (select from {table} as t
      where {is_old}
        and {key} = {old_key})
     and {is_purged} is not true then
    insert into replicache_tombstone
      values ({old_key}, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$body$, $fires$
create trigger zz_replicache_gone after delete on {table}
  for each row execute function {function}();
$fires$);
$$;


-- zz_replicache_bury, of a soft table: a row that is marked as deleted stays where it
-- is, unless it is to be purged, or has to go with one that it refers to.

create or replace function replicache_bury_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('bury',
    'security definer set search_path from current', names, $body$
begin
  if old.version <= (select floor from replicache_state)
    or {orphan} then
    return old;
  end if;
  return null;
end
$body$, $fires$
create trigger zz_replicache_bury before delete on {table}
  for each row when (old.deleted is true) execute function {function}();
$fires$);
$$;


-- zz_replicache_delete, of a soft table: a row that is there is marked as deleted
-- instead. A cascade takes it with the row that it refers to.

create or replace function replicache_delete_code(names jsonb) returns text
language sql immutable set search_path from current
as $$
  select replicache_trigger('delete', 'security invoker', names, $body$
begin
  if pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1 then
    if {orphan} then
      return old;
    end if;
  end if;
  update {table} as t set deleted = true where {is_old};
  if not found then
    raise 'a row of % could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$body$, $fires$
create trigger zz_replicache_delete before delete on {table}
  for each row when (old.deleted is not true)
  execute function {function}();
$fires$);
$$;


-- zz_replicache_revive, of a soft table: an insert with the key of a row that is marked
-- as deleted becomes an update of that row, of all columns that can be set.

create or replace function replicache_revive_code(names jsonb) returns text
language sql stable set search_path from current
as $$
  select replicache_trigger('revive', 'security invoker', names || jsonb_build_object(
    'update', quote_literal(replicache_fill('update {table} as t set ', names)),
    'where', quote_literal(replicache_fill(' where {is_given}', names))), $body$
declare
  assignments pg_catalog.text;
  revived pg_catalog.int8;
begin
  if (select t.deleted from {table} as t where {is_new}) is not true then
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
  execute pg_catalog.concat({update}, assignments, {where}) using new;
  get diagnostics revived = row_count;
  if revived OPERATOR(pg_catalog.=) 0 then
    return new;
  end if;
  return null;
end
$body$, $fires$
create trigger zz_replicache_revive before insert on {table}
  for each row execute function {function}();
$fires$);
$$;


-- replicache_drop_triggers_code(table_name regclass) returns text
--
-- Internal: the statements that drop all our triggers on a table.

create or replace function replicache_drop_triggers_code(table_name regclass)
returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(format('drop trigger if exists %I on %s;',
      name, replicache_qualified(table_name)), E'\n'), '')
  from unnest(array['lock', 'bury', 'delete', 'revive', 'hide', 'stamp',
      'restamp', 'insert', 'rekey', 'gone', 'truncate']) as kind,
    lateral (select 'zz_replicache_' || kind) as t (name);
$$;


-- replicache_trigger_code(table replicache_table) returns text
--
-- Internal: the statements that create the triggers of a registered table and
-- their functions, and drop those that it had before: each table has those that its
-- kind needs.

create or replace function replicache_trigger_code(registered replicache_table)
returns text
language sql stable set search_path from current
as $$
  select concat(
    replicache_drop_triggers_code(registered.table_name), E'\n',
    replicache_statement_code(names),
    replicache_stamp_code(names),
    replicache_restamp_code(names, registered.table_name),
    case when registered.audience is not null then
      replicache_hide_code(names)
    else concat(
      case when not registered.soft then replicache_insert_code(names) end,
      replicache_rekey_code(names),
      replicache_gone_code(names))
    end,
    case when registered.soft then concat(
      replicache_bury_code(names),
      replicache_delete_code(names),
      replicache_revive_code(names))
    end)
  from replicache_table_names(registered) as names;
$$;
