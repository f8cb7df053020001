#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A table without a column `deleted`: rows are really deleted, their keys go to
# replicache_tombstone. After each step a client that pulls must see the truth.

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
	create table box (id text primary key, note text);
	create table item (
		id text primary key, body json, n int unique,
		box text references box on delete cascade on update cascade,
		double int generated always as (n * 2) stored);
	create table slot (a text, b int, note text, primary key (a, b));
	do $$ begin
		perform replicache_register_table('item', 'i/');
		perform replicache_register_table('slot', 's/');
	end $$;
));

my $steps = 0;

sub version { $session->value('select max(version) from replicache_version') }

sub tombstones
{
	return $session->value(q(select coalesce(string_agg(key, ' ' order by key), 'none') from replicache_tombstone));
}

# Run SQL; see that clients old and new end up with the truth, that the version
# rose by $raised, and what tombstones there are.
sub step
{
	my ($about, $sql, $raised, $tombstones) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = version();
	$session->query($sql);
	subtest $about => sub {
		is(version() - $before, $raised, 'version');
		is(tombstones(), $tombstones, 'tombstones') if defined $tombstones;
		# m0 pulls each time, m1 every second time, and so on.
		for my $n (0 .. 5) {
			next if $steps % ($n + 1);
			is($session->value("select mirror_pull('m$n'); select view = mirror_truth() from mirror where name = 'm$n'"
			    =~ s/select mirror_pull\('(\w+)'\);/do \$\$ begin perform mirror_pull('$1'); end \$\$;/r), 't', "client $n");
		}
	};
	$steps++;
}

step('nothing', 'select', 0, 'none');
step('insert', q(insert into item values ('a', '{"x":1}', 1)), 1, 'none');
step('insert of several', q(insert into item values ('b', null, 2), ('c', null, 3)), 1, 'none');
step('update', q(update item set body = '[]' where id = 'a'), 1, 'none');
step('update that changes nothing', q(update item set body = '[]', n = n where id = 'a'), 0, 'none');
step('update of JSON to equal JSON in other text', q(update item set body = '[ ]' where id = 'a'), 1, 'none');
step('update of no row', q(update item set body = '1' where id = 'zz'), 0, 'none');
step('some rows change, some do not', q(update item set body = '[ ]'), 1, 'none');
is($session->value(q(select count(distinct version) from item)), 2, 'only those that changed are stamped');
step('delete', q(delete from item where id = 'b'), 1, 'i/b');
step('delete of no row', q(delete from item where id = 'b'), 0, 'i/b');
step('insert again', q(insert into item values ('b', '{}', 2)), 1, 'none');
step('delete and insert in one transaction', q(begin; delete from item where id = 'b';
	insert into item values ('b', '{"again":1}', 2); commit), 1, 'none');
step('insert and delete in one transaction', q(begin; insert into item values ('t', '{}', 9);
	delete from item where id = 't'; commit), 1, 'i/t');
step('delete and insert in one statement', q(with gone as (delete from item where id = 'c' returning *)
	insert into slot select id, n from gone), 1, 'i/c i/t');
step('change of the key', q(update item set id = 'B' where id = 'b'), 1, 'i/b i/c i/t');
step('change of the key to one that was deleted', q(update item set id = 'c' where id = 'B'), 1, 'i/B i/b i/t');
step('keys that move up', q(insert into slot values ('x', 1, 'one'), ('x', 2, 'two'), ('x', 3, 'three')), 1);
step('all keys change at once', q(update slot set b = b - 10), 1, 'i/B i/b i/t s/c/3 s/x/1 s/x/2 s/x/3');
# Postgres checks uniqueness row by row: 3 moves first only if stored first.
step('a chain of keys', q(truncate slot; insert into slot values ('x', 3, 'c'), ('x', 2, 'b'), ('x', 1, 'a');
	update slot set b = b + 1), 3, 'i/B i/b i/t s/c/3 s/x/1');
step('keys that change places', q(create table pair (id int primary key deferrable, note text);
	do $$ begin perform replicache_register_table('pair', 'p/'); end $$;
	insert into pair values (1, 'a'), (2, 'b'), (3, 'c'); update pair set id = case id when 1 then 2 when 2 then 1 else 4 end), 3,
	'i/B i/b i/t p/3 s/c/3 s/x/1');
step('and are gone', q(delete from pair where id = 4;
	do $$ begin perform replicache_unregister_table('pair'); end $$), 2, 'i/B i/b i/t p/1 p/2 p/3 p/4 s/c/3 s/x/1');
step('and forgotten', q(delete from replicache_tombstone where key ~ '^p/'), 0);
step('insert on conflict do update', q(insert into item values ('a', '{"up":1}', 1)
	on conflict (id) do update set body = excluded.body), 1);
step('insert on conflict do update of another key', q(insert into item values ('q', '{"up":2}', 1)
	on conflict (n) do update set id = excluded.id, body = excluded.body), 1, 'i/B i/a i/b i/t s/c/3 s/x/1');
# That nothing comes of it is known only when the version is taken.
step('insert on conflict do nothing', q(insert into item values ('q', '{}', 77) on conflict do nothing), 1);
step('tombstone of a key that could not be inserted stays', q(insert into item values ('a', '{}', 1)
	on conflict (n) do nothing), 1, 'i/B i/a i/b i/t s/c/3 s/x/1');
