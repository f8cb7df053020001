#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A day's work at half load: clients come, push, pull, fail and go, streams are
# opened and left, tokens expire, settings and keys are read again, and sessions are
# killed. What the program takes of memory, descriptors, threads and sessions is
# sampled, and does not grow.
#
# MINUTES=60 (make check-long PART=soak) takes a sample a minute and demands that memory and
# descriptors of the last quarter are those of the second; without it, some seconds
# show that bounds are kept and that nothing is left when all have gone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max sum);
use Test::More;
use Time::HiRes qw(sleep time);

use Rig::Cluster;
use Rig::Load qw(straight_to through);
use Rig::Nginx;
use Rig::Place qw(program workdir wait_until slurp spew);
use Rig::Program;
use Rig::Stream;
use Rig::Token;

# By how much the memory of the last quarter may be above that of the second.
use constant GROWTH => 0.03;

# Settings of the program.
use constant { POOL => 6, WORKERS => 6 };

use constant { CLIENTS => 8, STREAMS => 12, USERS => 3 };

my $minutes = $ENV{MINUTES};
my $samples = $minutes // 4;
my $period = defined $minutes ? 60 : 1.5; # s

plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();
my $cluster = Rig::Cluster->start(settings =>
	{ defined $minutes ? (fsync => 'on', autovacuum => 'on') : () });
my $database = $cluster->database('cases');
my $session = $cluster->session($database, 'postgres');
my $conninfo = $cluster->conninfo($database) . ' application_name=soak';
my $file = workdir() . '/replicache.conf';
my $age = int(1000 * $period);
spew($file, "poke_age = $age\n");
my $program = Rig::Program->start(Rig::Token::environment(), -arguments => [ '--config', $file ],
	REPLICACHE_DATABASE => $conninfo, REPLICACHE_WORKERS => WORKERS, REPLICACHE_POOL => POOL,
	REPLICACHE_METRICS => 'on', REPLICACHE_JWT_LEEWAY => 0, REPLICACHE_USER_MUTATIONS => 1000);
my $nginx = Rig::Nginx->start($program->path, '', keepalive => 16);

sub metric
{
	my ($name) = @_;
	my $text = $program->request(Rig::Program::params('GET', '/metrics'))->{body};
	return sum(0, $text =~ /^replicache_$name(?:\{.*\})? (\d+)$/mg);
}

sub sessions
{
	return $session->value(q(select count(*) from pg_stat_activity where application_name = 'soak'));
}

# What it takes. Of another user's process the descriptors can't be seen.
sub sample
{
	my ($threads) = slurp('/proc/' . $program->pid . '/status') =~ /^Threads:\s+(\d+)/m;
	my @file = glob '/proc/' . $program->pid . '/fd/*';
	return { memory => ($program->memory)[0] / 1024, threads => $threads, sessions => sessions(),
		descriptors => @file ? scalar @file : undef, streams => metric('streams'),
		requests => metric('requests_total') };
}

# As a browser has them: of a few users, some straight, some through nginx.
my @stream = map {
	my $number = $_;
	sub {
		my ($version) = @_;
		my %header = (Authorization => 'Bearer ' . Rig::Token::of_user('u' . $number % USERS));
		return Rig::Stream->http($nginx->path, version => $version, headers => \%header)
			if $number % 2;
		return Rig::Stream->fastcgi($program, version => $version, headers => \%header);
	};
} 0 .. STREAMS - 1;

# Once all of its threads are there: the workers, the first one, that of streams, and
# a sanitizer's.
my $threads = WORKERS + 2 + (slurp(program()) =~ /__tsan_init/ ? 1 : 0);
my $before;
wait_until(sub { metric('streams'); $before = sample(); $before->{threads} == $threads }, 'it to serve');
my @way = map { $_ % 2 ? straight_to($program->path) : through($nginx) } 1 .. CLIENTS;
my $load = Rig::Load->start(\@way, streams => \@stream, faults => 1,
	failing => defined $minutes ? 0.05 : 0.2,
	# A client outlives its token.
	tokens => defined $minutes ? 20 : 1, life => defined $minutes ? 60 : 200,
	pause => defined $minutes ? 0.2 : 0.01);

