#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# /poke over FastCGI: streams and long-polls, how they begin, are told, are
# limited and end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(wait_until reap_process);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my $session = $cluster->session($database);
my $program = Rig::Program->start(%environment);
my $next = 0;

sub version { return $session->value('select max(version) from replicache_version') }

# A commit by psql; the version it made.
sub commit
{
	$session->query(qq(insert into item (id, body) values ('i${\ ++$next}', '"x"')));
	return version();
}

sub stream { return Rig::Stream->fastcgi($_[0] // $program, @_[1 .. $#_]) }

sub poll { return stream($_[0], poll => 1, @_[1 .. $#_]) }

sub is_version
{
	my ($answer, $version, $name) = @_;
	is($answer->{status}, 200, "$name: status");
	is_deeply(eval { Rig::Json::decode($answer->{body}) }, { version => $version }, $name)
		or diag($answer->{body});
}

sub open_files { return scalar(() = glob "/proc/${\ $_[0]->pid}/fd/*") }

subtest 'a stream' => sub {
	my $stream = stream($program, version => version());
	is($stream->status, 200, 'status');
	like($stream->header('content-type'), qr{^text/event-stream\b}, 'Content-Type');
	is($stream->header('cache-control'), 'no-cache, no-transform', 'Cache-Control');
	is($stream->header('x-accel-buffering'), 'no', 'X-Accel-Buffering');
	is($stream->header('content-length'), undef, 'no Content-Length');
	my $first = $stream->block(5);
	ok(defined $first->{comment}, 'begins with a comment');
	cmp_ok($first->{retry}, '>=', 1000, 'and the time to come back');
	is($stream->poke(0.2), undef, 'is silent while nothing happens');
	my $version = commit();
	is($stream->poke(5), $version, 'is poked by a commit of psql');
	my $answer = $program->request(push_params('g', [ 'a', 1, 'note', '1' ]));
	is($answer->{status}, 200, 'a push');
	is($stream->poke(5), version(), 'pokes');
	$program->request(push_params('g', [ 'a', 1, 'note', '1' ]));
	is($stream->poke(0.2), undef, 'one that repeats does not');
};

subtest 'what the client knows' => sub {
	my $version = version();
	is(stream($program)->poke(5), $version, 'nothing: poked at once');
	is(stream($program, version => $version - 1)->poke(5), $version, 'an old one: poked at once');
	is(stream($program, id => $version - 1)->poke(5), $version, 'an old event: poked at once');
	is(stream($program, version => $version - 5, id => $version)->poke(0.2), undef,
		'the last event counts');
	for my $junk ('', 'x', '-1', '9' x 30, '1' x 7000, "$version.0", "${version}x") {
		is(stream($program, id => $junk)->poke(5), $version,
			'junk: poked at once: ' . substr $junk, 0, 20);
		is(stream($program, query => "version=$junk")->poke(5), $version, 'in the query, too');
	}
	my $other = stream($program, query => "a=1&version=$version&b=2");
	is($other->poke(0.2), undef, 'among others');
};

subtest 'a long-poll' => sub {
	my $version = version();
	is_version(poll($program, version => $version - 1)->answer(5), $version, 'an old one');
	is_version(poll($program)->answer(5), $version, 'none');
	my $poll = poll($program, version => $version);
	ok(!$poll->read_more(0.3), 'is held');
	my $new = commit();
	is_version($poll->answer(5), $new, 'is answered by a change');
	is($poll->{headers}{'cache-control'}, 'no-store', 'and not to be kept');
	is_deeply($poll->{end}, [ 0, 0 ], 'the request is ended');
};

done_testing;