step('merge', q(merge into item as t using (values ('q', 5), ('new', 6), ('c', 7)) as s (id, n) on t.id = s.id
	when matched and t.id = 'c' then delete
	when matched then update set body = to_json(s.n)
	when not matched then insert (id, n) values (s.id, s.n)), 1, 'i/B i/a i/b i/c i/t s/c/3 s/x/1');
step('copy', "copy slot (a, b, note) from stdin;\ny\t1\tcopied\ny\t2\tcopied\n\\.\nselect where false", 1);
is($session->value(q(select count(distinct version) from slot where a = 'y')), 1, 'copied rows share a version');
step('a statement that fails', q(begin; savepoint s; delete from item; rollback to s; commit), 0);
step('rows of a referenced table', q(insert into box values ('k1'), ('k2'), ('k3')), 0);
step('rows that refer', q(insert into item (id, n, box) values ('k1a', 21, 'k1'), ('k1b', 22, 'k1'), ('k2a', 23, 'k2'), ('k3a', 24, 'k3')), 1);
step('update by cascade', q(update box set id = 'K3' where id = 'k3'), 1);
is($session->value(q(select box || (version = (select max(version) from replicache_version)) from item where id = 'k3a')), 'K3true', 'is stamped');
step('delete by cascade', q(delete from box where id in ('k1', 'k2')), 1, 'i/B i/a i/b i/c i/k1a i/k1b i/k2a i/t s/c/3 s/x/1');
step('an app trigger that writes', q(
	create function item_note() returns trigger language plpgsql as $$ begin
		insert into slot values (coalesce(new.id, old.id), 100, tg_op) on conflict (a, b) do update set note = tg_op;
		return null; end $$;
	create trigger note after insert or update or delete on item for each row execute function item_note();
	insert into item (id) values ('trig'); update item set body = '2' where id = 'trig'), 2);
step('and a delete with it', q(delete from item where id = 'trig'), 1);
step('an app trigger that changes the row', q(
	create function item_upper() returns trigger language plpgsql as $$ begin
		new.id = upper(new.id); return new; end $$;
	create trigger aa before insert or update on item for each row execute function item_upper();
	insert into item (id) values ('low')), 1);
like($session->value('select mirror_truth()'), qr{"i/LOW"}, 'the key is the one stored');
step('truncate', 'truncate item cascade', 1);
is($session->value('select floor from replicache_state'), version(), 'truncate raises the floor');
step('after it', q(insert into item (id) values ('Z')), 1);
step('set constraints and a temporary table do not matter', q(
	begin; create temporary table x as select * from item; drop table x; commit), 0);
step('a column dropped and added', q(drop trigger note on item; alter table item drop column body; alter table item add column body2 text;
	do $$ begin perform replicache_register_table('item', 'i/'); end $$), 1);
step('an update then', q(update item set body2 = 'x'), 1);
step('one that changes nothing', q(update item set body2 = 'x'), 0);

# What a session can leave behind.
{
	my $other = $cluster->session($database);
	$other->query(q(begin; insert into item (id) values ('LOST')));
	$session->query('select pg_terminate_backend(' . $other->backend . ')');
	step('a session that was killed leaves nothing', q(insert into item (id) values ('NEXT')), 1);
}

# A random walk, by statements of one and of many rows.
{
	my $seed = $ENV{SEED} // time;
	srand $seed;
	my $wrong = 0;
	my @id = map { "r$_" } 1 .. 12;
	$session->query('drop trigger aa on item');
	for my $round (1 .. 150) {
		my @sql;
		for (1 .. 1 + int rand 3) {
			my ($x, $y) = map { $id[rand @id] } 1 .. 2;
			my $r = int rand 1000;
			push @sql, (
				"insert into item (id, body2) values ('$x', '$r') on conflict (id) do update set body2 = excluded.body2",
				"insert into item (id, body2) select 'r' || i, '$r' from generate_series(1, 12) i on conflict do nothing",
				"delete from item where id = '$x'",
				"delete from item where id > '$x'",
				"update item set id = '$y' where id = '$x' and not exists (select from item where id = '$y')",
				"update item set body2 = '$r' where id < '$x'",
				"update item set id = id || 'x' where id !~ 'x' and id < '$x' and not exists (select from item where id ~ 'x')",
				"with d as (delete from item where id = '$x' returning id) insert into item (id, body2) select '$y' || 'n', '$r' from d on conflict do nothing",
				"savepoint s; delete from item; rollback to s",
			)[rand 9];
		}
		$session->query(join '; ', 'begin', @sql, rand() < 0.15 ? 'rollback' : 'commit');
		my $n = int rand 4;
		$session->query("do \$\$ begin perform mirror_pull('r$n'); end \$\$");
		$wrong++ if $session->value("select view <> mirror_truth() from mirror where name = 'r$n'") eq 't';
	}
	is($wrong, 0, "a random walk, SEED=$seed");
	is($session->value(q(select count(*) from replicache_tombstone join item on key = 'i/' || id)), 0,
	    'no key is both there and gone');
}

done_testing;
