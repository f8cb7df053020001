#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Shared hosting: Apache starts the program, by mod_fcgid or as CGI, in a folder
# with examples/apache/htaccess and a settings file, and nothing else is given.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Apache;
use Rig::Behind;
use Rig::Cluster;
use Rig::Place qw(workdir slurp start_process stop_process wait_until);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_body pull_body);

my @by = grep { Rig::Apache->is_installed($_) } qw(fcgid cgi cgid);
plan skip_all => 'no Apache here' unless @by;

my $cluster = Rig::Cluster->start;

sub start
{
	my ($database, %option) = @_;
	my %settings = %{ delete $option{settings} // {} };
	return Rig::Apache::Shared->start(example => 'apache/htaccess', %option,
		environment => { %Rig::Program::usual, %settings,
			REPLICACHE_DATABASE => $cluster->conninfo($database) });
}

for my $by (@by) {
	subtest "mod_$by" => sub {
		my $database = $cluster->database('cases');
		my $session = $cluster->session($database);
		my $front = start($database, by => $by);
		Rig::Behind::check($front, $session);
		for my $path (qw(replicache.conf replicache.fcgi/replicache.conf .htaccess)) {
			my $answer = $front->request('GET', "/$path");
			like($answer->{status}, qr/^40[34]$/, "$path can't be fetched");
			unlike($answer->{body}, qr/database|RewriteEngine/, 'nothing of it is told');
		}
		is($front->request('GET', '/replicache.fcgi/health')->{status}, 200,
			'the program can be named in the path, too');
		is($front->stop, 0, 'the server ends in order');
		unlike($front->log, qr/exit(ed)? with|segfault|signal 9|SIGKILL/i, 'and so does the program')
		    or diag($front->log);
	};
}

# As a host has it that leaves mod_fcgid's limit at its default: what is pushed at
# once must stay below it.
subtest "mod_fcgid's default limit" => sub {
	plan skip_all => 'no mod_fcgid here' unless grep { $_ eq 'fcgid' } @by;
	my $database = $cluster->database('cases');
	my $session = $cluster->session($database);
	my $front = start($database, by => 'fcgid', max_body => 131072);
	my $push = sub {
		my ($client, $length) = @_;
		return $front->request('POST', '/push', headers => { 'Content-Type' => 'application/json' },
			body => push_body('g', [ $client, 1, 'note', '"' . 'x' x $length . '"' ]))->{status};
	};
	is($push->('a', 130_000), 200, 'a push below 131,072 bytes');
	is($push->('b', 132_000), 500, 'one above is refused by mod_fcgid');
	is($session->value('select count(*) from journal'), 1, 'and changes nothing');
	is($push->('c', 1000), 200, 'others go on');
	is($front->stop, 0, 'the server ends in order');
};

# Where the host has told mod_fcgid to keep nothing back, streams flow if they are
# asked for, by HTTP/2 too.
subtest 'FcgidOutputBufferSize 0' => sub {
	plan skip_all => 'no mod_fcgid here' unless grep { $_ eq 'fcgid' } @by;
	my $database = $cluster->database('cases');
	my $session = $cluster->session($database);
	my $version = sub { $session->value('select max(version) from replicache_version') };
	my $http2 = Rig::Apache->is_installed('http2') && qx(curl --version 2>/dev/null) =~ /\bHTTP2\b/;
	my $front = start($database, by => 'fcgid', settings => { REPLICACHE_POKE => 'stream' },
		modules => [ $http2 ? 'http2' : () ],
		lines => "FcgidOutputBufferSize 0\n" . ($http2 ? "Protocols h2c http/1.1\n" : ''));
	my $before = $version->();
	my $stream = Rig::Stream->http($front->{port}, version => $before);
	is($stream->status, 200, 'a stream') or return;
	$session->query(q(insert into item (id, body) values ('flows', '1')));
	is($stream->poke(20), $version->(), 'flows');
	SKIP: {
		skip 'no HTTP/2 here', 2 unless $http2;
		my $file = workdir() . '/http2';
		open my $out, '>', $file or die "$file: $!";
		my $pid = start_process([ 'curl', '-sNi', '--http2-prior-knowledge', '-H', 'Accept: text/event-stream',
			"http://127.0.0.1:$front->{port}/replicache/poke?version=" . $version->() ], stdout => $out);
		wait_until(sub { slurp($file) =~ m{^HTTP/2 200}m && slurp($file) =~ /^retry:/m }, 'a stream by HTTP/2', 20);
		$session->query(q(insert into item (id, body) values ('flows too', '1')));
		my $poke = $version->();
		ok(wait_until(sub { slurp($file) =~ /^id: $poke$/m }, 'a poke by HTTP/2', 20), 'by HTTP/2 too');
		stop_process($pid);
		is($front->request('GET', '/health')->{status}, 200, 'and the site is well');
	}
	$stream->close;
	ok(defined $front->stop, 'the server ends');
};

# A host that compresses all it is given compresses streams, too, whatever their
# Cache-Control says, and does not hold them up.
subtest 'mod_deflate' => sub {
	plan skip_all => 'no mod_fcgid here' unless grep { $_ eq 'fcgid' } @by;
	plan skip_all => 'no mod_deflate here' unless Rig::Apache->is_installed(qw(deflate filter));
	my $database = $cluster->database('cases');
	my $session = $cluster->session($database);
	my $front = start($database, by => 'fcgid', settings => { REPLICACHE_POKE => 'stream' },
		modules => [qw(filter deflate)],
		lines => "FcgidOutputBufferSize 0\nSetOutputFilter DEFLATE\n");
	my %gzip = ('Accept-Encoding' => 'gzip');
	my $answer = $front->request('POST', '/pull', body => pull_body('g'),
		headers => { 'Content-Type' => 'application/json', %gzip });
	is($answer->{headers}{'content-encoding'}, 'gzip', 'a pull is compressed');
	my $version = sub { $session->value('select max(version) from replicache_version') };
	my $before = $version->();
	my $stream = Rig::Stream->http($front->{port}, version => $before, headers => \%gzip);
	is($stream->status, 200, 'a stream') or return;
	is($stream->header('content-encoding'), 'gzip', 'is, too');
	$session->query(q(insert into item (id, body) values ('flows', '1')));
	is($stream->poke(20), $version->(), 'flows');
	$stream->close;
	ok(defined $front->stop, 'the server ends');
};

done_testing;
