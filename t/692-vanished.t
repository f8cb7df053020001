#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The machine of the database is gone: its link is dead, and nothing says so. The
# program and the way to the database have a network of their own, whose only link is
# taken down and up again; that takes root.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(workdir find_tool start_process stop_process wait_until);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);

for my $tool (qw(unshare nsenter ip)) {
	plan skip_all => "no $tool here" unless defined find_tool($tool);
}
plan skip_all => 'no network of its own here'
    unless $> == 0 && system("unshare -n ip link set lo up 2>/dev/null") == 0;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);

# Its patience with all but the link is longer than the test's.
my $program = Rig::Program->start(
	-command => [ 'unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$0"', Rig::Place::program() ],
	REPLICACHE_DATABASE => "host=127.0.0.1 port=5432 sslmode=disable dbname=$database user=app tcp_user_timeout=1000",
	REPLICACHE_LISTEN_TIMEOUT => 1000, REPLICACHE_REQUEST_TIMEOUT => 120_000, REPLICACHE_STATEMENT_TIMEOUT => 120_000);

sub in_its_network { return ('nsenter', '-t', $program->pid, '-n', @_) }

sub link_is
{
	my ($state) = @_;
	system(in_its_network('ip', 'link', 'set', 'lo', $state)) == 0 or die "ip link set lo $state: $?";
}

# From a port there to the server's socket.
my $relay = <<'PERL';
use IO::Socket::INET;
use IO::Socket::UNIX;
use IO::Select;
my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 5432, ReuseAddr => 1) or die "listen: $!";
my ($target, $ready) = @ARGV;
open my $file, '>', $ready or die "$ready: $!";
my $select = IO::Select->new($listener);
my %other;
while (my @ready = $select->can_read) {
	for my $from (@ready) {
		if ($from == $listener) {
			my $one = $listener->accept // next;
			my $two = IO::Socket::UNIX->new(Peer => $target) // next;
			@other{ $one, $two } = ($two, $one);
			$select->add($one, $two);
		} elsif (my $to = $other{$from}) {
			if (sysread($from, my $bytes, 65536)) {
				syswrite $to, $bytes;
			} else {
				$select->remove($from, $to);
				delete @other{ $from, $to };
				close $_ for $from, $to;
			}
		}
	}
}
PERL

my $ready = workdir() . '/relay';
my $to = "$cluster->{socket}/.s.PGSQL.5432";
# The program's network is there as soon as its link is up.
wait_until(sub { system(join(' ', in_its_network('ip', 'link', 'show', 'up')) . ' 2>/dev/null | grep -q LOOPBACK,UP') == 0 },
	'the network to be there', 20);
my $pid = start_process([ in_its_network($^X, '-e', $relay, $to, $ready) ]);
wait_until(sub { -e $ready }, 'the way to the database', 20);

sub push_it
{
	my ($id, %option) = @_;
	return $program->request(push_params('gone', [ 'gone', $id, 'note', qq("gone $id") ]), seconds => 60, %option);
}

is(push_it(1)->{status}, 200, 'a push');
is($program->request(pull_params('gone'))->{status}, 200, 'a pull');
my $stream = Rig::Stream->fastcgi($program, version => $session->value('select max(version) from replicache_version'));
is($stream->status, 200, 'a stream');

link_is('down');
my $answer = push_it(2);
is($answer->{status}, 503, 'the machine is gone: a push is answered after tcp_user_timeout')
    or diag($answer->{status} // 'no answer', ' ', $program->log);
like($program->log, qr/ status=503 .*timed? ?out/i, 'which the log tells');

link_is('up');
is(push_it(2)->{status}, 200, 'it is back: the same program goes on');
is($session->value(q(select string_agg(note, ', ' order by n) from journal)), 'gone 1, gone 2', 'each mutation is applied once');
my $version = $session->value('select max(version) from replicache_version');
my $poke;
do { $poke = $stream->poke(60) } while defined $poke && $poke < $version;
is($poke, $version, 'and the same stream is told');
is($program->stop, 0, 'the program ends in order');
stop_process($pid);

done_testing;
