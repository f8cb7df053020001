#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Pull and push at chosen moments of each other. A gate, an advisory lock that
# a view waits for, stops a pull between two tables.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
$session->query(q(
	create table gate (id int primary key);
	create function gate_wait(id int) returns text language plpgsql as $$
	begin
		perform pg_advisory_lock_shared(4711);
		perform pg_advisory_unlock_shared(4711);
		return 'open';
	end $$;
	create view gate_view as select id, gate_wait(id) as gate from gate;
	insert into gate values (1);
	do $$ begin perform replicache_register_table('gate', view => 'gate_view', per_user => false); end $$;
	create table later (id int primary key, note text);
	do $$ begin perform replicache_register_table('later'); end $$;
	create function put_later(args jsonb) returns void language sql as $$
		insert into item (id, body) values ('both', args)
		on conflict (id) do update set body = excluded.body;
		insert into later (id, note) values (1, args #>> '{}')
		on conflict (id) do update set note = excluded.note;
	$$;
	do $$ begin perform replicache_register_mutator('both', 'put_later'); end $$;
));
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));
my $holder = $cluster->session($database);
is($program->request(push_params('g', [ 'a', 1, 'both', '"before"' ]))->{status}, 200, 'a first push');

sub waiting_at_gate
{
	return $session->value(q(select count(*) from pg_locks
		where locktype = 'advisory' and objid = 4711 and not granted));
}

# Start a pull that stops at the gate; returns its peer.
sub stopped_pull
{
	my (@pull) = @_;
	$holder->query('select pg_advisory_lock(4711)');
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params(@pull)));
	wait_until(sub { waiting_at_gate() }, 'the pull to reach the gate', 10);
	return $peer;
}

sub open_gate { $holder->query('select pg_advisory_unlock(4711)') }

sub version { return $session->value('select max(version) from replicache_version') }

my $id = 1;
for my $cookie (undef, version() - 1) {
	my $name = defined $cookie ? 'a delta' : 'a whole view';
	$session->query('update gate set id = id + 1') if defined $cookie;
	subtest "a push commits while $name is pulled" => sub {
		my $before = version();
		my $note = $session->value(q(select note from later));
		my $peer = stopped_pull('g', $cookie);
		my $start = time;
		$id++;
		is($program->request(push_params('g', [ 'a', $id, 'both', qq("after $id") ]))->{status},
			200, 'the push does not wait for the pull');
		cmp_ok(time - $start, '<', 1.5, 'at all');
		open_gate();
		my $answer = $peer->answer(10);
		is($answer->{status}, 200, 'the pull is answered') or return;
		my $got = Rig::Json::decode($answer->{body});
		my %row = map { $_->{key} => $_->{value} } @{ $got->{patch} };
		is($got->{cookie}, $before, 'by the version from before');
		is($row{'item/both'}{body}, $note, 'the table before the gate');
		is($row{'later/1'}{note}, $note, 'the table behind it');
		is($got->{lastMutationIDChanges}{a}, $id - 1, 'the last mutation ID');
		my $next = Rig::Json::decode($program->request(pull_params('g', $before))->{body});
		is($next->{cookie}, $before + 1, 'the next pull');
		is_deeply([ sort map { "$_->{op} $_->{key}" } @{ $next->{patch} } ],
			[ 'put item/both', 'put later/1' ], 'brings what is new');
	};
}

subtest 'a pull while a push holds the lock' => sub {
	my $before = version();
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params('g',
		[ 'a', ++$id, 'both', '"slow"' ], [ 'a', ++$id, 'sleep', '{"seconds":1}' ])));
	wait_until(sub {
		$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the push to hold the lock', 10);
	my $start = time;
	my $got = Rig::Json::decode($program->request(pull_params('g', $before - 1))->{body});
	cmp_ok(time - $start, '<', 0.5, 'does not wait');
	is($got->{cookie}, $before, 'and gets the version before');
	my @row = grep { ($_->{key} // '') eq 'item/both' } @{ $got->{patch} };
	isnt($row[0] && $row[0]{value}{body}, 'slow', 'without what is not committed');
	is($peer->answer(10)->{status}, 200, 'the push is done');
};

subtest 'a pull by a role that may only read' => sub {
	$cluster->admin->query(q(create role reader login;
		alter role reader set default_transaction_read_only = on));
	$session->query(q(grant select on all tables in schema public to reader;
		grant usage on schema public to reader));
	my $before = $session->query('select * from case_fingerprint()');
	my $reading = Rig::Program->start(
		REPLICACHE_DATABASE => $cluster->conninfo($database, 'reader'));
	is($reading->request(pull_params('g'))->{status}, 200, 'the whole view');
	is($reading->request(pull_params('nobody', version() - 1))->{status}, 200, 'a delta');
	is($reading->request(push_params('g', [ 'a', ++$id, 'note', '1' ]))->{status}, 503, 'no push');
	is_deeply($session->query('select * from case_fingerprint()'), $before, 'the database is the same');
	is($reading->stop, 0, 'the program ends in order');
};

# Who pulls at each poke, at once, must see what it tells of.
subtest 'each poke comes after its commit' => sub {
	my $listener = $cluster->session($database);
	$listener->query('listen replicache');
	my @peer;
	my ($pokes, $late, $last) = (0, 0, 0);
	my $first = version();
	for my $round (1 .. 30) {
		my $peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(push_params("poke$round",
			[ "poke$round", 1, 'note', '1' ])));
		push @peer, $peer;
		for my $poke ($listener->notifications) {
			my $got = Rig::Json::decode($program->request(pull_params('g', $first))->{body});
			$late++ if $got->{cookie} < $poke->[1];
			$pokes++;
			$last = $poke->[1];
		}
	}
	is(join(' ', grep { $_->answer(10)->{status} != 200 } @peer), '', 'all pushes are done');
	wait_until(sub {
		for my $poke ($listener->notifications) {
			$pokes++;
			$last = $poke->[1] if $poke->[1] > $last;
		}
		return $last == version();
	}, 'the last poke', 10);
	is($late, 0, 'no pull missed what it was poked for');
	is($pokes, version() - $first, 'one poke for each version');
};

# As no database does: here each look at the state finds another epoch, so that no
# snapshot is ever the one that was planned on.
subtest 'a pull for which the database changes too fast' => sub {
	my $moving = $cluster->database('cases');
	my $owner = $cluster->session($moving, 'postgres');
	$owner->query(q(
		alter table replicache_state rename to stands;
		create view replicache_state as
			select only_row, floor, (extract(epoch from clock_timestamp()) * 1000000)::bigint as epoch,
				revision, schema_number from stands;
		grant select on replicache_state to app;
		insert into item (id, body) values ('i', '1')));
	my $own = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($moving));
	is($own->request(pull_params('g'))->{status}, 503, 'refused');
	like($own->log, qr/the database changes too fast for this pull/, 'and told');
	$owner->query('drop view replicache_state; alter table stands rename to replicache_state');
	is($own->request(pull_params('g'))->{status}, 200, 'answered when it stands');
	is($own->stop, 0, 'ended in order');
	$owner->close;
};

is($program->stop, 0, 'the program ends in order');
done_testing;
