#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# examples/poke.js: finds the way that works, misses nothing, and leaves servers
# in peace that have enough.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Node;
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $node = Rig::Node->start('pokes.mjs');
my $mock = $node->ask(do => 'listen');
my $count = 0;

# A page on a server that behaves like this. Returns its name.
sub page
{
	my ($stream, $poll, %option) = @_;
	$node->ask(do => 'behave', stream => $stream, poll => $poll);
	$node->ask(do => 'requests');
	my $name = 'page' . ++$count;
	$node->ask(do => 'open', name => $name, url => $mock, %option);
	return $name;
}

sub until_event { return join ' ', @{ $node->ask(do => 'until', name => $_[0], event => $_[1]) } }

sub change { return $node->ask(do => 'change') }

sub close_page { $node->ask(do => 'close', name => $_[0]) }

sub requests { return @{ $node->ask(do => 'requests') } }

subtest 'a stream' => sub {
	my $page = page(qw(flows holds), token => 'Bearer t');
	is(until_event($page, 1), 'connecting stream 1', 'connected, and told where the server is');
	for (1 .. 3) {
		my $version = change();
		is(until_event($page, $version), $version, 'told of a change');
	}
	$node->ask(do => 'changeUnseen');
	$node->ask(do => 'cut');
	like(until_event($page, 5), qr/\b5$/, 'told of what happened meanwhile');
	my @request = requests();
	is($request[-1]{version}, 4, 'since it says what it knows');
	is($request[-1]{token}, 'Bearer t ' . @request, 'headers are asked for each time');
	close_page($page);
};

for my $how (qw(held headers 204 404 page)) {
	subtest "a stream: $how" => sub {
		my $page = page($how, 'holds');
		like(until_event($page, 'poll'), qr/^connecting poll$/, 'a poll instead');
		like(until_event($page, $node->ask(do => 'change')), qr/\d$/, 'which is held, and told');
		cmp_ok(scalar(grep { $_->{way} eq 'stream' } requests()), '<=', 2, 'streams were tried twice at most');
		close_page($page);
	};
}

subtest 'a poll that a proxy cuts' => sub {
	my $page = page(qw(404 impatient));
	until_event($page, 'poll');
	my $seen = 0;
	while ($seen < 4) {
		$seen += grep { $_->{way} eq 'poll' } requests();
		select undef, undef, undef, 0.01;
	}
	$node->ask(do => 'behave', stream => '404', poll => 'holds');
	my $version = change();
	unlike(until_event($page, $version), qr/interval/, 'is asked again');
	close_page($page);
};

for my $how (qw(hurries 404 204)) {
	subtest "a poll: $how" => sub {
		my $page = page('404', $how);
		until_event($page, 'interval');
		until_event($page, 'pull') for 1 .. 3;
		pass('pulls in intervals');
		cmp_ok(scalar(requests()), '<=', 5, 'and asks no more');
		close_page($page);
	};
}

subtest 'a server that has enough' => sub {
	my $page = page(qw(busy holds));
	until_event($page, 'waiting');
	until_event($page, 'pull') for 1 .. 3;
	cmp_ok(scalar(requests()), '<=', 4, 'is asked no more often than it says');
	$node->ask(do => 'behave', stream => 'flows', poll => 'holds');
	like(until_event($page, 'stream'), qr/stream$/, 'and again later');
	close_page($page);
};

subtest 'the real server' => sub {
	my $site = Rig::Site->start_chat;
	my $session = $site->session;
	my $version = sub { $session->value('select max(version) from replicache_version') + 0 };
	my $say = sub {
		$session->query("insert into message (id, sender, content, ord) values ('$_[0]', 'psql', 'x', 1)");
		return $version->();
	};
	$node->ask(do => 'open', name => 'real', url => $site->url . '/replicache/poke');
	like(until_event('real', $version->()), qr/^connecting stream \d+$/, 'a stream');
	my $told = $say->('a');
	is(until_event('real', $told), $told, 'psql is told of');
	$site->stop_program('KILL');
	until_event('real', 'waiting');
	$told = $say->('b');
	$site->start_program;
	like(until_event('real', $told), qr/stream $told$/, 'what happened while it was down, too');
	close_page('real');
};

done_testing;
