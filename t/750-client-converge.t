#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Several npm clients write at random while the program, nginx, Postgres and
# its connections come and go. At the end all see the same, and each
# mutation was applied once.
#
# SEED=n repeats a run's choices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Json;
use Rig::Node;
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $seed = srand($ENV{SEED} // int(rand(1e9)));
note("SEED=$seed");
my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');

# Three pairs of tabs, each pair a group.
my @client = map {
	Rig::Client->open($node, name => 'group' . $_ % 3, pullInterval => 50)
} 0 .. 5;

# Each client owns a message that only it appends to.
my @log = ('') x @client;
for my $owner (0 .. $#client) {
	$client[$owner]->mutate(createMessage => { id => "log$owner",
	    from => "client $owner", content => '', order => $owner })->settle;
}

my %trouble = (
	stop => sub { $site->stop_program; $site->start_program },
	kill => sub { $site->stop_program('KILL'); $site->start_program },
	nginx => sub { $site->stop_nginx; $site->start_nginx },
	crash => sub { $site->stop_postgres('QUIT'); $site->start_postgres },
	terminate => sub {
		$site->cluster->admin->query(<<'SQL');
select pg_terminate_backend(pid) from pg_stat_activity
where usename = 'app' and application_name <> 'psql'
SQL
	},
);
my $made = 0;

sub mutate_at_random
{
	my $owner = int rand @client;
	my $client = $client[$owner];
	my $choice = rand;
	if ($choice < 0.5) {
		my $count = 1 + int rand 5;
		my @text = map { "$_," } map { $_ + ($log[$owner] =~ tr/,//) } 1 .. $count;
		$log[$owner] .= join '', @text;
		$client->mutate(map {
			(appendMessage => { id => "log$owner", text => $_ })
		} @text);
	} elsif ($choice < 0.8 || !$made) {
		$client->mutate(createMessage => { id => 'r' . ++$made,
		    from => "client $owner", content => "of $owner", order => 100 + $made });
	} elsif ($choice < 0.95) {
		$client->mutate(deleteMessage => 'r' . (1 + int rand $made));
	} else {
		$client->mutate(failingMutator => { id => 'f', from => 'x', content => 'x' });
	}
}

for my $round (1 .. 30) {
	mutate_at_random() for 1 .. 1 + int rand 15;
	next if rand > 0.4;
	my $name = (sort keys %trouble)[int rand keys %trouble];
	note("round $round: $name");
	$trouble{$name}->();
}
$_->settle(60) for @client;

my $expected = $site->expected_view;
for my $owner (0 .. $#client) {
	is($expected->{"message/log$owner"}{content}, $log[$owner],
	    "each mutation of client $owner was applied once, in order");
}
ok(!exists $expected->{'message/f'}, 'what fails leaves nothing');
is($site->session->value(
    "select count(*) from replicache_failed_mutation where name <> 'failingMutator'"),
    0, 'and nothing else failed');
cmp_ok(scalar keys %$expected, '>', @client, 'there are other messages');
for my $owner (0 .. $#client) {
	$client[$owner]->wait_for_view($expected);
	is_deeply($client[$owner]->events, [], "client $owner has converged");
}

done_testing;
