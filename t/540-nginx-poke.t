#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# /poke behind nginx: streams flow, long-polls are held, who goes away is
# freed, and an EventSource finds its way back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Json;
use Rig::Nginx;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Site;
use Rig::Stream;
use Rig::Sync qw(push_body);

plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();

# More than any wait here takes, less than a heartbeat.
use constant PATIENCE => 10;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database),
	REPLICACHE_METRICS => 'on');
my $program = Rig::Program->start(%environment);
my %nginx = (
	'as it comes' => Rig::Nginx->start($program->path),
	'asking to keep connections' => Rig::Nginx->start($program->path, 'fastcgi_keep_conn on;'),
	'keeping connections' => Rig::Nginx->start($program->path, '', keepalive => 4),
	'compressing' => Rig::Nginx->start($program->path, 'gzip on; gzip_types *;'),
);
my $usual = $nginx{'as it comes'};
my $next = 0;

sub version { return $session->value('select max(version) from replicache_version') }

# A push through nginx; the version it made.
sub push_one
{
	my ($nginx) = @_;
	my $answer = $nginx->request('POST', '/push',
		body => push_body('g', [ 'c' . ++$next, 1, 'note', qq("$next") ]),
		headers => { 'Content-Type' => 'application/json' });
	is($answer->{status}, 200, 'a push');
	return version();
}

# Waits until so many streams (or longpolls) are held.
sub held
{
	my ($kind, $count, $name, $seconds) = @_;
	my $start = time;
	wait_until(sub { $program->metric(qq(streams{kind="$kind"})) == $count }, "$count of $kind",
		$seconds // PATIENCE);
	pass($name);
	return time - $start;
}

for my $name (sort keys %nginx) {
	subtest $name => sub {
		my $nginx = $nginx{$name};
		my $stream = Rig::Stream->http($nginx->path, version => version(),
			headers => { 'Accept-Encoding' => 'gzip' });
		is($stream->status(PATIENCE), 200, 'a stream');
		like($stream->header('content-type'), qr{^text/event-stream\b}, 'Content-Type');
		is($stream->header('cache-control'), 'no-cache, no-transform', 'Cache-Control');
		is($stream->header('content-encoding'), $name eq 'compressing' ? 'gzip' : undef,
			'Content-Encoding');
		ok(defined $stream->block(PATIENCE)->{comment}, 'its beginning comes at once');
		for (1 .. 3) {
			my $version = push_one($nginx);
			is($stream->poke(PATIENCE), $version, 'and so does a poke');
		}
		my $version = version();
		my $poll = Rig::Stream->http($nginx->path, version => $version, poll => 1);
		held('longpoll', 1, 'a long-poll is held');
		ok(!$poll->read_more(0), 'and not answered');
		my $new = push_one($nginx);
		my $answer = $poll->answer(PATIENCE);
		is($answer->{status}, 200, 'it is answered by a push');
		is_deeply(eval { Rig::Json::decode($answer->{body}) }, { version => $new }, 'with the version');
		$stream->close;
		held('stream', 0, 'the stream is closed');
	};
}

subtest 'heartbeats come through' => sub {
	my $beating = Rig::Program->start(%environment, REPLICACHE_POKE_HEARTBEAT => 100);
	my $nginx = Rig::Nginx->start($beating->path);
	my $stream = Rig::Stream->http($nginx->path, version => version());
	ok(defined(($stream->block(PATIENCE) // {})->{comment}), "comment $_") for 1 .. 4;
	is($beating->stop, 0, 'ended in order');
	ok($stream->is_over(PATIENCE), 'the stream too');
	$nginx->stop;
};

subtest 'who goes away is freed' => sub {
	my $version = version();
	my @stream = map { Rig::Stream->http($usual->path, version => $version) } 1 .. 20;
	my @poll = map { Rig::Stream->http($usual->path, version => $version, poll => 1) } 1 .. 10;
	$_->status(PATIENCE) for @stream;
	held('longpoll', 10, 'all are held');
	my $before = $program->metric('streams_ended_total{reason="gone"}');
	$_->close for @stream[0 .. 14], @poll;
	my $took = held('stream', 5, 'streams are freed, without a word to them');
	$took += held('longpoll', 0, 'long-polls too');
	note(sprintf 'after %d ms', $took * 1000);
	is($program->metric('streams_ended_total{reason="gone"}'), $before + 25, 'they count as gone');
	my $new = push_one($usual);
	is($_->poke(PATIENCE), $new, 'the others go on') for @stream[15 .. 19];
	$_->close for @stream;
	held('stream', 0, 'all are gone');
};

subtest 'a web server that goes away' => sub {
	my $nginx = Rig::Nginx->start($program->path);
	my @stream = map { Rig::Stream->http($nginx->path, version => version()) } 1 .. 5;
	$_->status(PATIENCE) for @stream;
	held('stream', 5, 'streams');
	$nginx->stop;
	held('stream', 0, 'are freed');
};

is($program->stop, 0, 'ended in order') or diag($program->log);

subtest 'EventSource' => sub {
	plan skip_all => $_ for Rig::Node::missing('eventsource');
	my $site = Rig::Site->start(%environment);
	my $node = Rig::Node->start('events.mjs');
	my $url = $site->url . '/replicache/poke';
	my $until = sub {
		my ($name, $event) = @_;
		return join ' ', @{ $node->ask(do => 'until', name => $name, event => $event) };
	};
	my $commit = sub {
		$session->query(qq(insert into item (id, body) values ('e${\ ++$next}', '1')));
		return version();
	};
	my $version = version();
	$node->ask(do => 'open', name => 'new', url => $url);
	$node->ask(do => 'open', name => 'knows', url => "$url?version=$version");
	is($until->('new', $version), "open $version", 'one that is new is told where the server is');
	is($until->('knows', 'open'), 'open', 'one that knows is not');
	for (1 .. 3) {
		$version = $commit->();
		is($until->($_, $version), $version, "$_ is poked") for qw(new knows);
	}
	$node->ask(do => 'requests', name => $_) for qw(new knows);

	is($site->restart_program('TERM'), 0, 'a restart in order');
	is($until->($_, 'open'), 'error open', "$_ comes back") for qw(new knows);
	is_deeply($node->ask(do => 'requests', name => $_), [$version], 'with what it knows')
		for qw(new knows);
	$version = $commit->();
	is($until->($_, $version), $version, "$_ is not poked but by a change") for qw(new knows);

	$site->restart_program('KILL');
	$version = $commit->();
	is($until->($_, $version), "error open $version", "$_ learns of what happened meanwhile")
		for qw(new knows);
	$node->ask(do => 'close', name => $_) for qw(new knows);
	$node->stop;
	$site->stop;
};

subtest 'an EventSource where nothing flows' => sub {
	plan skip_all => $_ for Rig::Node::missing('eventsource');
	my $site = Rig::Site->start(%environment, REPLICACHE_POKE => 'longpoll');
	my $node = Rig::Node->start('events.mjs');
	$node->ask(do => 'open', name => 'a', url => $site->url . '/replicache/poke');
	is_deeply($node->ask(do => 'until', name => 'a', event => 'closed'), ['closed'],
		'is told to stay away');
	$node->stop;
	$site->stop;
};

done_testing;
