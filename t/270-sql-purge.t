#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# replicache_purge, and the floor: what is dropped, and that no client misses
# anything by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('core');
my $session = $cluster->session($database);
$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');
$session->query(q(
	create table soft (id text primary key, note text, deleted boolean not null default false);
	create table hard (id text primary key, note text);
	create table leaf (id int primary key, soft text references soft);
	create table twig (id int primary key, soft text references soft on delete cascade, deleted boolean not null default false);
	create table bud (id int primary key, up int references bud on delete cascade, deleted boolean not null default false);
	do $$ begin
		perform replicache_register_table('soft');
		perform replicache_register_table('hard');
		perform replicache_register_table('twig');
		perform replicache_register_table('bud');
	end $$;
));

sub floor { $session->value('select floor from replicache_state') }
sub version { $session->value('select max(version) from replicache_version') }

# Purge, in days; returns how many rows went.
sub purge { $session->value(defined $_[0] ? "select replicache_purge('$_[0] days')" : 'select replicache_purge()') }

# Let time pass: make all that was noted so many days older.
sub days_pass
{
	$session->query("update replicache_version_time set at = at - interval '$_[0] days';
		update replicache_failed_mutation set failed_at = failed_at - interval '$_[0] days'");
}

sub left { $session->value(q(select concat_ws(' ', (select count(*) from soft where deleted), (select count(*) from replicache_tombstone),
	(select count(*) from replicache_failed_mutation)))) }

sub pull
{
	my ($name) = @_;
	$session->query("do \$\$ begin perform mirror_pull('$name'); end \$\$");
	return $session->value("select view = mirror_truth() from mirror where name = '$name'");
}

my $start = floor();
is(purge(), 0, 'nothing to purge');
is(floor(), $start, 'the floor stays');
$session->query(q(insert into soft (id) values ('a'), ('b'), ('c'), ('d'); insert into hard (id) values ('a'), ('b'), ('c'), ('d')));
is(pull($_), 't', "client $_") for qw(early late);
$session->query(q(delete from soft where id = 'a'; delete from hard where id = 'a'));
$session->query(q(select replicache_guard('c', 'g', 1, 'u', 'nope', '1')));
is(pull('early'), 't', 'one that has pulled');
my $deleted = $session->value(q(select version from replicache_tombstone));
is(purge(), 0, 'what is young stays');
is(left(), '1 1 1', 'all of it');
days_pass(20);
is(purge(), 0, 'also after 20 days');
days_pass(20);
$session->query(q(delete from soft where id = 'b'; delete from hard where id = 'b'; select replicache_guard('c', 'g', 2, 'u', 'nope', '1')));
is(purge(), 3, 'after 40 days it goes');
is(left(), '1 1 1', 'what is younger stays');
is($session->value(q(select count(*) from soft where id = 'a')), 0, 'really');
is($session->value(q(select count(*) from replicache_tombstone where key ~ 'soft')), 0, 'and without another tombstone');
is(floor(), $deleted, 'the floor is the highest version that went');
cmp_ok(floor(), '<', version(), 'and below the version');
is(pull('early'), 't', 'who has pulled since gets what changed');
is($session->value(q(select cookie >= floor from mirror, replicache_state where name = 'late')), 'f', 'who has not');
is(pull('late'), 't', 'starts over');
my $version = version();
is(purge(), 0, 'again, nothing');
is(version(), $version, 'to purge takes no version');

is(purge(0), 3, 'all of it');
is(left(), '0 0 0', 'is gone');
is(pull($_), 't', "client $_") for qw(early late);
is(purge(0), 0, 'again, nothing');

# A deleted row can't be deleted by hand before its time.
$session->query(q(delete from soft where id = 'c'; delete from soft where deleted));
is(left(), '1 0 0', 'a deleted row stays');
$session->query(q(insert into soft (id) values ('c'); delete from soft where id = 'c'));
is(pull('early'), 't', 'until clients had time');

# Rows that others refer to.
$session->query(q(insert into soft (id) values ('x'), ('y'), ('z'); insert into leaf values (1, 'x'); insert into twig values (1, 'y'), (2, 'y');
	delete from soft where id in ('x', 'y', 'z')));
is(pull('early'), 't', 'deleted');
my $gone = purge(0);
is($session->value(q(select string_agg(id, ' ' order by id) from soft where deleted)), 'x', 'a row that another refers to stays');
is($gone, 3, 'and others go');
is($session->value(q(select count(*) from twig)), 0, 'with rows that go by cascade');
is($session->value(q(select count(*) from replicache_tombstone where key ~ 'twig')), 2, 'which leave tombstones');
is(pull('early'), 't', 'for their clients');
$session->query('delete from leaf');
is(purge(0), 3, 'and then it goes as well');

# A tree.
$session->query(q(insert into bud values (1, 1), (2, 1), (3, 2); delete from bud where id = 1));
is(pull('early'), 't', 'the root is deleted');
purge(0);
is($session->value('select count(*) from bud'), 0, 'the branches go when it is purged');
is(pull('early'), 't', 'and clients hear of it');

# The triggers of the app that fire for it, a table that was dropped, and tables not registered any more.
$session->query(q(do $$ begin perform replicache_unregister_table('twig'); end $$; insert into twig values (5); update twig set deleted = true; drop table leaf;
	insert into hard values ('q'); delete from hard where id = 'q'; drop table bud));
purge(0);
is($session->value('select count(*) from twig'), 1, 'rows of a table not registered any more stay');
is($session->value('select count(*) from replicache_tombstone'), 0, 'a dropped table is no obstacle');
$session->query(q(do $$ begin perform replicache_unregister_table(table_name) from replicache_table where prefix = 'bud/'; end $$));

like($session->error("select replicache_purge('-1 day')"), qr/22023/, 'a negative age');
like($session->error('select replicache_purge(null)'), qr/22023/, 'no age');

# Samples of the time: one in 64 versions, and forgotten behind.
$session->query('do $$ begin for i in 1 .. 1000 loop perform replicache_raise_version((select max(version) from replicache_version), 0); end loop; end $$');
cmp_ok($session->value('select count(*) from replicache_version_time'), '>=', 15, 'the time is noted');
days_pass(50);
$session->query(q(insert into hard values ('r'); delete from hard where id = 'r'));
purge();
is($session->value(q(select count(*) = count(distinct date_trunc('day', at)) and count(*) < 10 from replicache_version_time where at < now() - interval '49 days')),
	't', 'of old times one a day is kept');
is($session->value(q(select replicache_horizon('49 days') = max(version) from replicache_version_time where at < now() - interval '49 days')), 't', 'the latest');
is($session->value('select count(*) from replicache_tombstone'), 1, 'young tombstones stay');

# Clients long unseen.
{
	sub begin { $session->error("do \$\$ begin perform replicache_push_begin('{$_[0]}', '{u}', '{$_[1]}', '{$_[0]}', '{u}', '{$_[2]}', '{$_[3]}'); end \$\$") }
	sub forget { $session->value(defined $_[1] ? "select replicache_forget_clients('$_[0] days', $_[1])" : "select replicache_forget_clients('$_[0] days')") }
	sub groups { $session->value(q(select string_agg(id || case when retired then ' retired' else '' end || ' ' || coalesce(cardinality(forgotten), 0), ', ' order by id)
		from replicache_client_group)) }
	sub clients { $session->value(q(select string_agg(id || last_mutation_id, ' ' order by id) from replicache_client)) }
	is(begin('g1', 'a', 0, 3), '', 'client a');
	is(begin('g1', 'a', 3, 70), '', 'and again');
	is(begin('g1', 'b', 0, 1), '', 'client b');
	is(begin('g2', 'c', 0, 1), '', 'client c');
	is(forget(0, 0), 0, 'none of them is asked for');
	is(forget(30), 0, 'none is old');
	purge();
	days_pass(40);
	is(begin('g1', 'b', 1, 2), '', 'one is seen again');
	is(forget(50), 0, 'none is that old');
	is(forget(30), 2, 'two are');
	is(clients(), 'b2', 'they are gone');
	is(groups(), 'g1 1, g2 retired 0', 'what remains: a mark, and a group');
	is(forget(30), 0, 'once');
	like(begin('g1', 'a', 0, 1), qr/RP001/, 'who looked before, or was taken for new, is refused');
	like(begin('g1', 'a', 70, 71), qr/RP001/, 'who goes on as well');
	like(begin('g2', 'c', 0, 1), qr/RP001/, 'a client of a retired group too');
	like(begin('g2', 'new', 0, 1), qr/RP001/, 'and a new one');
	is(begin('g1', 'new', 0, 1), '', 'a new one of a group that goes on is new');
	is(begin('g3', 'a', 0, 1), '', 'and so is one of another group');
	is($session->value(q(select string_agg(replicache_is_forgotten(c, g)::text, ' ') from
		(values ('a', 'g1'), ('b', 'g1'), ('new', 'g1'), ('other', 'g2'), ('a', 'g3'), ('a', 'g4')) as x (c, g))),
		'true false false true false false', 'the rule');
	purge();
	days_pass(40);
	is(forget(30, 1) . forget(30, 1) . forget(30, 1) . forget(30, 1), '1110', 'in steps');
	is(groups(), 'g1 retired 0, g2 retired 0, g3 retired 0', 'a group is retired with its last client');
	# By two ways, as every server, of every age and make, must find the same mark.
	require Digest::SHA;
	for my $id ('a', "\x{e9}\\'x" , '0123456789abcdefgh') {
		my $text = $id;
		utf8::encode($text);
		my $mark = unpack 'q>', substr Digest::SHA::sha256($text), 0, 8;
		is($session->value("select replicache_mark(E'" . $text =~ s/([\\'])/\\$1/gr . "')"), $mark, 'a mark');
	}
	like($session->error("select replicache_forget_clients('-1 day')"), qr/22023/, 'a negative age');
	$session->query('delete from replicache_client_step; delete from replicache_client_group');
}

# At random: no client ever misses a delete.
{
	my $seed = $ENV{SEED} // time;
	srand $seed;
	my $wrong = 0;
	for my $round (1 .. 120) {
		my $id = int rand 8;
		my $table = (qw(soft hard))[rand 2];
		$session->query((
			"insert into $table (id) values ('$id') on conflict do nothing",
			"delete from $table where id = '$id'",
			"update $table set note = '$round' where id = '$id'",
			"update $table set id = 'k$round' where id = '$id'",
		)[rand 4]);
		purge(int rand 3) if rand() < 0.2;
		days_pass(1) if rand() < 0.3;
		$wrong++ if pull('r' . int rand 4) ne 't';
	}
	is($wrong, 0, "a random walk, SEED=$seed");
}

done_testing;
