#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The machine of the database is gone: its link is dead, and nothing says so. Postgres
# and the program have a network of their own for this, whose only link is taken down
# and up again. That takes root.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(wait_until program find_tool);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);

for my $tool (qw(unshare nsenter setpriv ip)) {
	plan skip_all => "no $tool here" unless defined find_tool($tool);
}
plan skip_all => 'no network of its own here'
    unless $> == 0 && system('unshare -n ip link set lo up 2>/dev/null') == 0;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
# The same one, in its network: nobody else's ports are there.
$cluster->stop;
$cluster->{settings}{listen_addresses} = '127.0.0.1';
$cluster->{before} = [ 'unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh' ];
$cluster->launch;
my $session = $cluster->session($database);

sub there { return ('nsenter', '-t', $cluster->{pid}, '-n', @_) }

sub link_is
{
	my ($state) = @_;
	system(there('ip', 'link', 'set', 'lo', $state)) == 0 or die "ip link set lo $state: $?";
}

# Nothing but tcp_user_timeout, which the program sets, ends what waits for an answer.
my $program = Rig::Program->start(-command => [ there(program()) ],
	REPLICACHE_DATABASE => "host=127.0.0.1 port=5432 sslmode=disable dbname=$database user=app",
	REPLICACHE_LISTEN_TIMEOUT => 1000, REPLICACHE_CONNECT_TIMEOUT => 2000, REPLICACHE_STATEMENT_TIMEOUT => 300_000, REPLICACHE_LOCK_TIMEOUT => 300_000);

sub push_it
{
	my ($id) = @_;
	return $program->request(push_params('gone', [ 'gone', $id, 'note', qq("gone $id") ]), seconds => 100);
}

sub version { return $session->value('select max(version) from replicache_version') }

is(push_it(1)->{status}, 200, 'a push');
is($program->request(pull_params('gone'))->{status}, 200, 'a pull');
my $stream = Rig::Stream->fastcgi($program, version => version());
is($stream->status, 200, 'a stream');

link_is('down');
my $answer = push_it(2);
is($answer->{status}, 503, 'the machine is gone: a push is answered')
    or diag($program->log);
like($program->log, qr{ path=/push .*status=503 .*no connection within}, 'once its connection was given up, and there was no other');

link_is('up');
# For a moment after a connect that failed there is none (common/pool.h).
my @refused;
wait_until(sub {
	$answer = push_it(2);
	push @refused, $answer->{status} if $answer->{status} != 200;
	return $answer->{status} == 200;
}, 'the same program to go on', 60);
is(join(' ', grep { $_ != 503 } @refused), '', 'it is back: the same program goes on');
is($session->value(q(select string_agg(note, ', ' order by n) from journal)), 'gone 1, gone 2', 'each mutation is applied once');
my $poke;
do { $poke = $stream->poke(60) } while defined $poke && $poke < version();
is($poke, version(), 'and the same stream is told');
is($program->stop, 0, 'the program ends in order');

done_testing;
