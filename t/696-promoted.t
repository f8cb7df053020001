#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A standby is promoted that lacks the last commits. Who was told of them is refused
# until the operator begins a new epoch, and then starts over; also when others have
# pushed meanwhile, so that the versions that were lost would be passed again. Who
# was not goes on as if nothing had been.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(wait_until);
use Rig::Program qw(params);
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start(settings => { max_wal_senders => 5, dynamic_shared_memory_type => 'mmap' });
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $standby = $cluster->standby('standby');
my $there = $standby->session($database, 'postgres');
my $program = Rig::Program->start(REPLICACHE_METRICS => 'on',
	REPLICACHE_DATABASE => "host=$cluster->{socket},$standby->{socket} dbname=$database user=app target_session_attrs=read-write");

sub note_of { return [ $_[0], $_[1], 'note', qq("$_[0]$_[1]") ] }

# Until the connections to the one that is gone have been noticed.
sub ask
{
	my (@request) = @_;
	my $answer;
	wait_until(sub {
		$answer = $program->request(@request);
		return $answer->{status} != 503 || $answer->{body} =~ /cookie_from_future/;
	}, 'an answer', 30);
	return $answer;
}

sub push_of { return ask(push_params(@_)) }
sub pull_of { return ask(pull_params(@_)) }

sub pulled
{
	my $answer = pull_of(@_);
	is($answer->{status}, 200, "a pull by $_[0]") or diag($answer->{body});
	return Rig::Json::decode($answer->{body});
}

sub health
{
	my $answer = $program->request(params('GET', '/health'));
	return { status => $answer->{status}, answer => Rig::Json::decode($answer->{body}) };
}

is(push_of('g', note_of('c', 1), note_of('c', 2))->{status}, 200, 'a push');
is(push_of('h', note_of('d', 1))->{status}, 200, 'another client pushes');
my $kept = pulled('g')->{cookie};
my $other = pulled('h')->{cookie};
wait_until(sub { $there->value('select max(version) from replicache_version') == $kept }, 'the standby to catch up', 30);

# What comes now is lost: the standby hears of nothing more.
$standby->configure(primary_conninfo => '');
wait_until(sub { $there->value('select count(*) from pg_stat_wal_receiver') == 0 }, 'it to be cut off', 20);
is(push_of('g', note_of('c', 3))->{status}, 200, 'a push that will be lost');
my $lost = pulled('g', $kept)->{cookie};
cmp_ok($lost, '>', $kept, 'and that its client has been told of');
is(health()->{answer}{status}, 'ok', 'all is well');

$session->close;
$cluster->crash;
$standby->promote;
my $now = $standby->session($database, 'postgres');

my $refused = pull_of('g', $lost);
is($refused->{status}, 503, 'who was told of it is refused');
like($refused->{body}, qr/cookie_from_future/, 'and why');
is(pulled('h', $other)->{cookie}, $other, 'who was not has nothing new to hear');

is(push_of('h', map { note_of('d', $_ + 1) } $_)->{status}, 200, 'others push') for 1 .. 3;
cmp_ok($now->value('select max(version) from replicache_version'), '>', $lost, 'beyond the version that was lost');
for my $cookie ($kept + 1 .. $lost) {
	$refused = pull_of('g', $cookie);
	is($refused->{status}, 503, 'who was told of it is still refused');
	like($refused->{body}, qr/cookie_from_future/, 'and why');
}
my $health = health();
is($health->{status}, 200, 'health says that it serves');
is($health->{answer}{status}, 'degraded', 'but not well');
like($health->{answer}{reason}, qr/lost history/, 'and why');
like($program->log, qr/cookie $lost .*lost.*replicache_new_epoch/, 'so does the log');
my $delta = pulled('h', $other);
cmp_ok($delta->{cookie}, '>', $lost, 'who was not told of it goes on');
is_deeply([ grep { $_->{op} eq 'clear' } @{ $delta->{patch} } ], [], 'without starting over');
is_deeply($delta->{lastMutationIDChanges}, { d => 4 }, 'and hears of their own');
is(push_of('g', note_of('c', 4))->{status}, 409, 'whose mutation was lost can push no more');

my $admin = Rig::Admin->new($standby->conninfo($database));
is($admin->run('--yes', 'new-epoch')->{exit}, 0, 'a new epoch');
my $first = pulled('g', $lost);
cmp_ok($first->{cookie}, '>', $lost, 'who was told of it goes on');
is($first->{patch}[0]{op}, 'clear', 'starting over');
is_deeply($first->{lastMutationIDChanges}, {}, 'and is told of no mutations they know to be behind');
is(pulled('h', $delta->{cookie})->{patch}[0]{op}, 'clear', 'so do all');
like(push_of('g', note_of('c', 4))->{body}, qr/ClientStateNotFound/, 'whose mutation was lost is told so');
is(push_of('h', note_of('d', 5))->{status}, 200, 'who lost nothing pushes on');
is(push_of('g', note_of('e', 1))->{status}, 200, 'a new client of the same group pushes');
is(health()->{answer}{status}, 'ok', 'all is well again');
is($now->value(q(select string_agg(client || mutation, ' ' order by client, mutation) from journal)), 'c1 c2 d1 d2 d3 d4 d5 e1',
	'what was kept is there once');

# A cookie that nobody gave has no such effect for ever, but some.
is(pull_of('g', 9_007_199_254_740_991)->{status}, 503, 'a cookie beyond all');
is(health()->{answer}{status}, 'degraded', 'is taken for lost history too');

is($program->stop, 0, 'the program ends in order');
done_testing;
