#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Database sessions that are killed: the one that holds the version lock, the
# program's own in the middle of a mutator and of COMMIT, and all of them,
# again and again. In the end everything is applied exactly once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(wait_until workdir spew);
use Rig::Program;
use Rig::Sync qw(push_params pull_params parallel);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));

sub kill_sessions
{
	my ($condition) = @_;
	return $session->value(qq(select count(pg_terminate_backend(pid, 5000))
		from pg_stat_activity where datname = current_database()
		and pid <> pg_backend_pid() and $condition));
}

sub sleeps
{
	return $session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'));
}

sub start_push
{
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params(@_)));
	return $peer;
}

sub note_count { return $session->value("select count(*) from journal where note = '$_[0]'") }

subtest 'the lock holder, psql' => sub {
	my $holder = $cluster->session($database);
	$holder->query(q(begin; insert into item (id, body) values ('half', '1')));
	my $peer = start_push('h', [ 'h', 1, 'note', '"h"' ]);
	wait_until(sub {
		$session->value(q(select count(*) from pg_locks where relation = 'replicache_version_lock'::regclass and not granted))
	}, 'the push to wait for the lock', 10);
	kill_sessions('pid = ' . $holder->backend);
	is($peer->answer(10)->{status}, 200, 'the push that waited goes on');
	is($session->value(q(select count(*) from item where id = 'half')), 0, 'nothing of the other is there');
	is(note_count('h'), 1, 'applied once');
};

# By pg_cancel_backend(): no mutation's fault, and counted against none, as one that
# runs out of time is: for the third time it would be recorded.
subtest 'the wait for the lock is cancelled' => sub {
	my $holder = $cluster->session($database);
	$holder->query(q(begin; insert into item (id, body) values ('cancel', '1')));
	for my $round (1 .. 3) {
		my $peer = start_push('w', [ 'w', 1, 'note', '"w"' ]);
		my $waits = q(pg_locks where relation = 'replicache_version_lock'::regclass and not granted);
		wait_until(sub { $session->value("select count(*) from $waits") }, 'the push to wait for the lock', 10);
		$session->query("select pg_cancel_backend(pid) from $waits");
		$holder->query('rollback') if $round == 3;
		is($peer->answer(10)->{status}, 503, "round $round: refused");
	}
	$holder->close;
	is($program->request(push_params('w', [ 'w', 1, 'note', '"w"' ]))->{status}, 200, 'sent again');
	is(note_count('w'), 1, 'applied once');
	is($session->value(q(select count(*) from replicache_failed_mutation where client_id = 'w')), 0, 'and not recorded');
};

# Answered 200 (tried again inside) or 503; sent again it is done, once.
subtest 'our session, in a mutator' => sub {
	for my $round (1 .. 3) {
		my @push = ('m', [ "m$round", 1, 'note', qq("m$round") ],
			[ "m$round", 2, 'sleep', '{"seconds":1.2}' ], [ "m$round", 3, 'note', qq("m$round") ]);
		my $peer = start_push(@push);
		wait_until(\&sleeps, 'the mutator to sleep', 10);
		kill_sessions(q(wait_event = 'PgSleep'));
		like($peer->answer(20)->{status}, qr/^(200|503)$/, "round $round: answered");
		is($program->request(push_params(@push))->{status}, 200, 'sent again');
		is(note_count("m$round"), 2, 'applied once');
	}
};

# COMMIT runs deferred triggers: one of them waits.
subtest 'our session, in COMMIT' => sub {
	$session->query(q(
		create table slow_commit (id int);
		create function slow_commit() returns trigger language plpgsql as $$
		begin perform pg_sleep(1.2); return null; end $$;
		create constraint trigger slow_commit after insert on slow_commit
			deferrable initially deferred for each row execute function slow_commit();
		create function slow_mutator(args jsonb) returns void language sql as $$
			select note(args #>> '{}'); insert into slow_commit values (1) $$;
		do $$ begin perform replicache_register_mutator('slowCommit', 'slow_mutator'); end $$));
	for my $round (1 .. 3) {
		my @push = ('s', [ "s$round", 1, 'slowCommit', qq("s$round") ]);
		my $peer = start_push(@push);
		wait_until(\&sleeps, 'COMMIT to wait', 10);
		kill_sessions(q(wait_event = 'PgSleep'));
		like($peer->answer(20)->{status}, qr/^(200|503)$/, "round $round: answered");
		is($program->request(push_params(@push))->{status}, 200, 'sent again');
		is(note_count("s$round"), 1, 'applied once');
	}
};

# A deferred constraint that fails at COMMIT is the mutator's own error: it
# must not stop the client for ever.
subtest 'COMMIT fails by a deferred constraint' => sub {
	$session->query(q(
		create table parent (id int primary key);
		create table child (id int references parent deferrable initially deferred);
		create function orphan(args jsonb) returns void language sql as $$
			select note('orphan'); insert into child values (1) $$;
		do $$ begin perform replicache_register_mutator('orphan', 'orphan'); end $$));
	my $answer = $program->request(push_params('o', [ 'o', 1, 'note', '"o"' ],
		[ 'o', 2, 'orphan', 'null' ], [ 'o', 3, 'note', '"o"' ]));
	is($answer->{status}, 200, 'answered');
	is(note_count('orphan'), 0, 'without effect');
	is(note_count('o'), 2, 'the others are applied');
	is($session->value(q(select code from replicache_failed_mutation where client_id = 'o')),
		'mutator_error', 'it is in the ledger');
};

subtest 'our session, in a pull' => sub {
	$session->query(q(insert into item (id, body)
		select 'row' || i, to_jsonb(repeat('x', 1000)) from generate_series(1, 20000) i));
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params('g')));
	$peer->next_record(10);
	kill_sessions(q(application_name is distinct from 'psql'));
	my $answer = eval { $peer->answer(20) };
	ok(!eval { Rig::Json::decode('{' . $answer->{body}) }, 'a cut answer does not parse')
		if !$answer->{end};
	my $whole = $program->request(pull_params('g'));
	is($whole->{status}, 200, 'pulled again');
	is(ref eval { Rig::Json::decode($whole->{body}) }, 'HASH', 'is whole');
};

