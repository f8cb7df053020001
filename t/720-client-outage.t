#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client while parts of the server are down: it goes on writing, and
# each mutation is applied once, in order, when they are back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $client = Rig::Client->open($node, name => 'alice');
my $other = Rig::Client->open($node, name => 'bob');
$client->mutate(createMessage =>
    { id => 'log', from => 'alice', content => '', order => 1 })->settle;

my $written = '';

# Write 20 mutations, wait until some tries to push them failed with the
# expected status, bring the server back, and see each applied once.
sub survive
{
	my ($down, $up, $status) = @_;
	$down->();
	$node->ask(do => 'requests');
	for my $number (1 .. 20) {
		$client->mutate(appendMessage => { id => 'log', text => "$number," });
		$written .= "$number,";
	}
	is($client->view->{'message/log'}{content}, $written, 'the writer sees all');
	my @tries;
	wait_until(sub {
		$client->ask('push');
		push @tries, grep { $_->{path} eq 'push' && $_->{mutations} == 20 }
		    @{ $node->ask(do => 'requests') };
		return @tries >= 4;
	}, 'tries to push');
	my %seen = map { $_->{status} => 1 } @tries[0 .. 2];
	is_deeply(\%seen, { $status => 1 }, "each try ended with $status");
	is(scalar @{ $client->pending }, 20, 'all are pending');
	$up->();
	$client->settle;
	is($site->session->value("select content from message where id = 'log'"),
	    $written, 'each was applied once, in order');
	$other->wait_for_view($site->expected_view);
	is_deeply($client->view, $other->view, 'both see the same');
}

subtest 'the program is stopped' => sub {
	survive(sub { $site->stop_program }, sub { $site->start_program }, 502);
};

subtest 'the program is killed' => sub {
	survive(sub { $site->stop_program('KILL') }, sub { $site->start_program }, 502);
};

subtest 'nothing listens' => sub {
	survive(sub { $site->stop_nginx }, sub { $site->start_nginx }, 0);
	is($client->ask('online'), JSON::PP::true, 'the client is online again');
};

subtest 'Postgres is down' => sub {
	survive(sub { $site->stop_postgres }, sub { $site->start_postgres }, 503);
};

subtest 'Postgres crashes' => sub {
	survive(sub { $site->stop_postgres('QUIT') }, sub { $site->start_postgres }, 503);
};

done_testing;
