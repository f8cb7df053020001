#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Read rules: each user syncs what they may see, and hears of nothing else.

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
$cluster->admin->query('create role web login');

sub database
{
	my ($template) = @_;
	my $database = $cluster->database($template);
	$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');
	return ($database, $cluster->session($database));
}

sub version { $_[0]->value('select max(version) from replicache_version') }
sub floor { $_[0]->value('select floor from replicache_state') }

subtest 'private rooms' => sub {
	my ($database, $session) = database('rooms');
	my $people = Rig::People->new($session, qw(ann bob cal));
	my $mutation = 0;
	my $does = sub {
		my ($who, $name, $args) = @_;
		$mutation++;
		return $session->value("select coalesce(replicache_guard('c', 'g', $mutation, '$who', '$name', '$args'), 'applied')");
	};
	is($does->('ann', 'createRoom', '{"id":"r","name":"Attic"}'), 'applied', 'a room');
	is($does->('ann', 'sayInRoom', '{"id":"m1","room":"r","content":"dust"}'), 'applied', 'a message');
	$people->all_pull('ann has it');
	is($people->keys('ann'), 'room/r room_member/r/ann room_message/m1', 'with all that belongs to it');
	is($people->keys('bob'), '', 'bob has not');

	is($does->('ann', 'sayInRoom', '{"id":"m2","room":"r","content":"more dust"}'), 'applied', 'another');
	is_deeply($people->patch('bob'), {}, 'of which bob is told nothing');
	is_deeply([ keys %{ $people->patch('ann') } ], ['room_message/m2'], 'and ann the message');
	is($does->('bob', 'sayInRoom', '{"id":"m3","room":"r","content":"me"}'), 'mutator_error', 'bob can not speak there');
	is($does->('bob', 'sayInRoom', '{"id":"m3","room":"none","content":"me"}'), 'mutator_error', 'nor in no room');
	is($session->value(q(select count(distinct regexp_replace(message, 'r of|none of', '')) from replicache_failed_mutation)), 1,
	    'and learns nothing from that');
	is($does->('bob', 'invite', '{"room":"r","user":"bob"}'), 'mutator_error', 'nor invite himself');

	is($does->('ann', 'invite', '{"room":"r","user":"bob"}'), 'applied', 'bob is invited');
	is(join(' ', sort keys %{ $people->patch('ann') }), 'room/r room_member/r/ann room_member/r/bob room_message/m1 room_message/m2', 'ann is told of bob, and again of what bob gained');
	is_deeply($people->patch('cal'), {}, 'cal of nothing');
	$people->all_pull('all are right');
	is($people->keys('bob'), 'room/r room_member/r/ann room_member/r/bob room_message/m1 room_message/m2',
	    'bob has what was there before him');

	$session->query(q(update room_message set content = 'edited' where id = 'm1'));
	is(join(' ', keys %{ $people->patch('bob') }), 'room_message/m1', 'an edit');
	is_deeply($people->patch('cal'), {}, 'is not for cal');
	$does->('cal', 'createRoom', '{"id":"s","name":"Cellar"}');
	$does->('cal', 'invite', '{"room":"s","user":"ann"}');
	$people->all_pull('another room');
	$session->query(q(update room_message set room_id = 's' where id = 'm2'));
	is($people->patch('bob')->{'room_message/m2'}, undef, 'a message that moves is gone for bob');
	like($people->patch('cal')->{'room_message/m2'}, qr/more dust/, 'there for cal');
	like($people->patch('ann')->{'room_message/m2'}, qr/more dust/, 'and still there for ann');
	$people->all_pull('all are right');
	$session->query(q(delete from room_message where id = 'm2'));
	is_deeply($people->patch('bob'), {}, 'its end is no news to bob');
	$people->all_pull('all are right');

	is($does->('bob', 'leaveRoom', '{"room":"r"}'), 'applied', 'bob leaves');
	is(join(' ', sort keys %{ $people->patch('ann') }), 'room_member/r/bob', 'ann is told');
	$people->all_pull('all are right');
	is($people->keys('bob'), '', 'bob has nothing left');
	is($does->('ann', 'leaveRoom', '{"room":"r"}'), 'applied', 'the last one leaves');
	is($session->value(q(select count(*) from room_message)), 0, 'the room is gone, and its messages');
	$people->all_pull('also for ann');
	is($session->value('select count(*) from replicache_tombstone'), 0, 'no key is told to everybody');
	$session->query(q(truncate room_message));
	$people->all_pull('truncated');

	is($session->value('select count(*) > 0 from replicache_hidden'), 't', 'there are keys to forget');
	$session->query(q(select replicache_purge('0')));
	is($session->value('select count(*) from replicache_hidden'), 0, 'which are purged');
	is($session->value('select count(*) from replicache_user_floor'), 0, 'and floors that are below the floor');
	$people->all_pull('and still right');
};

