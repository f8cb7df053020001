#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The primary fails under load, and its synchronous standby takes over, again and
# again. Nothing may be lost that was answered by 200, and all that Rig::History
# checks must hold as if there had been one server.
#
# SCALE is the number of promotions; SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max sum0);
use Test::More;
use Time::HiRes qw(sleep time);

use Rig::Cluster;
use Rig::History;
use Rig::Standby;
use Rig::Place qw(srcdir wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);

my $SCALE = int($ENV{SCALE} // 1);
my $SEED = $ENV{SEED} // int rand 100_000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

# Mutations that are applied between two failures, at least.
use constant UNDER_LOAD => 20;

my $cluster = Rig::Cluster->start(settings => \%Rig::Standby::settings, initdb => ['--wal-segsize=1']);
my $database = $cluster->database('core');
$cluster->run_file($database, srcdir() . '/t/sql/history.sql');
my $pair = Rig::Standby->new($cluster);

sub start_program
{
	return Rig::Program->start(REPLICACHE_DATABASE => $pair->conninfo($database),
	    REPLICACHE_AUTH => 'remote_user', REPLICACHE_BATCH_MUTATIONS => 5);
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }

sub seconds { return @_ ? sprintf '%.2f s, at most %.2f s', median(@_), max(@_) : 'never' }

# A client that pushes one mutation after the other to see when it can.
my %probe = (id => 0);

sub probe
{
	my ($program, $seconds) = @_;
	my ($params, $body) = push_params('probe', [ 'probe', ++$probe{id}, 'add', '{"list":"l0","item":"."}' ]);
	wait_until(sub {
		$program->request({ %$params, REMOTE_USER => 'u0' }, $body)->{status} == 200;
	}, 'a push to be done', $seconds);
}

$pair->synchronous(1);
my @program = map { start_program() } 1 .. 2;
my $history = Rig::History->new($pair, $database, \@program, seed => $SEED, cuts => 1,
    poke_seconds => 15, pause => 2);
$history->begin(rounds => undef, seconds => 300);
my %outage = (alone => [], together => []);
for my $n (1 .. $SCALE) {
	my $session = $pair->primary->session($database);
	my $done = $session->value('select count(*) from journal');
	wait_until(sub { $session->value('select count(*) from journal') >= $done + UNDER_LOAD }, 'much to be done', 180);
	$session->close;
	sleep rand 0.2;
	# The one that took over goes on alone until there is another one, or waits.
	my $alone = rand() < 0.5;
	my $start = time;
	$pair->fail_over(alone => $alone);
	probe($program[0], 180) if $alone;
	push @{ $outage{alone} }, time - $start if $alone;
	$pair->rebuild;
	$alone ? $pair->synchronous(1) : $pair->wait_synchronous;
	probe($program[0], 180);
	push @{ $outage{together} }, time - $start if !$alone;
}
$history->enough;
$history->end;
push @{ $history->{result} }, { user => 'u0', clients => [], pulls => [], acked => { probe => $probe{id} } };
is(join("\n", $history->check), '', 'nothing is lost that was answered by 200, and all else holds');
my $session = $history->session;
my $mutations = $session->value('select count(*) from done');
my $acked = sum0(map { values %{ $_->{acked} } } @{ $history->{result} });
cmp_ok($mutations, '>', UNDER_LOAD * $SCALE, 'under load');
is($session->value('select count(*) from replicache_timeline'), 1 + $SCALE, 'each time on a timeline of its own');
note("synchronous: $SCALE promotions, $mutations mutations, $acked of them acknowledged, ", $history->count_pulls,
    ' pulls; half of the outages of writes were no longer than');
note("    if the new primary goes on alone: ", seconds(@{ $outage{alone} }));
note("    if it waits for a new standby: ", seconds(@{ $outage{together} }));
$history->close;
is($_->stop, 0, 'a program ends in order') for @program;
done_testing;
