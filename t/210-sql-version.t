#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Versions: one a transaction, in the order of commits, whatever the isolation
# level, savepoints and settings.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(wait_until);

my $cluster = Rig::Cluster->start(settings => { max_prepared_transactions => 2 });
my $database = $cluster->database('chat');
my $one = $cluster->session($database);
my $two = $cluster->session($database);

sub version
{
	return $_[0]->value('select max(version) from replicache_version');
}

sub insert
{
	my ($id) = @_;
	return "insert into message (id, sender, content, ord) values ('$id', 'me', 'hi', 1)";
}

sub stamp
{
	my ($session, $id) = @_;
	return $session->value("select version from message where id = '$id'");
}

# Wait until a session waits for the version lock.
sub wait_for_lock
{
	my ($session) = @_;
	wait_until(sub {
		$one->value(q(select count(*) from pg_locks where relation = 'replicache_version_lock'::regclass and not granted));
	}, 'a session to wait for the lock');
}

{
	my $start = version($one);
	$one->query('begin');
	is($one->value('select replicache_next_version()'), $start + 1, 'the next version');
	is($one->value('select replicache_next_version()'), $start + 1, 'once a transaction');
	$one->query(insert('a1'));
	$one->query(insert('a2'));
	is(version($two), $start, 'not to be seen by others yet');
	$one->query('commit');
	is(version($two), $start + 1, 'but when committed');
	is(stamp($two, $_), $start + 1, "row $_ has it") for qw(a1 a2);
	$one->query('begin; select replicache_next_version(); rollback');
	is(version($one), $start + 1, 'a version rolled back is not taken');
	is($one->value('select replicache_next_version()'), $start + 2, 'and is taken by the next');
}

{
	my $start = version($one);
	$one->query('begin; ' . insert('b1'));
	$two->send(insert('b2'));
	wait_for_lock();
	$one->query(insert('b3') . '; commit');
	$two->wait;
	is(stamp($one, 'b3'), $start + 1, 'the first to lock has the lower version');
	is(stamp($one, 'b2'), $start + 2, 'the next one, waiting, the higher one');

	$one->query('begin; select replicache_next_version()');
	$two->send('select replicache_next_version()');
	wait_for_lock();
	$one->query('rollback');
	is($two->wait->[0][0], $start + 3, 'one rolled back leaves no gap');
}

# REPEATABLE READ and SERIALIZABLE.
for my $level ('repeatable read', 'serializable') {
	my $begin = "begin isolation level $level; select count(*) from message";
	my $start = version($one);
	my $n = substr($level, 0, 3);

	$two->query($begin);
	$two->query(insert("${n}1"));
	is($two->value('select replicache_next_version()'), $start + 1, "$level: once a transaction");
	$two->query(insert("${n}2") . '; commit');
	is(stamp($one, "${n}2"), $start + 1, "$level: alone");

	for my $action (insert("${n}3"), "update message set content = 'x' where id = 'a1'",
	    "delete from message where id = 'a2'", 'select replicache_next_version()') {
		$two->query($begin);
		$one->query('select replicache_next_version()');
		like($two->error($action), qr/40001/, "$level: a lost race is 40001: $action");
		$two->query('rollback');
	}

	$two->query($begin);
	$one->query('begin; select replicache_next_version()');
	$two->send(insert("${n}4"));
	wait_for_lock();
	$one->query('commit');
	like($two->wait_raw, qr/40001/, "$level: a race lost while waiting");
	$two->query('rollback');

	# With rows trimmed: enough versions that ours and the next are gone.
	$two->query($begin);
	$one->query('do $$ begin for i in 1 .. 3500 loop perform replicache_raise_version((select max(version) from replicache_version), 0); end loop; end $$');
	is($one->value("select count(*) from replicache_version where version between $start and $start + 10"), 0,
	    'rows are trimmed');
	like($two->error(insert("${n}5")), qr/40001/, "$level: a race lost to versions trimmed since");
	$two->query('rollback');

	$two->query($begin);
	$one->query('select replicache_new_epoch()');
	like($two->error(insert("${n}6")), qr/40001/, "$level: a race lost to a new epoch");
	$two->query('rollback');
}

