-- SPDX-License-Identifier: Apache-2.0
--
-- May a mutator share its transaction with those of other users?


-- replicache_read_code(source text, language text,
--   out reason text, out blind boolean, out calls text[], out members text[],
--   out names text[], out operators text[])
--
-- Internal: looks through the text of a function (language sql or plpgsql), or of an
-- expression or query of the catalog (language ''). reason: what it has that may
-- leave something behind for who comes next in the transaction or session, or that
-- can't be read; null if nothing. blind: it may call what is not named. calls: what it calls, by name; members: what it
-- names behind a dot, which may be a function of a row; names: all that it names;
-- operators: those it uses.
--
-- Only statements that are known to leave nothing are let pass, and SQL that is put
-- together is not: so where each statement begins has to be known. Words that are
-- quoted are names and never statements. A text that is in doubt is not read.

create or replace function replicache_read_code(
  source text, language text,
  out reason text, out blind boolean, out calls text[], out members text[],
  out names text[], out operators text[])
language plpgsql immutable set search_path from current
as $$
declare
  -- What may stand before a parenthesis, though it is no function.
  words constant text[] := array['all', 'and', 'any', 'as', 'array', 'between',
    'by', 'case', 'cast', 'coalesce', 'conflict', 'cross', 'distinct', 'else',
    'elsif', 'except', 'exists', 'extract', 'filter', 'from', 'greatest',
    'group', 'having', 'if', 'ilike', 'in', 'intersect', 'is', 'join',
    'lateral', 'least', 'like', 'limit', 'materialized', 'not', 'nullif',
    'offset', 'on', 'operator', 'or', 'order', 'over', 'overlay', 'partition',
    'perform', 'position', 'return', 'returning', 'row', 'rows', 'select',
    'set', 'sets', 'similar', 'some', 'substring', 'table', 'then', 'to',
    'treat', 'trim', 'union', 'unique', 'using', 'values', 'when', 'where',
    'while', 'window', 'with', 'within', 'rollup', 'cube', 'grouping', 'check',
    'default', 'primary', 'foreign', 'key', 'do', 'for', 'foreach', 'slice',
    'into', 'strict', 'only', 'query', 'next', 'raise', 'assert', 'xmlelement',
    'xmlforest', 'xmlparse', 'xmlpi', 'xmlroot', 'xmlserialize', 'xmltable',
    'normalize', 'json_object', 'json_array', 'ordinality'];
  -- What statements may begin with.
  statements constant text[] := case language when 'sql'
    then array['select', 'insert', 'update', 'delete', 'merge', 'with',
      'values', 'table', 'notify']
    else array['select', 'insert', 'update', 'delete', 'merge', 'with',
      'values', 'notify', 'declare', 'begin', 'end', 'exception', 'if',
      'elsif', 'elseif', 'else', 'case', 'when', 'while', 'for', 'foreach',
      'loop', 'exit', 'continue', 'return', 'perform', 'raise', 'assert',
      'get', 'null'] end;
  tokens text[];
  token text;
  word text;    -- the token if it is an unquoted word, in lower case
  before text := '';
  after text;
  first text := '';       -- the word that the statement began with
  starts boolean := language <> '';
  declares boolean := false;
  depth int := 0;         -- of parentheses
  cases int := 0;         -- CASE expressions that are open
  skips int := 0;
