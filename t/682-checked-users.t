#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The clients of t/680-checked.t, of whom each user has another view: by who they are,
# by the role that their token names, by other tables and by row policies, all of which
# change meanwhile. Others log in where somebody was, and mutators leave things in their
# session. The program's role owns nothing. SCALE=100 is a long run; SEED repeats one.
# PARTS names what is synced, of t/sql/users.sql, and what is done, see Rig::History.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::History;
use Rig::Place qw(srcdir);
use Rig::Program;
use Rig::Token;

my $SCALE = $ENV{SCALE} // 1;
my $SEED = $ENV{SEED} // int rand 100_000;
my @PARTS = split ' ', $ENV{PARTS} // 'mine secret loud pay list policy role login leave wrong';
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start;
$cluster->admin->query('create role web login');
$cluster->admin->query('grant other to web');

my $database = $cluster->database('core');
$cluster->run_files($database, [ map { srcdir() . "/t/sql/$_.sql" } qw(history users) ]);
$cluster->session($database)->query("select history_register('$_')") for grep { !/^(mine|role|login|leave|wrong)$/ } @PARTS;
$cluster->session($database)->query(q(select replicache_unregister_table('mine'))) if !grep { $_ eq 'mine' } @PARTS;
$cluster->grant($database, 'web');
my @program = map {
	Rig::Program->start(Rig::Token::environment(), REPLICACHE_DATABASE => $cluster->conninfo($database, 'web'),
	    REPLICACHE_WORKERS => 6, REPLICACHE_POOL => 4, REPLICACHE_BATCH_MUTATIONS => 5)
} 1 .. 2;
my $history = Rig::History->new($cluster, $database, \@program, seed => $SEED, users => { map { $_ => 1 } @PARTS });
$history->run(rounds => int(60 * $SCALE), kills => int(5 * $SCALE));
is(join("\n", $history->check), '', 'all that was promised holds');
my $session = $history->session;
note($session->value('select count(*) from done'), " mutations, ", $history->count_pulls, ' pulls');
cmp_ok($session->value('select count(*) from done'), '>', 100 * $SCALE, 'much was done');
is($session->value('select count(distinct name) from journal'), (grep { $_ eq 'leave' } @PARTS) ? 12 : 10, 'of every kind');
is(join(' ', map { @$_ } @{ $session->query(q(select result, what, advice from replicache_check('web') where result = 'fault')) }),
    '', 'and replicache_check() finds no fault');
is($_->stop, 0, 'a program ends in order') for @program;
done_testing;
