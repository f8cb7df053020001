#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Postgres is killed by SIGKILL, as a whole or one of its processes, again and
# again, and recovers, while clients that behave as the real one push and pull:
# nothing that was answered is lost, nothing is repeated or reordered, and every pull
# is one committed state (Rig::History). The programs go on meanwhile.
#
# A round has a database of its own, which is checked as a whole. SCALE=1 is 20
# rounds of 25 crashes; without it, there are three. SEED repeats a run's choices; no round begins
# after MINUTES.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::History;
use Rig::Place qw(srcdir wait_until);
use Rig::Program;

use constant { ROUNDS => 20, CRASHES => 25, MUTATIONS => 2500 };

my $SCALE = $ENV{SCALE} // 0;
my $SEED = $ENV{SEED} // int rand 100_000;
my $MINUTES = $ENV{MINUTES} // 24 * 60;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

# What is committed is on the disk, as in life.
my $cluster = Rig::Cluster->start(settings => { fsync => 'on', max_connections => 200 });
my (%total, @wrong);

sub end_session { (delete $_[0]{session})->close if $_[0]{session} }

# A crash ends the session, too.
sub mutations
{
	my ($state) = @_;
	$state->{session} //= $cluster->session($state->{database});
	my $count = eval { $state->{session}->value('select count(*) from journal where client is not null') };
	end_session($state) if !defined $count;
	return $count // die "Postgres is away\n";
}

# As a whole, or one: any one of the program's, in the middle of COMMIT if there is
# one, or one that writes in the background. True if there was one.
my @kinds = (('postmaster') x 5, ('backend') x 2, ('committing') x 2, 'background');

sub crash
{
	my ($state, $what) = @_;
	end_session($state);
	my $before = $cluster->recoveries;
	my $ours = qr/^postgres: app $state->{database} /;
	my %title = (backend => $ours, committing => qr/$ours.*COMMIT/,
		background => qr/^postgres: (?:walwriter|checkpointer|background writer)/);
	if ($what eq 'postmaster') {
		$cluster->crash;
		$cluster->launch;
	} else {
		$cluster->crash_one($title{$what}) or return 0;
	}
	wait_until(sub { $cluster->recoveries > $before }, "the recovery of $what", 60);
	# The one that recovers is ready when somebody can connect.
	wait_until(sub { eval { mutations($state); 1 } }, 'Postgres to be there again', 60);
	$total{$what}++;
	$total{crashes}++;
	return 1;
}

sub run_round
{
	my ($number, %option) = @_;
	my $begun = time;
	my $database = $cluster->database('core');
	$cluster->run_file($database, srcdir() . '/t/sql/history.sql');
	if ($option{common}) {
		my $session = $cluster->session($database);
		$session->query(q(select replicache_unregister_table('mine')));
		$session->close;
	}
	my @program = map {
		Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		    REPLICACHE_AUTH => 'remote_user', REPLICACHE_WORKERS => 6, REPLICACHE_POOL => 4,
		    REPLICACHE_BATCH_MUTATIONS => 50)
	} 1 .. 2;
	my $state = { database => $database };
	my $history = Rig::History->new($cluster, $database, \@program,
		seed => $SEED + $number, burst => $option{burst}, good => 0.9, cuts => 1, poke_seconds => 30);
	$history->begin(seconds => 1200);
	my $crashes = 0;
	while ($crashes < $option{crashes}) {
		# Not before it works again.
		my $before = mutations($state) + rand $option{pace};
		wait_until(sub { mutations($state) > $before }, 'new mutations', 120);
		my $kind = $option{kinds} ? $option{kinds}[$crashes] : $kinds[ rand @kinds ];
		$crashes++ if crash($state, $kind);
	}
	wait_until(sub { mutations($state) >= $option{mutations} }, 'enough mutations', 300);
	$history->enough;
	$history->end;
	my @found = $history->check;
	push @wrong, map { "round $number: $_" } @found;
	$total{mutations} += my $mutations = $history->session->value('select count(*) from done');
	$total{pulls} += $history->count_pulls;
	for my $program (@program) {
		my $status = $program->stop // 'none';
		push @wrong, "round $number: a program ends with $status" if $status ne '0';
	}
	diag(sprintf 'round %d: %d crashes, %d mutations, %d pulls in %.1f s; in all %d crashes%s',
		$number, $crashes, $mutations, $history->count_pulls, time - $begun, $total{crashes},
		@found ? "; WRONG: $found[0]" : '') if $SCALE;
	$history->close;
	end_session($state);
	$cluster->drop($database);
}

my $begun = time;
if ($SCALE > 0) {
	for my $round (1 .. int(ROUNDS * $SCALE + 0.5) || 1) {
		run_round($round, common => $round % 2, crashes => CRASHES, burst => 20, pace => 150, mutations => MUTATIONS);
		last if time > $begun + 60 * $MINUTES;
	}
} else {
	run_round(1, common => 1, crashes => 3, kinds => [qw(postmaster backend background)],
	    burst => 5, pace => 20, mutations => 0);
}
is(join("\n", @wrong), '', 'nothing is lost, repeated, reordered or half done');
is($cluster->recoveries, $total{crashes}, 'Postgres has recovered after each crash');
cmp_ok($total{mutations}, '>=', 20 * $total{crashes}, 'under load');
note(sprintf '%d crash recoveries, %d mutations, %d pulls in %.0f s', @total{qw(crashes mutations pulls)}, time - $begun);
note(sprintf '%6d %s', $total{$_} // 0, $_) for qw(postmaster backend committing background);
done_testing;
