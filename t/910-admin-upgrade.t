#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Schemas of other numbers: replicache-admin upgrade, and who refuses what. The
# upgrades are those of a replicache-admin of the future, which was built for
# this test: t/upgrade.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(builddir srcdir start_process reap_process wait_until);
use Rig::Program qw(params);
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $next = builddir() . '/t/next/replicache-admin';

# A database with a client in it, a session, and the two programs.
sub place
{
	my $database = $cluster->database('chat');
	my $session = $cluster->session($database);
	$session->query(q(do $$ begin perform replicache_push_begin('{g}', '{u}', '{a}', '{g}', '{u}', '{0}', '{1}'); end $$));
	my $conninfo = $cluster->conninfo($database);
	return ($database, $session, Rig::Admin->new($conninfo), Rig::Admin->new($conninfo, program => $next));
}

sub number { $_[0]->value('select schema_number from replicache_state') }

subtest 'nothing to do' => sub {
	my (undef, $session, $admin) = place();
	is_deeply($admin->json('upgrade'), { database_schema => 'public', schema_number => 2 }, 'said so');
	is(number($session), 2, 'nothing done');
};

# A database as the release 0.1.0 left it.
subtest 'from 0.1.0' => sub {
	my $database = $cluster->database('empty');
	$cluster->run_file($database, srcdir() . '/t/upgrade/0.1.0.sql');
	my $session = $cluster->session($database);
	my $conninfo = $cluster->conninfo($database);
	my $cookie = $session->value('select max(version) from replicache_version');
	is_deeply(Rig::Admin->new($conninfo)->json('upgrade'),
		{ database_schema => 'public', upgraded_from => 1, schema_number => 2 }, 'upgraded');
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $conninfo);
	my $pull = sub { return Rig::Json::decode($program->request(pull_params('g', $_[0]))->{body}) };
	# A number does not say whose view it was, and one of the tables has an audience.
	my $first = $pull->($cookie);
	is($first->{patch}[0]{op}, 'clear', 'a client starts over, once');
	is($first->{cookie}{v}, $cookie, 'at the version where it was');
	is($first->{cookie}{order}, $cookie + 1, 'by a cookie that it takes');
	is_deeply($pull->($first->{cookie}), { cookie => $first->{cookie}, lastMutationIDChanges => {}, patch => [] },
		'and goes on from there');
	my $push = $program->request(push_params('g', [ 'a', 2, 'createMessage',
		'{"id":"m2","from":"u","content":"more","order":2}' ]));
	is($push->{status}, 200, 'and from its last mutation');
	my $answer = $pull->($first->{cookie});
	is_deeply([ $answer->{lastMutationIDChanges}, map { $_->{key} } @{ $answer->{patch} } ],
		[ { a => 2 }, 'message/m2' ], 'which it is told of, and of nothing else');
	$session->query('delete from todo where id = 1');
	is_deeply([ map { "$_->{op} $_->{key}" } @{ $pull->($answer->{cookie})->{patch} } ],
		['del todo/1'], 'and so is any other write');
	$program->stop;
	is($session->value(q(select count(*) from replicache_failed_mutation where role is null)), 2, 'the ledger is there, without roles');
	is($session->value(q(select bool_and(pushes and pulls) from replicache_schema_version)), 't',
		'a schemaVersion is accepted for both, as before');
	is($session->value(q(select string_agg(what || ': ' || advice, ', ') from replicache_check()
		where result = 'fault')), undef, 'and there is no fault');
};