{
	my $start = version($one);
	$one->query('do $$ begin for i in 1 .. 5000 loop perform replicache_raise_version((select max(version) from replicache_version), 0); end loop; end $$');
	is(version($one), $start + 5000, 'five thousand versions');
	cmp_ok($one->value('select count(*) from replicache_version'), '<=', 2048, 'are trimmed behind');
	cmp_ok($one->value('select count(*) from replicache_version'), '>=', 1024, 'but not the latest');
	cmp_ok($one->value('select count(*) from replicache_version_time'), '>=', 5000 / 64, 'their time is sampled');
	is($one->value(q(select count(*) from (select version < lag(version) over (order by at) as back
		from replicache_version_time) x where back)), 0, 'in order');
}

# Savepoints.
{
	my $start = version($one);
	$one->query('begin; savepoint s; ' . insert('s1') . '; rollback to s');
	$two->query(insert('s2'));
	is(stamp($two, 's2'), $start + 1, 'ROLLBACK TO lets go of lock and version');
	$one->query(insert('s3'));
	is(stamp($one, 's3'), $start + 2, 'and the version is taken anew');
	$one->query('savepoint t; ' . insert('s4') . '; rollback to t; ' . insert('s5') . '; commit');
	is(stamp($one, 's5'), $start + 2, 'one taken before the savepoint stays');
	$one->query('begin; savepoint s; ' . insert('s6') . '; release s; savepoint t; '. insert('s7') . '; commit');
	is(stamp($one, 's6'), $start + 3, 'one taken in a savepoint released');
	is(stamp($one, 's7'), $start + 3, 'is that of the transaction');
	is(version($one), $start + 3, 'no other was taken');
}

# Settings: none makes a difference.
{
	$one->query('begin');
	$one->query(insert('f1') . '; commit');
	my $start = version($one);
	for my $name (qw(version xid transaction next_version)) {
		$one->query("set replicache.$name = '1:1'");
	}
	$one->query('begin');
	for my $name (qw(version xid transaction next_version)) {
		$one->query("select set_config('replicache.$name', pg_current_xact_id() || ':1', true)");
	}
	$one->query(insert('f2') . '; commit');
	is(stamp($one, 'f2'), $start + 1, 'a version can not be forged by a setting');
	$one->query("insert into message values ('f3', 'me', 'hi', 1, false, 17)");
	is(stamp($one, 'f3'), $start + 2, 'nor by the statement');
	$one->query("update message set version = 99 where id = 'f3'");
	is(stamp($one, 'f3'), $start + 2, 'an update of the version alone is none');
	$one->query("update message set version = 99, content = 'x' where id = 'f3'");
	is(stamp($one, 'f3'), $start + 3, 'nor does it set the version');
}

# NOTIFY.
{
	$two->query('listen replicache');
	$two->notifications;
	my $start = version($one);
	$one->query('begin; ' . insert('n1') . '; ' . insert('n2') . '; commit');
	is_deeply([ $two->notifications ], [ [ 'replicache', $start + 1 ] ], 'one notification a transaction');
	$one->query('begin; ' . insert('n3') . '; rollback');
	is_deeply([ $two->notifications ], [], 'none for one rolled back');
	$one->query('begin; savepoint s; ' . insert('n4') . '; rollback to s; ' . insert('n5') . '; commit');
	is_deeply([ $two->notifications ], [ [ 'replicache', $start + 2 ] ], 'one after a savepoint rolled back');
	$one->query("update message set content = content");
	is_deeply([ $two->notifications ], [], 'none for an update that changes nothing');
	$two->query('unlisten replicache');
}

