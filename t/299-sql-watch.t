#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What decides about rows of a registered table but stands elsewhere: the list that an
# item is on, its members. Whoever changes that, each has what they may see.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::People;
use Rig::Place qw(srcdir);

my $SEED = $ENV{SEED} // time;
srand $SEED;
note("SEED=$SEED");

my $cluster = Rig::Cluster->start;
$cluster->admin->query('create role web login; create role clerk login');

sub database
{
	my ($sql) = @_;
	my $database = $cluster->database('core');
	$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');
	my $session = $cluster->session($database);
	$session->query($sql);
	return ($session, $database);
}

sub register { $_[0]->query("do \$\$ begin perform $_[1]; end \$\$") }

# What registering, or any statement, says besides.
sub says
{
	my ($session, $sql) = @_;
	$session->query('set client_min_messages = notice');
	$session->send($sql);
	my $said = $session->wait_raw;
	$session->query('reset client_min_messages');
	return $said;
}

sub floor { $_[0]->value('select floor from replicache_state') }

sub check
{
	return $_[0]->value(q(select string_agg(result || ': ' || what || ': ' || advice, '; ') from replicache_check_sources())) // '';
}

# An item is on a list that has an owner.
my $OWNED = q(
	create table list (id int primary key, owner text, title text);
	create table item (id int primary key, list_id int references list on delete cascade on update cascade, note text%s);
	create index on item (list_id);
	create view item_audience as select i.id, l.owner as viewer from item as i join list as l on l.id = i.list_id;
);

for my $soft ('', ', deleted boolean not null default false') {
	my $kind = $soft ? 'soft' : 'hard';
	subtest "a list and its owner, $kind" => sub {
		my ($session) = database(sprintf $OWNED, $soft);
		unlike(says($session, q(select replicache_register_table('item', audience => 'item_audience'))), qr/nobody watches/,
		    'one foreign key is enough to know');
		is(check($session), 'fine: watch of list for table item: ', 'it is watched');
		$session->query(q(insert into list values (1, 'ann', 'l'), (2, 'bob', 'm'); insert into item values (1, 1), (2, 1), (3, 2)));
		my $people = Rig::People->new($session, qw(ann bob cal));
		$people->all_pull('at first');
		is($people->keys('ann'), 'item/1 item/2', 'ann has hers');
		my $floor = floor($session);

		$session->query(q(update list set owner = 'bob' where id = 1));
		is_deeply($people->patch('ann'), { 'item/1' => undef, 'item/2' => undef }, 'ann is told to forget hers');
		is_deeply([ sort keys %{ $people->patch('bob') } ], [ 'item/1', 'item/2' ], 'bob gets them, and nothing else');
		is_deeply($people->patch('cal'), {}, 'cal hears nothing');
		$people->all_pull('a list changes hands');
		is($people->keys('bob'), 'item/1 item/2 item/3', 'bob has all');

		my $version = $session->value('select max(version) from replicache_version');
		$session->query(q(update list set title = 'new'));
		is($session->value('select max(version) from replicache_version'), $version, 'a column that does not matter is no change');
		$session->query(q(update list set owner = owner));
		is($session->value('select max(version) from replicache_version'), $version, 'nor an update that changes nothing');

		$session->query(q(update list set id = 10 where id = 1));
		$people->all_pull('the key of a list');
		$session->query(q(update list set owner = case owner when 'bob' then 'ann' else 'bob' end));
		$people->all_pull('all lists');
		$session->query(q(update list set id = id + 100, owner = 'cal'));
		$people->all_pull('key and owner');
		is($people->keys('cal'), 'item/1 item/2 item/3', 'cal has them');
		$session->query(q(delete from list where id = 110));
		$people->all_pull('a list is deleted, and its items with it');
		is($people->keys('cal'), 'item/3', 'one is left');
		$session->query(q(begin; update list set owner = 'ann'; update list set owner = 'cal'; commit));
		$people->all_pull('there and back');
		$session->query(q(begin; update list set owner = 'ann'; savepoint s; update list set owner = 'bob'; rollback to s; commit));
		$people->all_pull('a savepoint');
		is($people->keys('ann'), 'item/3', 'rolled back');
		$session->query(q(insert into list values (102, 'bob', 'x') on conflict (id) do update set owner = excluded.owner));
		$people->all_pull('an upsert');
		$session->query(q(insert into list values (102, 'cal', 'x') on conflict do nothing));
		$people->all_pull('an insert of nothing');
		is($people->keys('bob'), 'item/3', 'bob keeps it');
		$session->query(q(with moved as (update list set owner = 'ann' returning id) update item set note = 'moved' from moved where list_id = moved.id));
		$people->all_pull('both in one statement');
		$session->query(q(with gone as (delete from list returning id) insert into list select id, 'cal' from gone))
		    if 0;
		is(floor($session), $floor, 'nobody had to start over');
		is($session->value('select count(*) from replicache_pending'), 0, 'nothing is left over');
		is($session->value('select count(*) from replicache_tombstone'), 0, 'no key was told to everybody') if !$soft;
		$session->query(q(truncate list cascade));
		$people->all_pull('truncated');
		is($people->keys('ann'), '', 'and gone');
		cmp_ok(floor($session), '>', $floor, 'upon which all start over');
	};
}

