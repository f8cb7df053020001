#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# How many mutations a user may have a second.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);
use Rig::Token;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);

sub start
{
	return Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		Rig::Token::environment(), @_);
}

# Mutations from .. to of the user's one client.
sub push_as
{
	my ($program, $user, $from, $to, $name) = @_;
	my ($params, $body) = push_params("group-$user", map { [ $user, $_, $name // 'note', qq("$user$_") ] } $from .. $to);
	return $program->request({ %$params, HTTP_AUTHORIZATION => Rig::Token::of_user($user) }, $body);
}

sub last_of
{
	my ($user) = @_;
	return $session->value("select last_mutation_id from replicache_client where id = '$user'");
}

subtest 'who is too fast waits, and loses nothing' => sub {
	# What is saved in 10 s: 10 mutations.
	my $program = start(REPLICACHE_USER_MUTATIONS => 1);
	is(push_as($program, 'ann', 1, 15)->{status}, 200, 'more than there is, at once');
	my $answer = push_as($program, 'ann', 16, 16);
	is($answer->{status}, 429, 'then no more');
	like($answer->{body}, qr/"error":"too_fast"/, 'which is told');
	is($answer->{headers}{'retry-after'}, 1, 'and when to come again');
	is(last_of('ann'), 15, 'and changes nothing');
	my ($params, $body) = pull_params('group-ann');
	is($program->request({ %$params, HTTP_AUTHORIZATION => Rig::Token::of_user('ann') }, $body)->{status},
		200, 'pulls are not limited');
	is(push_as($program, 'bob', 1, 5)->{status}, 200, 'nor are others');
	wait_until(sub { push_as($program, 'ann', 16, 16)->{status} == 200 }, 'ann to have some again', 30);
	is(last_of('ann'), 16, 'it came to be');
	is($session->value(q(select count(*) from journal where note ~ '^ann')), 16, 'and each once');
	like($program->log, qr/info request path=\/push status=429 error=too_fast .* user=ann /, 'the log tells who it was');
	is($program->stop, 0, 'ended in order');
};

subtest 'what is not applied does not count' => sub {
	my $program = start(REPLICACHE_USER_MUTATIONS => 1);
	is(push_as($program, 'cid', 1, 9)->{status}, 200, 'all but one');
	my @status = map { push_as($program, 'cid', 1, 9)->{status} } 1 .. 10;
	is_deeply(\@status, [ (200) x 10 ], 'what is known already is free');
	is(push_as($program, 'cid', 20, 30)->{status}, 409, 'and so is what is refused') for 1 .. 3;
	is(push_as($program, 'cid', 10, 10)->{status}, 200, 'the last one');
	is($program->stop, 0, 'ended in order');
};

subtest 'not unless it is asked for' => sub {
	my $program = start();
	is(push_as($program, 'dan', $_ * 100 + 1, $_ * 100 + 100)->{status}, 200, 'a hundred more') for 0 .. 9;
	is($program->stop, 0, 'ended in order');
	$program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		REPLICACHE_USER_MUTATIONS => 1);
	is($program->request(push_params('nobody', map { [ 'n', $_, 'noop', 'null' ] } $_ * 20 + 1 .. $_ * 20 + 20))->{status},
		200, 'nor of those who are nobody') for 0 .. 3;
	is($program->stop, 0, 'ended in order');
};

done_testing;
