#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Many event streams through nginx: none misses a poke, whatever happens to the
# others, to the connection that listens and to the program; and the program
# has them for little memory and lets go of them at once.
#
# As it is, a few hundred streams and a few pushes. SCALE=1 (make check-long PART=poke)
# takes 5,000, or STREAMS, prints what it measures and demands the goals, for
# which the machine must be quiet; a larger SCALE pushes for longer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::StreamLoad;
use Rig::Nginx;
use Rig::Place qw(wait_until builddir);
use Rig::Program;
use Rig::Site;
use Rig::Sync;

# The goals.
use constant {
	LATENCY_MS => 250,   # of 99 pokes in 100, from the answer to the push,
	                     # for 5,000 streams: what more need is nginx's
	STREAM_BYTES => 3072,
	GONE_SECONDS => 5,
};

my $scale = $ENV{SCALE};
my $streams = $ENV{STREAMS} // (defined $scale ? 5000 : 300);
my $pushes = defined $scale ? 100 * $scale : 10;
my $latency = LATENCY_MS * ($streams > 5000 ? $streams / 5000 : 1);
my $pause = defined $scale ? 400 : 50; # ms between pushes
my $files = 2 * $streams + 256;        # of nginx, were all on one worker
chomp(my $limit = `sh -c 'ulimit -Hn'`);

plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();
plan skip_all => 'no t/bench/hold: make check-programs'
	unless -x builddir() . '/t/bench/hold';
$files = $limit if $limit ne 'unlimited' && $limit < $files;
plan skip_all => "$limit file descriptors are too few: raise the limit (ulimit -n)"
	if $files < $streams * 1.5;

my $cluster = Rig::Cluster->start(settings => { fsync => defined $scale ? 'on' : 'off' });
my $database = $cluster->database('chat');
my $session = $cluster->session($database);
my $listens = q(from pg_stat_activity where application_name = 'listens');
my $conninfo = $cluster->conninfo($database);
my %environment = (REPLICACHE_DATABASE => $conninfo, REPLICACHE_METRICS => 'on',
	REPLICACHE_LISTEN_DATABASE => "$conninfo application_name=listens");
# In short, stuck readers are given up soon.
$environment{REPLICACHE_WRITE_TIMEOUT} = 1000 unless defined $scale;
my $listener = Rig::Program::listener(Rig::Place::workdir() . '/many');
my $program;
start_program();

# A small buffer on the way to the browser, so that a reader that stops is felt.
my ($port, $nginx);
for my $try (1 .. 5) {
	$port = Rig::Site::free_port();
	$nginx = eval {
		Rig::Nginx->start($program->path, 'fastcgi_buffer_size 1k;',
			workers => 2, connections => $files,
			tcp => "127.0.0.1:$port backlog=4096 sndbuf=2k");
	} and last;
	die $@ if $try == 5;
}
my $hold = Rig::StreamLoad->start("127.0.0.1:$port", $streams);

# As a process manager does it: the socket stays.
sub start_program
{
	$program = Rig::Program->start(%environment, @_, -listener => $listener,
		-socket => Rig::Place::workdir() . '/many');
}

sub version { return $session->value('select max(version) from replicache_version') }

my $next = 0;

