#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The link to the database, cut after each byte of a push and of a pull, in both
# directions: each byte of COMMIT and of what answers it among them. Whatever the
# program answers, the push that is sent again is applied exactly once, and a
# pull that is answered is right.
#
# SCALE=1 takes every byte; less, every so manieth, chosen by SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Dialogue;

# After some of the cuts the database is gone for as long as the request takes;
# after the others it can be reached again at once.
use constant STAYS => 0.03;

my $SCALE = $ENV{SCALE} // 0.015;
my $STEP = int(1 / $SCALE + 0.5) || 1;
my $SEED = $ENV{SEED} // int rand 1000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $dialogue = Rig::Dialogue->start(Rig::Cluster->start);

sub at_each_byte
{
	my ($about, $once, %option) = @_;
	$dialogue->$once(%option);    # so that what comes is usual
	my ($seen) = $dialogue->$once(%option);
	for my $direction (qw(up down)) {
		my $most = $seen->{$direction};
		my ($cuts, @wrong) = (0);
		for (my $bytes = int rand $STEP; $bytes < $most; $bytes += $STEP) {
			my ($then, $wrong) = $dialogue->$once(%option, direction => $direction,
			    at => $bytes, stay => rand() < STAYS);
			$cuts += $then->{cut};
			push @wrong, "after byte $bytes: $wrong" if $wrong;
		}
		cmp_ok($cuts, '>', 0, "$about: cut $cuts times in $most bytes, $direction");
		is(join("\n", @wrong), '', "$about, $direction: nothing is lost, repeated or half done");
	}
}

at_each_byte('a push', 'push_once', known => 1);
at_each_byte('a push of a new client', 'push_once');
at_each_byte('a push with a failing mutator', 'push_once', known => 1, fails => 1);
at_each_byte('a pull', 'pull_once');
at_each_byte('a first pull', 'pull_once', first => 1);

ok($dialogue->ends_well, 'and it goes on, to an orderly end');
done_testing;
