#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A pull of few rows of a large table reads few rows, whatever the planner
# knows: before and after ANALYZE, with the value of the cookie and without.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir);

my $rows = $ENV{ROWS} // 200_000;
my $cluster = Rig::Cluster->start(settings => { shared_buffers => '128MB' });
my $database = $cluster->database('core');
my $session = $cluster->session($database);
$session->query(qq(
	create table plain (id int primary key, note text);
	create table soft (id text primary key, note text, deleted boolean not null default false);
	create view soft_view as select id, note from soft where note <> 'hidden';
	insert into plain select i, 'note ' || i from generate_series(1, $rows) i;
	insert into soft select 'id' || i, 'note ' || i from generate_series(1, $rows) i;
	insert into replicache_client_step select 'c' || i, 'g' || i % 1000, 1, 1 from generate_series(1, $rows) i;
	insert into replicache_client_group select 'g' || i, 'u' from generate_series(1, $rows) i;
	insert into replicache_tombstone select 'gone/' || i, i from generate_series(1, $rows) i;
	do \$\$ begin
		perform replicache_register_table('plain');
		perform replicache_register_table('soft', view => 'soft_view');
	end \$\$;
), 300);
my $version = $session->value('select max(version) from replicache_version');
# As after long use: versions in no order.
$session->query("alter table $_ disable trigger user; update $_ set version = $version - floor(random() * 1000000);
	alter table $_ enable trigger user", 300) for qw(plain soft);
$session->query(qq(do \$\$ begin
	for i in 1 .. 20 loop
		update plain set note = 'changed' where id = i;
		update soft set note = 'changed' where id = 'id' || i;
		delete from plain where id = 100 + i;
		delete from soft where id = 'id' || 100 + i;
		commit;
	end loop; end \$\$));
$session->query("prepare $_->[0] as $_->[1]")
    for @{ $session->query(q(select rtrim(prefix, '/'), pull_since from replicache_table)) };
$session->send('\i ' . srcdir() . '/schema/statements.sql')->wait;

sub plan_of
{
	my ($statement) = @_;
	return join "\n", map { $_->[0] } @{ $session->query("explain (costs off) execute $statement") };
}

for my $stats ('before ANALYZE', 'after it') {
	for my $mode (qw(force_custom_plan force_generic_plan)) {
		$session->query("set plan_cache_mode = $mode");
		for my $case ([ "plain ($version)", 'plain_version_idx' ], [ "soft ($version)", 'soft_version_idx' ],
		    [ "pull_tombstones ($version)", 'replicache_tombstone_version' ],
		    [ q(look_clients ('{c1,c2}', '{g1,g1}')), 'replicache_client_step_pkey' ], [ q(look_groups ('{g1}')), 'replicache_client_group_pkey' ],
		    [ "pull_look ('{g1}', '{$version}', '{u}')", 'replicache_version_pkey' ],
		    [ "pull_look ('{g1}', '{$version}', '{u}')", 'replicache_client_step_client_group_id' ]) {
			my ($statement, $index) = @$case;
			my $plan = plan_of($statement);
			# A thousand rows, which it is without statistics, are worth a join.
			my $whole = $stats =~ /after/ ? qr/Seq Scan on (?!replicache_state)/ : qr/Seq Scan on (?!replicache_state|soft\b)/;
			ok($plan =~ /\b$index\b/ && $plan !~ $whole, "$statement uses $index, $mode, $stats")
			    or diag $plan;
		}
	}
	$session->query('analyze plain, soft, replicache_client_step, replicache_client_group, replicache_tombstone');
}

# One mutation on the same: what it reads, by the counters of the table.
$session->query(q(reset plan_cache_mode; select pg_stat_force_next_flush()));
my $reads = q(select sum(seq_tup_read) from pg_stat_user_tables where relname in ('plain', 'soft', 'replicache_client_step', 'replicache_client_group', 'replicache_tombstone'));
my $before = $session->value($reads);
$session->query(q(begin; execute push_begin ('{g7}', '{u}', '{c7}', '{g7}', '{u}', '{1}', '{2}', null)));
$session->query(q(insert into soft (id) values ('id105') on conflict do nothing; insert into soft (id) values ('new');
	update soft set id = 'new2' where id = 'new'; delete from soft where id = 'id5'));
$session->query(q(insert into plain values (105, 'back'), (0, 'new'); update plain set id = -1 where id = 0; delete from plain where id = 5; commit));
$session->query('select pg_stat_force_next_flush()');
is($session->value($reads), $before, 'no write reads a whole table');

done_testing;
