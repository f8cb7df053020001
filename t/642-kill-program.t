#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The program is killed by SIGKILL, again and again, at any moment and at each
# point of common/faults.h, and started again at once, while clients that behave as
# the real one push and pull: nothing is lost, repeated or reordered, and every
# pull is one committed state (Rig::History).
#
# A round has a database of its own, which is checked as a whole. SCALE=1 is 100
# rounds of 100 kills and 10,000 mutations, and all points; without it, there is one
# of a few points. SEED repeats a run's choices; no round begins after MINUTES.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Faults qw(points faulty);
use Rig::History;
use Rig::Supervisor;
use Rig::Place qw(srcdir builddir program reap_process slurp wait_until);
use Rig::Program;

use constant { ROUNDS => 100, KILLS => 100, MUTATIONS => 10_000 };

my $SCALE = $ENV{SCALE} // 0;
my $SEED = $ENV{SEED} // int rand 100_000;
my $MINUTES = $ENV{MINUTES} // 24 * 60;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start(settings => { max_connections => 200 });
my (%killed, %total, %known, @wrong);

# Rows that no answer brings in one piece.
my $large = q(insert into shared select 'large' || i, repeat('x', 40000) from generate_series(1, 2) as i);
# All see all: then pulls share what they read.
my $common = q(select replicache_unregister_table('mine'));
# What only such rounds come to.
my %needs = (large => [qw(piece-sent)], common => [qw(share-kept pull-shared)]);

# Without SCALE: those around COMMIT, and some others; none that needs luck.
my @short = qw(commit-unsent commit-sent commit-unread commit-taken push-settled);
my @other = grep { my $point = $_; !grep { $point eq $_ } @short, map { @$_ } values %needs,
    [qw(drained push-retried push-looks-again)] } points();
push @short, splice @other, rand @other, 1 for 1 .. 5;

sub run_round
{
	my ($number, %option) = @_;
	my $begun = time;
	my $database = $cluster->database('core');
	$cluster->run_file($database, srcdir() . '/t/sql/history.sql');
	my $session = $cluster->session($database);
	$session->query($large) if $option{large};
	$session->query($common) if $option{common};
	my %without = map { $_ => 1 } map { $option{$_} ? () : @{ $needs{$_} } } keys %needs;
	my $supervisor = Rig::Supervisor->start(
		programs => $option{programs}, pause => $option{pause}, random => $option{random}, known => \%known,
		points => $option{points} // [ grep { !$without{$_} } points() ],
		environment => {
			REPLICACHE_DATABASE => $cluster->conninfo($database),
			REPLICACHE_AUTH => 'remote_user', REPLICACHE_WORKERS => 6,
			REPLICACHE_POOL => 2, REPLICACHE_BATCH_MUTATIONS => 50,
		});
	my $history = Rig::History->new($cluster, $database, [$supervisor],
		seed => $SEED + $number, burst => $option{burst}, good => $option{good}, cuts => 1, poke_seconds => 60);
	$history->begin(seconds => 600);
	$supervisor->kill_often($option{kills}, all => $option{all}, seconds => 300);
	# What the clients have not had time for is left.
	wait_until(sub {
		$session->value('select count(*) from journal where client is not null') >= $option{mutations}
	}, 'enough mutations', 300);
	$history->enough;
	$history->end;
	my @found = (@{ $supervisor->{wrong} }, $history->check);
	$supervisor->stop;
	push @wrong, map { "round $number: $_" } @found;
	my %here = (rounds => 1, kills => $supervisor->kills, pulls => $history->count_pulls,
	    mutations => $history->session->value('select count(*) from done'));
	$total{$_} += $here{$_} for keys %here;
	$killed{$_} += $supervisor->{killed}{$_} for keys %{ $supervisor->{killed} };
	if ($SCALE) {
		my $line = sprintf 'round %d: %d kills, %d mutations, %d pulls in %.1f s; in all %d kills, %d mutations',
		    $number, @here{qw(kills mutations pulls)}, time - $begun, @total{qw(kills mutations)};
		diag($line . (@found ? "; WRONG: $found[0]" : ''));
	}
	$history->close;
	$session->close;
	$cluster->drop($database);
}

my $begun = time;
if ($SCALE > 0) {
	my $rounds = int(ROUNDS * $SCALE + 0.5) || 1;
	for my $round (1 .. $rounds) {
		run_round($round, programs => 1 + $round % 4, common => $round % 4 < 2, large => $round % 5 == 1,
		    kills => KILLS, pause => 0.2, random => 0.5, burst => 40, good => 0.95, mutations => MUTATIONS);
		last if time > $begun + 60 * $MINUTES;
	}
} else {
	run_round(1, programs => 2, common => 1, large => 0, kills => 0, all => 1, pause => 0.2,
	    random => 0.2, burst => 10, good => 0.9, mutations => 0, points => \@short);
}
is(join("\n", @wrong), '', 'nothing is lost, repeated, reordered or half done');
# In some rounds each point has its turn.
my @expected = $SCALE == 0 ? @short : $total{rounds} >= 10 ? points() : ();
my @missed = grep { !$killed{$_} } @expected;
is("@missed", '', 'it was killed at ' . @expected . ' points');
cmp_ok($total{mutations}, '>=', $SCALE > 0 ? $total{rounds} * MUTATIONS : 100, 'under load');
cmp_ok($total{kills}, '>=', $SCALE > 0 ? $total{rounds} * KILLS : @short, 'it was killed often enough');
note(sprintf '%d kills, %d mutations, %d pulls in %.0f s', @total{qw(kills mutations pulls)}, time - $begun);
note(sprintf '%6d %s', $killed{$_}, $_) for sort { $killed{$b} <=> $killed{$a} || $a cmp $b } keys %killed;

for my $point ('no-such-point', 'answer-sent:0', 'answer-sent:1:cont') {
	my $program = Rig::Program->start(-command => [ faulty() ], REPLICACHE_FAULT => $point);
	is(reap_process($program->pid, 20), 256, "$point is none");
	like($program->log, qr/REPLICACHE_FAULT=$point: no such point/, 'and told');
}

SKIP: {
	skip('the program was built with --enable-faults', 1) if slurp(builddir() . '/config.h') =~ /^#define FAULTS 1/m;
	unlike(slurp(program()), qr/REPLICACHE_FAULT/, 'an ordinary build has nothing of this');
}
done_testing;
