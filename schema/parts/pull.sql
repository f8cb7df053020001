-- SPDX-License-Identifier: Apache-2.0
--
-- By which statements does a pull read a table?


-- replicache_value_columns(relation, row_name, omit) returns text
--
-- Internal: the select list of a row's value, each column under its own name,
-- with a comma before each. Numbers, booleans, text and JSON come as they are;
-- the value of any other type is made JSON here. The column `version`, and a
-- boolean `deleted`, are book-keeping and no part of it.

create or replace function replicache_value_columns(
  relation regclass, row_name text, omit text[])
returns text
language plpgsql stable set search_path from current
as $$
declare
  list text := '';
  a record;
begin
  for a in
    select attname, atttypid from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped
      and attname <> 'version'
      and not (attname = 'deleted' and atttypid = 'bool'::regtype)
      and attname <> all (omit)
    order by attnum
  loop
    list := list || format(
      case when replicache_base_type(a.atttypid) in ('int2'::regtype,
          'int4'::regtype, 'int8'::regtype, 'bool'::regtype, 'text'::regtype,
          'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype)
        then E',\n  %1$s.%2$I'
        else E',\n  pg_catalog.to_json(%1$s.%2$I) as %2$I' end,
      row_name, a.attname);
  end loop;
  return list;
end
$$;


-- replicache_audience_match(table_name, audience, row_name) returns text
--
-- Internal: the condition that the user who asks is in the audience of the row;
-- null without an audience.

create or replace function replicache_audience_match(
  table_name regclass, audience regclass, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format('exists (select from %s as a where %s '
      'and a.viewer OPERATOR(pg_catalog.=) %I.replicache_user_id())',
    replicache_qualified(audience),
    replicache_key_match(table_name, 'a', row_name), current_schema())
  where audience is not null;
$$;


-- replicache_forget_code(registered replicache_table, version text,
--   row_name text, source text) returns text
--
-- Internal: the statement that tells those who are in the audience now to forget
-- the key of the row called row_name, or of each row of source.

create or replace function replicache_forget_code(
  registered replicache_table, version text, row_name text,
  source text default '')
returns text
language sql stable set search_path from current
as $$
  select format(E'insert into replicache_hidden\n'
      '    select %s, key, users\n'
      '    from (select %s as key, array(select distinct viewer::text\n'
      '            from %s as a where %s\n'
      '              and viewer is not null) as users%s) as seen\n'
      '    where users <> ''{}'';',
    version,
    replicache_key(registered.table_name, registered.prefix, row_name),
    replicache_qualified(registered.audience),
    replicache_key_match(registered.table_name, 'a', row_name), source);
$$;


-- replicache_pull_code(...)
--
-- Internal: the two statements that read a registered table.
--
--     pull_all          all rows that are there
--     pull_since ($1)   rows with a version above $1
--
-- Both give the key, `gone` (the client is to delete the key; the other
-- columns mean nothing then) and the columns of the value, in no order.
--
-- A view is joined to its table by the primary key. A row that the view leaves
-- out is gone. To read all rows of a view that includes the table's column
-- `deleted`, the table is not needed: that is faster. To read a few, the view
-- is asked for each of them (offset 0 keeps the planner from turning that into
-- a join): the way to a single row of a view is short, also where its rows are
-- computed from others, while a join may well compute all of them.
--
-- With an audience, both give only rows that the user is in the audience of. Of
-- others not even the key is told.
--
-- `version <= 9223372036854775807` is always true, and stands there for the
-- planner. Rows above a value it does not know yet it takes for a third of the
-- table, and reads all of it; those in a range for 0.5 %, and uses the index.

create or replace function replicache_pull_code(
  table_name regclass, prefix text, soft boolean, view regclass,
  audience regclass, omit text[], out pull_all text, out pull_since text)
language plpgsql stable set search_path from current
as $$
declare
  source text := replicache_qualified(table_name);
  key text := replicache_key(table_name, prefix, 't');
  above text := E'\nwhere t.version OPERATOR(pg_catalog.>) $1'
    '\n  and t.version OPERATOR(pg_catalog.<=) 9223372036854775807';
  -- What a first pull gives, of the rows called %1$s.
  alive text := coalesce(E'\nwhere ' || nullif(concat_ws(' and ',
    case when soft then '%1$s.deleted is not true' end,
    replicache_audience_match(table_name, audience, '%1$s')), ''), '');
  list text := replicache_value_columns(coalesce(view, table_name),
    case when view is null then 't' else 'v' end, omit);
begin
  above := concat_ws(E'\n  and ', above,
    replicache_audience_match(table_name, audience, 't'));
  if view is null then
    pull_all := format(E'select %s as key, false as gone%s\nfrom %s as t%s',
      key, list, source, format(alive, 't'));
    pull_since := format(E'select %s as key, %s as gone%s\nfrom %s as t%s',
      key, case when soft then 't.deleted is true' else 'false' end, list,
      source, above);
    return;
  end if;

  pull_since := format(
    E'select %s as key, %sv.%I is null as gone%s\nfrom %s as t\n  left join '
      'lateral (select * from %s as v where %s offset 0) as v on true%s',
    key, case when soft then 't.deleted is true or ' else '' end,
    (select a.attname from pg_index as i join pg_attribute as a
       on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
     where i.indrelid = table_name and i.indisprimary),
    list, source, replicache_qualified(view),
    replicache_key_match(table_name, 'v', 't'), above);

  if not soft or exists (select from pg_attribute
      where attrelid = view and attname = 'deleted'
        and atttypid = 'bool'::regtype and not attisdropped) then
    pull_all := format(E'select %s as key, false as gone%s\nfrom %s as v%s',
      replicache_key(table_name, prefix, 'v'), list, replicache_qualified(view),
      format(alive, 'v'));
  else
    pull_all := format(
      E'select %s as key, false as gone%s\nfrom %s as t join %s as v on %s%s',
      key, list, source, replicache_qualified(view),
      replicache_key_match(table_name, 'v', 't'), format(alive, 't'));
  end if;
end
$$;