begin
  calls := '{}'; members := '{}'; names := '{}'; operators := '{}';
  blind := true;
  if source ~ '\$[A-Za-z_]*\$' then
    reason := 'dollar quotes';
    return;
  end if;
  select array_agg(m[1] order by n) into tokens
    from regexp_matches(source, '(\s+|--[^\n]*'
      '|/\*(?:[^*]|\*+[^*/])*\*+/'
      '|[eE]''(?:\\.|''''|[^''\\])*''|[bBxXnN]?''(?:''''|[^''])*'''
      '|"(?:""|[^"])*"'
      '|(?:[A-Za-z_]|[^\x01-\x7f])(?:[A-Za-z0-9_$]|[^\x01-\x7f])*'
      '|[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|\$[0-9]+|:=|::|\.\.'
      '|[-+*/<>=~!@#%^&|`?]+|.)', 'g') with ordinality as t (m, n);
  if array_to_string(tokens, '') <> source then
    reason := 'text that can''t be read';
    return;
  end if;
  blind := false;
  select array_agg(t order by n) into tokens
    from unnest(tokens) with ordinality as u (t, n)
    where t !~ '^(\s|--)' and t !~ '^/\*([^/]|/(?!\*))*$';

  for i in 1 .. coalesce(cardinality(tokens), 0) loop
    token := tokens[i];
    after := coalesce(tokens[i + 1], '');
    word := case when token ~ '^([A-Za-z_]|[^\x01-\x7f])' and token !~ '''$'
      then lower(token) end;
    if token ~ '^/\*' or token ~ '^[-+*/<>=~!@#%^&|`?]+(--|/\*)'
       or token ~ '^[^eE]?''.*\\''' or token ~ '^''.*\\''$'
       or (word = 'u' and after = '&') then
      reason := 'text that can''t be read';
      blind := true;
      return;
    elsif word = 'execute' then
      reason := coalesce(reason, 'SQL that is put together (EXECUTE)');
      blind := true;
    elsif word = 'into' and lower(after) in ('temp', 'temporary', 'unlogged',
            'table', 'local', 'global')
       or word = 'into' and language = 'sql'
          and before not in ('insert', 'merge') then
      reason := coalesce(reason, 'SELECT INTO');
    end if;

    -- Names.
    if word is not null or token like '"%' then
      names := names || coalesce(word, replace(substr(token, 2,
        length(token) - 2), '""', '"'));
      if before = '.' then
        members := members || names[cardinality(names)];
      end if;
      if after = '(' and before not in ('as', 'recursive')
         and (before = '.' or (word = any (words)) is not true) then
        calls := calls || names[cardinality(names)];
      end if;
    elsif token ~ '^[-+*/<>=~!@#%^&|`?]+$' then
      operators := operators || token;
    end if;

    -- Statements.
    if skips > 0 then
      skips := skips - 1;
    elsif starts and token = '<<' then
      skips := 2;
    elsif starts and token = '#' then
      skips := 2;
    elsif starts and token <> ';' then
      starts := false;
      first := coalesce(word, '');
      if declares and word is distinct from 'begin' then
        if word = 'declare' then
          starts := true;
        end if;
      elsif word = 'declare' then
        declares := true;
        starts := true;
      elsif word in ('begin', 'else', 'loop', 'exception') then
        declares := false;
        starts := true;
      elsif (word = any (statements)) is not true
            and not (language = 'plpgsql' and after in (':=', '=', '.', '[')
                     and (word is not null or token like '"%'))
      then
        reason := coalesce(reason, upper(token));
        blind := blind or word in ('do', 'call');
      end if;
    elsif word = 'case' and first <> 'end' then
      cases := cases + 1;
    elsif word = 'end' and cases > 0 then
      cases := cases - 1;
    elsif depth = 0 and cases = 0 and language = 'plpgsql'
          and (word = 'then'
               and first in ('if', 'elsif', 'elseif', 'case', 'when')
            or word = 'loop' and first in ('for', 'foreach', 'while')) then
      starts := true;
    elsif token in ('(', '[') then
      depth := depth + 1;
    elsif token in (')', ']') then
      depth := depth - 1;
    elsif token = ';' and language <> '' then
      starts := true;
      if depth <> 0 or cases <> 0 then
        reason := 'text that can''t be read';
        blind := true;
        return;
      end if;
    end if;
    before := coalesce(word, token);
  end loop;
end
$$;


-- replicache_is_harmless(function oid) returns boolean
--
-- Internal: whether a function that is not read leaves nothing behind: Postgres's
-- own unless it may do something (random and what tells the time do not; nextval()
-- leaves what currval() gives, but no mutator that asks for it shares), and those
-- in C of extensions that are known.

