#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A program that is killed amid a pull, behind each web server. Some servers tell
# the client that the answer was cut, others end it as if it were whole; what the
# client has then must not be JSON, and the next pull must be served.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Apache;
use Rig::Caddy;
use Rig::Cluster;
use Rig::Http;
use Rig::Lighttpd;
use Rig::Nginx;
use Rig::Place qw(workdir wait_until spew);
use Rig::Program;
use Rig::Sync qw(pull_body);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (%Rig::Program::usual, REPLICACHE_DATABASE => $cluster->conninfo($database));

# More than all buffers on the way hold.
$session->query(q(insert into item (id, body)
	select 'row' || i, to_jsonb(repeat('z', 2000)) from generate_series(1, 8000) i));

my $path = workdir() . '/program';
my $listener = Rig::Program::listener($path);
my $program;

sub start_program
{
	$program = Rig::Program->start(-socket => $path, -listener => $listener, %environment);
	return $program->pid;
}

# The processes that run a copy of the program in this folder, or it itself.
sub processes
{
	my ($file) = @_;
	return grep { (readlink("/proc/$_/exe") // '') =~ /^\Q$file\E/ }
	    map { m{/proc/(\d+)$} } glob '/proc/[0-9]*';
}

# Those that tell the client that the answer was cut.
my %tells = map { $_ => 1 } 'nginx', 'Apache, mod_proxy_fcgi', 'lighttpd';

# Each: start the server, and whom to kill.
my %server = (
	'nginx' => sub {
		Rig::Nginx::is_installed() or return;
		my $front = Rig::Nginx::Example->start(example => 'nginx/replicache.conf', socket => $path);
		start_program();
		return ($front, sub { delete($program->{pid}) });
	},
	'Apache, mod_proxy_fcgi' => sub {
		Rig::Apache->is_installed('proxy_fcgi') or return;
		my $front = Rig::Apache->start(example => 'apache/proxy.conf', socket => $path);
		start_program();
		return ($front, sub { delete($program->{pid}) });
	},
	'Caddy' => sub {
		Rig::Caddy->is_installed or return;
		my $front = Rig::Caddy->start(example => 'caddy/Caddyfile', socket => $path);
		start_program();
		return ($front, sub { delete($program->{pid}) });
	},
	'lighttpd' => sub {
		Rig::Lighttpd->is_installed or return;
		my $front = Rig::Lighttpd->start(example => 'lighttpd/replicache.conf',
			environment => \%environment);
		my $pid = $front->pid;
		return ($front, sub {
			# Its one child.
			return grep { Rig::Place::slurp("/proc/$_/stat") =~ /\) \S+ $pid / }
			    processes(Rig::Place::program());
		});
	},
	map { my $by = $_; ("Apache, mod_$by" => sub {
		Rig::Apache->is_installed($by) or return;
		my $front = Rig::Apache::Shared->start(example => 'apache/htaccess', by => $by,
			environment => \%environment);
		return ($front, sub { processes($front->place) });
	}) } qw(fcgid cgi cgid),
);

# As Postgres, who is quick, sees it.
sub is_json
{
	my ($text) = @_;
	my $file = spew(workdir() . '/answer', $text // '');
	return $cluster->admin->error("select pg_read_file('$file')::json is null") eq '';
}

sub request_text
{
	my $body = pull_body('g');
	return "POST /replicache/pull HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

local $SIG{ALRM} = sub { die "out of time\n" };
for my $name (sort keys %server) {
	alarm 120;
	subtest $name => sub {
		my ($front, $victims) = $server{$name}->() or plan skip_all => "no $name here";
		is($front->request('GET', '/health')->{status}, 200, 'it serves');
		my $socket = Rig::Http::open_socket($front->port) or die "connect: $!";
		syswrite $socket, request_text();
		my $text = '';
		while (length $text < 100_000) {
			last unless sysread $socket, $text, 100_000, length $text;
		}
		cmp_ok(length $text, '>=', 100_000, 'the answer begins') or diag($text, $front->log);
		my @victim = $victims->();
		is(scalar @victim, 1, 'the program is there');
		kill 'KILL', @victim;
		my $read;
		do {
			$read = sysread $socket, $text, 1_000_000, length $text;
		} while $read;
		my $answer = Rig::Http::parse($text);
		is($answer->{status}, 200, 'the answer had begun');
		my $whole = defined $read && defined $answer->{body};
		note($whole ? 'the server ends the answer as if it were whole' : 'the client is told');
		ok(!$whole, 'the client is told') if $tells{$name};
		my ($head, $body) = split /\r\n\r\n/, $text, 2;
		cmp_ok(length $body, '<', 16_000_000, 'it was cut');
		ok(!is_json($answer->{body} // $body), 'it is no JSON');
		waitpid $victim[0], 0;
		start_program() if $program && !$program->{pid};
		wait_until(sub {
			my $next = $front->request('POST', '/pull', body => pull_body('g'),
				headers => { 'Content-Type' => 'application/json' });
			return $next->{status} == 200 && is_json($next->{body});
		}, 'the next pull', 30);
		pass('the next pull is served');
		$program->stop if $program && $program->{pid};
		undef $program;
		$front->stop;
	};
}

done_testing;