subtest 'members, in a join' => sub {
	my ($session) = database(q(
		create table list (id int primary key);
		create table member (list_id int references list on delete cascade, who text, primary key (list_id, who));
		create table todo (id int primary key, list_id int references list on delete cascade);
		create view todo_audience as select t.id, m.who as viewer from todo as t join member as m using (list_id);
		insert into list values (1), (2); insert into member values (1, 'ann'), (2, 'bob'); insert into todo values (1, 1), (2, 2)));
	my $said = says($session, q(select replicache_register_table('todo', audience => 'todo_audience')));
	like($said, qr/nobody watches member, on which depends what clients see of todo/, 'registering names the source');
	like($said, qr/select replicache_watch\('todo', 'member', 'todo\. \.\.\. = member\. \.\.\.'\)/, 'and the call to make');
	unlike($said, qr/watches list/, 'and not what the audience does not read');
	like(check($session), qr/^warning: nobody watches member for table todo: No one foreign key joins the two\./, 'so does check');
	like(says($session, q(select replicache_register_table('todo', audience => 'todo_audience'))), qr/nobody watches member/, 'again, when it is registered again');
	register($session, q(replicache_watch('todo', 'member', 'todo.list_id = member.list_id')));
	is(check($session), 'fine: watch of member for table todo: ', 'it is made');
	unlike(says($session, q(select replicache_register_table('todo', audience => 'todo_audience'))), qr/watches/, 'and kept');

	my $people = Rig::People->new($session, qw(ann bob cal));
	$people->all_pull('at first');
	my $floor = floor($session);
	$session->query(q(insert into member values (1, 'cal')));
	$people->all_pull('one joins');
	is($people->keys('cal'), 'todo/1', 'and has what is there');
	$session->query(q(update member set list_id = 2 where who = 'cal'));
	is_deeply([ keys %{ $people->patch('ann') } ], [], 'one moves: those who stay in the list they leave hear nothing');
	$people->all_pull('one moves');
	is($people->keys('cal'), 'todo/2', 'to the other list');
	$session->query(q(update member set who = 'dan' where who = 'cal'));
	$people->all_pull('one is replaced');
	$session->query(q(insert into member values (1, 'cal'), (2, 'cal'), (1, 'bob')));
	$people->all_pull('several join at once');
	$session->query(q(insert into member values (1, 'cal') on conflict do nothing));
	is_deeply($people->patch('cal'), {}, 'one who is there joins: nothing');
	$session->query(q(delete from member where list_id = 1 and who = 'cal'));
	is_deeply($people->patch('cal'), { 'todo/1' => undef }, 'one leaves');
	is_deeply($people->patch('ann'), {}, 'of which the others hear nothing');
	$people->all_pull('one leaves');
	$session->query(q(delete from member));
	$people->all_pull('all leave');
	$session->query(q(insert into member values (1, 'ann'), (1, 'bob')));
	$people->all_pull('two join');
	$session->query(q(delete from list where id = 1));
	$people->all_pull('a list goes, by two cascades');
	is($people->keys('ann') . $people->keys('bob'), '', 'with all that is on it');
	is(floor($session), $floor, 'nobody had to start over');

	# Many rows for a few people.
	$session->query(q(insert into todo select n, 2 from generate_series(10, 1300) as n; insert into member values (2, 'ann')));
	$people->all_pull('many');
	$session->query(q(insert into member values (2, 'bob')));
	is($session->value(q(select string_agg(user_id, ' ') from replicache_user_floor)), 'bob', 'one who joins many starts over');
	is_deeply($people->patch('ann'), {}, 'and the one who was there hears nothing');
	$people->all_pull('and has them');

	$session->query(q(do $$ begin perform replicache_unwatch('todo', 'member'); end $$));
	is($session->value(q(select count(*) from pg_trigger where tgname ~ 'zz_replicache_watch' and not tgisinternal)), 0, 'unwatched: no trigger is left');
	is($session->value(q(select count(*) from pg_proc where proname ~ '^replicache_watch_\d')), 0, 'and no function');
	register($session, q(replicache_watch('todo', 'member', null)));
	is(check($session), '', 'who says that there is no need is asked no more');
	unlike(says($session, q(select replicache_register_table('todo', audience => 'todo_audience'))), qr/watches/, 'nor at registration');
	register($session, q(replicache_watch('todo', 'member', 'todo.list_id = member.list_id')));
	is(check($session), 'fine: watch of member for table todo: ', 'watched again');
	register($session, q(replicache_unregister_table('todo')));
	is($session->value(q(select count(*) from pg_trigger where tgname ~ 'replicache' and tgrelid = 'member'::regclass)), 0, 'unregistered: gone');
	is($session->value(q(select count(*) from replicache_source)), 0, 'and forgotten');
};