# The lock is a right: neither who may only connect, nor the program's role outside of
# our functions, nor who may read all there is, can hold what a push waits for.
{
	$cluster->admin->query("create role $_ login") for qw(visitor web reader);
	$cluster->grant($database, 'web');
	$two->query('grant select on all tables in schema public to reader');
	for my $role (qw(visitor web reader)) {
		my $session = $cluster->session($database, $role);
		$session->query('begin; select pg_advisory_lock(8243118303898460515), pg_advisory_xact_lock_shared(1)');
		my %held;
		for my $table (map { $_->[0] } @{ $two->query(q(select relname from pg_class
			where relname like 'replicache%' and relkind = 'r')) }) {
			for my $mode ('access share', 'row share', 'row exclusive', 'share update exclusive', 'share',
			    'share row exclusive', 'exclusive', 'access exclusive') {
				$session->query('savepoint s');
				my $held = !$session->error("lock table $table in $mode mode nowait");
				$held{$mode} = 1 if $held;
				$session->query($held ? 'release s' : 'rollback to s');
			}
			for my $strength ('update', 'no key update', 'share', 'key share') {
				$session->query('savepoint s');
				my $held = !$session->error("select from $table for $strength");
				$held{"for $strength"} = 1 if $held;
				$session->query($held ? 'release s' : 'rollback to s');
			}
		}
		is(join(' ', sort keys %held), $role eq 'visitor' ? '' : 'access share', "$role may lock only as who reads");
		like($session->error('savepoint s; select replicache_lock()'), qr/42501/, "$role can't take the lock itself");
		$session->query('rollback to s');
		$one->query(q(set lock_timeout = '10s'));
		is($one->error(insert("held by $role")), '', 'and stops nobody');
		$one->query('reset lock_timeout');
		$session->close;
	}
}

# What reads all of it, as pg_dump, does not wait for the lock, nor the lock for it.
{
	$one->query('begin; select replicache_next_version()');
	$two->query(q(begin; set local lock_timeout = '10s'; lock table replicache_version_lock in access share mode));
	$one->query('commit');
	$one->query(q(begin; set local lock_timeout = '10s'; select replicache_next_version(); commit));
	$two->query('commit');
	is($two->value('select count(*) from replicache_version_lock'), 0, 'the table stays empty');
}

# Two-phase commit: a transaction that has notified can't be prepared.
like($one->error('begin; ' . insert('p1') . "; prepare transaction 'x'"), qr/0A000/, 'PREPARE TRANSACTION is refused');
$one->query('rollback');

# A new epoch.
{
	my $state = 'select floor || \' \' || epoch from replicache_state';
	my $start = version($one);
	my $epoch = $one->value('select replicache_new_epoch()');
	cmp_ok($epoch, '>', $start, 'a new epoch is ahead');
	cmp_ok(abs($epoch / 2**20 - (time - 1577836800)), '<', 300, 'by the clock');
	is($one->value($state), "$epoch $epoch", 'floor and epoch follow');
	is(version($one), $epoch, 'so does the version');
	is($one->value('select replicache_next_version()'), $epoch + 1, 'the next one is above');
	$one->query("insert into replicache_version values ($epoch + (1::bigint << 40))");
	is($one->value('select replicache_new_epoch()'), $epoch + 2**40 + 1, 'a clock that is behind is no way back');
	$one->query('begin; ' . insert('e1') . '; select replicache_new_epoch()');
	$one->query(insert('e2') . '; commit');
	is(stamp($one, 'e2'), version($one), 'rows written after it have the new version');
	$one->query('delete from replicache_version');
	my $next = $one->value('select replicache_next_version()');
	cmp_ok(abs($next / 2**20 - (time - 1577836800)), '<', 300, 'without any version it is the clock again');
}

# The order of versions is the order of commits: two writers, one reader whose
# snapshots must never miss what a version promises.
{
	my @writer = map { $cluster->session($database) } 1 .. 3;
	$one->query('truncate message');
	for my $w (0 .. $#writer) {
		$writer[$w]->send(qq(do \$\$ begin for i in 1 .. 150 loop
			insert into message (id, sender, content, ord) values ('w$w-' || i, 'w', 'x', i);
			commit; end loop; end \$\$));
	}
	my ($seen, $missed, $rounds) = (0, 0, 0);
	my %had;
	while (1) {
		my $done = !grep { !$_->is_done } @writer;
		my $rows = $two->query("select (select max(version) from replicache_version), version, id
			from message where version > $seen");
		my $version = @$rows ? $rows->[0][0] : $seen;
		for my $row (@$rows) {
			$missed++ if $row->[1] > $version;
			$had{$row->[2]} = 1;
		}
		$seen = $version;
		$rounds++;
		last if $done;
	}
	$_->wait for @writer;
	is($missed, 0, "no snapshot held a row above its version ($rounds rounds)");
	is(scalar(keys %had), 450, 'and none was missed by going on from its version');
	is($one->value('select count(distinct version) from message'), 450, 'no two transactions share a version');
}

done_testing;
