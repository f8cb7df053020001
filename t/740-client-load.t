#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A thousand quick mutations of one npm client: each push repeats what no pull
# has confirmed, and pulls keep that small.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Node;
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $client = Rig::Client->open($node, name => 'alice', pullInterval => 20);
$client->mutate(createMessage =>
    { id => 'log', from => 'alice', content => '', order => 1 })->settle;

my $expected = '';
my $number = 0;
for my $round (1 .. 100) {
	my @calls = map { (appendMessage => { id => 'log', text => "$_," }) }
	    $number + 1 .. $number + 10;
	$expected .= "$_," for $number + 1 .. $number + 10;
	$number += 10;
	$client->mutate(@calls);
}
$client->settle(60);
is($site->session->value("select content from message where id = 'log'"),
    $expected, 'each mutation was applied once, in order');

my @pushes = grep { $_->{path} eq 'push' } @{ $node->ask(do => 'requests') };
my %status = map { $_->{status} => 1 } @pushes;
is_deeply(\%status, { 200 => 1 }, 'every push was accepted');
my ($largest) = sort { $b <=> $a } map { $_->{mutations} } @pushes;
my ($slowest) = sort { $b <=> $a } map { $_->{ms} } @pushes;
note(sprintf '%d pushes, the largest of %d mutations, the slowest took %d ms',
    scalar @pushes, $largest, $slowest);

$client->mutate(appendMessage => { id => 'log', text => 'end' })->settle;
my @last = grep { $_->{path} eq 'push' } @{ $node->ask(do => 'requests') };
is($last[0]{mutations}, 1, 'confirmed mutations are not sent again');

subtest 'a thousand at once' => sub {
	$client->mutate(map { (appendMessage => { id => 'log', text => "$_," }) }
	    1 .. 1000)->settle(60);
	is($site->session->value("select content from message where id = 'log'"),
	    $expected . 'end' . join('', map { "$_," } 1 .. 1000),
	    'each was applied once, in order');
};

done_testing;
