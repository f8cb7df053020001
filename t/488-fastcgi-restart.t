#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Restarts under load: two processes on one socket, as spawn-fcgi -F 2 and
# multiwatch have them, of which the one and then the other is told to end, while
# clients push and pull and streams flow, straight and through nginx. No request
# fails, and nothing is lost.
#
# SCALE=1 (make check-long PART=restart) restarts 1,000 times.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Load qw(straight_to through);
use Rig::Nginx;
use Rig::Place qw(workdir wait_until stop_process);
use Rig::Program;
use Rig::Stream;

my $restarts = int(1000 * ($ENV{SCALE} // 0.008));
my @SIGNAL = qw(TERM USR1);

my $cluster = Rig::Cluster->start(settings => { fsync => defined $ENV{SCALE} ? 'on' : 'off' });
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $path = workdir() . '/both';
my $listener = Rig::Program::listener($path);

my $started = 0;

# A program, and its name in Postgres. What is under way may take its time here, as
# the machine may be busy: how long the end takes is told.
sub start_one
{
	my $name = 'program' . ++$started;
	my $program = Rig::Program->start(-listener => $listener, -socket => $path,
		REPLICACHE_DRAIN_TIMEOUT => 60000,
		REPLICACHE_DATABASE => $cluster->conninfo($database) . " application_name=$name");
	return { program => $program, name => $name };
}

# It has asked the database what somebody wants to know.
sub has_served
{
	my ($one) = @_;
	return $session->value("select count(*) from pg_stat_activity where application_name = '$one->{name}'");
}

# Ends it; what it had to complain about is told.
sub stop_one
{
	my ($one, $signal) = @_;
	my $program = $one->{program};
	my $status = stop_process(delete $program->{pid}, $signal, 70) // 'killed';
	diag($_) for grep { / (?:error|warning) (?!.*file descriptors)/ } split /\n/, $program->log;
	unlink $program->{log};
	return $status;
}

my @program = map { start_one() } 1 .. 2;
my $nginx = Rig::Nginx->is_installed
	? Rig::Nginx->start($path, '', keepalive => 4) : undef;
my $straight = straight_to($path);
my $server = defined $nginx ? through($nginx) : $straight;
my @stream = (sub { Rig::Stream->fastcgi($program[0]{program}, version => $_[0]) },
	defined $nginx ? sub { Rig::Stream->http($nginx->path, version => $_[0]) } : ());
my $load = Rig::Load->start([ ($straight) x 3, ($server) x 3 ], streams => [ (@stream) x 3 ]);

my ($start, $unserved, %ended, @slow) = (time, 0);
for my $round (1 .. $restarts) {
	my $which = $round % 2;
	my $signal = $SIGNAL[ int($round / 2) % @SIGNAL ];
	$unserved++ unless eval { wait_until(sub { has_served($program[$which]) }, 'it to serve', 30) };
	my $before = time;
	$ended{"$signal: " . stop_one($program[$which], $signal)}++;
	push @slow, time - $before;
	$program[$which] = start_one();
}
my $told = $load->stop($session);
@slow = sort { $a <=> $b } @slow;
note(sprintf '%d restarts in %.0f s, of %.0f ms in the middle and %.0f ms at most; %d requests, '
	. '%d failed; %d streams opened, %d pokes', $restarts, time - $start, 1000 * $slow[ @slow / 2 ],
	1000 * $slow[-1], $told->{requests}, scalar @{ $told->{failed} }, $told->{streams}, $told->{pokes});
is_deeply([ sort keys %ended ], [ 'TERM: 0', 'USR1: 0' ], 'each process ended in order');
is($unserved, 0, 'each had served');
is(join("\n", @{ $told->{failed} }), '', 'no request failed, and no stream was cut');
is(join("\n", $load->check($session)), '', 'nothing is lost');
cmp_ok($told->{requests}, '>=', $restarts, 'there were requests');
cmp_ok($told->{streams}, '>', @stream * 3, 'streams came back');
is(stop_one($_, 'TERM'), 0, 'ended in order') for @program;
done_testing;
