#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The program is in misery, while clients push: the clock jumps, it stands still, its
# web server is reloaded and started again, crowds of peers on its socket are silent
# or drip. Clients are answered all the same, nothing is lost or done twice, and when
# it is over no descriptor is left. SCALE is for how long, in seconds, and how many:
# 25 times as many peers of each kind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep time);

use Rig::Clock;
use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Retry;
use Rig::Nginx;
use Rig::Place qw(workdir wait_until slurp spew);
use Rig::Program qw(params);
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);
use Rig::Token;

my $SCALE = $ENV{SCALE} // 1;
note("SCALE=$SCALE");

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %database = (REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_POOL => 4);

sub descriptors { return scalar(() = glob '/proc/' . $_[0]->pid . '/fd/*') }

# After the misery: what the clients were told, and that all is as before.
sub check_end
{
	my ($about, $load, $program, $before, @allowed) = @_;
	my $told = $load->end;
	note("$about: ", Rig::Retry::line($told));
	my %allowed = map { $_ => 1 } 200, @allowed;
	is(join(' ', grep { /^(\d+|none)$/ && !$allowed{$_} } sort keys %$told), '', "$about: clients are answered");
	is($load->fault, '', "$about: nothing is lost or half done");
	# It has as many connections to the database as it needed, and no other ones more.
	wait_until(sub { descriptors($program) <= $before + 4 }, "$about: descriptors to be closed", 30);
	return $told;
}