# Rules of several kinds, with the same columns: folder decides, by a table of
# members; a row can be hidden besides; people other than the owner see a part.
my $RULES = q(
	create table doc (id int primary key, folder text, hidden boolean not null default false, note text %s);
	create table member (folder text, who text, primary key (folder, who));
	create view doc_audience as select d.id, m.who as viewer from doc as d join member as m using (folder);
	create function member_changes() returns trigger language plpgsql security definer set search_path from current as $$
	begin
		if random() < 0.5 then
			perform replicache_touch(array[coalesce(new.who, old.who)]);
		else
			perform replicache_touch('doc', 'folder', coalesce(new.folder, old.folder));
		end if;
		return coalesce(new, old);
	end $$;
	create trigger member_changes before insert or delete on member for each row execute function member_changes();
);
my %KIND = (
	'a table' => q(select replicache_register_table('doc', audience => 'doc_audience')),
	'a view' => q(create view doc_view as select id, case when folder <> replicache_user_id() then note end as note from doc where not hidden;
		select replicache_register_table('doc', view => 'doc_view', omit => '{id}', audience => 'doc_audience')),
	'row level security' => q(alter table doc enable row level security;
		create policy mine on doc to web using (not hidden and folder <> coalesce(replicache_claim('not'), ''));
		select replicache_register_table('doc', audience => 'doc_audience')),
	'an audience by a function' => q(create function who_may(doc) returns setof text language sql stable as
			'select m.who from member as m where m.folder = $1.folder and not $1.hidden';
		create or replace view doc_audience as select d.id, w as viewer from doc as d, who_may(d) as w;
		select replicache_register_table('doc', audience => 'doc_audience')),
	'an audience by a whole row' => q(create or replace view doc_audience as
			select d.id, m.who as viewer from doc as d join member as m on m.folder = to_jsonb(d) ->> 'folder';
		select replicache_register_table('doc', audience => 'doc_audience')),
	'an audience that hides' => q(create or replace view doc_audience as
			select d.id, m.who as viewer from doc as d join member as m using (folder) where not d.hidden;
		select replicache_register_table('doc', audience => 'doc_audience')),
);

sub pick { return $_[ int rand @_ ] }

sub change
{
	my $id = int rand 12;
	my $folder = pick(qw(a b c));
	return pick(
	    "insert into doc (id, folder, note) values ($id, '$folder', 'n' || random()) on conflict (id) do update set note = excluded.note",
	    "insert into doc (id, folder, note) values ($id, '$folder', 'n') on conflict do nothing",
	    "update doc set folder = '$folder' where id = $id",
	    "update doc set folder = '$folder' where id >= $id",
	    "update doc set hidden = not hidden where id = $id",
	    "update doc set note = 'm' || random() where id between $id and $id + 2",
	    "update doc set id = id + 100 where id = $id and not exists (select from doc where id = $id + 100)",
	    "update doc set note = note",
	    "delete from doc where id = $id",
	    "delete from doc where id > 100",
	    sprintf(q(insert into member values ('%s', '%s') on conflict do nothing), $folder, pick(qw(ann bob cal))),
	    sprintf(q(delete from member where folder = '%s' and who = '%s'), $folder, pick(qw(ann bob cal))),
	    "delete from member where folder = '$folder'");
}

for my $kind (sort keys %KIND) {
	for my $soft ('', ', deleted boolean not null default false') {
		my $about = $kind . ($soft && ', with a column deleted');
		my ($database, $session) = database('core');
		$session->query(sprintf($RULES, $soft));
		$session->query($KIND{$kind});
		$session->query('grant all on mirror, member to web; grant execute on all functions in schema public to web');
		$cluster->grant($database, 'web');
		my $people = Rig::People->new($cluster->session($database, 'web'), qw(ann bob cal));
		my $learner = bless { %$people, session => $session }, 'Rig::People';
		my (@log, $wrong);
		for my $step (1 .. 120) {
			my @changes = map { change() } 1 .. 1 + rand 3;
			push @log, [@changes];
			$session->query('begin');
			for my $change (@changes) {
				$session->query($change);
				$learner->learn(q(select viewer, 'doc/' || id from doc_audience));
			}
			$session->query('commit');
			my $name = pick(qw(ann bob cal));
			$wrong = $people->pull($name) and last;
		}
		ok(!$wrong, "$about: each has what they may see, and was told of nothing else")
		    || diag("$wrong\nafter ", join("\n", map { "@$_" } @log[ -5 .. -1 ]));
		is($session->value('select count(*) from replicache_tombstone'), 0, "$about: no key is told to everybody");
	}
}

