#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A table with a column `deleted`: a DELETE marks the row, an INSERT of the same
# key revives it. After each step a client that pulls must see the truth.

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
	create table room (id text primary key);
	create table note (
		id text primary key, text text default 'none', serial int generated always as identity,
		n int unique, room text references room on delete cascade,
		long int generated always as (length(text)) stored,
		deleted boolean, version bigint);
	create view note_view as select id, upper(text) as text, n, room from note where text is distinct from 'hidden';
	create table leaf (id int primary key, note text references note, deleted boolean not null default false);
	do $$ begin
		perform replicache_register_table('note', 'n/', 'note_view');
		perform replicache_register_table('leaf', 'l/');
	end $$;
));

my $steps = 0;

sub version { $session->value('select max(version) from replicache_version') }

sub rows
{
	my ($what) = @_;
	return $session->value("select coalesce(string_agg($what, ' ' order by id), 'none') from note");
}

# Run SQL; see that clients old and new end up with the truth, that the version
# rose by $raised, and which rows are deleted.
sub step
{
	my ($about, $sql, $raised, $deleted) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = version();
	$session->query($sql);
	subtest $about => sub {
		is(version() - $before, $raised, 'version');
		is(rows('case when deleted then id end'), $deleted, 'deleted') if defined $deleted;
		for my $n (0 .. 5) {
			next if $steps % ($n + 1);
			$session->query("do \$\$ begin perform mirror_pull('m$n'); end \$\$");
			is($session->value("select view = mirror_truth() from mirror where name = 'm$n'"), 't', "client $n");
		}
	};
	$steps++;
}

step('nothing', 'select', 0, 'none');
step('insert', q(insert into note (id, text, n) values ('a', 'one', 1), ('b', 'two', 2), ('c', 'three', 3)), 1, 'none');
step('update', q(update note set text = 'uno' where id = 'a'), 1, 'none');
step('update that changes nothing', q(update note set text = text), 0, 'none');
step('delete', q(delete from note where id = 'a'), 1, 'a');
is($session->value('select count(*) from note'), 3, 'the row stays');
step('delete of a deleted row', q(delete from note where id = 'a'), 0, 'a');
step('delete of no row', q(delete from note where id = 'x'), 0, 'a');
step('insert revives', q(insert into note (id, n) values ('a', 4)), 1, 'none');
is($session->value(q(select text || n || serial || long from note where id = 'a')), 'none414', 'all columns are those of the new row');
like($session->error(q(insert into note (id) values ('a'))), qr/23505/, 'but a live key is taken');
step('and one deleted in the same transaction', q(begin; delete from note where id = 'a';
	insert into note (id, text) values ('a', 'again'); commit), 1, 'none');
step('deleted, revived, deleted', q(begin; delete from note where id = 'a'; insert into note (id) values ('a');
	delete from note where id = 'a'; commit), 1, 'a');
step('the same key twice in a statement', q(do $$ begin
	insert into note (id, text) values ('a', 'x'), ('a', 'y');
	exception when unique_violation then null; end $$), 0, 'a');
step('insert on conflict do update', q(insert into note (id, text) values ('a', 'inserted')
	on conflict (id) do update set text = 'updated'), 1, 'none');
is($session->value(q(select text from note where id = 'a')), 'inserted', 'inserts a deleted row');
step('again', q(insert into note (id, text) values ('a', 'inserted')
	on conflict (id) do update set text = 'updated'), 1, 'none');
is($session->value(q(select text from note where id = 'a')), 'updated', 'updates a live row');
step('insert on conflict do nothing', q(delete from note where id = 'a'; insert into note (id, text) values ('a', 'x'), ('b', 'x')
	on conflict do nothing), 2, 'none');
is(rows('text'), 'x two three', 'revives');
step('merge', q(delete from note where id = 'a'; merge into note as t using (values ('a'), ('b'), ('d')) as s (id) on t.id = s.id and t.deleted is not true
	when matched and t.id = 'b' then delete
	when not matched then insert (id, text) values (s.id, 'merged')), 2, 'b');
step('copy', "copy note (id, text) from stdin;\nb\tcopied\ne\tcopied\n\\.\nselect where false", 1, 'none');
is($session->value(q(select count(*) from note where text = 'copied')), 2, 'revives and inserts');
step('set by hand', q(update note set deleted = true where id = 'e'), 1, 'e');
step('and taken back', q(update note set deleted = false where id = 'e'), 1, 'none');
step('inserted as deleted', q(insert into note (id, deleted) values ('f', true)), 1, 'f');
step('null is not deleted', q(update note set deleted = null where id = 'e'), 1, 'f');
step('change of the key', q(update note set id = 'E' where id = 'e'), 1, 'f');
is($session->value('select string_agg(key, \' \') from replicache_tombstone'), 'n/e', 'leaves a tombstone');
step('insert of the old key', q(insert into note (id) values ('e')), 1, 'f');
is($session->value('select string_agg(key, \' \') from replicache_tombstone'), 'n/e', 'which is gone, and then there');
is($session->value(q(select n.version > t.version from replicache_tombstone as t join note as n on t.key = 'n/' || n.id)), 't', 'in that order');
step('a row leaves the view', q(update note set text = 'hidden' where id = 'e'), 1, 'f');
step('and comes back', q(update note set text = 'shown' where id = 'e'), 1, 'f');
step('and is deleted while out of it', q(update note set text = 'hidden' where id = 'e'; delete from note where id = 'e'), 2, 'e f');
step('savepoint', q(begin; savepoint s; delete from note; rollback to s; commit), 0, 'e f');

