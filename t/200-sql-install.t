#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# schema/*.sql install as an ordinary owner, twice, over data, and in any
# schema; nobody else may do anything.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir);

my $cluster = Rig::Cluster->start;
my $schema = srcdir() . '/schema';

# All that installing leaves: functions, tables, triggers, rights, rows.
my $picture = q(
	select string_agg(line, E'\n' order by line) from (
		select pg_get_functiondef(oid) || coalesce(proacl::text, 'PUBLIC')
		from pg_proc where pronamespace = 'public'::regnamespace
		union all
		select c.relname || a.attnum || a.attname || a.atttypid::regtype
			|| coalesce(c.relacl::text, '')
		from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relnamespace = 'public'::regnamespace and a.attnum > 0
		union all
		select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
		union all select m::text from message m
		union all select t::text from replicache_table t
		union all select m::text from replicache_mutator m
		union all select s::text from replicache_state s
		union all select v.version::text from replicache_version v
		union all select v::text from replicache_version_time v
	) as x (line));

{
	my $database = $cluster->database('chat');
	my $session = $cluster->session($database);
	is($session->value(q(select rolsuper from pg_roles where rolname = current_user)), "f",
	    'installed by an ordinary role');
	is($session->value('select count(*) from replicache_state'), 1, 'one state');
	is($session->value('select max(version) = floor and floor = epoch
		from replicache_version, replicache_state group by floor, epoch'), 'f',
	    'the chat took a version');
	$session->query(q(insert into message (id, sender, content, ord) values ('a', 'me', 'hi', 1)));
	my $before = $session->value($picture);
	for my $file (qw(replicache.sql chat.sql replicache.sql)) {
		my $printed = $cluster->run_file($database, "$schema/$file");
		is($printed, '', "$file again says nothing");
		is($session->value($picture), $before, "$file again changes nothing");
	}
	$session->query(q(update replicache_mutator set call = 'as an older file had it' where name = 'createMessage'));
	$cluster->run_file($database, "$schema/replicache.sql");
	like($session->value(q(select call from replicache_mutator where name = 'createMessage')), qr/create_message/,
	    'it brings the calls of mutators up to date');
	$cluster->run_file($database, "$schema/statements.sql");
	pass('all statements can be prepared');
	my ($first) = $session->value('select min(version) from replicache_version');
	my $now = time - 1577836800;
	cmp_ok(abs($first / 2**20 - $now), '<', 300, 'versions start at the clock');
}

{
	my $session = $cluster->session($cluster->database('chat'));
	is($session->value(q(
		select count(*) from pg_proc p
		where pronamespace = 'public'::regnamespace
		  and has_function_privilege('other', p.oid, 'execute'))), 0,
	    'PUBLIC can execute nothing');
	is($session->value(q(
		select count(*) from pg_class c
		where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
		  and has_table_privilege('other', c.oid,
		      'select, insert, update, delete, truncate'))), 0,
	    'PUBLIC can read and write nothing');
	$session->query(q(do $$ begin create table item (id int primary key);
		perform replicache_register_table('item'); end $$));
	is($session->value(q(
		select count(*) from pg_proc p
		where pronamespace = 'public'::regnamespace
		  and has_function_privilege('other', p.oid, 'execute'))), 0,
	    'nor functions made for a table');
}

{
	my $database = $cluster->database('empty');
	my $session = $cluster->session($database);
	$session->query('create schema "My Sync"');
	$session->query("alter role app in database $database set search_path = \"My Sync\", public");
	$cluster->run_file($database, "$schema/$_")
	    for qw(replicache.sql replicache.sql chat.sql chat.sql statements.sql);
	is($session->value(q(select string_agg(distinct relnamespace::regnamespace::text, ' ')
		from pg_class where relname ~ '^(replicache|message)')), '"My Sync"',
	    'installs into the first schema of search_path');

	# Whatever the session's search_path is, triggers and functions work.
	my $elsewhere = $cluster->session($database);
	$elsewhere->query('create schema evil; set search_path = evil, pg_catalog');
	$elsewhere->query(q(create function evil.replicache_next_version() returns bigint language sql as 'select 1::bigint'));
	$elsewhere->query(q(create temporary table replicache_version (version bigint, xid xid8)));
	$elsewhere->query(q(insert into "My Sync".message (id, sender, content, ord) values ('a', 'me', 'hi', 1)));
	is($elsewhere->value(q(select m.version = max(v.version) from "My Sync".message m, "My Sync".replicache_version v
		group by m.version)), 't', 'a write with another search_path is stamped');
	$elsewhere->query(q(delete from "My Sync".message));
	is($elsewhere->value(q(select deleted from "My Sync".message)), 't', 'and a delete');
	$elsewhere->query(q(insert into "My Sync".message (id, sender, content, ord) values ('a', 'me', 'again', 1)));
	is($elsewhere->value(q(select content from "My Sync".message where not deleted)), 'again', 'and a revival');
	my $call = $elsewhere->value(q(select call from "My Sync".replicache_mutator where name = 'createMessage'));
	$elsewhere->query("prepare m as $call");
	$elsewhere->query(q(execute m ('c', 'g', 1, 'u', '{"id":"b","from":"x","content":"y","order":1}', '')));
	is($elsewhere->value(q(select count(*) from "My Sync".message)), 2, 'and a mutator');
	is($elsewhere->value('select "My Sync".replicache_new_epoch()'),
	    $elsewhere->value('select floor from "My Sync".replicache_state'), 'and a new epoch');
	is($elsewhere->value(q(select "My Sync".replicache_purge('0'))), 0, 'and a purge');
}

{
	my $admin = $cluster->admin;
	$admin->query(q(create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' owner app));
	$cluster->session('latin', 'postgres')->query('alter schema public owner to app');
	eval { $cluster->run_file('latin', "$schema/replicache.sql") };
	like($@, qr/database in UTF8/, 'another encoding is refused');
	is($cluster->session('latin')->value(q(select count(*) from pg_class where relname ~ '^replicache')), 0,
	    'and leaves nothing behind');
}

# A role that may only write to the table, and one that runs the program.
{
	my $database = $cluster->database('chat');
	my $owner = $cluster->session($database);
	$cluster->admin->query("create role $_ login") for qw(writer web);
	$owner->query('grant insert, update, delete, select on message to writer');
	my $writer = $cluster->session($database, 'writer');
	$writer->query(q(insert into message (id, sender, content, ord) values ('a', 'me', 'hi', 1)));
	$writer->query(q(update message set content = 'ho'));
	is($writer->value('select version from message'),
	    $owner->value('select max(version) from replicache_version'), 'a writer needs no other rights');
	$writer->query('delete from message');
	$writer->query(q(insert into message (id, sender, content, ord) values ('a', 'me', 'again', 1)));
	is($writer->value('select content from message'), 'again', 'nor to delete and revive');
	for my $function ('replicache_next_version()', 'replicache_purge()',
	    q(replicache_register_table('message', 'x/')), 'replicache_lock()', 'replicache_raise_version(0, 0)') {
		like($writer->error("select $function"), qr/42501/, "$function is denied");
	}

	$cluster->grant($database, 'web');
	$owner->query('grant insert, update, delete on message to web');
	my $web = $cluster->session($database, 'web');
	$web->send(qq(\\i $schema/statements.sql));
	$web->wait;
	$web->query(q(begin; execute set_limits ('5000', '2000', '10000')));
	$web->query(q(execute push_begin ('{g}', '{u}', '{c}', '{g}', '{u}', '{0}', '{2}', null)));
	my $call = $web->value(q(select call from replicache_mutator where name = 'createMessage'));
	$web->query("prepare m as $call");
	$web->query(q(execute m ('c', 'g', 1, 'u', '{"id":"b","from":"x","content":"y","order":1}', '')));
	is($web->value(q(execute guard ('c', 'g', 2, 'u', 'deleteMessage', 'null', null, ''))), 'mutator_error', 'the guard runs as web');
	$web->query('commit');
	is($owner->value('select count(*) from replicache_failed_mutation'), 1, 'and records');
	is(scalar @{ $web->query($web->value('select pull_all from replicache_table')) }, 2, 'web pulls');
	$web->query(q(execute pull_look ('{g}', '{0}', '{u}')));
	like($web->error('select replicache_purge()'), qr/42501/, 'web can not purge');
	like($web->error('insert into replicache_version values (1)'), qr/42501/, 'nor forge a version');
}

# A dump, loaded elsewhere, goes on where it was.
{
	my $from = $cluster->database('chat');
	my $session = $cluster->session($from);
	$session->query(q(insert into message (id, sender, content, ord) values ('a', 'me', 'hi', 1)));
	$session->query(q(select replicache_push_begin('{g}', '{u}', '{c}', '{g}', '{u}', '{0}', '{2}')));
	my $before = $session->value($picture);
	my $to = $cluster->database('empty');
	my $file = Rig::Place::workdir() . '/dump.sql';
	my $pid = Rig::Place::start_process([ Rig::Cluster::server_tool('pg_dump'),
	    '-d', $cluster->conninfo($from), '-f', $file ]);
	is(Rig::Place::reap_process($pid, 60), 0, 'a dump');
	$cluster->run_file($to, $file, 'postgres');
	my $copy = $cluster->session($to);
	my $version = $copy->value('select max(version) from replicache_version');
	is($version, $session->value('select max(version) from replicache_version'), 'a dump brings the version');
	is($copy->value('select code from replicache_table'), $session->value('select code from replicache_table'), 'and what is registered');
	# As if the next transaction had the xid of the dumped row.
	$copy->query(q(update replicache_version set xid = (pg_current_xact_id()::text::bigint + 1)::text::xid8));
	$copy->query(q(update message set content = 'new'));
	cmp_ok($copy->value('select version from message'), '>', $version, 'writes go on above it');
}

done_testing;