subtest 'conditions' => sub {
	my ($session, $database) = database(sprintf($OWNED, '') . q(
		create schema other; create table other.item (id int primary key, item int);
		create view part as select 1 as id; create table secret (word text); insert into secret values ('x');
		create table parts (id int, n int generated always as (id + 1) stored) ; create table cut (id int) partition by range (id)));
	my $tries = sub {
		my ($table, $source, $condition) = @_;
		return $session->error("select replicache_watch('$table', '$source', \$c\$$condition\$c\$)");
	};
	like($tries->('item', 'list', 'true'), qr/42P01: item is not registered/, 'a table that is not registered');
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	like($tries->('item', 'list', 'list_id = id'), qr/42702: column reference "id" is ambiguous/, 'a name of both tables');
	like($tries->('item', 'list', 'item.list_id = list.nope'), qr/42703/, 'no such column');
	like($tries->('item', 'list', 'item.list_id + list.id'), qr/42804/, 'no boolean');
	like($tries->('item', 'list', $_), qr/42601|42804: COALESCE/, "no expression: $_")
	    for '', 'item.list_id =', 'true; drop table secret', 'true); drop table secret; select (true', 'true, true',
	    'true) union select from secret where (true', 'true), false), (array[(true', 'false), false])[1] or (array[(true', "true /* ", 'true) --';
	is($tries->('item', 'list', "item.list_id = list.id -- a comment"), '', 'a comment is one');
	like($tries->('item', 'part', 'item.id = part.id'), qr/42809: part is not an ordinary table/, 'a view');
	like($tries->('item', 'cut', 'item.id = cut.id'), qr/42809/, 'a partitioned table');
	like($tries->('item', 'parts', 'item.id = parts.n'), qr/0A000: the condition names a column of parts that is generated/, 'a generated column');
	is($session->value('select word from secret'), 'x', 'nothing was run');
	is($session->value(q(select count(*) from pg_class where relname = 'replicache_probe')), 0, 'or left');
	is($tries->('item', 'other.item', 'item.id = source.item'), '', 'two tables of one name: the other is called source');
	is($tries->('item', 'list', 'list_id = list.id'), '', 'a name that only one has');
	is($session->value(q(select expression from replicache_source where source = 'list'::regclass)), '(item.list_id = list.id)', 'as it was understood');
	is($tries->('item', 'list', q(list.id = list_id and list.title is distinct from '%I %1$s')), '', 'text with signs of format()');
	my $people = Rig::People->new($session, qw(ann bob));
	$session->query(q(insert into list values (1, 'ann'); insert into item values (1, 1)));
	$people->all_pull('at first');
	$session->query(q(update list set owner = 'bob'));
	$people->all_pull('it works');
	is($people->keys('bob'), 'item/1', 'really');
};