subtest 'touch' => sub {
	my ($database, $session) = database('core');
	$session->query(sprintf($RULES, '') . 'drop trigger member_changes on member');
	$session->query($KIND{'a table'});
	$session->query(q(create table open (id int primary key); do $$ begin perform replicache_register_table('open'); end $$;
		insert into open values (1), (2);
		insert into doc values (1, 'a'), (2, 'a'), (3, 'b'); insert into member values ('a', 'ann'), ('b', 'bob')));
	my $people = Rig::People->new($session, qw(ann bob));
	$people->all_pull('at first');
	my $before = version($session);
	is($session->value(q(select replicache_touch('doc', 'folder', 'a'))), 2, 'the rows that were touched');
	is($session->value("select string_agg(id::text, ' ') from doc where version > $before"), '1 2', 'have another version');
	is($session->value('select count(*) from replicache_version where version > ' . $before), 1, 'which is one');
	$session->query(q(begin; select replicache_touch('doc', 'folder', 'a')));
	$session->query(q(update member set who = 'bob' where folder = 'a'; commit));
	$people->all_pull('a member replaced');
	is($people->keys('bob'), 'doc/1 doc/2 doc/3 open/1 open/2', 'by bob');
	is($people->keys('ann'), 'open/1 open/2', 'and not ann');
	is($session->value(q(select replicache_touch('open', 'id', '2'))), 1, 'a table without an audience');
	is(join(' ', keys %{ $people->patch('ann') }), 'open/2', 'is told anew');
	like($session->error(q(select replicache_touch('member', 'who', 'ann'))), qr/42P01: member is not registered/, 'not registered');
	like($session->error(q(select replicache_touch('doc', 'nothing', 'ann'))), qr/42703: doc has no column nothing/, 'no such column');
	like($session->error(q(select replicache_touch('doc', 'id', 'ann'))), qr/22P02/, 'no such value');
	is($session->value(q(select replicache_touch('doc', 'note', 'none'))), 0, 'no row');
	is($session->value(q(select current_setting('replicache.touching', true) = 'on')) // 'f', 'f', 'nothing stays behind');
	$session->query(q(select replicache_touch('{ann,"",NULL,nobody}'::text[])));
	is($session->value(q(select string_agg(user_id, ' ' order by user_id) from replicache_user_floor)), 'ann nobody',
	    'users: those who are named');
	$people->all_pull('and start over');
};

subtest 'registering again' => sub {
	my ($database, $session) = database('core');
	$session->query(sprintf($RULES, ''));
	$session->query(q(insert into doc values (1, 'a'), (2, 'b'); do $$ begin perform replicache_register_table('doc'); end $$));
	my $people = Rig::People->new($session, qw(ann bob));
	$people->all_pull('at first all is open');
	my $floor = floor($session);
	$session->query($KIND{'a table'});
	cmp_ok(floor($session), '>', $floor, 'with an audience all start over');
	$people->all_pull('and have nothing');
	is($people->keys('ann'), '', 'really');
	$floor = floor($session);
	$session->query($KIND{'a table'});
	is(floor($session), $floor, 'again, nothing');
	$session->query(q(create or replace view doc_audience as select id, 'ann' as viewer from doc));
	$session->query($KIND{'a table'});
	$people->all_pull('another audience');
	is($people->keys('ann'), 'doc/1 doc/2', 'for ann');
	is($people->keys('bob'), '', 'not for bob');
	$session->query(q(do $$ begin perform replicache_unregister_table('doc'); end $$));
	$people->all_pull('unregistered');
	is($session->value('select count(*) from replicache_tombstone'), 0, 'nobody was told a key');
	$session->query($KIND{'a table'});
	$session->query(q(insert into doc values (3, 'c')));
	$session->query(q(do $$ begin perform replicache_register_table('doc'); end $$));
	$people->all_pull('open again');
	is($people->keys('bob'), 'doc/1 doc/2 doc/3', 'for all');
	$session->query('drop view doc_audience');
	$session->query('delete from doc');
	$people->all_pull('and gone');
};

subtest 'claims' => sub {
	my ($database, $session) = database('core');
	my $claim = sub { $session->value("begin; set local replicache.claims = '$_[0]'; select replicache_claim('$_[1]'); commit") };
	$session->query('begin');
	my @cases = (
		[ '', 'role', undef ], [ '{}', 'role', undef ],
		[ '{"role":"admin"}', 'role', 'admin' ], [ '{"role":"admin"}', 'rol', undef ],
		[ '{"role":null}', 'role', undef ], [ '{"n":12}', 'n', 12 ],
		[ '{"a":["x","y"]}', 'a', '["x","y"]' ],
	);
	for my $case (@cases) {
		my ($claims, $name, $value) = @$case;
		$session->query("do \$do\$ begin perform set_config('replicache.claims', '$claims', true); end \$do\$");
		is($session->value("select replicache_claim('$name')"), $value, "$name of $claims");
	}
	$session->query('commit');
	is($session->value(q(select replicache_claim('role'))), undef, 'none outside');
	$session->query(q(begin; select replicache_enter('c', 'g', 1, 'u', '{"role":"admin"}')));
	is($session->value(q(select replicache_claim('role'))), 'admin', 'in a mutation');
	$session->query(q(select replicache_enter('c', 'g', 1, 'u')));
	is($session->value(q(select replicache_claim('role'))), undef, 'and not in the next one');
	$session->query('commit');
};

subtest 'what the role of the program may do' => sub {
	my ($database, $session) = database('rooms');
	$session->query('drop table mirror cascade');
	$cluster->grant($database, 'web');
	my $may = sub {
		my ($sql) = @_;
		return join ' ', map { $_->[0] } @{ $session->query($sql) };
	};
	is($may->(q(select p.oid::regprocedure from pg_proc as p join pg_namespace n on n.oid = p.pronamespace
		where n.nspname = 'public' and proname !~ '^mirror_' and has_function_privilege('web', p.oid, 'execute') order by p.oid::regprocedure::text)),
	    join(' ', $may->(q(select p.oid::regprocedure from pg_proc as p where proname in ('replicache_push_begin', 'replicache_is_forgotten', 'replicache_enter',
		'replicache_guard', 'replicache_check_constraints', 'replicache_record_failure', 'replicache_record_failures', 'replicache_note_trouble',
		'replicache_examine', 'replicache_forget_session', 'replicache_user_id', 'replicache_claim',
		'replicache_client_id', 'replicache_client_group_id', 'replicache_mutation_id', 'replicache_next_version', 'replicache_touch', 'replicache_touch_readable',
		'create_room', 'invite', 'leave_room', 'say_in_room') order by p.oid::regprocedure::text))), 'it may execute these functions and no other');
	is($may->(q(select p.oid::regprocedure from pg_proc as p join pg_namespace n on n.oid = p.pronamespace
		cross join lateral aclexplode(coalesce(proacl, acldefault('f', proowner))) as a
		where n.nspname = 'public' and proname !~ '^mirror_' and a.grantee = 0 order by p.oid::regprocedure::text)), '', 'PUBLIC may execute none');
	my @relations = split / /, $may->(q(select relname from pg_class as c join pg_namespace n on n.oid = relnamespace
		where n.nspname = 'public' and relkind in ('r', 'v', 'S', 'm') order by 1));
	my $web = $cluster->session($database, 'web');
	my (@reads, @writes);
	for my $relation (@relations) {
		push @reads, $relation if $web->error("select from $relation limit 1") eq ''
		    || $session->value("select has_any_column_privilege('web', '$relation', 'select')") eq 't';
		# That of the version lock has none.
		my $column = $session->value("select quote_ident(attname) from pg_attribute where attrelid = '$relation'::regclass and attnum = 1");
		for my $sql ("insert into $relation default values", defined $column ? "update $relation set $column = $column" : (),
		    "delete from $relation", "truncate $relation", "alter table $relation owner to web", "drop table $relation",
		    "lock table $relation in exclusive mode") {
			push @writes, $sql if $web->error("begin; $sql; rollback") !~ /(?:42501|42809|55000)/;
			$web->query('rollback');
		}
	}
	is("@reads", 'replicache_client_group replicache_client_step replicache_hidden replicache_mutator replicache_schema_version'
	    . ' replicache_state replicache_table replicache_timeline replicache_tombstone replicache_user_floor replicache_version'
	    . ' room room_audience room_member room_member_audience room_message room_message_audience', 'it may read these relations');
	is("@writes", '', 'and write to none');
	is($web->value(q(select coalesce(replicache_guard('c', 'g', 1, 'ann', 'createRoom', '{"id":"r","name":"n"}'), 'applied'))), 'applied',
	    'but call a mutator');
	like($web->error('create table mine (a int)'), qr/42501/, 'nor create a table');
	like($web->error('set role postgres'), qr/42501/, 'nor be another');

	my $refuses = sub {
		my ($error, $about) = @_;
		eval { $cluster->grant($database, 'strong') };
		like($@, $error, $about);
	};
	$refuses->(qr/there is no role strong/, 'a role that is not there is refused');
	for my $way (qw(superuser bypassrls createrole replication)) {
		$cluster->admin->query("create role strong login $way");
		$refuses->(qr/role strong may do too much/, "$way is refused");
		$cluster->admin->query('drop role strong');
	}
	$cluster->admin->query('create role strong login in role app');
	$refuses->(qr/role strong may do too much: \S+ is its own/, 'a member of the owner is refused');
	$cluster->admin->query('drop role strong; create role strong login in role pg_read_all_data');
	$cluster->grant($database, 'strong');
	pass('another one is not');
};

done_testing;
