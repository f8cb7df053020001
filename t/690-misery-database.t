#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The database is in misery, while clients push: its disk is full, it lets nobody in,
# a stranger holds the version lock, it stands still. Every request is answered
# meanwhile, by 503 if not by 200; when it is over all goes on by itself, and nothing
# is half done. SCALE is for how long, in seconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep);

use Rig::Cluster;
use Rig::Retry;
use Rig::Place qw(workdir wait_until find_tool process_lives reap_process slurp start_process server_user);
use Rig::Program;
use Rig::Sync qw(push_params);

my $SCALE = $ENV{SCALE} // 1;
note("SCALE=$SCALE");

my %quick = (REPLICACHE_STATEMENT_TIMEOUT => 2000, REPLICACHE_LOCK_TIMEOUT => 1000,
	REPLICACHE_BATCH_TIME => 3000, REPLICACHE_CONNECT_TIMEOUT => 2000);

sub start_program
{
	my ($cluster, $database) = @_;
	return Rig::Program->start(%quick, REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_POOL => 4);
}

sub descriptors { return scalar(() = glob '/proc/' . $_[0]->pid . '/fd/*') }

sub sessions { return $_[0]->value(q(select count(*) from pg_stat_activity where application_name = 'replicache.fcgi' and datname = current_database())) }

# Has clients push before, during and after what the code does; then all must be as
# before.
sub endure
{
	my ($about, $program, $session, $misery, %option) = @_;
	my $load = Rig::Retry->start($session, sub { $program->request(@_, seconds => 60) }, clients => 4);
	$load->wait_done(20);
	my $before = descriptors($program);
	$misery->($load);
	$load->{session} = $option{session}->() if $option{session};
	$load->wait_done(20);
	my $told = $load->end;
	note("$about: ", Rig::Retry::line($told));
	is($load->fault, '', "$about: nothing is lost or half done");
	is(join(' ', grep { /^(\d+|none)$/ && !/^(200|503)$/ } keys %$told), '', "$about: every request is answered, by 200 or 503");
	is($told->{hasty}, 0, "$about: each 503 says when to come again");
	wait_until(sub { descriptors($program) <= $before + 4 }, 'descriptors to be closed', 20);
	cmp_ok(sessions($load->{session}), '<=', 4, "$about: no session is left over");
	return $told;
}

my $cluster = Rig::Cluster->start(settings => { max_connections => 12, superuser_reserved_connections => 3,
	max_wal_size => '48MB', min_wal_size => '32MB', dynamic_shared_memory_type => 'mmap' });
my $database = $cluster->database('cases');
my $session = $cluster->session($database, 'postgres');