subtest 'further up, and itself' => sub {
	my ($session) = database(q(
		create table team (id int primary key, boss text);
		create table list (id int primary key, team int references team on delete cascade);
		create table item (id int primary key, list_id int references list on delete cascade);
		create view item_audience as select i.id, t.boss as viewer from item as i join list as l on l.id = i.list_id join team as t on t.id = l.team;
		create table person (room int, who text, primary key (room, who));
		create view person_audience as select p.room, p.who, o.who as viewer from person as p join person as o using (room);
		insert into team values (1, 'ann'), (2, 'bob'); insert into list values (1, 1), (2, 2); insert into item values (1, 1), (2, 2)));
	my $said = says($session, q(select replicache_register_table('item', audience => 'item_audience')));
	like($said, qr/watches team/, 'one that no key joins to the table');
	unlike($said, qr/watches list/, 'but not one that a key joins');
	register($session, q(replicache_watch('item', 'team', 'exists (select from list as l where l.id = item.list_id and l.team = team.id)')));
	$said = says($session, q(select replicache_register_table('person', audience => 'person_audience')));
	like($said, qr/watches person, .*\n.*joined with itself.*\n.*replicache_watch\('person', 'person', 'person\. \.\.\. = source\. \.\.\.'\)/, 'a table that is joined with itself');
	register($session, q(replicache_watch('person', 'person', 'person.room = source.room')));
	my $people = Rig::People->new($session, qw(ann bob cal));
	$people->all_pull('at first');
	for my $sql (q(update team set boss = 'cal' where id = 1), q(update list set team = 1), q(delete from team where id = 2), q(delete from team),
	    q(insert into person values (1, 'ann'), (1, 'bob')), q(insert into person values (1, 'cal'), (2, 'cal') on conflict do nothing),
	    q(update person set room = 2 where who = 'bob'), q(update person set room = room + 10), q(insert into person values (1, 'bob') on conflict (room, who) do update set room = 2),
	    q(delete from person where who = 'cal'), q(delete from person)) {
		is($session->error($sql), '', $sql);
		$people->all_pull('all are right');
	}
};

subtest 'what a view shows' => sub {
	my ($session) = database(q(
		create table author (id int primary key, name text, age int);
		create table post (id int primary key, author int references author on delete set null);
		create view post_view as select p.id, a.name from post as p left join author as a on a.id = p.author;
		insert into author values (1, 'Ann', 1); insert into post values (1, 1), (2, 1), (3, null)));
	register($session, q(replicache_register_table('post', view => 'post_view')));
	is(check($session), 'fine: watch of author for table post: ', 'its source is watched');
	my $people = Rig::People->new($session, 'ann');
	$people->all_pull('at first');
	$session->query(q(update author set name = 'Anna'));
	is_deeply([ sort keys %{ $people->patch('ann') } ], [ 'post/1', 'post/2' ], 'a name changes: those rows');
	$people->all_pull('which is sent');
	$session->query(q(update author set age = 2));
	is_deeply($people->patch('ann'), {}, 'a column that is not shown does not');
	$session->query(q(delete from author));
	$people->all_pull('deleted');
	register($session, q(replicache_register_table('post')));
	is($session->value('select count(*) from replicache_source'), 0, 'without the view there is no watch');
};

subtest 'what can not be watched' => sub {
	my ($session) = database(q(
		create table doc (id int primary key, folder text);
		create table member (folder text, who text);
		create function who_may(doc) returns setof text language sql stable as 'select who from member as m where m.folder = $1.folder';
		create view doc_audience as select d.id, w as viewer from doc as d, who_may(d) as w;
		create materialized view seen as select id, 'ann' as viewer from doc;
		create view seen_audience as select * from seen));
	my $said = says($session, q(select replicache_register_table('doc', audience => 'doc_audience')));
	like($said, qr/watches who_may\(doc\), .*\n.*what it reads is not known.*\n.*Call replicache_touch\('doc', \.\.\.\)/, 'a function that reads');
	register($session, q(replicache_watch('doc', 'member', 'doc.folder = member.folder')));
	my $people = Rig::People->new($session, qw(ann bob));
	$session->query(q(insert into doc values (1, 'f'); insert into member values ('f', 'ann')));
	$people->all_pull('but what it reads can');
	is($people->keys('ann'), 'doc/1', 'be watched by hand');
	$session->query(q(update member set who = 'bob'));
	$people->all_pull('changed');
	unlike(says($session, q(create table open (id int primary key, owner text, list int);
		create view open_audience as select id, owner as viewer from open union select o.id, m.who from open as o join member as m on m.folder = o.list::text;
		select replicache_register_table('open', audience => 'open_audience'))), qr/watches open,/, 'a union does not join a table with itself');
	like(says($session, q(select replicache_register_table('doc', audience => 'seen_audience'))), qr/watches seen, .*\n.*materialized view/, 'a materialized view');
};

subtest 'who writes needs no right on the table' => sub {
	my ($session, $database) = database(sprintf($OWNED, '') . q(insert into list values (1, 'ann'); insert into item values (1, 1);
		grant select, update, delete on list to clerk));
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	my $people = Rig::People->new($session, qw(ann bob));
	$people->all_pull('at first');
	my $clerk = $cluster->session($database, 'clerk');
	$clerk->query(q(update list set owner = 'bob'));
	$people->all_pull('updated by a clerk');
	$clerk->query('delete from list');
	$people->all_pull('deleted');
	is($people->keys('bob'), '', 'and told');
};