# What happens besides: each some times in a period.
my $changes = 0;
my %event = (
	hup => sub {
		$changes++;
		spew($file, "poke_age = $age\n" . ($changes % 2 ? "allowed_origins = https://a.example\n" : ''));
		kill 'HUP', $program->pid;
	},
	kill => sub {
		$session->query(q(select pg_terminate_backend(pid) from pg_stat_activity
			where application_name = 'soak' order by random() limit 1));
	},
	purge => sub { $session->query(q(select replicache_purge('30 s'))) },
);
my @order = qw(hup kill hup purge kill);
my @sample;
note(' minute   memory, kB   descriptors   threads   sessions   streams   requests');
for my $n (1 .. $samples) {
	for my $name (@order) {
		sleep $period / @order;
		$event{$name}->();
	}
	push @sample, my $sample = sample();
	note(sprintf '%7d%13d%14s%10d%11d%10d%11d', $n, $sample->{memory}, $sample->{descriptors} // '-',
		@$sample{qw(threads sessions streams requests)});
}
# However slow it is here.
wait_until(sub {
	return $session->value('select count(*) from replicache_client') > CLIENTS
	    && metric('requests_total\{.*status="401"\}') > 0 && metric('streams_opened_total') > STREAMS
	    && metric('mutations_total\{result="failed"\}') > 0;
}, 'all of it to happen', 300);
my $told = $load->stop($session);
note(sprintf '%d requests, of which 503 %d, 401 %d; %d clients, %d streams opened, %d pokes; %d sessions killed, '
	. '%d times HUP', @$told{qw(requests refused expired clients streams pokes)},
	$samples * grep({ $_ eq 'kill' } @order), $changes);

is(join("\n", @{ $told->{failed} }), '', 'all was answered as it must be');
is(join("\n", $load->check($session)), '', 'nothing is lost');
cmp_ok($told->{expired}, '>', 0, 'tokens expired');
cmp_ok($told->{streams}, '>', STREAMS, 'streams came and went');
cmp_ok($told->{clients}, '>', CLIENTS, 'so did clients');
cmp_ok(metric('mutations_total\{result="failed"\}'), '>', 0, 'mutations failed');

# One thread LISTENs, once there is a stream.
is(join(' ', grep { $_ != $threads + 1 } map { $_->{threads} } @sample), '', 'threads are as many as ever');
cmp_ok(max(map { $_->{sessions} } @sample), '<=', POOL + 1, 'sessions keep within their bounds');
cmp_ok(max(map { $_->{streams} } @sample), '<=', 2 * STREAMS, 'streams do, too');
wait_until(sub { metric('streams') == 0 }, 'streams to go', 30);
# Connections that it keeps go with it.
$nginx->stop;
SKIP: {
	skip 'descriptors are not shown to us', 1 unless defined $before->{descriptors};
	my $most = $before->{descriptors} + POOL + 1;
	wait_until(sub { sample()->{descriptors} <= $most }, 'descriptors to be closed', 30);
	pass('no descriptor is left');
}
if ($samples >= 12) {
	my $quarter = int($samples / 4);
	my $average = sub {
		my ($what, $which) = @_;
		return sum(map { $_->{$what} // 0 } @sample[ $which * $quarter .. ($which + 1) * $quarter - 1 ]) / $quarter;
	};
	my ($second, $last) = map { $average->(memory => $_) } 1, 3;
	note(sprintf 'memory: %d kB in the second quarter, %d kB in the last: %+.1f %%', $second, $last,
		100 * ($last / $second - 1));
	cmp_ok($last, '<', $second * (1 + GROWTH), 'memory does not grow');
	($second, $last) = map { $average->(descriptors => $_) } 1, 3;
	cmp_ok($last, '<', $second + 3, 'descriptors do not grow');
}
is($program->stop, 0, 'ended in order');
done_testing;
