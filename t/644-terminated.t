#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The backend is terminated between any two steps of the dialogue with the database:
# after each message of a push and of a pull, in both directions. Whatever the
# program answers, the push that is sent again is applied exactly once, and a pull
# that is answered is right.
#
# SCALE=1 takes every message; less, every so manieth, chosen by SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(min);
use Test::More;

use Rig::Cluster;
use Rig::Dialogue;

my $SCALE = $ENV{SCALE} // 0.1;
my $STEP = int(1 / $SCALE + 0.5) || 1;
my $SEED = $ENV{SEED} // int rand 1000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $dialogue = Rig::Dialogue->start(Rig::Cluster->start, messages => 1);

sub at_each_step
{
	my ($about, $once, %option) = @_;
	$dialogue->$once(%option) for 1 .. 2;    # so that what comes is usual
	my @seen = map { ($dialogue->$once(%option))[0] } 1 .. 3;
	for my $direction (qw(up down)) {
		my $most = min(map { $_->{$direction} } @seen);
		my ($tried, $terminated, @wrong) = (0, 0);
		for (my $at = 1 + int rand $STEP; $at <= $most; $at += $STEP) {
			my ($then, $wrong) = $dialogue->$once(%option, direction => $direction, at => $at);
			push @wrong, "after message $at: $wrong" if $wrong;
			$tried++;
			$terminated += $then->{cut};
		}
		# One that fails shares its place among the suspects with others that did
		# (BATCH_SUSPECTS): then it is guarded from the start, in fewer messages.
		cmp_ok($terminated, $option{fails} ? '>' : '>=', $option{fails} ? $tried / 2 : $tried,
			"$about: terminated after $terminated of $most messages, $direction");
		is(join("\n", @wrong), '', "$about, $direction: nothing is lost, repeated or half done");
	}
}

at_each_step('a push', 'push_once', known => 1);
at_each_step('a push of a new client', 'push_once');
at_each_step('a push with a failing mutator', 'push_once', known => 1, fails => 1);
at_each_step('a push after a loss', 'push_once', dead => 1);
at_each_step('a pull', 'pull_once');
at_each_step('a first pull', 'pull_once', first => 1);
at_each_step('a pull after a loss', 'pull_once', dead => 1);

ok($dialogue->ends_well, 'and it goes on, to an orderly end');
done_testing;
