#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What lies between the program and a browser: nginx that buffers uploads and
# that does not, connections it keeps, and their end, large bodies both ways, a
# client that goes away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Socket qw(SOCK_STREAM);
use Test::More;

use Rig::Cluster;
use Rig::Nginx;
use Rig::Place qw(wait_until workdir slurp);
use Rig::Program;
use Rig::Sync qw(push_body pull_body);

plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));
my %nginx = (
	'as it comes' => Rig::Nginx->start($program->path),
	'unbuffered' => Rig::Nginx->start($program->path,
		'fastcgi_request_buffering off; fastcgi_buffering off;'),
	'asking to keep connections' => Rig::Nginx->start($program->path, 'fastcgi_keep_conn on;'),
	'keeping connections' => Rig::Nginx->start($program->path, '', keepalive => 4),
);
my $next = 0;

sub post
{
	my ($nginx, $path, $body, %option) = @_;
	return $nginx->request('POST', $path, body => $body,
		headers => { 'Content-Type' => 'application/json' }, %option);
}

sub fresh_push
{
	my ($text) = @_;
	my $id = 'c' . ++$next;
	return push_body('g', [ $id, 1, 'note', '"' . ($text // $id) . '"' ]);
}

for my $name (sort keys %nginx) {
	my $nginx = $nginx{$name};
	subtest $name => sub {
		is(post($nginx, '/push', fresh_push())->{status}, 200, 'a push');
		is(post($nginx, '/push', fresh_push(), chunked => 1)->{status}, 200, 'a chunked one');
		is(post($nginx, '/push', fresh_push('x' x 3_000_000))->{status}, 200, 'a large one');
		is(post($nginx, '/push', fresh_push('x' x 3_000_000), chunked => 1)->{status}, 200,
			'a large chunked one');
		is(post($nginx, '/pull', pull_body('g'))->{status}, 200, 'a pull');
		my $head = $nginx->request('HEAD', '/health');
		is($head->{status}, 200, 'HEAD');
		is($head->{body}, '', 'has no body');
		# One after the other on whatever connection nginx takes.
		my @status = map { post($nginx, '/push', fresh_push())->{status} } 1 .. 20;
		is(join(' ', grep { $_ != 200 } @status), '', 'twenty in a row');
	};
}

# Small pieces, as a slow network delivers them.
subtest 'a slow upload' => sub {
	for my $name ('as it comes', 'unbuffered') {
		my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $nginx{$name}->path)
			or die "connect: $!";
		my $body = fresh_push('y' x 100_000);
		syswrite $socket, "POST /replicache/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
			. "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n";
		for (my $at = 0; $at < length $body; $at += 500) {
			syswrite $socket, substr $body, $at, 500;
			select undef, undef, undef, 0.001;
		}
		is(Rig::Http::exchange($socket, '', 20)->{status}, 200, $name);
	}
};

subtest 'a large view' => sub {
	$session->query(q(insert into item (id, body)
		select 'row' || i, to_jsonb(repeat('z', 200)) from generate_series(1, 50000) i));
	for my $name (sort keys %nginx) {
		my $answer = post($nginx{$name}, '/pull', pull_body('g'));
		is($answer->{status}, 200, $name);
		my $count = () = ($answer->{body} // '') =~ /"op":\s*"put"/g;
		is($count, 50000, 'with all rows');
		like(substr($answer->{body} // '', -3), qr/\}\s*\z/, 'to the end');
	}
};

subtest 'a client that goes away' => sub {
	for my $round (1 .. 5) {
		my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM,
			Peer => $nginx{unbuffered}->path) or die "connect: $!";
		my $body = pull_body('g');
		syswrite $socket, "POST /replicache/pull HTTP/1.1\r\nHost: x\r\n"
			. "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		sysread $socket, my $bytes, 1000;
		close $socket;
	}
	is(post($nginx{unbuffered}, '/push', fresh_push())->{status}, 200, 'others are served');
	wait_until(sub {
		!$session->value(q(select count(*) from pg_stat_activity
			where state = 'active' and pid <> pg_backend_pid()))
	}, 'its pulls to end', 20);
	pass('its pulls end');
};

subtest 'a connection that is kept' => sub {
	my $descriptors = sub { return scalar(() = glob '/proc/' . $program->pid . '/fd/*') };
	plan skip_all => 'descriptors are not shown to us' unless $descriptors->();
	my $fresh = Rig::Nginx->start($program->path, '', keepalive => 4);
	post($nginx{'as it comes'}, '/push', fresh_push());
	my $before;
	wait_until(sub { my $last = $before; $before = $descriptors->(); return defined $last && $last == $before }, 'it to be at rest');
	for my $time ('once', 'again', 'for a third time') {
		is(post($fresh, '/push', fresh_push())->{status}, 200, "used $time");
		is($descriptors->(), $before + 1, 'is one');
	}
	$fresh->stop;
	wait_until(sub { $descriptors->() == $before }, 'it to be closed');
	pass('ends with the web server');
};

# The request is there before its end is: nginx takes the connection, and finds out.
subtest 'a kept connection whose program is gone' => sub {
	my $path = workdir() . '/again';
	my $listener = Rig::Program::listener($path);
	my $begin = sub {
		return Rig::Program->start(-listener => $listener, -socket => $path,
			REPLICACHE_DATABASE => $cluster->conninfo($database));
	};
	my $first = $begin->();
	my $kept = Rig::Nginx->start($path, '', keepalive => 4);
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $kept->path) or die "connect: $!";
	syswrite $socket, "GET /replicache/health HTTP/1.1\r\nHost: x\r\n\r\n";
	my $health = '';
	until ($health =~ /\}/) {
		sysread $socket, $health, 4096, length $health or last;
	}
	like($health, qr{^HTTP/1\.1 200 }, 'a request, and all stay connected');
	my ($worker) = slurp("/proc/$kept->{pid}/task/$kept->{pid}/children") =~ /(\d+)/ or die 'no worker of nginx';
	kill 'STOP', $worker;
	my $body = fresh_push();
	syswrite $socket, "POST /replicache/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	$first->stop('KILL');
	my $second = $begin->();
	kill 'CONT', $worker;
	is(Rig::Http::exchange($socket, '', 20)->{status}, 200, 'the push is sent again');
	$kept->stop;
	is($second->stop, 0, 'the program ends in order');
};

is($session->value(q(select count(*) from journal)), $next, 'each push was applied once');
is($program->stop, 0, 'the program ends in order');
done_testing;