create or replace function replicache_is_harmless(function oid) returns boolean
language sql stable set search_path from current
as $$
  select case
    when p.oid < 16384 and n.nspname = 'pg_catalog' then
      p.proname !~ '(_to_xml|_to_xmlschema|_to_xml_and_xmlschema)$'
      and (p.provolatile <> 'v' or p.proname = any (array['random',
        'random_normal', 'gen_random_uuid', 'uuidv4', 'uuidv7',
        'clock_timestamp', 'timeofday', 'pg_sleep', 'pg_sleep_for',
        'pg_sleep_until', 'pg_notify', 'nextval'])
        or p.proname ~ '^RI_FKey_' or p.proname = 'unique_key_recheck')
    else coalesce(l.lanname = 'c' and (
      e.extname in ('pgcrypto', 'uuid-ossp', 'pg_stat_statements',
        'pg_buffercache', 'pg_prewarm', 'pgstattuple', 'pgrowlocks')
      or p.provolatile <> 'v' and e.extname in ('citext', 'hstore', 'ltree',
        'pg_trgm', 'unaccent', 'btree_gin', 'btree_gist', 'intarray', 'cube',
        'earthdistance', 'fuzzystrmatch', 'isn', 'seg', 'postgis', 'vector')),
      false)
  end
  from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    join pg_language as l on l.oid = p.prolang
    left join pg_depend as d
      on d.classid = 'pg_proc'::regclass and d.objid = p.oid
        and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
    left join pg_extension as e on e.oid = d.refobjid
  where p.oid = function;
$$;


-- replicache_relation_code(relation oid) returns text
--
-- Internal: the expressions and queries that writing to a relation, or reading it,
-- runs: defaults, generated columns, checks, indexes, policies, rules, and the
-- conditions of triggers.

create or replace function replicache_relation_code(relation oid) returns text
language sql stable set search_path from current
as $$
  select coalesce(string_agg(code, E';\n'), '')
  from (
    select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = relation
    union all
    select pg_get_expr(conbin, conrelid) from pg_constraint
    where conrelid = relation and contype = 'c'
    union all
    select pg_get_indexdef(indexrelid) from pg_index
    where indrelid = relation and (indexprs is not null or indpred is not null)
    union all
    select concat_ws(' ', pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid))
    from pg_policy where polrelid = relation
    union all
    select pg_get_ruledef(oid) from pg_rewrite where ev_class = relation
    union all
    select pg_get_triggerdef(oid) from pg_trigger
    where tgrelid = relation and not tgisinternal and tgqual is not null
      and tgname !~ '^zz_replicache_'
  ) as part (code);
$$;


-- replicache_judge_mutator(function oid, out reason text, out closes boolean)
--
-- Internal: whether a mutator leaves nothing to who comes next. reason: why it is
-- alone in its transaction, null if it may share one. closes: the session is to be
-- closed after it, since it may have left what no SQL can find or undo, as the
-- variables of another language.
--
-- Looked at are the function, what it can call by name, the tables it can name, what
-- writing to them runs (triggers, cascades, defaults, policies, ...) and so on. Names
-- are taken for anything in the database that is called so, in whatever schema; casts
-- and domains, which run without being named, are all looked at.

create or replace function replicache_judge_mutator(
  function oid, out reason text, out closes boolean)
language plpgsql stable set search_path from current
as $$
declare
  -- Of ours, what leaves nothing: the others could pose as somebody else.
  ours constant text[] := array['replicache_user_id', 'replicache_claim',
    'replicache_client_id', 'replicache_client_group_id',
    'replicache_mutation_id', 'replicache_next_version', 'replicache_touch'];
  system constant oid[] := array['pg_catalog'::regnamespace::oid,
    'information_schema'::regnamespace::oid];
  here constant oid := (select n.oid from pg_namespace as n
    where n.nspname = current_schema());
  functions oid[] := array[function];
  relations oid[] := '{}';
  f int := 0;
  r int := 0;
  source text;
  code record;
  one record;
  found_reason text;
  blind boolean := false;
  reads boolean;