step('a column added later', q(alter table note add column extra text default 'default';
	insert into note (id) values ('f')), 1, 'e');
is($session->value(q(select extra from note where id = 'f')), 'default', 'is revived too');
step('with a value', q(delete from note where id = 'f'; insert into note (id, extra) values ('f', 'mine')), 2, 'e');
is($session->value(q(select extra from note where id = 'f')), 'mine', 'that of the new row');

step('rows that refer', q(insert into leaf (id, note) values (1, 'a'), (2, 'b')), 1);
step('delete does not see them', q(delete from note where id = 'a'), 1, 'a e');
step('they stay, and so does the row', q(insert into note (id) values ('a')), 1, 'e');

# A cascade from a table that really deletes: the rows can't stay.
step('rows of a referenced table', q(insert into room values ('r1'), ('r2'); insert into note (id, room) values ('r1a', 'r1'), ('r1b', 'r1'), ('r2a', 'r2')), 1);
step('one deleted', q(delete from note where id = 'r1b'), 1, 'e r1b');
step('cascade', q(delete from room where id = 'r1'), 1, 'e');
is($session->value(q(select count(*) from note where id ~ '^r1')), 0, 'rows without a parent are really gone');
is($session->value(q(select string_agg(key, ' ' order by key) from replicache_tombstone)), 'n/e n/r1a n/r1b', 'and leave tombstones');
step('back again', q(insert into room values ('r1'); insert into note (id, room) values ('r1a', 'r1')), 1, 'e');

# The app's own triggers: they see its session, and its search_path.
$session->query(q(
	create schema app; create table app.log (what text);
	create function app.note_log() returns trigger language plpgsql as $$ begin
		insert into log values (tg_op || ' ' || coalesce(new.id, old.id)); return coalesce(new, old); end $$;
	create trigger log before insert or update or delete on note for each row execute function app.note_log();
	set search_path = app, public;
));
step('app triggers', q(delete from public.note where id = 'b'; insert into public.note (id) values ('b')), 2, 'e');
is($session->value(q(select string_agg(what, ', ') from app.log)), 'DELETE b, UPDATE b, INSERT b, UPDATE b', 'fire for what happens');
$session->query('reset search_path; drop trigger log on note');

# Row policies hold for revived rows as for inserted ones.
{
	$cluster->admin->query('create role writer login');
	$session->query(q(grant select, insert, update, delete on leaf to writer;
		alter table leaf enable row level security;
		create policy mine on leaf to writer using (id < 100) with check (id < 100 and note is distinct from 'bad')));
	$session->query('insert into leaf (id, note) values (10, null), (200, null); delete from leaf where id in (10, 200)');
	my $writer = $cluster->session($database, 'writer');
	like($writer->error(q(insert into leaf (id, note) values (10, 'bad'))), qr/42501/, 'a policy refuses to revive');
	like($writer->error(q(insert into leaf (id) values (200))), qr/23505|42501/, 'a row that is not to be seen');
	$writer->query(q(insert into leaf (id) values (10)));
	is($writer->value('select count(*) from leaf where id = 10 and not deleted'), 1, 'and allows it');
	$writer->query('delete from leaf where id in (10, 1)');
	is($session->value('select count(*) from leaf where id in (10, 1) and deleted'), 2, 'a delete by that role');
	$session->query('revoke update on leaf from writer');
	like($writer->error('delete from leaf where id = 2'), qr/42501/, 'which needs the right to update');
	$session->query('alter table leaf disable row level security');
}

step('truncate', 'truncate note cascade', 1);
cmp_ok($session->value('select floor from replicache_state'), '>=', version(), 'raises the floor');
step('insert after it', q(insert into note (id) values ('a')), 1, 'none');

# A random walk, by statements of one and of many rows.
{
	my $seed = $ENV{SEED} // time;
	srand $seed;
	my $wrong = 0;
	my @id = map { "r$_" } 1 .. 12;
	for my $round (1 .. 150) {
		my @sql;
		for (1 .. 1 + int rand 3) {
			my ($x, $y) = map { $id[rand @id] } 1 .. 2;
			my $r = int rand 1000;
			push @sql, (
				"insert into note (id, text) values ('$x', '$r') on conflict (id) do update set text = excluded.text",
				"insert into note (id, text) select 'r' || i, '$r' from generate_series(1, 12) i on conflict do nothing",
				"delete from note where id = '$x'",
				"delete from note where id > '$x'",
				"update note set id = '$y' where id = '$x' and not exists (select from note where id = '$y')",
				"update note set text = case when random() < 0.3 then 'hidden' else '$r' end where id < '$x'",
				"update note set deleted = not coalesce(deleted, false) where id < '$x'",
				"update note set id = id || 'x' where id !~ 'x' and id < '$x' and not exists (select from note where id ~ 'x')",
				"delete from note where id = '$x'; insert into note (id, text) values ('$x', '$r') on conflict do nothing",
				"savepoint s; delete from note; rollback to s",
			)[rand 10];
		}
		$session->query(join '; ', 'begin', @sql, rand() < 0.15 ? 'rollback' : 'commit');
		my $n = int rand 4;
		$session->query("do \$\$ begin perform mirror_pull('r$n'); end \$\$");
		$wrong++ if $session->value("select view <> mirror_truth() from mirror where name = 'r$n'") eq 't';
	}
	is($wrong, 0, "a random walk, SEED=$seed");
	is($session->value(q(select count(*) from replicache_tombstone as t join note as n on t.key = 'n/' || n.id where t.version > n.version)), 0,
	    'no key that is there went later than it came');
}

done_testing;
