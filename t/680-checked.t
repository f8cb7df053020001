#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Clients that behave as the real one, on two programs, while sessions are killed
# and others write: every answer and the database are checked against what was
# promised (Rig::History). SCALE=100 is a long run; SEED repeats one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::History;
use Rig::Place qw(srcdir);
use Rig::Program;

my $SCALE = $ENV{SCALE} // 1;
my $SEED = $ENV{SEED} // int rand 100_000;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start;

# Runs the history in a database of its own, prepared by some SQL.
sub try_out
{
	my ($about, $rounds, $kills, $sql) = @_;
	my $database = $cluster->database('core');
	$cluster->run_file($database, srcdir() . '/t/sql/history.sql');
	$cluster->session($database)->query($sql);
	my @program = map {
		Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		    REPLICACHE_AUTH => 'remote_user', REPLICACHE_WORKERS => 6, REPLICACHE_POOL => 4,
		    REPLICACHE_BATCH_MUTATIONS => 5)
	} 1 .. 2;
	my $history = Rig::History->new($cluster, $database, \@program, seed => $SEED);
	$history->run(rounds => int($rounds * $SCALE), kills => int($kills * $SCALE));
	is(join("\n", $history->check), '', "$about: all that was promised holds");
	my $session = $history->session;
	note($session->value('select count(*) from done'), ' mutations, ',
	    scalar(map { @{ $_->{pulls} } } @{ $history->{result} }), ' pulls');
	cmp_ok($session->value('select count(*) from done'), '>', 3 * $rounds * $SCALE, "$about: much was done");
	is($session->value(q(select count(distinct name) from journal)), 6, "$about: of every kind");
	is($_->stop, 0, "$about: a program ends in order") for @program;
}

try_out('each user sees their own', 60, 20, 'select 1');
# Then pulls share what they read.
try_out('all see all', 30, 5, q(select replicache_unregister_table('mine')));
done_testing;