subtest 'drops and renames' => sub {
	my ($session) = database(sprintf($OWNED, '') . q(insert into list values (1, 'ann'); insert into item values (1, 1)));
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	my $people = Rig::People->new($session, qw(ann bob));
	$people->all_pull('at first');
	$session->query('alter table list disable trigger zz_replicache_watch_1');
	like(check($session), qr/fault: watch of list for table item: Changes are missed, for want of zz_replicache_watch_1/, 'a trigger that is disabled');
	$session->query(q(update list set owner = 'bob'));
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	is(check($session), 'fine: watch of list for table item: ', 'is made again');
	$people->all_pull('and clients start over');
	$session->query('begin; alter table list rename column owner to possessor');
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	$session->query('commit');
	is(check($session), 'fine: watch of list for table item: ', 'a column of the source is renamed');
	$people->all_pull('and all start over');
	$session->query(q(update list set possessor = 'ann'));
	$people->all_pull('a column of the source is renamed');
	$session->query('alter table item rename to things');
	is($session->error(q(update list set possessor = 'bob')), '', 'the table is renamed: its source can be written to');
	like(check($session), qr/fault: watch of list for table things: It, or the table/, 'and check says so');
	$session->query('alter table things rename to item');
	$session->query('drop table item cascade');
	is($session->error(q(update list set possessor = 'cal')), '', 'dropped: too');
	register($session, q(replicache_register_table('list')));
	is($session->value('select count(*) from replicache_source'), 0, 'and forgotten with the next registration');

	($session) = database(sprintf($OWNED, ''));
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	$session->query('drop table list cascade');
	$session->query(q(create or replace view item_audience as select id, 'ann' as viewer from item));
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	is(check($session), '', 'a source that is dropped');
	is($session->value(q(select count(*) from pg_proc where proname ~ '^replicache_watch_\d')), 0, 'leaves no function');
};

# All kinds at once, at random.
sub pick { return $_[ int rand @_ ] }

for my $soft ('', ', deleted boolean not null default false') {
	my ($session) = database(q(
		create table list (id int primary key, owner text);
		create table member (list_id int references list on delete cascade on update cascade, who text, blocked boolean not null default false, primary key (list_id, who));
		create table item (id int primary key, list_id int references list on delete cascade on update cascade, note text) ;
		create view item_audience as
			select i.id, l.owner as viewer from item as i join list as l on l.id = i.list_id
			union select i.id, m.who from item as i join member as m using (list_id)
				where not exists (select from member as b where b.list_id = m.list_id and b.who = m.who and b.blocked) and not m.blocked;
	) =~ s/note text\) /"note text$soft)"/er);
	register($session, q(replicache_register_table('item', audience => 'item_audience')));
	register($session, q(replicache_watch('item', 'member', 'item.list_id = member.list_id')));
	my @name = qw(ann bob cal);
	my $people = Rig::People->new($session, @name);
	my (@log, $wrong);
	for my $step (1 .. 150) {
		my @changes = map {
			my ($id, $list, $who) = (int rand 8, int rand 3, pick(@name));
			pick("insert into list values ($list, '$who') on conflict do nothing",
			    "insert into list values ($list, '$who') on conflict (id) do update set owner = excluded.owner",
			    "update list set owner = '$who' where id = $list", "update list set owner = '$who'", "delete from list where id = $list",
			    "update list set id = id + 10 where id = $list and not exists (select from list where id = $list + 10)",
			    "insert into member select id, '$who' from list on conflict do nothing",
			    "insert into member select id, '$who' from list where id = $list on conflict (list_id, who) do update set blocked = not member.blocked",
			    "delete from member where who = '$who'", "delete from member where list_id = $list",
			    "update member set blocked = not blocked where list_id = $list",
			    "insert into item select $id, id from list where id >= $list limit 1 on conflict (id) do update set list_id = excluded.list_id",
			    "insert into item select $id, id from list where id = $list on conflict do nothing",
			    "delete from item where id = $id", "update item set note = 'n' || random() where id = $id");
		} 1 .. 1 + rand 3;
		push @log, [@changes];
		$session->query('begin');
		for (@changes) {
			$session->query($_);
			$people->learn(q(select viewer, 'item/' || id from item_audience));
		}
		$session->query('commit');
		my $name = pick(@name);
		$wrong = $people->pull($name) and last;
	}
	ok(!$wrong, 'at random: each has what they may see, and was told of nothing else' . ($soft && ', with a column deleted'))
	    || diag("$wrong\nafter ", join("\n", map { "@$_" } @log[ -5 .. -1 ]));
	is($session->value('select count(*) from replicache_pending'), 0, 'nothing is left over');
}

done_testing;
