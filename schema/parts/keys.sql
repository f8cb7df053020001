-- SPDX-License-Identifier: Apache-2.0
--
-- Which key does a row have, and how are names written for any search_path?


-- replicache_base_type(type oid) returns oid
--
-- Internal: the type under a domain, or under a domain over one; else the type.

create or replace function replicache_base_type(type oid) returns oid
language plpgsql stable set search_path from current
as $$
declare
  base oid := type;
begin
  while (select typtype = 'd' from pg_type where oid = base) loop
    base := (select typbasetype from pg_type where oid = base);
  end loop;
  return base;
end
$$;


-- replicache_key_part(type oid, value text, escape boolean) returns text
--
-- Internal: an expression that turns the expression `value` of this type into
-- text that does not depend on any setting of a session; null for a type that
-- has none. With `escape`, % and / are percent-escaped where they may occur.

create or replace function replicache_key_part(
  type oid, value text, escape boolean)
returns text
language plpgsql stable set search_path from current
as $$
declare
  base oid := replicache_base_type(type);
begin
  if (select typtype = 'e' from pg_type where oid = base)
     or base in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
       'name'::regtype) then
    return format(case when escape
        then 'pg_catalog.replace(pg_catalog.replace(%s::pg_catalog.text, '
          '''%%'', ''%%25''), ''/'', ''%%2F'')'
        else '%s::pg_catalog.text' end, value);
  elsif base in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
      'numeric'::regtype, 'bool'::regtype, 'uuid'::regtype) then
    return format('%s::pg_catalog.text', value);
  elsif base in ('date'::regtype, 'timestamp'::regtype) then
    return format('(pg_catalog.to_json(%s) OPERATOR(pg_catalog.#>>) ''{}'')',
      value);
  elsif base = 'timestamptz'::regtype then
    return format('(pg_catalog.to_json(%s at time zone ''UTC'') '
      'OPERATOR(pg_catalog.#>>) ''{}'') OPERATOR(pg_catalog.||) ''Z''', value);
  elsif base = 'bytea'::regtype then
    return format('pg_catalog.encode(%s, ''hex'')', value);
  end if;
  return null;
end
$$;


-- replicache_key(table_name regclass, prefix text, row_name text) returns text
--
-- Internal: the expression for the key of the row called row_name: the prefix
-- and the primary key. A primary key of several columns is joined by slashes,
-- its parts escaped, so that different rows have different keys.

create or replace function replicache_key(
  table_name regclass, prefix text, row_name text)
returns text
language sql stable set search_path from current
as $$
  select format('(%L OPERATOR(pg_catalog.||) %s) collate "C"', prefix, string_agg(
    replicache_key_part(a.atttypid, format('%s.%I', row_name, a.attname),
      cardinality(i.indkey::int2[]) > 1),
    ' OPERATOR(pg_catalog.||) ''/'' OPERATOR(pg_catalog.||) '
      order by k.position))
  from pg_index as i
    cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = table_name and i.indisprimary;
$$;


-- replicache_key_match(table_name regclass, one text, other text)
--   returns text
--
-- Internal: the condition that the rows called `one` and `other` have the same
-- primary key.

create or replace function replicache_key_match(
  table_name regclass, one text, other text)
returns text
language sql stable set search_path from current
as $$
  select string_agg(format('%s.%I OPERATOR(pg_catalog.=) %s.%I', one, a.attname,
    other, a.attname), ' and ' order by a.attnum)
  from pg_index as i
    join pg_attribute as a
      on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
  where i.indrelid = table_name and i.indisprimary;
$$;


-- replicache_operator(operator oid) returns text
--
-- Internal: it, as it is written between two operands whatever search_path is.

create or replace function replicache_operator(operator oid) returns text
language sql stable set search_path from current
as $$
  select format('OPERATOR(%I.%s)', n.nspname, o.oprname)
  from pg_operator as o join pg_namespace as n on n.oid = o.oprnamespace
  where o.oid = operator;
$$;


-- replicache_is_invoker(view regclass) returns boolean
--
-- Internal: whether it is a view that reads as whoever asks (security_invoker).

create or replace function replicache_is_invoker(view regclass) returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_class as c
      cross join lateral pg_options_to_table(c.reloptions) as o
    where c.oid = view and c.relkind = 'v'
      and o.option_name = 'security_invoker' and o.option_value::boolean);
$$;


-- replicache_is_kept(table_name regclass, attnum int2) returns boolean
--
-- Internal: whether a pull reads this column of a registered table in any case: one
-- of the primary key, or of the book-keeping.

create or replace function replicache_is_kept(table_name regclass, attnum int2)
returns boolean
language sql stable set search_path from current
as $$
  select exists (select from pg_attribute as a
      where a.attrelid = table_name and a.attnum = replicache_is_kept.attnum
        and (a.attname = 'version'
             or a.attname = 'deleted' and a.atttypid = 'bool'::regtype))
    or exists (select from pg_index as i
      where i.indrelid = table_name and i.indisprimary
        and replicache_is_kept.attnum = any (i.indkey::int2[]));
$$;


-- replicache_qualified(relation regclass) returns text
--
-- Internal: its name with its schema, quoted.

create or replace function replicache_qualified(relation regclass)
returns text
language sql stable set search_path from current
as $$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
  where c.oid = relation;
$$;


----------------------------------------------------------------------------
-- Code that is generated
----------------------------------------------------------------------------

-- replicache_fill(template text, names jsonb) returns text
--
-- Internal: the template with each {name} replaced by the value it has in names, as it
-- is: values are code, or are quoted already. What stands in a value is not looked at.
-- Null is nothing, as for format(): of a table that was dropped little is known. Raises
-- if a name is missing.

create or replace function replicache_fill(template text, names jsonb)
returns text
language plpgsql immutable set search_path from current
as $$
declare
  filled text := '';
  piece text;
begin
  for piece in
    select m[1] from regexp_matches(template, '(\{\w+\}|[^{]+|\{)', 'g') as m
  loop
    if piece ~ '^\{\w+\}$' then
      if not names ? btrim(piece, '{}') then
        raise 'a template names what is not known: %', piece;
      end if;
      piece := coalesce(names ->> btrim(piece, '{}'), '');
    end if;
    filled := filled || piece;
  end loop;
  return filled;
end
$$;
