#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Sessions side by side: a push, a person in psql, a pull, an administrator.
# They may wait for each other, never for ever.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir wait_until);

my $cluster = Rig::Cluster->start(settings => { deadlock_timeout => '100ms' });
my $database = $cluster->database('chat');
my ($push, $psql, $pull, $watch) = map { $cluster->session($database) } 1 .. 4;
$_->backend for $push, $psql;
$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');
$watch->query(q(
	create table item (id text primary key, note text);
	do $$ begin perform replicache_register_table('item'); end $$;
	insert into message (id, sender, content, ord) select i, 'me', 'hi', i from generate_series(1, 20) i;
	insert into item select i, 'hi' from generate_series(1, 20) i));

sub wait_for_lock
{
	my ($session) = @_;
	my $pid = $session->backend;
	wait_until(sub {
		$watch->value("select coalesce(wait_event_type, '') = 'Lock' from pg_stat_activity where pid = $pid") eq 't';
	}, 'a session to wait');
}

my $before = 0;

sub begin_push
{
	$before++;
	return "select replicache_push_begin('{g}', '{u}', '{c}', '{g}', '{u}', '{" . ($before - 1) . "}', '{$before}')";
}

# A person writes in the middle of a push.
for my $table (qw(message item)) {
	my $column = $table eq 'message' ? 'content' : 'note';
	for my $action ("update $table set $column = 'psql' where id = '1'", "delete from $table where id = '2'",
	    $table eq 'message' ? "insert into message (id, sender, content, ord) values ('n1', '', '', 1)" : "insert into item values ('n1')",
	    "update $table set $column = $column || '!'", "select 1 from $table where false for update; update $table set id = id") {
		$push->query('begin; ' . begin_push());
		$push->query("update $table set $column = 'push' where id = '3'");
		$psql->send($action);
		wait_for_lock($psql);
		$push->query("update $table set $column = 'push' where id in ('1', '2')");
		$push->query("update $table set $column = 'push'; commit");
		$psql->wait;
		pass("a push goes on while psql waits: $action");
		is($watch->value("select $column from $table where id = '3'"), 'push!', 'who waited writes on top') if $action =~ /!/;
	}
	$psql->query("begin; update $table set $column = 'first' where id = '4'");
	$push->send('begin; ' . begin_push() . '; commit');
	wait_for_lock($push);
	$psql->query("update $table set $column = 'second' where id in ('5', '3'); commit");
	$push->wait;
	pass('a push waits for psql');
}

# Locks taken before the version's are what can deadlock; the advice works.
{
	$psql->query('begin');
	$psql->query(q(select * from item where id = '5' for update));
	$push->query('begin; ' . begin_push());
	$push->send(q(update item set note = 'push' where id = '5'));
	wait_for_lock($push);
	$psql->send(q(update item set note = 'psql' where id = '5'));
	my $answers = $psql->wait_raw . $push->wait_raw;
	like($answers, qr/40P01/, 'rows locked before the version: a deadlock, which is found');
	$_->query('rollback') for $psql, $push;
	$before--;

	$psql->query('begin; select replicache_next_version()');
	$psql->query(q(select * from item where id = '5' for update));
	$push->send('begin; ' . begin_push());
	wait_for_lock($push);
	$psql->query(q(update item set note = 'psql' where id = '5'; commit));
	$push->wait;
	$push->query(q(update item set note = 'push' where id = '5'; commit));
	pass('with replicache_next_version() first, none');
}

# A pull waits for nobody and sees one moment.
{
	$push->query('begin; ' . begin_push());
	$push->query(q(update item set note = 'unseen'));
	$pull->query('set lock_timeout = 1; begin isolation level repeatable read read only');
	is($pull->value(q(select count(*) from item where note = 'unseen')), 0, 'a pull does not wait for a push');
	my $version = $pull->value('select max(version) from replicache_version');
	$push->query('commit');
	is($pull->value('select max(version) from replicache_version'), $version, 'its version stays');
	is($pull->value("select count(*) from item where version > $version"), 0, 'and so do its rows');
	$pull->query('commit');
	is($pull->value("select count(*) from item where version > $version"), 20, 'the next sees the push') or
	    diag $pull->value('select count(*) from item');
	$pull->query('reset lock_timeout');
}

