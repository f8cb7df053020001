#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Database sessions are kept: one request after another uses the same one, and
# what is registered meanwhile takes effect all the same. There are no more of them
# than the pool may have: who gets none in time is told to come again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(slurp wait_until);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));

sub backends
{
	return $session->value(q(select string_agg(pid::text, ' ' order by pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()));
}

sub pushed
{
	my ($id, $mutator) = @_;
	return $program->request(push_params('g', [ 'c', $id, $mutator, '"x"' ]))->{status};
}

is(pushed(1, 'note'), 200, 'the first push');
my $first = backends();
like($first, qr/^\d+$/, 'opens one session');
is(pushed($_, 'note'), 200, "push $_") for 2 .. 5;
is($program->request(pull_params('g'))->{status}, 200, 'a pull');
# A second one may be opened: the next push can come before the session of the
# last one is back.
like(backends(), qr/\b$first\b/, 'the session is kept');

# A mutator that is replaced between two pushes: the second calls the new one.
$session->query(q(
	create function note_twice(args jsonb) returns void language sql as $$
		select note('twice'); select note('twice') $$;
	do $$ begin perform replicache_register_mutator('note', 'note_twice'); end $$));
is(pushed(6, 'note'), 200, 'a push after registering');
is($session->value(q(select count(*) from journal where note = 'twice')), 2,
	'calls what is registered now');
$session->query(q(do $$ begin perform replicache_unregister_mutator('note'); end $$));
is(pushed(7, 'note'), 200, 'a push after unregistering');
is($session->value(q(select code from replicache_failed_mutation where client_id = 'c')),
	'unknown_mutator', 'finds nothing to call');

# A column is added to a table that was pulled through a prepared statement.
$session->query(q(alter table item add column extra int; select replicache_register_table('item')));
is($program->request(pull_params('g'))->{status}, 200, 'a pull after a table has changed');
$session->query(q(alter table item alter column extra type text));
is($program->request(pull_params('g'))->{status}, 200, 'and after a type has changed');

# Pulls one after another share one session: the rows are read in that of the look.
{
	my $most = 0;
	for (1 .. 20) {
		$session->query(q(select pg_terminate_backend(pid, 10000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()));
		is($program->request(pull_params('g'))->{status}, 200, 'a first pull') for 1 .. 2;
		my $count = split ' ', backends();
		$most = $count if $count > $most;
	}
	is($most, 1, 'pulls one after another take one session');
}

is($program->stop, 0, 'it ends in order');

# After its first push a session is made to keep the memory that pushes take; where
# it may be another's the next time, it is not.
{
	my $log = "$cluster->{folder}/server.log";
	$cluster->admin->query("alter database $database set log_statement = 'all'");
	for my $prepared (1, 0) {
		my $before = -s $log;
		my $other = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
			REPLICACHE_PREPARED => $prepared ? 'on' : 'off');
		is($other->request(push_params("kept$prepared", [ "k$prepared", $_, 'delete', '"x"' ]))->{status}, 200, 'a push') for 1 .. 4;
		is($other->stop, 0, 'it ends in order');
		my $told = substr slurp($log), $before;
		is(scalar(() = $told =~ /execute \S+: select replicache_push_begin/g), 4, 'four pushes');
		is(scalar(() = $told =~ /execute \S+: select length\(repeat/g), $prepared,
			'memory is kept, by what is sent ' . ($prepared ? 'once' : 'never'));
	}
	$cluster->admin->query("alter database $database reset log_statement");
}

# The sessions there may be wait for a table.
$program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_POOL => 2,
    REPLICACHE_CONNECT_TIMEOUT => 300, REPLICACHE_LOCK_TIMEOUT => 60_000, REPLICACHE_STATEMENT_TIMEOUT => 60_000);
my $holder = $cluster->session($database);
$holder->query('begin; lock table item in access exclusive mode');
my @waiting;

sub send_one
{
	push @waiting, $program->connect;
	$waiting[-1]->send_raw(Rig::Fastcgi::request_bytes(@_));
}

sub waiting_sessions
{
	return $session->value(q(select count(*) from pg_stat_activity
		where datname = current_database() and wait_event_type = 'Lock'));
}

send_one(push_params('g', [ 'd', 1, 'putItem', '{"id":"y","body":1}' ]));
wait_until(sub { waiting_sessions() == 1 }, 'a push to wait', 30);
send_one(pull_params('g'));
wait_until(sub { waiting_sessions() == 2 }, 'a pull to wait', 30);
my $answer = $program->request(pull_params('g'));
is($answer->{status}, 503, 'a pull finds no session');
like($answer->{body}, qr/"unavailable"/, 'and is told so');
ok(defined $answer->{headers}{'retry-after'}, 'and when to come again');
like($program->log, qr/all connections to the database are in use/, 'the log says why');
$holder->query('commit');
is($_->answer(60)->{status}, 200, 'who waited is answered') for @waiting;
$_->close for @waiting;
is($program->request(pull_params('g'))->{status}, 200, 'and then the pull');
is($program->stop, 0, 'it ends in order');

# The database gives fewer sessions than the pool may have: who finds none waits for
# one of those there are, if not for ever.
sub start_crowded
{
	my ($patience) = @_;
	wait_until(sub { $session->value(q(select count(*) from pg_stat_activity where usename = 'app')) <= 2 },
	    'the sessions of before to be gone', 30);
	$program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_POOL => 4,
	    REPLICACHE_CONNECT_TIMEOUT => $patience, REPLICACHE_LOCK_TIMEOUT => 60_000, REPLICACHE_STATEMENT_TIMEOUT => 60_000);
	$holder->query('begin; lock table item in access exclusive mode');
	@waiting = ();
}

# Two are this test's.
$cluster->admin->query('alter role app connection limit 3');
start_crowded(30_000);
send_one(push_params('g', [ 'e', 1, 'putItem', '{"id":"y","body":2}' ]));
wait_until(sub { waiting_sessions() == 1 }, 'the push to wait', 30);
send_one(pull_params('g'));
wait_until(sub { $program->log =~ /no connection to the database: .*too many connections/ }, 'a pull to be refused a session', 30);
send_one(pull_params("g$_")) for 1 .. 3;
$holder->query('commit');
is($_->answer(60)->{status}, 200, 'answered by the only session') for @waiting;
$_->close for @waiting;
is($program->stop, 0, 'it ends in order');

start_crowded(300);
send_one(push_params('g', [ 'f', 1, 'putItem', '{"id":"y","body":3}' ]));
wait_until(sub { waiting_sessions() == 1 }, 'the push to wait', 30);
$answer = $program->request(pull_params('g'), seconds => 30);
is($answer->{status}, 503, 'the only session does not come back: a pull is refused');
$holder->query('commit');
is($_->answer(60)->{status}, 200, 'who has the session goes on') for @waiting;
$_->close for @waiting;
$cluster->admin->query('alter role app connection limit -1');
is($program->stop, 0, 'it ends in order');
done_testing;
