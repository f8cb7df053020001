#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Nothing of ours runs what a caller puts in its way: a schema that stands before
# pg_catalog in the search_path, with operators, functions and tables of the same
# names.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir slurp);

my $cluster = Rig::Cluster->start;
$cluster->admin->query('create role web login; create role mallory login');

# Makes a schema with a copy of all that has a name in pg_catalog, as far as such a
# copy can be made, and of our tables and functions. Each notes that it was called,
# and by which role.
my $SHADOWS = <<'SQL';
create schema evil;
create function evil.caught(what text) returns void language plpgsql as $$
begin
  perform pg_catalog.set_config('evil.caught', pg_catalog.concat(
    pg_catalog.current_setting('evil.caught', true), what, ' as ', current_user, '; '), false);
end $$;
do $$
declare
  one record;
  names text;
  made int := 0;
begin
  for one in
    select o.*, format_type(oprleft, null) as l, format_type(oprright, null) as r, format_type(oprresult, null) as result
    from pg_operator as o where oprnamespace = 'pg_catalog'::regnamespace and oprright <> 0
      and oprcode <> 0 and 'internal'::regtype not in (oprleft, oprright) and 'cstring'::regtype not in (oprleft, oprright)
  loop
    begin
      if one.oprleft = 0 then
        execute format('create function evil.op_%s(b %s) returns %s language plpgsql as %L', one.oid, one.r, one.result,
          format('begin perform evil.caught(%L); return operator(pg_catalog.%s) b; end', 'operator ' || one.oprname, one.oprname));
        execute format('create operator evil.%s (function = evil.op_%s, rightarg = %s)', one.oprname, one.oid, one.r);
      else
        execute format('create function evil.op_%s(a %s, b %s) returns %s language plpgsql as %L', one.oid, one.l, one.r, one.result,
          format('begin perform evil.caught(%L); return a operator(pg_catalog.%s) b; end', 'operator ' || one.oprname, one.oprname));
        execute format('create operator evil.%s (function = evil.op_%s, leftarg = %s, rightarg = %s)', one.oprname, one.oid, one.l, one.r);
      end if;
      made := made + 1;
    exception when others then
      null;
    end;
  end loop;
  -- Those of varchar have no exact match in pg_catalog, so they win from behind, too.
  for one in select unnest(array['=', '<>', '||']) as name, unnest(array['bool', 'bool', 'text']) as result loop
    execute format('create function evil.%I(a varchar, b varchar) returns %s language plpgsql as %L', 'varchar' || one.name, one.result,
      format('begin perform evil.caught(%L); return a::text operator(pg_catalog.%s) b::text; end', 'varchar ' || one.name, one.name));
    execute format('create operator evil.%s (function = evil.%I, leftarg = varchar, rightarg = varchar)', one.name, 'varchar' || one.name);
  end loop;
  for one in
    select p.*, pg_get_function_identity_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
    from pg_proc as p where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and not proretset
      and proname !~ '^(RI_|pg_catalog|plpgsql_)' and provariadic = 0
  loop
    begin
      select string_agg('$' || n, ', ') into names from generate_series(1, one.pronargs) as n;
      execute format('create function evil.%I(%s) returns %s language plpgsql as %L', one.proname, one.arguments, one.result,
        format('begin perform evil.caught(%L); return pg_catalog.%I(%s); end', one.proname, one.proname, names));
      made := made + 1;
    exception when others then
      null;
    end;
  end loop;
  for one in select unnest(array['text', 'text, text', 'text, text, text', 'text, text, text, text']) as arguments loop
    for names in select unnest(array['format', 'concat']) loop
      execute format('create or replace function evil.%s(%s) returns text language plpgsql as %L', names, one.arguments,
        format('begin perform evil.caught(%L); return null; end', names));
    end loop;
  end loop;
  for one in
    select p.proname, pg_get_function_identity_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
    from pg_proc as p where pronamespace = 'public'::regnamespace and proname like 'replicache%' and not proretset
      and prorettype not in ('trigger'::regtype, 'record'::regtype)
  loop
    execute format('create function evil.%I(%s) returns %s language plpgsql as %L', one.proname, one.arguments, one.result,
      format('begin perform evil.caught(%L); return%s; end', one.proname, case when one.result <> 'void' then ' null' else '' end));
  end loop;
  for one in select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
      and relname like 'replicache%' loop
    execute format('create view evil.%I as select * from public.%1$I where evil.caught(%1$L) is not null', one.relname);
  end loop;
  for one in select unnest(array['text', 'int4', 'int8', 'bool', 'json', 'jsonb', 'regclass', 'name', 'timestamptz', 'uuid']) as name loop
    execute format('create domain evil.%I as pg_catalog.%1$I check (evil.caught(%L) is not null)', one.name, 'type ' || one.name);
  end loop;
  raise notice '% shadows', made;
end $$;
grant usage on schema evil to public;
grant execute on all functions in schema evil to public;
grant select on all tables in schema evil to public;
SQL

my $SEARCH_PATH = 'set search_path = evil, pg_catalog, public';

