#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A pull waits for others that read what it needs. But not for one after the
# other for ever, as when the version goes on rising: then it reads for itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(pull_params);

# More than a pull starts over.
use constant READERS => 8;

# The lock of the first reader's row.
use constant GATE => 4700;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
# To read what row n is waits for a lock, so each state stops those who read it.
$session->query(q(
	create table gate (id int primary key, n int not null);
	create function gate_wait(n int) returns text language plpgsql as $$
	begin
		perform pg_advisory_lock_shared(4700 + n);
		perform pg_advisory_unlock_shared(4700 + n);
		return 'open';
	end $$;
	create view gate_view as select id, n, gate_wait(n) as gate from gate;
	insert into gate values (1, 0);
	do $$ begin perform replicache_register_table('gate', view => 'gate_view', per_user => false); end $$;
));
my $program = Rig::Program->start(REPLICACHE_WORKERS => READERS + 4, REPLICACHE_POOL => READERS + 4,
	REPLICACHE_LOCK_TIMEOUT => 60000, REPLICACHE_PULL_TIMEOUT => 60000,
	REPLICACHE_DATABASE => $cluster->conninfo($database) . ' application_name=pulls');
my $holder = $cluster->session($database);

sub version { return $session->value('select max(version) from replicache_version') }

sub start_pull
{
	my ($cookie) = @_;
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params('g', $cookie)));
	return $peer;
}

# When somebody last looked where the database stands.
sub looked
{
	return $session->value(q(select coalesce(max(state_change), '-infinity') from pg_stat_activity
		where application_name = 'pulls' and state = 'idle' and query like '%pg_is_in_recovery() as standby%'));
}

# Each reads from where the one before it will end.
my $first = version();
my @reader;
my $from = $first;
for my $n (1 .. READERS) {
	my $lock = GATE + $n;
	$holder->query("select pg_advisory_lock($lock)");
	$session->query("update gate set n = $n");
	push @reader, start_pull($from);
	wait_until(sub {
		$session->value("select count(*) from pg_locks where locktype = 'advisory' and objid = $lock and not granted")
	}, "reader $n to stop", 20);
	$from = version();
}
$session->query('update gate set n = 0');
my $last = version();

my $before = looked();
my $peer = start_pull($first);
my $answered = IO::Select->new($peer->socket);
for my $n (1 .. READERS) {
	# It has looked, and waits for this one, or was answered already.
	wait_until(sub { looked() ne $before || $answered->can_read(0) }, 'it to look', 20);
	$before = looked();
	my $lock = GATE + $n;
	$holder->query("select pg_advisory_unlock($lock)");
	is($reader[ $n - 1 ]->answer(20)->{status}, 200, "reader $n is answered");
}
my $answer = $peer->answer(20);
is($answer->{status}, 200, 'so is the one that came last') or diag($program->log);
my $got = Rig::Json::decode($answer->{body});
is($got->{cookie}, $last, 'with the last version');
my ($seen) = reverse @{ $got->{patch} };
is($seen->{value}{n}, 0, 'and its row');
is($program->stop, 0, 'ended in order');

# Where some tables are per user, the others are shared all the same: so many pulls read
# the rows of them once, each their own of the rest.
subtest 'beside a table that is per user' => sub {
	my $database = $cluster->database('core');
	my $session = $cluster->session($database);
	$session->query(q(
		create table counted (id int primary key, n int);
		create view counted_view as select id, n, random() as read from counted;
		create table diary (id int primary key, owner text);
		create view diary_audience as select id, owner as viewer from diary;
		insert into counted values (1, 0);
		insert into diary values (1, 'u1'), (2, 'u2'), (3, 'u3'), (4, 'u4');
		do $$ begin
			perform replicache_register_table('counted', view => 'counted_view');
			perform replicache_register_table('diary', audience => 'diary_audience');
		end $$;
	));
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_AUTH => 'remote_user');
	my %view = map {
		my $user = $_;
		$user => Rig::Sync::View->new("g$user", sub { $program->request({ %{ $_[0] }, REMOTE_USER => $user }, $_[1]) })
	} qw(u1 u2 u3 u4);
	$view{$_}->pull for sort keys %view;
	my $seen = sub { return scalar keys %{ { map { $_->{rows}{'counted/1'}{read} => 1 } values %view } } };
	is($seen->(), 4, 'a first pull reads for itself');
	for my $n (1 .. 3) {
		$session->query("update counted set n = $n; update diary set id = id + 10 where id % 10 = $n");
		$view{$_}->pull for sort keys %view;
	}
	for my $user (sort keys %view) {
		my ($own) = $user =~ /(\d)/;
		my $id = $own == 4 ? 4 : $own + 10;
		is(join(' ', sort keys %{ $view{$user}{rows} }), join(' ', sort 'counted/1', "diary/$id"), "$user has what is theirs");
		is($view{$user}{rows}{'counted/1'}{n}, 3, "$user has what is everybody's");
	}
	is($seen->(), 1, 'which was read once');
	is($program->stop, 0, 'ended in order');
};

done_testing;
