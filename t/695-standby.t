#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Pulls from a standby: what it has is told; what the primary told a client, and it
# has not heard of yet, is no reason to refuse or to reset that client; and it takes
# no pushes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start(settings => { wal_level => 'replica', max_wal_senders => 5 });
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $standby = $cluster->standby('standby');
my $there = $standby->session($database, 'postgres');

my $main = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
my $reader = Rig::Program->start(REPLICACHE_DATABASE => $standby->conninfo($database),
	REPLICACHE_LISTEN_DATABASE => $cluster->conninfo($database));

sub pull_from
{
	my ($program, $cookie) = @_;
	my $answer = $program->request(pull_params('g', $cookie), seconds => 30);
	return { status => $answer->{status}, %{ Rig::Json::decode($answer->{body}) } };
}

sub version { $_[0]->value('select max(version) from replicache_version') }

sub catch_up
{
	my $version = version($session);
	wait_until(sub { version($there) == $version }, 'the standby to catch up', 30);
}

is($main->request(push_params('g', [ 'c', 1, 'note', '"one"' ], [ 'c', 2, 'count', '{"id":"x"}' ]))->{status}, 200, 'a push');
catch_up();
my $first = pull_from($reader);
is_deeply($first, pull_from($main), 'a first pull is answered by both alike');

$there->query('select pg_wal_replay_pause()');
wait_until(sub { $there->value('select pg_get_wal_replay_pause_state()') eq 'paused' }, 'the replay to pause', 10);
is($main->request(push_params('g', [ 'c', 3, 'count', '{"id":"x"}' ]))->{status}, 200, 'another push');
my $ahead = pull_from($main, $first->{cookie});
cmp_ok($ahead->{cookie}, '>', $first->{cookie}, 'of which the primary tells');
is_deeply(pull_from($reader, $first->{cookie}),
	{ status => 200, cookie => $first->{cookie}, lastMutationIDChanges => {}, patch => [] },
	'and the standby does not yet');
is_deeply(pull_from($reader, $ahead->{cookie}),
	{ status => 200, cookie => $ahead->{cookie}, lastMutationIDChanges => {}, patch => [] },
	'who is ahead of it is told that there is nothing new');

$there->query('select pg_wal_replay_resume()');
catch_up();
is_deeply(pull_from($reader, $first->{cookie}), $ahead, 'it has caught up');
is($reader->request(push_params('g', [ 'c', 4, 'count', '{"id":"x"}' ]))->{status}, 503, 'it takes no push');
is($session->value(q(select last_mutation_id from replicache_client where id = 'c')), 3, 'of which nothing is left');

# The primary itself has no such excuse.
my $future = pull_from($main, $ahead->{cookie} + 1000);
is($future->{status}, 503, 'a cookie from the future is refused by the primary');

$standby->stop('QUIT');
is($_->stop, 0, 'a program ends in order') for $main, $reader;
done_testing;