# A view that ends the session it is read in: as good as Postgres ending it whenever
# this pull is made. It is given up, and the log says why.
subtest 'our session, in each pull there is' => sub {
	my $own = $cluster->database('cases');
	my $owner = $cluster->session($own, 'postgres');
	$owner->query(q(
		create table fatal (id text primary key, body jsonb);
		create function ends() returns boolean language sql as
			'select pg_terminate_backend(pg_backend_pid())';
		create view fatal_view as select id, body, ends() as ended from fatal;
		grant select on fatal, fatal_view to app;
		grant execute on function ends to app;
		do $$ begin perform replicache_register_table('fatal', view => 'fatal_view'); end $$;
		insert into fatal values ('f', '1')));
	my $fatal = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($own));
	my $answer = $fatal->request(pull_params('g'), seconds => 30);
	is($answer->{status}, 503, 'refused');
	like($fatal->log, qr/terminating connection/, 'with the reason in the log') or diag($fatal->log);
	$owner->query('delete from fatal');
	is($fatal->request(pull_params('g'))->{status}, 200, 'answered when it can be read again');
	is($fatal->stop, 0, 'ended in order');
};

# Pushers that send until they hear 200, and somebody who kills all sessions
# of the program every now and then.
subtest 'again and again' => sub {
	my $pushers = 6;
	my @result = parallel($pushers + 1, sub {
		my ($number) = @_;
		if ($number == $pushers) {
			my $killer = $cluster->session($database);
			my ($killed, $rounds, $applied, $pause) = (0, 0, 0, 1);
			while (grep { !-e workdir() . "/done$_" } 0 .. $pushers - 1) {
				$killed += $killer->value(q(select count(pg_terminate_backend(pid))
					from pg_stat_activity where datname = current_database()
					and usename = 'app' and application_name <> 'psql'));
				spew(workdir() . '/round' . ++$rounds, '');
				# Where connecting takes longer than this, nothing would
				# ever be done.
				$killer->query("select pg_sleep(0.04 * $pause)");
				my $now = $killer->value('select sum(last_mutation_id) from replicache_client');
				$pause = $now > $applied ? 1 : $pause + 1;
				$applied = $now;
			}
			$killer->close;
			return $killed;
		}
		my $refused = 0;
		for my $id (1 .. 40) {
			my @push = map { [ "k$number", $_, 'count', qq({"id":"k$number"}) ] } 1 .. $id;
			# However fast they are, it is to happen to them.
			wait_until(sub { -e workdir() . '/round' . $id / 4 }, "round $id", 60)
				if $id % 4 == 0;
			wait_until(sub {
				my $status = $program->request(push_params("k", @push), seconds => 30)->{status};
				die "status $status\n" if $status != 200 && $status != 503;
				$refused++ if $status != 200;
				return $status == 200;
			}, "push $id", 60);
		}
		spew(workdir() . "/done$number", '');
		return $refused;
	}, 150);
	my $killed = pop @result;
	note("killed $killed sessions, refused @result");
	cmp_ok($killed, '>', 5, 'sessions were killed');
	is_deeply($session->query(q(select body, count(*) from item where id ~ '^k[0-9]$' group by 1)),
		[ [ 40, $pushers ] ], 'each mutation is applied once');
	is($session->value(q(select count(*) from replicache_failed_mutation where client_id ~ '^k[0-9]$')), 0,
		'nothing is held against the clients');
};

is($program->request(push_params('z', [ 'z', 1, 'note', '"z"' ]))->{status}, 200, 'the program is well');
is($program->stop, 0, 'it ends in order');
done_testing;
