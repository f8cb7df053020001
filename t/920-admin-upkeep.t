#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# replicache-admin: purge, new-epoch, and failed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::Place qw(find_tool);

my $cluster = Rig::Cluster->start;

sub place
{
	my $database = $cluster->database($_[0] // 'chat');
	return (Rig::Admin->new($cluster->conninfo($database)), $cluster->session($database), $database);
}

sub days_pass
{
	my ($session, $days) = @_;
	$session->query("select replicache_horizon('0');
		update replicache_version_time set at = at - interval '$days days';
		update replicache_failed_mutation set failed_at = failed_at - interval '$days days'");
}

# Whether all that destroys asks first.
sub asks
{
	my ($admin, $session, $question, @verb) = @_;
	my $state = q(select (select max(version) from replicache_version) || ' ' || floor || ' '
		|| (select count(*) from replicache_failed_mutation) from replicache_state);
	my $before = $session->value($state);
	my $run = $admin->run(@verb);
	is($run->{exit}, 5, "@verb: not without being asked");
	like($run->{error}, $question, 'it says what it would do');
	like($run->{error}, qr/--yes/, 'and how');
	SKIP: {
		skip 'script is not installed', 4 unless defined find_tool('script');
		for my $answer ("no\n", "\n", "y\n") {
			is($admin->typing($answer, @verb)->{exit}, 5, 'only yes is yes');
		}
		like($admin->typing("no\n", @verb)->{out}, $question, 'it asks on a terminal');
	}
	is($session->value($state), $before, 'nothing was done');
}

subtest 'purge' => sub {
	my ($admin, $session) = place();
	$session->query(q(do $$ begin create table hard (id int primary key); perform replicache_register_table('hard'); end $$;
		insert into message (id, sender, content, ord) select 'm' || n, '', '', 1 from generate_series(1, 5) as n; insert into hard select generate_series(1, 5)));
	$session->query(q(delete from message where id <> 'm1'; delete from hard where id <> 1; select replicache_guard('c', 'g', 1, 'u', 'nope', '1')));
	$session->query(q(do $$ begin perform replicache_push_begin('{g}', '{u}', '{a}', '{g}', '{u}', '{0}', '{1}'); end $$));
	my $gone = $session->value('select max(version) from replicache_tombstone');
	days_pass($session, 40);
	$session->query('delete from hard; delete from message');
	asks($admin, $session, qr/longer than 30 days ago\?/, 'purge');
	asks($admin, $session, qr/longer than 1 day ago, and forget clients unseen for 2 years\?/, 'purge', '--older-than', '1 day', '--clients', '2 years');
	is_deeply($admin->json('--yes', 'purge'), { rows_dropped => 9, clients_forgotten => 0 }, 'what is old goes');
	is($session->value('select floor from replicache_state'), $gone, 'the floor is where that was');
	is($session->value(q(select (select count(*) from replicache_tombstone) || ' ' || (select count(*) from message where deleted))), '1 1', 'what is young stays');
	is_deeply($admin->json('--yes', 'purge'), { rows_dropped => 0, clients_forgotten => 0 }, 'once');
	is_deeply($admin->json('--yes', 'purge', '--older-than', '0', '--clients', '30 days'),
		{ rows_dropped => 2, clients_forgotten => 1 }, 'all, and clients');
	is($session->value('select retired from replicache_client_group'), 't', 'by the rule');
	for my $bad ([ '--older-than', 'long' ], [ '--older-than', '-1 day' ], [ '--clients', 'x' ]) {
		my $run = $admin->run('--yes', 'purge', @$bad);
		is($run->{exit}, 1, "@$bad");
		like($run->{error}, qr/interval|negative/, 'is told');
	}
};

# A step takes 10,000 rows: here are 25,000 of as many versions, and as many of one.
subtest 'purge, step by step' => sub {
	my ($admin, $session) = place('core');
	$session->query(q(do $$ begin
		create table soft (id int primary key, deleted boolean); perform replicache_register_table('soft');
	end $$; insert into soft select generate_series(1, 25000)));
	$session->query(q(do $$ declare v bigint := replicache_next_version(); begin
		insert into replicache_tombstone select 'old/' || n, v - 30000 + n from generate_series(1, 25000) as n;
	end $$));
	$session->query('delete from soft where id > 10');
	is($session->value(q(select string_agg(h::text, ' ') = (select string_agg(v::text, ' ' order by v) from
		(select v.version - 30000 + n as v from (select max(version) - 1 as version from replicache_version) v, unnest(array[10000, 20000]) as n
		union all select max(version) from replicache_version) x)
		from replicache_purge_steps((select max(version) from replicache_version), 10000) as h)), 't', 'the steps');
	days_pass($session, 40);
	SKIP: {
		skip 'script is not installed', 2 unless defined find_tool('script');
		my $run = $admin->typing('', '--yes', 'purge');
		is($run->{exit}, 0, 'on a terminal');
		like($run->{out}, qr/\rpurge \[\.{40}\] 0%\rpurge \[#+\.*\] 33%.*100%\r\e\[Krows dropped +49990/s, 'a bar tells how far it is');
	}
	my $run = $admin->run('--yes', 'purge', '--older-than', '0');
	is($run->{error}, '', 'elsewhere there is none');
	is($session->value('select count(*) from soft'), 10, 'all is dropped');
};

subtest 'new-epoch' => sub {
	my ($admin, $session) = place();
	$session->query(q(insert into message (id, sender, content, ord) values ('m', '', '', 1)));
	my $before = $session->value('select max(version) from replicache_version');
	asks($admin, $session, qr/every client start over/, 'new-epoch');
	my $version = $admin->json('--yes', 'new-epoch')->{version};
	cmp_ok($version, '>', $before, 'the version jumps');
	is($session->value('select floor || $$ $$ || epoch from replicache_state'), "$version $version", 'and the floor and the epoch');
	SKIP: {
		skip 'script is not installed', 1 unless defined find_tool('script');
		is($admin->typing("yes\n", 'new-epoch')->{exit}, 0, 'or by saying yes');
	}
};

subtest 'failed' => sub {
	my ($admin, $session, $database) = place();
	is_deeply($admin->json('failed', 'list'), { failed_mutations => [] }, 'none');
	is($admin->run('failed', 'list')->{out}, '', 'none, for people');
	$session->query(q(create table note (id int primary key, who text);
		create function take_note(args jsonb) returns void language sql as $f$
			insert into note values ((args->>'id')::int, concat_ws(' ', replicache_user_id(), replicache_client_id(), replicache_mutation_id(), current_user)) $f$;
		do $$ begin perform replicache_register_mutator('takeNote', 'take_note');
			perform replicache_guard('c1', 'g', 4, 'u', 'takeNote', '{"id":"one"}');
			perform replicache_guard('c1', 'g', 5, 'u', 'later', '{"id":5}');
			perform replicache_guard('c2', 'g', 1, 'v', 'takeNote', '{"id":6');
		end $$));
	my $list = $admin->json('failed', 'list')->{failed_mutations};
	is_deeply([ map { "$_->{client_id} $_->{mutation_id} $_->{name} $_->{code}" } sort { $a->{client_id} . $a->{mutation_id} cmp $b->{client_id} . $b->{mutation_id} } @$list ],
		[ 'c1 4 takeNote mutator_error', 'c1 5 later unknown_mutator', 'c2 1 takeNote unstorable_text' ], 'a list');
	my $one = $admin->json('failed', 'show', 'c1', 4)->{failed_mutation};
	is_deeply([ @$one{qw(user_id client_group_id sqlstate)}, $one->{args} ], [ 'u', 'g', '22P02', { id => 'one' } ], 'one, with its args');
	like($admin->run('failed', 'show', 'c1', 4)->{out}, qr/^args +\{"id":"one"\}$/m, 'for people');
	for my $verb (qw(show retry), 'discard') {
		for my $name ([ 'c1', 9 ], [ 'c9', 4 ], [ 'c1', 'x' ]) {
			my $run = $admin->run('--yes', 'failed', $verb, @$name);
			is($run->{exit}, 1, "$verb @$name");
			like($run->{error}, qr/mutation $name->[1] of client $name->[0] is not among/, 'is told');
		}
	}

	my $run = $admin->run('failed', 'retry', 'c1', 5);
	is($run->{exit}, 3, 'it fails again');
	is($session->value('select count(*) from replicache_failed_mutation'), 3, 'and stays');
	$session->query(q(do $$ begin perform replicache_register_mutator('later', 'take_note'); end $$));
	my $before = $session->value('select max(version) from replicache_version');
	is_deeply($admin->json('failed', 'retry', 'c1', 5), { applied => 1, failed_again => 0 }, 'once its mutator is there, it works');
	is($session->value('select who from note where id = 5'), 'u c1 5 app', 'as whoever made it');
	cmp_ok($session->value('select max(version) from replicache_version'), '>', $before, 'clients hear of it');
	is($session->value('select count(*) from replicache_failed_mutation'), 2, 'it leaves the ledger');
	is($admin->run('failed', 'retry', 'c1', 5)->{exit}, 1, 'once');
	$run = $admin->run('failed', 'retry', 'c2', 1);
	is($run->{exit}, 1, 'one whose args are no JSON');
	like($run->{error}, qr/args .* could not be kept/, 'is told');

	# As the role of the program.
	$cluster->admin->query('create role web login');
	$session->query(q(do $$ begin perform replicache_guard('c3', 'g', 1, 'w', 'nope', '{"id":7}');
		perform replicache_register_mutator('nope', 'take_note'); end $$));
	$cluster->grant($database, 'web');
	$cluster->admin->query('grant web to app');
	$run = $admin->run('failed', 'retry', 'c3', 1, '--role', 'web');
	is($run->{exit}, 3, 'the role may not') or diag("$run->{out}$run->{error}");
	$session->query('grant insert on note to web');
	is_deeply($admin->json('failed', 'retry', 'c3', 1, '--role', 'web'), { applied => 1, failed_again => 0 }, 'it may');
	is($session->value('select who from note where id = 7'), 'w c3 1 web', 'it was that role');

	# As the role that it failed as: what a policy refused stays refused.
	$session->query(q(alter table note enable row level security; create policy own on note to web with check (who like 'u %')));
	my $web = $cluster->session($database, 'web');
	my $push = sub { $web->query("select replicache_guard('c5', 'g', $_[0], '$_[1]', 'takeNote', '{\"id\":$_[2]}')") };
	$push->(1, 'mallory', 51);
	is($admin->json('failed', 'show', 'c5', 1)->{failed_mutation}{role}, 'web', 'the ledger has the role');
	is_deeply($admin->json(3, 'failed', 'retry', 'c5', 1), { applied => 0, failed_again => 1 }, 'the owner retries, and the policy holds');
	$session->query(q(delete from replicache_failed_mutation where client_id <> 'c5'));
	is_deeply($admin->json(3, 'failed', 'retry', '--all'), { applied => 0, failed_again => 1 }, 'with --all, too');
	is($admin->json('failed', 'show', 'c5', 1)->{failed_mutation}{role}, 'web', 'it still has that role');
	$session->query(q(begin; update replicache_failed_mutation set role = 'postgres'));
	like($session->error(q(select replicache_retry('c5', 1))), qr/42501: permission denied to set role/, 'who is not a member of it can not');
	$session->query('rollback');
	$session->query('begin; set local role app');
	is($session->value(q(select replicache_retry('c5', 1) || ' ' || current_setting('role'))), 'mutator_error app', 'the role of before is set again');
	$session->query('rollback');
	$web->query('begin; set role web');
	$push->(2, 'mallory', 52);
	$web->query('commit');
	is($session->value(q(select role from replicache_failed_mutation where mutation_id = 2)), 'web', 'a role that was set');
	is_deeply($admin->json('failed', 'retry', 'c5', 1, '--role', 'app'), { applied => 1, failed_again => 0 }, 'another role is asked for');
	$session->query('update replicache_failed_mutation set role = null');
	for my $which ([ 'c5', 2 ], ['--all']) {
		$run = $admin->run('failed', 'retry', @$which);
		is($run->{exit}, 1, 'one of an older release');
		like($run->{error}, qr/not known as which role mutation 2 of client c5 failed/, 'has no role');
	}
	is_deeply($admin->json(3, 'failed', 'retry', '--all', '--role', 'web'), { applied => 0, failed_again => 1 }, 'which is asked for');
	$session->query('alter table note disable row level security');

	# All of them.
	$session->query(q(delete from replicache_failed_mutation; do $$ begin
		for i in 1 .. 20 loop
			perform replicache_guard('c4', 'g', i, 'u', 'missing', case when i % 5 = 0 then '{"id":"x"}' else format('{"id":%s}', 100 + i) end);
		end loop;
		perform replicache_register_mutator('missing', 'take_note'); end $$));
	is_deeply($admin->json(3, 'failed', 'retry', '--all'), { applied => 16, failed_again => 4 }, 'all at once');
	is($session->value(q(select string_agg(mutation_id || code, ' ' order by mutation_id) from replicache_failed_mutation)),
		'5mutator_error 10mutator_error 15mutator_error 20mutator_error', 'those that fail again stay');
	asks($admin, $session, qr/Discard this mutation\?/, 'failed', 'discard', 'c4', 5);
	is_deeply($admin->json('--yes', 'failed', 'discard', 'c4', 5), { discarded => 1 }, 'one is discarded');
	asks($admin, $session, qr/Discard all mutations/, 'failed', 'discard', '--all');
	is_deeply($admin->json('--yes', 'failed', 'discard', '--all'), { discarded => 3 }, 'and all');
	is_deeply($admin->json('failed', 'list'), { failed_mutations => [] }, 'none is left');
};

done_testing;
