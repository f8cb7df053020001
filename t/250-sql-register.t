#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Registering tables and mutators: what is refused, what is made of it, again,
# with changes, and undone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('core');
my $session = $cluster->session($database);
$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');

sub version { $session->value('select max(version) from replicache_version') }
sub revision { $session->value('select revision from replicache_state') }
sub floor { $session->value('select floor from replicache_state') }

sub call
{
	my ($call) = @_;
	$session->query("do \$do\$ begin perform $call; end \$do\$");
}

sub register { call('replicache_register_table(' . join(', ', @_) . ')') }

sub refused
{
	my ($call, $error, $about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($session->error("select replicache_register_table($call)"), $error, "refused: $about");
}

sub synced
{
	my ($about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	call("mirror_pull('m')");
	is($session->value(q(select view = mirror_truth() from mirror where name = 'm')), 't', $about);
}

# What is refused.
$session->query(q(
	create table nokey (a int);
	create table keyed (version bigint primary key);
	create table narrow (id int primary key, version int);
	create table made (id int primary key, version bigint generated always as (1) stored);
	create table parent (id int primary key); create table child () inherits (parent);
	create table parts (id int primary key) partition by list (id);
	create table parts1 partition of parts for values in (1);
	create unlogged table quick (id int primary key);
	create temporary table passing (id int primary key);
	create view shown as select 1 as id;
	create materialized view stored as select 1 as id;
	create table plain (id int primary key, note text);
	create view other as select note from plain;
	create view typed as select id::text as id, note from plain;
	create sequence counter;
));
refused(q('nokey'), qr/42P16: nokey has no primary key/, 'no primary key');
refused(q('keyed'), qr/42P16/, 'a primary key on version');
refused(q('narrow'), qr/42804: column version/, 'a narrow version');
refused(q('made'), qr/42804: column version/, 'a computed version');
refused("'$_'", qr/42809: $_ is not an ordinary table/, "table $_")
    for qw(parent child parts parts1 quick passing shown stored counter);
refused(q('nothing'), qr/42P01/, 'no table');
refused('null', qr/42809/, 'null');
refused(q('plain', view => 'other'), qr/42703: view other has no column id/, 'a view without the key');
refused(q('plain', view => 'typed'), qr/42703: view typed has no column id of type integer/, 'a view with another key');
refused(q('plain', view => 'nokey'), qr/42809|42703/, 'a table for a view');
refused(q('plain', omit => '{note,nota}'), qr/42703: plain has no column nota/, 'a column that is not there');
is(version(), $session->value('select epoch from replicache_state'), 'nothing of this took a version');
{
	$cluster->admin->query('create role stranger login');
	$session->query('grant execute on all functions in schema public to stranger; grant usage, create on schema public to stranger;
		grant select, insert, update, delete on all tables in schema public to stranger; grant usage on all sequences in schema public to stranger');
	like($cluster->session($database, 'stranger')->error(q(select replicache_register_table('plain'))), qr/42501/, "someone else's table is refused");
	$session->query('revoke all on all functions in schema public from stranger; revoke all on all tables in schema public from stranger');
}

# Without a column version: no rewrite. Existing rows are delivered.
{
	$session->query(q(create table big (id int primary key, note text); insert into big select i, 'note ' || i from generate_series(1, 200) i));
	call("mirror_pull('m')");
	my $file = $session->value(q(select pg_relation_filenode('big')));
	my $before = version();
	my $revision = revision();
	register(q('big'));
	is($session->value(q(select pg_relation_filenode('big'))), $file, 'registering does not rewrite the table');
	is($session->value(q(select n_tup_upd from pg_stat_xact_user_tables where relname = 'big')), 0, 'nor update a row');
	is($session->value('select count(*) from big where version = ' . ($before + 1)), 200, 'all rows have the new version');
	is($session->value(q(select string_agg(indexdef, ' ') from pg_indexes where tablename = 'big' and indexdef ~ 'version')),
	    'CREATE INDEX big_version_idx ON public.big USING btree (version)', 'there is an index');
	is(version(), $before + 1, 'one version');
	cmp_ok(revision(), '>', $revision, 'another revision');
	synced('existing rows are delivered');
	is($session->value(q(select prefix from replicache_table)), 'big/', 'the prefix is the name');

	my $state = "select (select array_agg(r::text) from replicache_table r)::text || (select array_agg(xmin::text || big) from big)::text
		|| (select array_agg(xmin::text || tgname) from pg_trigger where tgrelid = 'big'::regclass)::text || (select s::text from replicache_state s)";
	my $was = $session->value($state);
	register(q('big'));
	register(q('big', 'big/'));
	is($session->value($state), $was, 'registering again does nothing');
	is(version(), $before + 1, 'and takes no version');
}

# With a column version.
{
	$session->query(q(create table old (id int primary key, note text, version bigint default 0, touched int default 0);
		create function touch() returns trigger language plpgsql as $$ begin new.touched = new.touched + 1; return new; end $$;
		create trigger touch before update on old for each row execute function touch();
		create trigger off before update on old for each row execute function touch();
		alter table old disable trigger off;
		create index old_v on old (version, id);
		insert into old (id, version) values (1, 5), (2, 1::bigint << 60), (3, null)));
	register(q('old'));
	is($session->value('select count(*) from old where version = ' . version()), 3, 'existing rows are stamped');
	is($session->value('select sum(touched) from old'), 0, "the app's triggers stay quiet");
	is($session->value(q(select string_agg(tgname || tgenabled::text, ' ' order by tgname) from pg_trigger where tgname in ('touch', 'off'))),
	    'offD touchO', 'and are as they were');
	is($session->value(q(select count(*) from pg_indexes where tablename = 'old')), 2, 'an index that starts with version will do');
	synced('they are delivered');
	$session->query('update old set note = 1 where id = 1');
	is($session->value('select touched from old where id = 1'), 1, 'later they fire');
	synced('an update');
}

# Changes.
{
	$session->query(q(create view big_view as select id, note from big where id <= 100));
	register(q('big', view => 'big_view'));
	is($session->value(q(select count(*) from jsonb_object_keys(mirror_truth()) k where k ~ '^big')), 100, 'a view');
	synced('is synced');
	my $before = version();
	register(q('big', view => 'big_view'));
	is(version(), $before, 'again, nothing');
	$session->query(q(create or replace view big_view as select id, upper(note) as note from big where id <= 60));
	register(q('big', view => 'big_view'));
	is(version(), $before + 1, 'a view that changed');
	synced('is synced');
	$session->query(q(create function shout(t text) returns text language sql as 'select t || ''!''';
		create view inner_view as select id, shout(note) as note from big;
		create or replace view big_view as select id, note from inner_view));
	register(q('big', view => 'big_view'));
	synced('a view of a view');
	$before = version();
	$session->query(q(create or replace function shout(t text) returns text language sql as 'select t || ''!!'''));
	register(q('big', view => 'big_view'));
	is(version(), $before + 1, 'a function of a view of a view that changed');
	synced('is synced');
	register(q('big', 'B:', view => 'big_view', omit => '{id}'));
	is($session->value(q(select mirror_truth() -> 'B:1')), '{"note": "note 1!!"}', 'another prefix, a column left out');
	synced('is synced');
	is($session->value(q(select count(*) from replicache_tombstone where key ~ '^big/')), 200, 'the old keys are gone');
	register(q('big', 'big/'));
	synced('back again');
	is($session->value(q(select count(*) from replicache_tombstone where key ~ '^big/')), 0, 'the keys are there again');
	$session->query(q(alter table big add column more int default 7));
	$session->query(q(update big set more = 8 where id = 1));
	register(q('big'));
	is($session->value(q(select mirror_truth() -> 'big/1')), '{"id": 1, "more": 8, "note": "note 1"}', 'a column added');
	synced('is synced');
	$session->query('alter table big add column deleted boolean not null default false');
	register(q('big'));
	synced('a column deleted is added');
	$session->query('delete from big where id <= 10');
	is($session->value('select count(*) from big where deleted'), 10, 'deletes are soft');
	synced('and synced');
	$session->query('alter table big drop column deleted cascade');
	register(q('big'));
	synced('the column is dropped: its rows are back');
	$session->query('delete from big where id <= 10');
	is($session->value('select count(*) from big'), 190, 'deletes are real');
	synced('and synced');
	is($session->value(q(select count(*) from pg_trigger where tgrelid = 'big'::regclass and tgname ~ 'revive|bury')), 0, 'without the other triggers');
	$session->query('alter table big rename to large');
	like($session->error('delete from large'), qr/42P01/, 'a renamed table can not be written to');
	register(q('large', 'big/'));
	$session->query('delete from large where id < 20');
	synced('until it is registered again');
	my $floor = floor();
	$session->query('alter table large drop constraint big_pkey cascade, drop column id cascade, add column id2 uuid primary key default gen_random_uuid()');
	$session->query('drop trigger if exists zz_replicache_rekey on large');
	register(q('large', 'big/'));
	cmp_ok(floor(), '>', $floor, 'with another primary key clients start over');
	synced('and get all');
}

# The texts a pull runs.
{
	$session->query(q(
		create domain email as text; create type colour as enum ('red');
		create table kinds (id int primary key, s smallint, l bigint, b boolean, v varchar(5), e email, c char(3), n numeric, f float8,
			t timestamptz, x bytea, j json, jb jsonb, a int[], u uuid, m colour, d date, deleted timestamptz, "odd ""name" text)));
	register(q('kinds'));
	my $pull = $session->value(q(select pull_all from replicache_table where prefix = 'kinds/'));
	is($pull, q(select ('kinds/' OPERATOR(pg_catalog.||) t.id::pg_catalog.text) collate "C" as key, false as gone,
  t.id,
  t.s,
  t.l,
  t.b,
  t.v,
  t.e,
  pg_catalog.to_json(t.c) as c,
  pg_catalog.to_json(t.n) as n,
  pg_catalog.to_json(t.f) as f,
  pg_catalog.to_json(t.t) as t,
  pg_catalog.to_json(t.x) as x,
  t.j,
  t.jb,
  pg_catalog.to_json(t.a) as a,
  pg_catalog.to_json(t.u) as u,
  pg_catalog.to_json(t.m) as m,
  pg_catalog.to_json(t.d) as d,
  pg_catalog.to_json(t.deleted) as deleted,
  t."odd ""name"
from public.kinds as t), 'plain types as they are, others as JSON');
	$session->query(q(insert into kinds (id) values (1)));
	synced('nulls and all');
}

# per_user.
{
	$session->query(q(
		create table mine (id int primary key, owner text);
		create view mine1 as select id from mine;
		create view mine2 as select id from mine where owner = replicache_user_id();
		create view mine3 as select id from mine2;
		create function me() returns text language sql stable as 'select replicache_user_id()';
		create view mine4 as select id from mine where owner = me();
		create table secret (id int primary key, of text);
		create view mine5 as select id from mine join secret using (id);
		create view mine6 as select id from mine where owner = replicache_claim('name');
		create view may as select id, owner as viewer from mine;
		create view may1 as select id from mine;
		create view may2 as select owner as viewer from mine;
		create view may3 as select id, 7 as viewer from mine;
	));
	refused(qq('mine', view => '$_'), qr/22023: what clients see of mine depends on the user/,
	    "$_ without an audience") for qw(mine2 mine3 mine4 mine6);
	refused(q('mine', audience => 'may1'), qr/42703: audience may1 has no column viewer/, 'an audience without users');
	refused(q('mine', audience => 'may2'), qr/42703: audience may2 has no column id/, 'an audience without keys');
	refused(q('mine', audience => 'may3'), qr/42703: audience may3 has no column viewer/, 'an audience of numbers');
	$session->query('create table forced (id int primary key); alter table forced enable row level security, force row level security');
	refused(q('forced'), qr/42809: row level security of forced is forced/, 'forced row level security');
	my $is = sub {
		my ($view) = @_;
		my $alone = $session->error("select replicache_register_table('mine', view => $view)") eq '';
		register(q('mine'), "view => $view", q(audience => 'may')) if !$alone;
		ok($session->value(q(select per_user from replicache_table where prefix = 'mine/')) eq ($alone ? 'f' : 't'),
		    "$view: per user only with an audience");
		return $session->value(q(select per_user from replicache_table where prefix = 'mine/'));
	};
	is($is->('null'), 'f', 'a table is the same for all');
	is($is->("'mine1'"), 'f', 'so is a view');
	is($is->("'mine2'"), 't', 'one that asks for the user is not');
	is($is->("'mine3'"), 't', 'nor is a view of it');
	is($is->("'mine4'"), 't', 'nor is one that calls a function that does');
	is($is->("'mine5'"), 'f', 'a join is');
	$session->query('alter table secret enable row level security; alter view mine5 set (security_invoker = true)');
	is($is->("'mine5'"), 't', 'unless a table has row policies');
	is($is->('null'), 'f', 'and back');
}

# Unregister.
{
	$session->query('insert into large (note) values (1)') ;
	my $before = version();
	call(q(replicache_unregister_table('old')));
	is(version(), $before + 1, 'to unregister takes a version');
	synced('the rows are gone');
	is($session->value(q(select count(*) from pg_trigger where tgrelid = 'old'::regclass and tgname ~ 'replicache')), 0, 'no triggers');
	is($session->value('select count(*) from pg_proc p where proname ~ \'^replicache_[0-9]\' and not exists
		(select from pg_trigger where tgfoid = p.oid)'), 0, 'no functions');
	is($session->value(q(select count(*) from pg_attribute where attrelid = 'old'::regclass and attname = 'version')), 1, 'the column stays');
	$session->query('insert into old (id) values (9); delete from old where id = 1');
	call(q(replicache_unregister_table('old')));
	is(version(), $before + 1, 'again, nothing');
	register(q('old'));
	synced('registered again');

	my $floor = floor();
	$session->query('drop table old');
	like($session->error('select mirror_truth()'), qr/42P01/, 'a table that was dropped breaks a pull');
	$session->query('create table old (id int primary key)');
	register(q('old'));
	synced('until it is made and registered again');
	cmp_ok(floor(), '>', $floor, 'clients start over');
	is($session->value('select count(*) from pg_proc p where proname ~ \'^replicache_[0-9]\' and not exists
		(select from pg_trigger where tgfoid = p.oid)'), 0, 'functions of the dropped table are gone');
	$session->query('drop table old');
	$session->query(q(do $$ begin perform replicache_unregister_table(table_name) from replicache_table where prefix = 'old/'; end $$));
	synced('or unregistered');
}

# A rerun of the installation brings triggers up to date.
{
	$session->query(q(update replicache_table set code = '-- of an older version'));
	$session->query('drop trigger zz_replicache_stamp on large');
	$cluster->run_file($database, srcdir() . '/schema/replicache.sql');
	$session->query(q(insert into large (note) values ('new')));
	synced('installing again renews triggers of an older version');
}

# Mutators.
{
	$session->query(q(
		create schema "App"; set search_path = "App", public;
		create function good(args jsonb) returns void language sql as '';
		create function good2(args json) returns int language sql as 'select 1';
		create function either(args json) returns void language sql as '';
		create function either(args jsonb) returns void language sql as '';
		create function two(a jsonb, b int) returns void language sql as '';
		create function wrong(a text) returns void language sql as '';
		create function many(a jsonb) returns setof int language sql as 'select 1';
		create procedure proc(a jsonb) language sql as '';
		create function "Odd ""Name"(args jsonb) returns void language sql as '';
	));
	my $found = sub { $session->value("select function || ' ' || argument from replicache_mutator where name = '$_[0]'") };
	call(q(replicache_register_mutator('m', 'good')));
	is($found->('m'), '"App".good(jsonb) jsonb', 'by name');
	call(q(replicache_register_mutator('m', 'good2')));
	is($found->('m'), '"App".good2(json) json', 'replaced, taking json');
	call(q(replicache_register_mutator('m', 'either')));
	is($found->('m'), '"App".either(jsonb) jsonb', 'jsonb goes first');
	call(q(replicache_register_mutator('m', 'either(json)')));
	is($found->('m'), '"App".either(json) json', 'unless told');
	call(q(replicache_register_mutator('m', '"App".good'::regproc)));
	is($found->('m'), '"App".good(jsonb) jsonb', 'by regproc');
	call(q(replicache_register_mutator('m', '"App".either(json)'::regprocedure)));
	is($found->('m'), '"App".either(json) json', 'by regprocedure');
	call(q(replicache_register_mutator('it''s/"a" %s', '"Odd ""Name"')));
	is($session->value(q(select count(*) from replicache_mutator where name = 'it''s/"a" %s')), 1, 'odd names');
	for my $row (@{ $session->query('select name, call from replicache_mutator') }) {
		is($session->error("prepare x as $row->[1]"), '', "the call of $row->[0] can be prepared");
		is($session->error("execute x ('c', 'g', 1, 'u', '{}', ''); deallocate x"), '', 'and run');
	}
	for my $bad (qw(two wrong nothing good(text) proc), '') {
		like($session->error("select replicache_register_mutator('m', '$bad')"), qr/42883|42P13|42602/, "refused: '$bad'");
	}
	like($session->error("select replicache_register_mutator('m', 'many')"), qr/42P13/, 'refused: a set');
	like($session->error("select replicache_register_mutator('', 'good')"), qr/22023/, 'refused: no name');
	my $revision = revision();
	call(q(replicache_register_mutator('m', 'either(json)')));
	is(revision(), $revision, 'again, nothing');
	# Looked through again. Many take seconds, for which nobody is to wait.
	my $held = q(select count(*) from pg_locks where pid = pg_backend_pid() and relation = 'replicache_version_lock'::regclass);
	for my $case ([ 'select 1', 0, 't' ], [ q(select set_config('a.b', 'c', true)), 1, 'f' ], [ q(select set_config('a.b', 'd', true)), 0, 'f' ], [ 'select 2', 1, 't' ]) {
		my ($does, $locks, $shared) = @$case;
		$session->query("create or replace function either(args json) returns void language sql as \$\$ $does \$\$");
		$session->query('begin');
		is($session->value('select replicache_examine()'), 't', "replaced by $does: looked through");
		is($session->value($held), $locks, $locks ? 'it takes the lock to write that it is another' : 'without the lock');
		$session->query('commit');
		is($session->value(q(select shared from replicache_mutator where name = 'm')), $shared, 'and what it is is known');
		is($session->value('select replicache_examine()'), 'f', 'not again');
	}
	call(q(replicache_unregister_mutator('m')));
	is($found->('m'), undef, 'unregistered');
	cmp_ok(revision(), '>', $revision, 'a change is another revision');
	$revision = revision();
	$session->query(q(insert into replicache_schema_version values ('1')));
	cmp_ok(revision(), '>', $revision, 'so is another schema version');
}

done_testing;