# Whoever holds the lock may be killed.
{
	my $doomed = $cluster->session($database);
	$doomed->query('begin; select replicache_next_version()');
	$doomed->query(q(update item set note = 'doomed'));
	$push->send('begin; ' . begin_push() . '; commit');
	wait_for_lock($push);
	$watch->query('select pg_terminate_backend(' . $doomed->backend . ')');
	$push->wait;
	is($watch->value(q(select count(*) from item where note = 'doomed')), 0, 'the holder of the lock is killed: the next goes on');
}

# Timeouts of the waiting.
{
	$psql->query('begin; select replicache_next_version()');
	$push->query(q(set lock_timeout = '50ms'));
	like($push->error(begin_push()), qr/55P03/, 'lock_timeout ends the wait');
	$push->query(q(reset lock_timeout; set statement_timeout = '50ms'));
	like($push->error(q(update item set note = 'late')), qr/57014/, 'so does statement_timeout');
	$push->query('reset statement_timeout');
	$psql->query('rollback');
	$before--;
}

# An administrator in the middle of it.
for my $action (q(select replicache_purge('0')), 'select replicache_new_epoch()',
    q(select replicache_register_table('item', 'it/')), q(select replicache_register_table('item')),
    q(select replicache_register_mutator('createMessage', 'delete_message')), q(insert into replicache_schema_version values ('x')),
    q(select replicache_unregister_table('message')), q(select replicache_register_table('message', view => 'message_entry', omit => '{id}'))) {
	$push->query('begin; ' . begin_push());
	$push->query(q(update item set note = 'push' where id = '1'));
	$psql->send($action);
	wait_for_lock($psql);
	$push->query(q(update message set content = 'push'; delete from item where id = '7'; insert into item values ('7'); commit));
	$psql->wait;
	pass("a push is not disturbed by $action");
}
$psql->query(q(delete from replicache_schema_version));

# All at once, in any order of rows: nobody may fail.
{
	$watch->query(q(
		create function churn(who text) returns int language plpgsql as $$
		declare
			a text := 1 + floor(random() * 20);
			b text := 1 + floor(random() * 20);
			r float := random();
		begin
			if r < 0.2 then
				update message set content = who where id = a;
				update item set note = who where id = b;
			elsif r < 0.4 then
				update item set note = who where id = b;
				update message set content = who where id = a;
			elsif r < 0.5 then
				delete from message where id = a;
				delete from item where id = b;
			elsif r < 0.6 then
				delete from item where id = a;
				delete from message where id = b;
			elsif r < 0.7 then
				insert into item values (a, who) on conflict (id) do update set note = excluded.note;
				insert into message (id, sender, content, ord) values (b, who, who, 1)
				on conflict (id) do update set content = excluded.content;
			elsif r < 0.8 then
				insert into message (id, sender, content, ord) values (b, who, who, 1) on conflict do nothing;
				insert into item values (a, who) on conflict do nothing;
			elsif r < 0.9 then
				update message set content = who;
			else
				update item set note = who where id > a;
			end if;
			return 0;
		exception when others then
			raise warning '% %', sqlstate, sqlerrm;
			return 1;
		end $$;
		create procedure churning(who text, rounds int, inout failed int) language plpgsql as $$
		begin
			for i in 1 .. rounds loop
				failed := failed + churn(who || i);
				if random() < 0.7 then
					commit;
				end if;
			end loop;
		end $$));
	my @writer = map { $cluster->session($database) } 1 .. 5;
	$writer[$_]->send("call churning('w$_', 120, 0)") for 0 .. $#writer;
	my ($rounds, $wrong) = (0, 0);
	while (grep { !$_->is_done } @writer) {
		my $n = $rounds++ % 3;
		$pull->query("begin isolation level repeatable read; do \$\$ begin perform mirror_pull('p$n'); end \$\$");
		$wrong++ if $pull->value("select view <> mirror_truth() from mirror where name = 'p$n'") eq 't';
		$pull->query('commit');
	}
	is(join(' ', map { $_->wait->[0][0] } @writer), '0 0 0 0 0', 'five writers in any order of rows: no deadlock, no error');
	is($wrong, 0, "clients that pulled meanwhile ($rounds times) saw the truth");
	for my $n (0 .. 2) {
		$pull->query("do \$\$ begin perform mirror_pull('p$n'); end \$\$");
		is($pull->value("select view = mirror_truth() from mirror where name = 'p$n'"), 't', "and at the end, client $n");
	}
}

done_testing;