# A commit of psql; the version it made.
sub commit
{
	$session->query("insert into message (id, sender, content, ord)
		values ('psql${\ ++$next}', 'psql', 'x', 1)");
	return version();
}

sub open_files { return scalar(() = glob "/proc/${\ $program->pid}/fd/*") }

# None of them was missed, and nothing went wrong.
sub none_missed
{
	my ($told, $name, $open) = @_;
	is($told->{missing}, 0, $name);
	is($told->{errors}, 0, 'nothing went wrong') or diag($told->{first_error});
	is($told->{open}, $open // $streams, 'all streams are open');
	return $told;
}

sub figure { note(sprintf $_[0], @_[1 .. $#_]) }

sub latencies
{
	my ($told, $name) = @_;
	figure('%s: %d pushes, %d pokes, after the answer to the push: %.0f ms in the middle, '
		. '%.0f ms of 99 in 100, %.0f ms at most; after its sending: %.0f, %.0f, %.0f ms',
		$name, @$told{qw(pushes pokes p50_ms p99_ms max_ms sent_p50_ms sent_p99_ms sent_max_ms)});
}

none_missed($hold->ask('open 1'), 'one stream', 1);
$hold->ask('push 5 20');
my ($memory, $descriptors) = (($program->memory)[0], open_files());

subtest 'streams' => sub {
	my $told = none_missed($hold->ask('open ' . ($streams - 1)), 'all are opened');
	is($told->{reopened} + $told->{cut} + $told->{refused}, 0, 'each at once');
	is($program->metric('streams{kind="stream"}'), $streams, 'the program has as many');
	figure('%d streams opened in %.1f s', $streams, $told->{seconds});
};

my $usual;
subtest 'pushes' => sub {
	$usual = none_missed($hold->ask("push $pushes $pause", 600 + $pushes), 'all are told of each');
	is($usual->{pokes}, $pushes * $streams, 'as soon as it was made');
	is($usual->{version}, version(), 'and that is all there was');
	latencies($usual, 'usual');
	my $bytes = (($program->memory)[0] - $memory) / $streams;
	figure('%.0f bytes of program memory a stream, above %.1f MB', $bytes, $memory / 1e6);
	return unless defined $scale;
	cmp_ok($usual->{p99_ms}, '<', $latency, 'latency');
	cmp_ok($bytes, '<', STREAM_BYTES, 'memory of a stream');
};

subtest 'other writers' => sub {
	none_missed($hold->ask('expect ' . commit()), 'psql');
	my $other = Rig::Program->start(%environment);
	my $body = Rig::Sync::push_body('g', [ 'c', 1, 'createMessage',
		'{"id":"o","from":"other","content":"x","order":1}' ]);
	is($other->request(Rig::Program::params('POST', '/push', body => $body), $body)->{status}, 200,
		'a push to another process');
	none_missed($hold->ask('expect ' . version()), 'all are told of it');
	is($other->stop, 0, 'which ends in order');
};

subtest 'a storm' => sub {
	my ($pokes, $start) = ($program->metric('pokes_total'), time);
	$session->query(q(do $$ begin for n in 1 .. 3000 loop
		insert into message (id, sender, content, ord) values ('s' || n, 's', 's', 1);
		commit; end loop; end $$));
	my $commits = 3000 / (time - $start);
	none_missed($hold->ask('expect ' . version()), 'all are told of the last commit');
	my $took = time - $start;
	$pokes = ($program->metric('pokes_total') - $pokes) / $streams;
	cmp_ok($pokes, '<=', $took / 0.05 + 1, 'each at most once in 50 ms');
	figure('%.0f commits a second: %.1f pokes a second to each', $commits, $pokes / $took);
};

subtest 'the connection that listens is lost again and again' => sub {
	my $times = defined $scale ? 20 : 4;
	$hold->send("push @{[ $times * 5 ]} 100");
	for (1 .. $times) {
		my ($pid) = wait_until(sub { $session->value("select max(pid) $listens") }, 'it to listen');
		$session->query("select pg_terminate_backend($pid)");
		wait_until(sub { ($session->value("select max(pid) $listens") // $pid) != $pid }, 'another');
	}
	latencies(none_missed($hold->wait(300), 'all are told of each push'), 'with losses');
	# One that is lost before it has listened does not count.
	cmp_ok($program->metric('listen_lost_total'), '>', 0, 'it was lost');
};

subtest 'a tenth of the readers does not read' => sub {
	my $tenth = int $streams / 10;
	my $rounds = defined $scale ? 80 : 20;
	$hold->ask("freeze $tenth");
	# Fills what lies between them and the program.
	my $filling = $hold->ask('push 120 0', 600);
	is($filling->{missing}, 0, 'the others are told of each push');
	my $told = $hold->ask("push $rounds $pause", 600);
	is($told->{missing}, 0, 'again');
	latencies($told, 'the others');
	wait_until(sub { $program->metric('streams_ended_total{reason="stuck"}') == $tenth }, 'them to be dropped', 60);
	pass('those that do not read are dropped');
	none_missed($hold->ask('expect ' . commit()), 'the others stay', $streams - $tenth);
	is($program->metric('streams{kind="stream"}'), $streams - $tenth, 'all of them');
	cmp_ok($told->{p99_ms}, '<', $latency, 'latency of the others') if defined $scale;
};

# Closes all; the seconds until the program has let go of them.
sub close_all
{
	my ($most) = @_;
	my $start = time;
	$hold->ask('close');
	wait_until(sub { open_files() <= $most && $program->metric('streams{kind="stream"}') == 0 },
		"$most descriptors", defined $scale ? GONE_SECONDS : 60);
	pass('the program has let go of all');
	return time - $start;
}

subtest 'all go away at once' => sub {
	# A connection to the database may have been opened meanwhile.
	my $took = close_all($descriptors + 2);
	figure('%d streams gone after %.2f s', $streams, $took);
};

my $age = defined $scale ? 8000 : 2000; # ms, from the second restart on

subtest 'restarts' => sub {
	none_missed($hold->ask("open $streams"), 'streams');
	for my $signal (qw(TERM KILL)) {
		my $before = $hold->ask('expect 0');
		is($program->stop($signal), $signal eq 'TERM' ? 0 : 9, $signal);
		my $version = commit();
		my $start = time;
		start_program($signal eq 'TERM' ? () : (REPLICACHE_POKE_AGE => $age));
		my $told = $hold->ask("expect $version");
		is($told->{missing}, 0, "all learn of what happened meanwhile ($signal)");
		cmp_ok($told->{reopened} - $before->{reopened}, '>=', $streams, 'by coming back');
		figure('%s: %d streams back after %.1f s', $signal, $streams, time - $start);
	}
};

subtest 'streams that end by age' => sub {
	my $before = $hold->ask('expect 0');
	my $count = int((2 * $age + 1000) / ($pause + 10));
	my $told = $hold->ask("push $count $pause", 600);
	is($told->{missing}, 0, 'all that are there are told of each push');
	cmp_ok($told->{reopened} - $before->{reopened}, '>=', $streams, 'though they come and go');
	latencies($told, 'those that are there');
	$told = $hold->ask('expect ' . version());
	is($told->{missing}, 0, 'and others when they are back');
	is($told->{errors}, 0, 'nothing went wrong') or diag($told->{first_error});
	close_all($descriptors + 2);
};

subtest 'the end of the process' => sub {
	none_missed($hold->ask("open $streams"), 'streams');
	is($program->stop, 0, 'in order');
	wait_until(sub { $hold->ask('expect 0')->{open} == 0 }, 'all streams to end');
	my $told = $hold->ask('expect 0');
	cmp_ok($told->{retry_least}, '>=', 1000, 'all are told to come back later');
	cmp_ok($told->{retry_most} - $told->{retry_least}, '>', $streams / 2,
		'the more there are, over the longer a time');
	figure('%d streams are to come back after %.1f to %.1f s', $streams,
		$told->{retry_least} / 1000, $told->{retry_most} / 1000);
};

unlike($program->log, qr/ error /, 'the program has nothing to complain about');
$hold->stop;
done_testing;