sub caught { $_[0]->value(q(select pg_catalog.current_setting('evil.caught', true))) // '' }

# Run statements with the schema in the way, and see nothing of it called.
sub runs_clean
{
	my ($session, $about, @sql) = @_;
	$session->query(q(select pg_catalog.set_config('evil.caught', '', false)));
	$session->query($SEARCH_PATH);
	my @error = grep { $_ ne '' } map { $session->error($_) } @sql;
	$session->query('reset search_path');
	is("@error", '', "$about: works");
	is(caught($session), '', "$about: nothing in the way was called");
}

subtest 'a cascade into a table that keeps its deleted rows' => sub {
	my $database = $cluster->database('core');
	my $session = $cluster->session($database);
	$session->query(q(
		create table list (id text primary key, name varchar(9) unique);
		create table item (id varchar(9) primary key, list varchar(9) references list (name) on delete cascade, deleted boolean not null default false);
		do $$ begin perform replicache_register_table('item'); end $$;
		insert into list values ('l', 'l1'), ('m', 'm1'); insert into item values ('a', 'l1'), ('b', 'm1');
		delete from item where id = 'b';
		grant select, delete on list to mallory));
	$cluster->session($database, 'postgres')->query($SHADOWS);
	my $mallory = $cluster->session($database, 'mallory');
	$mallory->query($SEARCH_PATH);
	my $error = $mallory->error(q(delete from list));
	is(caught($mallory), '', 'does not run what the one who deletes puts in the way, as the owner');
	is($error, '', 'and works');
	is($session->value('select count(*) from item'), 0, 'the rows went with the one they belong to');
};

subtest 'all that may be called' => sub {
	my $database = $cluster->database('core');
	my $session = $cluster->session($database);
	$session->query(q(
		create table room (id varchar(9) primary key, name text);
		create table member (room varchar(9) references room on delete cascade, who text, primary key (room, who));
		create table soft (id varchar(9) primary key, room varchar(9) references room on delete cascade, at timestamptz unique, note text, deleted boolean);
		create table hard (d date, u timestamptz, b bytea, v varchar(9), n numeric, primary key (d, u, b, v, n), note text,
			room varchar(9) references room on delete cascade);
		create table seen (id varchar(9) primary key, room varchar(9) references room on delete cascade, note text);
		create view seen_audience as select id, who as viewer from seen join member using (room);
		create view soft_view as select *, upper(note) as loud from soft;
		create function take(args jsonb) returns void language plpgsql set search_path = public as
			'begin insert into soft (id, note) values (args ->> ''id'', args ->> ''note''); end';
		create function fails(args jsonb) returns void language plpgsql set search_path = public as 'begin raise ''no''; end';
		do $$ begin
			perform replicache_register_table('soft', view => 'soft_view'), replicache_register_table('hard'),
				replicache_register_table('seen', audience => 'seen_audience'),
				replicache_register_mutator('take', 'take'), replicache_register_mutator('fails', 'fails');
		end $$;
		grant insert, update, delete, select on soft, hard, seen, room, member to web));
	$cluster->grant($database, 'web');
	$cluster->session($database, 'postgres')->query($SHADOWS);
	for my $who (qw(app web)) {
		my $actor = $cluster->session($database, $who);
		runs_clean($actor, "writes of $who",
			q(insert into public.room values ('r', 'n'), ('s', 'n')),
			q(insert into public.member values ('r', 'ann'), ('s', 'bob')),
			q(insert into public.soft (id, room, note) values ('a', 'r', '1'), ('b', 's', '2'), ('c', 's', '3')),
			q(insert into public.hard values ('2026-01-01', '2026-01-01', '\x00', 'v', 1, 'n', 'r')),
			q(insert into public.seen values ('a', 'r', '1'), ('b', 's', '2')),
			q(update public.soft set note = '2'), q(update public.soft set id = 'd' where note operator(pg_catalog.=) '2' and false),
			q(update public.hard set v = 'w'), q(update public.hard set note = 'm'), q(update public.seen set room = 's'),
			q(update public.seen set id = 'c', note = 'z' where false), q(delete from public.soft), q(insert into public.soft (id, room, note) values ('a', 'r', '1')),
			q(delete from public.room), q(delete from public.hard), q(delete from public.seen), q(delete from public.soft));
		runs_clean($actor, "a push of $who",
			q(select public.replicache_push_begin('{g}', '{u}', '{c}', '{g}', '{u}', '{0}', '{5}')),
			q(select public.replicache_enter('c', 'g', 1, 'u', '{}')),
			q(select public.replicache_guard('c', 'g', 1, 'u', 'take', '{"id":"m"}')),
			q(select public.replicache_guard('c', 'g', 2, 'u', 'fails', '{}')),
			q(select public.replicache_guard('c', 'g', 3, 'u', 'nope', '{}')),
			q(select public.replicache_user_id(), public.replicache_claim('x'), public.replicache_client_id(),
				public.replicache_client_group_id(), public.replicache_mutation_id()),
			q(select public.replicache_is_forgotten('c', 'g')), q(select public.replicache_next_version()),
			q(select public.replicache_touch('{ann}'::pg_catalog.text[])),
			$who eq 'app' ? q(delete from public.replicache_client_group) : (),
			$who eq 'app' ? q(delete from public.replicache_client_step) : ());
		$session->query('delete from soft; delete from replicache_client_step; delete from replicache_client_group');
		my $pulls = $actor->query('select pull_all, pull_since from replicache_table');
		runs_clean($actor, "a pull of $who", map { ($_->[0], do { (my $sql = $_->[1]) =~ s/\$1/0/g; $sql }) } @$pulls);
	}
	$session->query(q(do $$ begin perform replicache_guard('c', 'g', 2, 'u', 'fails', '{}'); end $$));
	runs_clean($session, 'what an operator calls',
		q(select public.replicache_retry('c', 2)), q(select public.replicache_check('web')), q(select public.replicache_purge('0')),
		q(select public.replicache_forget_clients('0')), q(select public.replicache_grant('web')),
		q(select public.replicache_register_mutator('take', 'public.take')),
		q(select public.replicache_register_mutator('take', 'public.take(pg_catalog.jsonb)')),
		q(select public.replicache_unregister_mutator('take')),
		q(select public.replicache_register_table('hard', prefix => 'h/')),
		q(select public.replicache_unregister_table('hard')), q(select public.replicache_new_epoch()));
	$session->query($SEARCH_PATH);
	like($session->error('select pg_catalog.length(1 || 2::pg_catalog.text)'), qr/^$/, 'what stands in the way');
	isnt(caught($session), '', 'would be called');
};

# What is neither bound when it is created nor has a search_path must name a schema
# for each function, type and operator.
sub unqualified
{
	my ($body) = @_;
	$body =~ s/--.*$//mg;
	$body =~ s/'(?:[^']|'')*'/'x'/g;
	$body =~ s/:=|\bset\s+\w+ =|\berrcode =|\w+ = row_count/ /g;
	my @found;
	$body =~ s/OPERATOR\((?:pg_catalog)\.[^)]+\)/ /g;
	push @found, grep { $_ ne '*' } $body =~ /([-+*\/<>=~!@#%^&|`?]+)/g;
	push @found, grep { !/^(?:coalesce|greatest|least|if|elsif|when|and|or|on|where|as|exists|select|values|in|not|row)$/i }
	    $body =~ /(?<![.\w"])(\w+)\s*\(/g;
	push @found, $body =~ /\b(like|ilike|similar|between|nullif|distinct from|using\s*\(|natural)\b/ig;
	push @found, $body =~ /::(?!pg_catalog\.)(\w+)/g;
	push @found, $body =~ /\b(?:from|join|update|into)\s+(?!ignored\b|assignments\b|names\b)([a-z]\w*)(?!\.|\w)/ig;
	return @found;
}

subtest 'each function that is ours' => sub {
	my $database = $cluster->database('core');
	my $session = $cluster->session($database);
	$session->query(q(
		create table room (id uuid primary key);
		create table soft (a int, b text, primary key (a, b), room uuid references room on delete cascade, deleted boolean);
		create table hard (id timestamptz primary key);
		create table seen (id uuid primary key, viewer text, deleted boolean);
		do $$ begin perform replicache_register_table('soft'), replicache_register_table('hard'),
			replicache_register_table('seen', audience => 'seen'); end $$));
	my $functions = $session->query(q(select p.oid::regprocedure::text, p.prosrc, l.lanname
		from pg_proc as p join pg_language as l on l.oid = p.prolang
		where p.pronamespace = 'public'::regnamespace and p.proname like 'replicache%'
			and p.prosqlbody is null and not exists (select from unnest(p.proconfig) as c where c like 'search_path=%')
		order by 1));
	cmp_ok(scalar @$functions, '>', 4, 'some have no search_path');
	for my $function (@$functions) {
		my ($name, $body) = @$function;
		is(join(' ', unqualified($body)), '', "$name names the schema of all that it uses");
	}
	my $when = $session->query(q(select tgname, pg_get_triggerdef(oid) from pg_trigger where tgname like '%replicache%' and tgqual is not null));
	$session->query('set search_path = evil, pg_catalog');
	cmp_ok(scalar @$when, '>', 1, 'some triggers have conditions');
	is(join(' ', @{ unqualified_in_code($session) }), '', 'and what is kept as text names them, too');
	is(join(' ', unqualified(q(select count(*) from x where a = 1 and b like 'c' and d::text in (1)))) , '= count like text x',
		'the lexer sees what is wrong');
};

# The statements and conditions that are kept as text, for the session that runs them.
sub unqualified_in_code
{
	my ($session) = @_;
	return [ map { unqualified($_->[0] =~ s/\bfrom public\.\w+ as \w//gr) }
		@{ $session->query(q(select pg_catalog.unnest(array[pull_all, pull_since]) from public.replicache_table
			union all select pg_catalog.unnest(array[call, run]) from public.replicache_mutator)) } ];
}

done_testing;