begin
  closes := false;
  functions := functions || array(select castfunc from pg_cast
    where castfunc >= 16384);
  source := (select string_agg(pg_get_expr(conbin, 0), E';\n')
    from pg_constraint where contypid <> 0 and oid >= 16384);
  while source is not null or f < cardinality(functions)
        or r < cardinality(relations) loop
    found_reason := null;
    reads := true;
    if source is not null then
      select * into code from replicache_read_code(source, '');
      source := null;
    elsif f < cardinality(functions) then
      f := f + 1;
      select p.*, l.lanname, p.oid::regprocedure::text as called
        into one
        from pg_proc as p join pg_language as l on l.oid = p.prolang
        where p.oid = functions[f];
      if one.pronamespace = here and one.proname like 'replicache\_%'
         or replicache_is_harmless(one.oid) then
        continue;
      elsif one.prokind in ('a', 'w') then
        functions := functions || array(select d.refobjid from pg_depend as d
          where d.classid = 'pg_proc'::regclass and d.objid = one.oid
            and d.refclassid = 'pg_proc'::regclass
            and d.refobjid <> all (functions));
        continue;
      elsif one.lanname not in ('sql', 'plpgsql') then
        found_reason := format('%s, which is in %s', one.called, one.lanname);
        closes := closes or one.lanname <> 'internal';
        reads := false;
      else
        select * into code from replicache_read_code(
          coalesce(pg_get_function_sqlbody(one.oid), one.prosrc),
          case when one.prosqlbody is null then one.lanname else '' end);
        if code.reason is not null then
          found_reason := format('%s, in %s', code.reason, one.called);
        end if;
        functions := functions || array(select d.refobjid from pg_depend as d
          where d.classid = 'pg_proc'::regclass and d.objid = one.oid
            and d.refclassid = 'pg_proc'::regclass
            and d.refobjid <> all (functions));
      end if;
    else
      r := r + 1;
      select c.oid::regclass::text as called, c.relkind into one
        from pg_class as c where c.oid = relations[r];
      select * into code
        from replicache_read_code(replicache_relation_code(relations[r]), '');
      if one.relkind = 'f' then
        found_reason := format('the foreign table %s', one.called);
      elsif code.reason is not null then
        found_reason := format('%s, in %s', code.reason, one.called);
      end if;
      for one in
        select t.tgname, t.tgfoid, t.tginitdeferred, t.tgrelid::regclass as on
        from pg_trigger as t
        where t.tgrelid = relations[r] and not t.tgisinternal
          and t.tgenabled <> 'D' and t.tgname !~ '^zz_replicache_'
      loop
        -- At COMMIT it would run as part of whichever mutation was last.
        if one.tginitdeferred then
          found_reason := format('the deferred trigger %s of %s', one.tgname,
            one.on);
        end if;
        if one.tgfoid <> all (functions) then
          functions := functions || one.tgfoid;
        end if;
      end loop;
      relations := relations || array(
        select distinct other
        from (select conrelid from pg_constraint
              where contype = 'f' and confrelid = relations[r]
                and (confdeltype in ('c', 'n', 'd')
                  or confupdtype in ('c', 'n', 'd'))
              union all
              select inhrelid from pg_inherits where inhparent = relations[r]
             ) as linked (other)
        where other <> all (relations));
    end if;

    if reads then
      blind := blind or code.blind;
      functions := functions || array(
        select p.oid from pg_proc as p
        where p.proname = any (code.calls || code.members)
          and p.pronamespace <> all (system) and p.oid <> all (functions)
        union
        select o.oprcode from pg_operator as o
        where o.oprname = any (code.operators) and o.oid >= 16384
          and o.oprcode <> all (functions));
      relations := relations || array(
        select c.oid from pg_class as c
        where c.relname = any (code.names)
          and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and c.relpersistence <> 't' and c.relnamespace <> all (system)
          and c.oid <> all (relations));
    end if;
    if reads and found_reason is null then
      select format('%s()', min(p.proname)) into found_reason
        from pg_proc as p
        where p.proname = any (code.calls)
          and (p.pronamespace = any (system)
              and not replicache_is_harmless(p.oid)
            or p.pronamespace = here and p.proname like 'replicache\_%'
              and p.proname <> all (ours))
        having count(*) > 0;
      if found_reason is null then
        select format('%s(), which is not there', name) into found_reason
          from unnest(code.calls) as name
          where not exists (select from pg_proc where proname = name)
            and not exists (select from pg_class where relname = name)
            and not exists (select from pg_type where typname = name)
            and name not in ('decimal', 'dec', 'character', 'varying',
              'national', 'nchar', 'float', 'precision')
          limit 1;
      end if;
    end if;
    reason := coalesce(reason, found_reason);
  end loop;
  closes := closes or blind and exists (
    select from pg_proc as p join pg_language as l on l.oid = p.prolang
    where p.oid >= 16384 and l.lanname not in ('internal', 'sql', 'plpgsql')
      and not exists (select from pg_language as any_of
        where p.oid in (any_of.lanplcallfoid, any_of.laninline,
          any_of.lanvalidator))
      and not replicache_is_harmless(p.oid));
end
$$;
