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


-- replicache_define(name text, attributes text, body text) returns text
--
-- Internal: the statements that create a trigger function.

create or replace function replicache_define(
  name text, attributes text, body text)
returns text
language sql stable set search_path from current
as $$
  select format(E'create or replace function %s() returns trigger\n'
      'language plpgsql volatile %s\nas %L;\n'
      'revoke execute on function %1$s() from public;\n\n',
    name, attributes, body);
$$;


-- replicache_trigger_code(table replicache_table) returns text
--
-- Internal: the statements that create the triggers of a registered table and
-- their functions. These are written out for the table, since a dynamic
-- statement per row would be slow.
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

create or replace function replicache_trigger_code(registered replicache_table)
returns text
language plpgsql stable set search_path from current
as $$
declare
  target text := replicache_qualified(registered.table_name);
  prefix text := registered.prefix;
  soft boolean := registered.soft;
  name text := format('%I.replicache_%s_', current_schema(), registered.id);
  definer text := 'security definer set search_path from current';
  old_key text := replicache_key(registered.table_name, prefix, 'old');
  new_key text := replicache_key(registered.table_name, prefix, 'new');
  -- Whether there is a row with the key of the row called old: true or null.
  same_key text;
  -- Generated columns are not yet computed in NEW: out of the comparison.
  generated text;
  -- The row called old lost a row that it refers to, and has to go with it.
  orphan text;
  hide text := '';
  code text := '';
begin
  same_key := format(E'(select true from %s as t\n      where %s and %s = %s)',
    target, replicache_key_match(registered.table_name, 't', 'old'),
    replicache_key(registered.table_name, prefix, 't'), old_key);

  select string_agg(format(E'  old.%I := null;\n', attname), ''
      order by attnum)
    into generated
    from pg_attribute
    where attrelid = registered.table_name and attnum > 0
      and not attisdropped and attgenerated <> '';

  select string_agg(format(
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
      E'\n    or ' order by c.conname)
    into orphan
    from pg_constraint as c
    where c.conrelid = registered.table_name and c.contype = 'f'
      and c.confdeltype = 'c';

  if registered.audience is not null then
    hide := replicache_hide_code(registered, 'replicache_next_version()', 'old');
    code := code || replicache_define(name || 'hide', definer, format($code$
begin
  if %s then
    %s
  end if;
  return old;
end
$code$, case when soft then E'(old.deleted is true and old.version <='
        ' (select floor from replicache_state)) is not true' else 'true' end,
      hide));
    hide := format(E'  if %s then\n    %s\n  end if;\n',
      replicache_audience_moves(registered), hide);
  end if;

  code := code || replicache_define(name || 'stamp', 'security definer',
    format($code$
begin
  new.version := %I.replicache_next_version();
  return new;
end
$code$, current_schema()));

  -- An update that changes nothing is none, but for replicache_touch().
  code := code || replicache_define(name || 'restamp', definer, format($code$
begin
  new.version := old.version;
%s  if new *= old
     and current_setting('replicache.touching', true) is distinct from 'on' then
    return new;
  end if;
%s  new.version := replicache_next_version();
  return new;
end
$code$, coalesce(generated, ''), hide));

  code := code || replicache_define(name || 'insert', definer, format($code$
begin
  delete from replicache_tombstone where key = %s;
  return null;
end
$code$, new_key));

  code := code || replicache_define(name || 'rekey', definer, format($code$
begin
  if %s is null then
    insert into replicache_tombstone values (%s, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  delete from replicache_tombstone where key = %s;
  return null;
end
$code$, same_key, old_key, new_key));

  -- A row that purge lets go has been below the floor: nobody will ask for it.
  code := code || replicache_define(name || 'gone', definer, format($code$
begin
  if %s then
    insert into replicache_tombstone values (%s, replicache_next_version())
      on conflict (key) do update set version = excluded.version;
  end if;
  return null;
end
$code$, same_key || ' is null' || case when soft then
      E'\n     and (old.deleted is true and old.version <='
      ' (select floor from replicache_state)) is not true' else '' end,
    old_key));

  if soft then
    code := code || replicache_define(name || 'bury', definer, format($code$
begin
  if old.version <= (select floor from replicache_state)%s then
    return old;
  end if;
  return null;
end
$code$, E'\n    or ' || orphan));

    code := code || replicache_define(name || 'delete', '', format($code$
begin
%s  update %s as t set deleted = true where %s;
  if not found then
    raise 'a row of %% could not be marked as deleted',
        tg_relid::pg_catalog.regclass using errcode = 'insufficient_privilege';
  end if;
  return null;
end
$code$, E'  if pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.>) 1 then\n    if ' || orphan
        || E' then\n      return old;\n    end if;\n  end if;\n',
      target, replicache_key_match(registered.table_name, 't', 'old')));

    code := code || replicache_define(name || 'revive', '', format($code$
declare
  assignments pg_catalog.text;
  revived pg_catalog.int8;
begin
  if (select t.deleted from %1$s as t where %2$s) is not true then
    return new;
  end if;
  select pg_catalog.string_agg(
      pg_catalog.format('%%I = ($1).%%1$I', attname), ', ') into assignments
    from pg_catalog.pg_attribute
    where attrelid OPERATOR(pg_catalog.=) tg_relid
      and attnum OPERATOR(pg_catalog.>) 0 and not attisdropped
      and attgenerated OPERATOR(pg_catalog.=) ''
      and attidentity OPERATOR(pg_catalog.<>) 'a'
      and attname OPERATOR(pg_catalog.<>) 'version';
  execute pg_catalog.concat(%3$L, assignments, %4$L) using new;
  get diagnostics revived = row_count;
  if revived OPERATOR(pg_catalog.=) 0 then
    return new;
  end if;
  return null;
end
$code$, target, replicache_key_match(registered.table_name, 't', 'new'),
      format('update %s as t set ', target), format(' where %s',
        replicache_key_match(registered.table_name, 't', '($1)'))));
  end if;

  return code || replicache_drop_triggers_code(registered.table_name)
    || format($code$
create trigger zz_replicache_lock
  before insert or update or delete or truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_lock();
create trigger zz_replicache_stamp before insert on %1$s
  for each row execute function %3$sstamp();
create trigger zz_replicache_restamp before update on %1$s
  for each row execute function %3$srestamp();
create trigger zz_replicache_truncate after truncate on %1$s
  for each statement execute function %2$I.replicache_trigger_truncate();
$code$, target, current_schema(), name)
    || case when registered.audience is null and not soft then format($code$
create trigger zz_replicache_insert after insert on %1$s
  for each row execute function %2$sinsert();
$code$, target, name) else '' end
    || format(case when registered.audience is null then $code$
create trigger zz_replicache_rekey after update on %1$s
  for each row when (%3$s OPERATOR(pg_catalog.<>) %4$s)
  execute function %2$srekey();
create trigger zz_replicache_gone after delete on %1$s
  for each row execute function %2$sgone();
$code$ else $code$
create trigger zz_replicache_hide before delete on %1$s
  for each row execute function %2$shide();
$code$ end, target, name, old_key, new_key)
    || case when soft then format($code$
create trigger zz_replicache_bury before delete on %1$s
  for each row when (old.deleted is true) execute function %2$sbury();
create trigger zz_replicache_delete before delete on %1$s
  for each row when (old.deleted is not true)
  execute function %2$sdelete();
create trigger zz_replicache_revive before insert on %1$s
  for each row execute function %2$srevive();
$code$, target, name) else '' end;
end
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