subtest 'a stranger holds the version lock' => sub {
	my $program = start_program($cluster, $database);
	my $told = endure('the lock', $program, $session, sub {
		my $stranger = $cluster->session($database);
		$stranger->query('begin; select replicache_next_version()');
		sleep 1.5 + $SCALE;
		is($program->request(push_params('h', [ 'h', 1, 'note', '"h"' ]))->{status}, 503, 'a push meanwhile');
		$stranger->query('rollback');
		$stranger->close;
	});
	cmp_ok($told->{503} // 0, '>', 0, 'pushes were refused meanwhile');
	is($program->stop, 0, 'the program ends in order');
};

subtest 'no connection is left' => sub {
	my $program = start_program($cluster, $database);
	my $told = endure('connections', $program, $session, sub {
		# The program's own are taken from it, as fast as strangers can. That one is
		# refused does not show that all are taken: a session that is about to begin
		# holds one, and is not listed yet. So they are counted.
		my $all = $session->value(q(select current_setting('max_connections')::int
			- current_setting('superuser_reserved_connections')::int
			- (select count(*) from pg_stat_activity where backend_type = 'client backend'
				and application_name <> 'replicache.fcgi')));
		my @stranger;
		wait_until(sub {
			$session->query(q(select pg_terminate_backend(pid) from pg_stat_activity
				where application_name = 'replicache.fcgi' and datname = current_database()));
			my $one = eval { $cluster->session($database) };
			push @stranger, $one if $one;
			return @stranger == $all;
		}, 'all to be taken', 180);
		is(sessions($session), 0, 'the program has none');
		my $answer = $program->request(push_params('h', [ 'h', 1, 'note', '"h"' ]));
		is($answer->{status}, 503, 'a push meanwhile');
		sleep $SCALE;
		$_->close for @stranger;
	});
	cmp_ok($told->{503} // 0, '>', 0, 'pushes were refused meanwhile');
	like($program->log, qr/53300|too many|remaining connection slots/, 'the log tells why');
	my ($lost, $back) = map { scalar(() = $program->log =~ /$_/g) } 'no connection to the database', 'the database is reachable again';
	is($lost, $back, 'once, and once that it is over, not for each request');
	is($program->stop, 0, 'the program ends in order');
};

subtest 'Postgres stands still' => sub {
	my $program = start_program($cluster, $database);
	my $told = endure('a frozen Postgres', $program, $session, sub {
		$cluster->freeze;
		sleep $SCALE;
		my $answer = $program->request(push_params('h', [ 'h', 1, 'note', '"h"' ]), seconds => 60)
		    if $SCALE > 3;
		is($answer->{status}, 503, 'a push meanwhile') if $answer;
		$cluster->thaw;
	});
	is($program->stop, 0, 'the program ends in order');
};

# A disk of its own: a file system in memory, which only who enters its name space
# sees, so that nothing is left when the process that holds it ends.
sub make_disk
{
	my ($folder, $size) = @_;
	my ($uid, $gid) = server_user() ? (getpwnam server_user())[2, 3] : ($>, $) + 0);
	mkdir $folder or die "$folder: $!";
	my $holder = start_process([ find_tool('unshare'), '-m', 'sh', '-c',
		"mount -t tmpfs -o size=$size,uid=$uid,gid=$gid,mode=0700 tmpfs $folder && : > $folder/.there && exec sleep 1000000" ]);
	my $disk = { pid => $holder, inside => [ find_tool('nsenter'), '-t', $holder, '-m' ], folder => $folder };
	wait_until(sub { !process_lives($holder) || inside($disk, 'test', '-e', "$folder/.there") }, 'a disk', 20);
	return process_lives($holder) ? $disk : undef;
}

sub inside
{
	my ($disk, @command) = @_;
	my $pid = start_process([ @{ $disk->{inside} }, @command ], stderr => \*STDOUT);
	my $status = reap_process($pid, 60);
	return defined $status && $status == 0;
}

SKIP: {
	my $tools = !grep { !find_tool($_) } qw(unshare nsenter setpriv mount);
	my $disk = $> == 0 && $tools ? make_disk(workdir() . '/disk', '160m') : undef;
	skip 'no file system of its own to be had: not root?', 1 if !$disk;

	subtest 'the disk is full' => sub {
		# The same one, which moves there.
		my ($full, $name) = ($cluster, $database);
		$session->close;
		$full->stop;
		my $folder = $full->{folder};
		inside($disk, 'sh', '-c', "cp -a $folder/data $disk->{folder}/data") or die 'no copy';
		rename "$folder/data", "$folder/data.old";
		symlink "$disk->{folder}/data", "$folder/data" or die "symlink: $!";
		$full->{before} = $disk->{inside};
		$full->{seen} = "/proc/$disk->{pid}/root$disk->{folder}/data";
		$full->launch;
		my $there = $full->session($name, 'postgres');
		my $program = start_program($full, $name);
		my $fill = sub { inside($disk, 'sh', '-c', "cat /dev/zero > $disk->{folder}/ballast; true") };
		my $told = endure('the disk', $program, $there, sub {
			my ($load) = @_;
			$fill->();
			# Files that there are have room for a while.
			my $answer;
			my $big = 0;
			wait_until(sub {
				$answer = $program->request(push_params('big', [ 'big', ++$big, 'note', '"' . 'x' x 4_000_000 . '"' ]), seconds => 60);
				return $answer->{status} != 200;
			}, 'the disk to be full', 120);
			is($answer->{status}, 503, 'a push when it is full');
			sleep $SCALE;
			is($program->request(push_params('big', [ 'big', $big, 'note', '"' . 'x' x 4_000_000 . '"' ]), seconds => 60)->{status}, 503, 'and again');
			# WAL that has no room is a PANIC: all sessions end.
			my $writer = $full->session($name);
			eval {
				$writer->query(q(select pg_logical_emit_message(false, 'much', repeat('x', 1000000)) from generate_series(1, 20))) for 1 .. 20;
				1;
			} and fail('there was room for much WAL');
			like(slurp("$folder/server.log"), qr/PANIC:.*(?:No space left on device|could not write)/, 'Postgres panics without room for WAL');
			is($program->request(push_params('big', [ 'big', $big, 'note', '"x"' ]), seconds => 60)->{status}, 503, 'a push then');
			inside($disk, 'rm', "$disk->{folder}/ballast") or die 'no room';
			# A server that could not even start again, which may take it a while to
			# find out, is started by its operator.
			wait_until(sub {
				if (!process_lives($full->{pid})) {
					note('Postgres had ended');
					reap_process(delete $full->{pid}, 10);
					$full->launch;
				}
				return $there = eval { $full->session($name, 'postgres') };
			}, 'Postgres to be back', 60);
			$load->{session} = $there;
			is($there->value(q(select count(*) from journal where client = 'big')), $big - 1, 'of what was refused nothing is there');
		});
		cmp_ok($told->{503} // 0, '>', 0, 'pushes were refused meanwhile');
		is($program->stop, 0, 'the program ends in order');
		$full->stop('QUIT');
		kill 'KILL', $disk->{pid};
		reap_process($disk->{pid}, 10);
		unlink "$folder/data";
	};
}

done_testing;