subtest 'upgrade, while a program serves' => sub {
	my ($database, $session, $admin, $new) = place();
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_LOG_LEVEL => 'debug');
	my $status = sub {
		return join ' ', map { $_->{status} } $program->request(push_params('h', [ 'c', $_[0], 'nope' ])),
		    $program->request(pull_params('h')), $program->request(params('GET', '/health'));
	};
	is($status->(1), '200 200 200', 'it does');
	my $run = $new->run('install');
	is($run->{exit}, 4, 'the new install refuses the old schema');
	like($run->{error}, qr/has schema 2, this program knows 4: replicache-admin upgrade/, 'and says what to do');
	is($new->run('failed', 'list')->{exit}, 4, 'so do the other verbs');
	is_deeply($new->json(4, 'status'), { database_schema => 'public', schema_number => 2, program_knows => 4 }, 'and status');
	is_deeply($new->json('upgrade'), { database_schema => 'public', upgraded_from => 2, schema_number => 4 }, 'upgraded');
	is($session->value(q(select string_agg(id || made_up, ' ' order by id) from replicache_client_group)), 'g4 h4', 'by both steps');
	is(number($session), 4, 'numbered');
	is($new->run('upgrade')->{exit}, 0, 'again');
	is($new->run('install')->{exit}, 0, 'the new install goes with it');
	is($new->run('failed', 'list')->{exit}, 0, 'and the other verbs');

	is($status->(2), '503 503 503', 'the old program serves no more');
	like($program->log, qr/has schema 4, this program knows 2/, 'and says why');
	like($program->request(params('GET', '/health'))->{body}, qr/"schema":4.*"reason":"schema too new"/, 'its health too');
	$program->stop;
	my $fresh = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
	is($fresh->request(pull_params('h'))->{status}, 503, 'nor does one that starts');
	$fresh->stop;

	for my $verb ('install', 'upgrade') {
		my $run = $admin->run($verb);
		is($run->{exit}, 4, "the old $verb refuses");
		like($run->{error}, qr/schema 4, which is newer than this program's 2; nothing was done/, 'and says so');
	}
	eval { $cluster->run_file($database, srcdir() . '/schema/replicache.sql') };
	like($@, qr/the database has schema 4, this file is of schema 2/, 'and so does its SQL');
	is(number($session), 4, 'nothing was done');
};

subtest 'an upgrade that fails' => sub {
	my (undef, $session, undef, $new) = place();
	$session->query('create table obstacle (id int)');
	my $run = $new->run('upgrade');
	is($run->{exit}, 1, 'fails');
	like($run->{error}, qr{upgrade/004.sql: there is an obstacle}, 'and says where');
	is(number($session), 3, 'the step before it is done');
	is($session->value(q(select made_up from replicache_client_group where id = 'g')), 3, 'and nothing of this one');
	$session->query('drop table obstacle');
	is($new->run('upgrade')->{exit}, 0, 'it goes on from there');
	is($session->value(q(select made_up from replicache_client_group where id = 'g')), 4, 'to the end');
};

subtest 'too old' => sub {
	my ($database, $session, $admin, $new) = place();
	$session->query('alter table replicache_state drop column schema_number');
	for my $one ($admin, $new) {
		my $run = $one->run('upgrade');
		is($run->{exit}, 4, 'tables of before there were numbers are refused');
		like($run->{error}, qr/has schema 0, and this program upgrades from 1 on; nothing was done/, 'as such');
	}
	is($admin->run('install')->{exit}, 4, 'by install too');
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
	is($program->request(pull_params('h'))->{status}, 503, 'and the program');
	$program->stop;
};

subtest 'two at a time' => sub {
	my ($database, $session, undef, $new) = place();
	$session->query('begin; select replicache_lock()');
	my @pid = map { start_process([ $new->command('upgrade') ], stderr => \*STDOUT) } 1 .. 2;
	my $watcher = $cluster->session($database);
	wait_until(sub {
		$watcher->value(q(select count(*) = 2 from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock'));
	}, 'both to wait');
	$session->query('commit');
	is_deeply([ map { reap_process($_, 60) } @pid ], [ 0, 0 ], 'both end well');
	is(number($session), 4, 'and it is done');
	is($session->value(q(select made_up from replicache_client_group where id = 'g')), 4, 'once');
};

done_testing;