subtest 'the clock jumps' => sub {
	my $clock = Rig::Clock->new;
	my $program = Rig::Program->start(%database, REPLICACHE_AUTH => 'jwt', REPLICACHE_JWT_ALGORITHM => 'HS256',
	    REPLICACHE_JWT_KEY_FILE => Rig::Token::folder() . '/hs256', REPLICACHE_POKE_HEARTBEAT => 200,
	    $clock->environment);
	my $now = int time;
	my ($long, $hour) = map { 'Bearer ' . Rig::Token::sign(qq({"sub":"ann","nbf":$_->[0],"exp":$_->[1]})) }
	    [ $now - 1_000_000, $now + 1_000_000 ], [ $now - 3600, $now + 3600 ];
	my $by = sub { my ($token, $params, $body) = @_; return $program->request({ %$params, HTTP_AUTHORIZATION => $token }, $body) };
	my $stream = Rig::Stream->fastcgi($program, params => { HTTP_AUTHORIZATION => $long });
	$stream->poke(20);
	my $load = Rig::Retry->start($session, sub { $by->($long, @_) });
	$load->wait_done(10);
	my $before = descriptors($program);
	for my $round (1 .. $SCALE) {
		for my $days (1, -1, 0) {
			$clock->set(days => $days);
			is($by->($hour, pull_params('hour'))->{status}, $days == 0 ? 200 : 401, "a token follows the clock, $days days off");
			$load->wait_done(10);
			1 while defined $stream->poke(0);
			ok($stream->poke(20), 'the stream goes on');
		}
	}
	check_end('clock', $load, $program, $before);
	ok(!$stream->{ended}, 'it is the same stream still');
	wait_until(sub { defined(($stream->block(5) // {})->{comment}) }, 'a heartbeat', 20);
	is($program->stop, 0, 'the program ends in order');
};

subtest 'the program stands still' => sub {
	# Seconds: more than a busy machine takes from accepting a peer to stopping.
	my $header = 2;
	my $program = Rig::Program->start(%database, REPLICACHE_HEADER_TIMEOUT => $header * 1000);
	my $load = Rig::Retry->start($session, sub { $program->request(@_, seconds => 100) });
	$load->wait_done(10);
	my $before = descriptors($program);
	my @peer = map { $program->connect } 1 .. 20;
	# Four clients and as many connections to the database come and go: more is a peer.
	wait_until(sub { descriptors($program) > $before + 8 }, 'a peer to be accepted', 10);
	kill 'STOP', $program->pid;
	# What came in time is no matter of the peer's.
	$peer[$_]->send_raw(Rig::Fastcgi::request_bytes(push_params("still$_", [ "still$_", 1, 'note', '"still"' ]))) for 0 .. $#peer;
	sleep $header + $SCALE;
	kill 'CONT', $program->pid;
	is(join(' ', map { $_->answer(30)->{status} // 'none' } @peer), join(' ', (200) x @peer), 'who asked meanwhile is answered');
	$_->close for @peer;
	$load->wait_done(10);
	check_end('frozen', $load, $program, $before);
	is($program->stop, 0, 'the program ends in order');
};

# Peers that are never heard of whole: each sends the first bytes of a request, then
# one in each tenth of a second if it drips. Returns how many were closed, and after
# what time the last one.
sub crowd
{
	my ($program, $many, $first, $drips) = @_;
	my $bytes = Rig::Fastcgi::request_bytes(push_params('crowd', [ 'crowd', 1, 'note', '"' . 'x' x 5000 . '"' ]));
	my @peer = map { $program->connect // die "connect: $!" } 1 .. $many;
	$_->send_raw(substr $bytes, 0, $first) for @peer;
	my $start = time;
	my $closed = 0;
	while (@peer && time - $start < 60) {
		my @left = grep { !$_->is_closed(0.0001) } @peer;
		$closed += @peer - @left;
		@peer = @left;
		sleep 0.1;
		$_->send_raw(substr $bytes, $first, 1) for $drips ? @peer : ();
		$first++ if $drips;
	}
	return [ $closed, time - $start ];
}

subtest 'peers that are silent, and peers that drip' => sub {
	my $many = 25 * $SCALE;
	my $program = Rig::Program->start(%database,
	    $SCALE < 20 ? (REPLICACHE_HEADER_TIMEOUT => 1000, REPLICACHE_REQUEST_TIMEOUT => 3000) : ());
	my $load = Rig::Retry->start($session, sub { $program->request(@_, seconds => 60) });
	$load->wait_done(10);
	my $before = descriptors($program);
	my @kind = ([ 'silent', 0 ], [ 'of one byte', 1 ], [ 'dripping', 1000, 1 ]);
	my $child = Rig::Sync::background(scalar @kind, sub { return crowd($program, $many, @{ $kind[ $_[0] ] }[ 1, 2 ]) });
	wait_until(sub { descriptors($program) >= $before + $many }, 'the crowd to be there', 60);
	$load->wait_done(20);
	my @told = Rig::Sync::collect($child, 120);
	for my $i (0 .. $#kind) {
		is($told[$i][0], $many, "all peers that are $kind[$i][0] are closed");
		note(sprintf "%d peers that are %s, closed within %.1f s", $many, $kind[$i][0], $told[$i][1]);
	}
	my $answers = check_end('crowd', $load, $program, $before);
	is($session->value(q(select count(*) from replicache_client where id = 'crowd')), 0, 'nothing of what they sent is done');
	is($program->stop, 0, 'the program ends in order');
};

SKIP: {
	skip 'nginx is not installed', 1 if !Rig::Nginx::is_installed();

	subtest 'the web server is reloaded, and started again' => sub {
		my $program = Rig::Program->start(%database, REPLICACHE_METRICS => 'on');
		my $nginx = Rig::Nginx->start($program->path, "fastcgi_buffering off;\n", workers => 2);
		my $conf = "$nginx->{folder}/conf";
		spew($conf, "worker_shutdown_timeout 5s;\n" . slurp($conf));
		my $over = workdir() . '/streams-over';
		# Pages: each opens its stream again when it ends.
		my $page = Rig::Sync::background(1, sub {
			my (@stream, %told);
			until (-e $over) {
				for my $i (0 .. 9) {
					$stream[$i] //= eval { $told{opened}++; Rig::Stream->http($nginx->path, path => '/replicache/poke') } // next;
					$told{pokes}++ if defined eval { $stream[$i]->poke(0.02) };
					undef $stream[$i] if $stream[$i]{ended} || $stream[$i]{whole};
				}
				sleep 0.05;
			}
			return \%told;
		});
		my $ask = sub {
			my ($params, $body) = @_;
			return $nginx->request('POST', $params->{PATH_INFO}, body => $body, headers => { 'Content-Type' => 'application/json' }, seconds => 60);
		};
		my $load = Rig::Retry->start($session, $ask);
		$load->wait_done(10);
		my $before = descriptors($program);
		for (1 .. $SCALE) {
			kill 'HUP', $nginx->{pid};
			$load->wait_done(10);
		}
		my $reloads = check_end('reload', $load, $program, $before + 10);
		is($reloads->{none} // 0, 0, 'no request failed by a reload');

		$load = Rig::Retry->start($session, $ask);
		my $opened = sub { $program->metric('streams_opened_total{kind="stream"}') };
		my $first = $opened->();
		for my $times (1 .. $SCALE) {
			$nginx->stop;
			$nginx = $nginx->again;
			$load->wait_done(10);
			wait_until(sub { $opened->() >= $first + 10 * $times }, 'streams to come back', 30);
		}
		check_end('restart', $load, $program, $before + 10, 'none', 502);
		spew($over, '');
		my ($pages) = Rig::Sync::collect($page, 60);
		note("streams: opened $pages->{opened} times, $pages->{pokes} pokes");
		cmp_ok($pages->{opened}, '>=', 10 + 10 * $SCALE, 'streams that ended came back');
		$nginx->stop;
		wait_until(sub { descriptors($program) <= $before }, 'descriptors of streams to be closed', 30);
		pass('no descriptor of a stream is left');
		is($program->stop, 0, 'the program ends in order');
	};
}

done_testing;
