#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A synchronous standby: a push is answered by 200 only if the standby has what it
# did. That is not so where Postgres gave up waiting, though COMMIT succeeded; nor
# where the push finds that all is done, by a commit that perhaps nobody has waited
# for to the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);

my $cluster = Rig::Cluster->start(settings => { max_wal_senders => 5, dynamic_shared_memory_type => 'mmap',
	wal_sender_timeout => 0, wal_retrieve_retry_interval => '200ms' });
my $database = $cluster->database('cases');
my $session = $cluster->session($database, 'postgres');
my $standby = $cluster->standby('standby');
$cluster->configure(synchronous_standby_names => 'standby');
wait_until(sub { $session->value(q(select count(*) from pg_stat_replication where sync_state = 'sync')) == 1 }, 'the standby to follow', 30);

my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_STATEMENT_TIMEOUT => 500,
	REPLICACHE_LOCK_TIMEOUT => 500, REPLICACHE_BATCH_TIME => 500, REPLICACHE_CONNECT_TIMEOUT => 2000);
my ($program, $other) = map { Rig::Program->start(%environment) } 1 .. 2;

sub push_to { return $_[0]->request(push_params('g', map { [ 'c', $_, 'note', qq("$_") ] } 1 .. $_[1]), seconds => 30)->{status} }

sub journal { return $session->value(q(select coalesce(string_agg(mutation::text, ' ' order by mutation), '') from journal where client = 'c')) }

# Sessions that wait for the standby.
my $waiting = q(from pg_stat_activity where wait_event = 'SyncRep');

# Begins a push, and gives it when it waits for the standby.
sub begin_push
{
	my ($to) = @_;
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params('g', map { [ 'c', $_, 'note', qq("$_") ] } 1 .. $to)));
	wait_until(sub { $session->value("select count(*) $waiting") > 0 }, 'COMMIT to wait for the standby', 20);
	return $peer;
}

# Pushes; somebody cancels the wait.
sub push_cancelled
{
	my $peer = begin_push(@_);
	is($session->value("select bool_and(pg_cancel_backend(pid)) $waiting"), 't', 'the wait is cancelled');
	my $answer = $peer->answer(30);
	$peer->close;
	return $answer->{status};
}

my @quiet = push_params('h', [ 'd', 1, 'note', '"d"' ]);
is($program->request(@quiet)->{status}, 200, 'a client that does nothing more');
is(push_to($program, 1), 200, 'a push');
is(push_to($program, 1), 200, 'again, to the program that committed it');
is(push_to($other, 1), 200, 'and to another one');

$standby->freeze;
is(push_cancelled(2), 503, 'the push is not known to be done');
is(journal(), '1 2', 'though it is done here');
is(push_cancelled(2), 503, 'nor is it when it comes again, and that wait is cancelled, too');
is(push_to($program, 2), 503, 'nor is it when it comes again');
is(push_to($other, 2), 503, 'to another program too');
is($program->request(@quiet)->{status}, 200, 'what is known to be there is still answered');
# Sessions that nobody waits for any more don't pile up: the next one ends them.
push_to($program, 2) for 1 .. 3;
cmp_ok($session->value("select count(*) $waiting"), '<=', 2, 'nobody is left waiting');

$standby->thaw;
wait_until(sub { $session->value('select bool_and(sent_lsn = flush_lsn) from pg_stat_replication') eq 't' }, 'the standby to catch up', 30);
is(push_to($program, 2), 200, 'with the standby it is');
is(push_to($other, 2), 200, 'for the other program too');
is(journal(), '1 2', 'and it was done once');

# The server goes down instead, and comes back: what waited is there then.
$standby->freeze;
my $peer = begin_push(3);
$cluster->stop('QUIT');
$peer->answer(30);
$peer->close;
$cluster->launch;
$session = $cluster->session($database, 'postgres');
is(journal(), '1 2 3', 'after a crash the commit is to be seen');
is(push_to($_, 3), 503, 'but it is not known to be on the standby') for $program, $other;
$standby->thaw;
wait_until(sub { ($session->value('select bool_and(sent_lsn = flush_lsn) from pg_stat_replication') // '') eq 't' }, 'the standby to follow again', 30);
is(push_to($_, 3), 200, 'until it is') for $program, $other;

# Without a standby to wait for, nobody waits.
$cluster->configure(synchronous_standby_names => '');
$standby->freeze;
is(push_to($program, 4), 200, 'a push that waits for no standby');
is(push_to($other, 4), 200, 'nor when it comes again');
$standby->thaw;
is(journal(), '1 2 3 4', 'all was done once');

is($_->stop, 0, 'a program ends in order') for $program, $other;
$standby->stop('QUIT');
done_testing;
