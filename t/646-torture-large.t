#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A push that takes more than a link holds fails where it is half sent, or half read:
# each of its calls to libpq in turn. The link is whole, and the server waits for the
# rest. The push is answered, and done once, without waiting for the server in vain.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);
use Rig::Torture;

use constant LARGE => 300_000;

Rig::Place::use_program(Rig::Torture::program());
my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $reins = Rig::Torture->new;
my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
    $reins->environment, REPLICACHE_LOG_LEVEL => 'debug');
my $id = 0;

sub ask
{
	my ($number, $character) = @_;
	my $args = qq({"id":"x","body":"$character) . 'x' x LARGE . '"}';
	return $program->request(push_params('a', [ 'a', $number, 'putItem', $args ]), seconds => 100);
}

is(ask(++$id, 'a')->{status}, 200, 'a large push') for 1 .. 2;
$reins->arm(kind => 'pq', mode => 'count');
is(ask(++$id, 'a')->{status}, 200, 'its calls are counted');
my $count = $reins->disarm->{count};
note("$count calls");

my (%failed, @wrong);
for my $at (1 .. $count) {
	my $character = chr(ord('a') + $at % 26);
	my $number = ++$id;
	$program->new_log;
	$reins->arm(kind => 'pq', mode => 'once', at => $at);
	my $answer = ask($number, $character);
	my $seen = $reins->disarm;
	my ($call) = split ' ', $seen->{first};
	$failed{$call}++ if $seen->{failed};
	push @wrong, "$call $at: answered $answer->{status} $answer->{body}" if $answer->{status} !~ /^(200|503)$/;
	push @wrong, "$call $at: waits in vain" if $program->new_log =~ /no answer in time/;
	wait_until(sub { $answer->{status} == 200 || ($answer = ask($number, $character))->{status} == 200 }, 'an answer', 30);
	my $done = $session->value(q(select concat_ws(' ', (select last_mutation_id from replicache_client where id = 'a'),
		substr(body #>> '{}', 1, 1), length(body #>> '{}')) from item where id = 'x'));
	push @wrong, "$call $at: $done" if $done ne "$number $character " . (LARGE + 1);
}
is(join("\n", @wrong), '', 'each is answered, and done once');
note(join ', ', map { "$_ $failed{$_}" } sort keys %failed);
cmp_ok($failed{PQflush} // 0, '>=', 2, 'sending failed among them');
is($program->stop, 0, 'it ends in order');
done_testing;
