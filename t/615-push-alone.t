#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A batch is not seen: what one user's mutator leaves in the transaction or the
# session, the next user's does not meet; a mutation is recorded as failed only after
# it failed alone; whatever it fails by, it does not block its client for ever; and
# nobody waits for somebody else's backlog.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $owner = $cluster->admin;
my $superuser = $cluster->session($database, $owner->value('select current_user'));
$superuser->query('grant pg_monitor to app');

$session->query(<<'SQL');
create function leaves(args jsonb) returns void language plpgsql as $$
begin
	perform note('saw ' || coalesce(current_setting('app.tenant', true), ''));
	perform set_config('app.tenant', replicache_client_id(), true);
end $$;
create function scratch(args jsonb) returns void language plpgsql as $$
begin
	create temp table scratch on commit drop as select 1 as n;
	perform note('scratch');
end $$;
-- Said to leave nothing, and does.
create function bends(args jsonb) returns void language plpgsql as $$
begin
	set local role pg_monitor;
	set local search_path = pg_catalog;
	set local timezone = 'Asia/Tokyo';
	set local datestyle = 'German';
	set local statement_timeout = '1h';
end $$;
create function looks(args jsonb) returns void language plpgsql as $$
begin
	perform note(concat_ws(' ', 'stands', current_setting('role'), current_setting('search_path'),
		current_setting('timezone'), current_setting('datestyle'), current_setting('statement_timeout')));
end $$;
create function curses(args jsonb) returns void language plpgsql as $$
begin
	perform set_config('app.curse', 'on', true);
end $$;
create function is_cursed(args jsonb) returns void language plpgsql as $$
begin
	if current_setting('app.curse', true) = 'on' then raise 'cursed'; end if;
	perform note('not cursed');
end $$;
create sequence numbers;
create function litters(args jsonb) returns void language plpgsql as $$
begin
	execute 'set work_mem = ''3MB''';
	execute 'prepare litter as select 1';
	execute 'declare litter cursor with hold for select 1';
	execute 'listen litter';
	execute 'create temp table litter (id int)';
	perform pg_advisory_lock(4711), nextval('numbers');
	if args ? 'fail' then raise 'as asked'; end if;
end $$;
create function finds(args jsonb) returns void language plpgsql as $$
declare found text;
begin
	begin
		found := 'currval ' || currval('numbers');
	exception when object_not_in_prerequisite_state then
		found := '';
	end;
	perform note(concat_ws(' ', 'found', nullif(found, ''), (select 'work_mem' where current_setting('work_mem') = '3MB'),
		(select 'prepared' from pg_prepared_statements where name = 'litter'), (select 'cursor' from pg_cursors where name = 'litter'),
		(select 'listens' from pg_listening_channels() as c where c = 'litter'),
		(select 'lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()), (select 'table' from pg_class where relname = 'litter')));
end $$;
-- What fails, and how: by SQL.
create function does(args jsonb) returns void language plpgsql as $$
begin
	perform note('tried');
	execute args ->> 0;
end $$;
create function forever(n int) returns int language plpgsql as $$ begin return forever(n + 1); end $$;
create table late (id int);
create function late_trouble() returns trigger language plpgsql as $$
begin
	if new.id < 0 then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); end if;
	raise sqlstate '53100';
end $$;
create constraint trigger late after insert on late deferrable initially deferred for each row execute function late_trouble();
create function is_late(args jsonb) returns void language sql as $$ insert into late values ((args ->> 0)::int) $$;
select replicache_register_mutator(name, name) from unnest(array['leaves', 'scratch', 'litters', 'finds', 'does', 'is_late', 'looks', 'is_cursed']) as name;
select replicache_register_mutator(name, name, shared => true) from unnest(array['bends', 'curses']) as name;
SQL

my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_POOL => 2,
	REPLICACHE_STATEMENT_TIMEOUT => 2000, REPLICACHE_BATCH_MUTATIONS => 40, REPLICACHE_LOG_LEVEL => 'debug');

# P and a number begin what t/685-seeded.t takes for a finding.
sub holds
{
	my ($good, $number, $about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($good, $about) || diag("P$number: not so: $about");
}

sub start_push
{
	my $peer = $program->connect // die "connect: $!";
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params(@_)));
	return $peer;
}

sub status { return $program->request(push_params(@_))->{status} }

# Send pushes that wait behind one that waits for the version lock, so that they are
# applied together.
my $round = 0;
sub together
{
	my (@push) = @_;
	my $holder = $cluster->session($database);
	$round++;
	$holder->query('begin; select replicache_next_version()');
	my $first = start_push("first$round", [ "first$round", 1, 'noop', 'null' ]);
	wait_until(sub {
		$session->value(q(select count(*) from pg_locks where relation = 'replicache_version_lock'::regclass and not granted))
	}, 'a push to wait for the lock', 20);
	my @peer = map { start_push(@$_) } @push;
	$holder->query('commit');
	return map { $_->answer(60)->{status} } $first, @peer;
}

sub notes
{
	my ($like) = @_;
	return join '; ', map { $_->[0] } @{ $session->query("select distinct note from journal where note like '$like' order by 1") };
}

sub ledger { return $session->value("select coalesce(string_agg(concat_ws(' ', client_id, code, sqlstate), '; ' order by client_id, mutation_id), 'none') from replicache_failed_mutation where client_id ~ '^$_[0]'") }

sub alone { return join ' ', map { $_->[0] } @{ $session->query("select name from replicache_mutator where not shared order by 1") } }

is(alone(), 'commit curse does finds is_late leaves litters rollback scratch set setRole temp' =~ s/curse //r, 'which ones are alone');

subtest 'what is left in the transaction' => sub {
	is(join(' ', sort { $a <=> $b } together(map { [ "l$_", [ "l$_", 1, 'leaves', 'null' ] ] } 1 .. 12)), join(' ', (200) x 13), 'all are answered 200');
	holds(notes('saw %') eq 'saw ', 37, 'nobody sees a setting of another');
	is(join(' ', together(map { [ "t$_", [ "t$_", 1, 'scratch', 'null' ] ] } 1 .. 12)), join(' ', (200) x 13), 'temporary tables');
	holds(ledger('t\d') eq 'none', 37, 'are in nobody\'s way');
	is($session->value(q(select count(*) from journal where note = 'scratch')), 12, 'all are applied');
	# Nor in its own, where a client that was away has several.
	is(status('own', map { [ 'own', $_, 'scratch', 'null' ] } 1 .. 5), 200, 'five of one client');
	holds(ledger('own') eq 'none', 38, 'are not in each other\'s way');
	is($session->value(q(select count(*) from journal where note = 'scratch')), 17, 'all are applied');
	is(status('own', [ 'own', 6, 'scratch', 'null' ], [ 'own', 7, 'failHalf', '{"id":"own"}' ], [ 'own', 8, 'scratch', 'null' ]), 200, 'one that fails between');
	is(ledger('own'), 'own mutator_error P0001', 'is recorded alone');
};

subtest 'what a transaction has by nature' => sub {
	status('plain', [ 'plain', 1, 'looks', 'null' ]);
	together(map { $_ % 2 ? [ "b$_", [ "b$_", 1, 'looks', 'null' ] ] : [ "b$_", [ "b$_", 1, 'bends', 'null' ] ] } 1 .. 12);
	my @seen = split /; /, notes('stands %');
	holds(@seen == 1, 37, 'is put back before the next client group') or diag(join "\n", @seen);
	is(ledger('b\d'), 'none', 'and nothing fails by it');
};

subtest 'recorded only after it failed alone' => sub {
	for my $try (1 .. 4) {
		is(join(' ', together(map { $_ % 2 ? [ "c$try$_", [ "c$try$_", 1, 'curses', 'null' ] ] : [ "c$try$_", [ "c$try$_", 1, 'is_cursed', 'null' ] ] } 1 .. 12)),
			join(' ', (200) x 13), 'all are answered 200');
	}
	holds(ledger('c\d') eq 'none', 38, 'what failed by another\'s setting is not recorded');
	is($session->value(q(select count(*) from journal where note = 'not cursed')), 24, 'but done');
	is(join(' ', together(map { [ "d$_", $_ == 3 ? [ "d$_", 1, 'failHalf', qq({"id":"d$_"}) ] : [ "d$_", 1, 'note', '"well"' ] ] } 1 .. 6)),
		join(' ', (200) x 7), 'one that fails beside others');
	is(ledger('d\d'), 'd3 mutator_error P0001', 'is recorded');
	is($session->value(q(select count(*) from journal where note = 'well')), 5, 'and the others are done');
};

subtest 'what is left in the session' => sub {
	$session->query(q(create table numbered (id serial primary key);
		create function numbers_one(args jsonb) returns void language sql as $$ insert into numbered default values $$;
		create function last_number(args jsonb) returns void language plpgsql as $$ begin perform note('number ' || lastval());
			exception when object_not_in_prerequisite_state then perform note('number none'); end $$;
		do $$ begin perform replicache_register_mutator('numberOne', 'numbers_one'); perform replicache_register_mutator('lastNumber', 'last_number'); end $$));
	is($session->value(q(select shared from replicache_mutator where name = 'numberOne')), 't', 'what takes a number is shared');
	status("n$_", [ "n$_", 1, 'numberOne', 'null' ], [ "n$_", 2, 'numberOne', 'null' ]) for 1 .. 3;
	status("m$_", [ "m$_", 1, 'lastNumber', 'null' ]) for 1 .. 3;
	holds(notes('number %') eq 'number none', 42, 'but nobody else sees the last one') or diag(notes('number %'));
	is(status('s', [ 's', 1, 'litters', '{}' ]), 200, 'one that leaves all there is');
	is(status("v$_", [ "v$_", 1, 'finds', 'null' ]), 200, 'another user') for 1 .. 3;
	is(status('s', [ 's', 2, 'litters', '{"fail":1}' ]), 200, 'one that fails');
	is(status("w$_", [ "w$_", 1, 'finds', 'null' ]), 200, 'another user') for 1 .. 3;
	my $found = notes('found%');
	holds($found eq 'found', 42, 'nothing of it is found') or diag($found);
	# As long as all functions are in SQL and plpgsql, sessions are put back and kept.
	$superuser->query('create extension dblink');
	$session->query(q(create function foreigner(args jsonb) returns void language sql as $$
		select note('pid ' || pg_backend_pid() || coalesce(dblink_get_connections()::text, '')) $$;
		do $$ begin perform replicache_register_mutator('foreigner', 'foreigner'); end $$));
	is(status("f$_", [ "f$_", 1, 'foreigner', 'null' ]), 200, 'one with a function in C') for 1 .. 4;
	is($session->value(q(select count(distinct note) from journal where note like 'pid %')), 4, 'has a session each, which is closed');
};

# Each fails alone, for its own reason or by what may be the server's.
my %OWN = ('raise sqlstate \'XX000\'' => 'XX000', 'raise sqlstate \'55000\'' => 55000, 'raise sqlstate \'RP001\'' => 'RP001', 'select forever(1)' => 54001,
	'select length(repeat(\'x\', 1 << 30))' => 54000, 'do $x$ begin assert false; end $x$' => 'P0004', 'do $x$ declare r record; begin perform r.a; end $x$' => 55000,
	'raise exception \'x\' using errcode = \'P0001\'' => 'P0001', 'commit' => '2D000', 'select nonsense' => 42703, 'call nothing()' => 42883);
subtest 'its own errors' => sub {
	my $n = 0;
	for my $sql (sort keys %OWN) {
		my $json = JSON::PP->new->allow_nonref->encode([ $sql =~ /^raise/ ? "do \$x\$ begin $sql; end \$x\$" : $sql ]);
		$n++;
		is(status("o$n", [ "o$n", 1, 'does', $json ]), 200, "$sql: answered");
		like(ledger("o$n\$"), qr/^o$n mutator_error \w+$/, 'recorded') or next;
		my ($state) = ledger("o$n\$") =~ /(\w+)$/;
		holds($state eq $OWN{$sql} || $sql =~ /repeat|commit/, 39, "recorded as $OWN{$sql} by $sql") or diag($state);
	}
};

# It is sent again until it is answered by 200, a while passing in between: a
# minute, or, for what fails by a lock, eleven.
our $while = '1 minute';
sub persist
{
	my ($client, @mutation) = @_;
	my @status;
	for my $try (1 .. 7) {
		push @status, status($client, [ $client, 1, @mutation ], [ $client, 2, 'note', '"after"' ]);
		return "@status" if $status[-1] == 200;
		$session->query("update replicache_trouble set since = since - interval '$while'") if $try == 4;
	}
	return "@status";
}

subtest 'errors that may be the server\'s' => sub {
	my $n = 0;
	for my $state (qw(53100 53200 53300 53400 08006 57P01 57P02 57P03 40001 40P01 55P03 25006 58030)) {
		$n++;
		local $while = '11 minutes' if $state eq '55P03';
		my $status = persist("e$n", 'does', qq(["do \$x\$ begin raise sqlstate '$state'; end \$x\$"]));
		holds($status eq '503 503 503 503 200', 40, "not for ever: $state") or diag($status);
		is(ledger("e$n\$"), "e$n server_error $state", 'recorded');
	}
	my $status = persist('out', 'does', '["select pg_sleep(60)"]');
	is($status, '503 503 200', 'out of time');
	is(ledger('out'), 'out timeout 57014', 'recorded');
	is(persist('kill', 'does', '["select pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"]'), '503 503 503 503 200', 'one that ends its own session');
	like(ledger('kill'), qr/^kill server_error /, 'recorded');
	is(persist('late', 'is_late', '[1]'), '503 503 503 503 200', 'a deferred trigger');
	is(ledger('late'), 'late server_error 53100', 'recorded');
	is(persist('later', 'is_late', '[-1]'), '503 503 503 503 200', 'one that ends its session');
	$session->query(q(alter function case_who(jsonb) rename to case_who_else));
	is(persist('gone', 'who', 'null'), '503 503 503 503 200', 'a function that is gone');
	is(ledger('gone'), 'gone server_error RP002', 'recorded');
	$session->query(q(alter function case_who_else(jsonb) rename to case_who));
	is($session->value(q(select count(*) from journal where note = 'after')), 13 + 5, 'and what came after is done, once');
	is($session->value(q(select count(*) from journal where note = 'tried')), 0, 'of what failed nothing is there');
};

subtest 'nobody waits for somebody else\'s backlog' => sub {
	for my $name ('noop', 'unknownToAll') {
		my $long = start_push("long$name", map { [ "long$name", $_, $name, 'null' ] } 1 .. 4000);
		my $at = "select coalesce(max(last_mutation_id), 0) from replicache_client_step where id = 'long$name'";
		wait_until(sub { $session->value($at) > 0 }, 'the long push to be under way', 20);
		my (@status, @at);
		for my $n (1 .. 5) {
			push @status, status("short$name$n", [ "short$name$n", 1, 'note', '"short"' ]);
			push @at, $session->value("select count(*) from replicache_version where version > (select version from replicache_client where id = 'short$name$n')");
		}
		is("@status", '200 200 200 200 200', 'short ones');
		is($long->answer(60)->{status}, 200, 'the long one');
		is($session->value($at), 4000, 'is done');
		# The short ones' versions lie between those of the parts.
		my $behind = $session->value("select count(*) from replicache_client as s, replicache_client as l
			where s.id like 'short$name%' and l.id = 'long$name' and s.version < l.version");
		holds($behind == 5, 41, "$name: short pushes are done before it") or diag($behind);
	}
	is($session->value(q(select count(*) from replicache_failed_mutation where client_id = 'longunknownToAll')), 1000, 'of those that are unknown so many are kept');
	is($session->value(q(select mutations from replicache_failed_unkept)), 3000, 'the others are counted');
	like($program->log, qr/failed mutations are counted and not kept/, 'and the log says so');
};

# The wait is the holder's, so no smaller parts follow from it.
subtest 'who has waited for the lock is not slow' => sub {
	my $holder = $cluster->session($database);
	$holder->query('begin; select replicache_next_version()');
	my $waits = start_push('held', [ 'held', 1, 'noop', 'null' ]);
	wait_until(sub {
		$session->value(q(select count(*) from pg_locks where relation = 'replicache_version_lock'::regclass and not granted and waitstart < clock_timestamp() - interval '0.6 s'))
	}, 'a push to have waited', 20);
	$holder->query('commit');
	is($waits->answer(60)->{status}, 200, 'the one that waits');
	is(status('held', map { [ 'held', $_, 'noop', 'null' ] } 2 .. 21), 200, 'and many behind it');
	holds($session->value(q(select count(distinct version) from replicache_client_step where id = 'held' and last_mutation_id > 1)) == 1, 41, 'are one transaction');
};

subtest 'what is replaced is looked through again' => sub {
	my $again = 0;
	$session->query(q(create or replace function looks(args jsonb) returns void language plpgsql as $$
		begin perform set_config('app.tenant', 'x', true); end $$));
	wait_until(sub { status('again', [ 'again', ++$again, 'noop', 'null' ]); alone() =~ /\blooks\b/ }, 'it to be alone', 20);
	$session->query(q(create function adds() returns trigger language plpgsql as $$ begin perform set_config('a.b', 'c', true); return new; end $$;
		create trigger adds before insert on item for each row execute function adds()));
	wait_until(sub { status('again', [ 'again', ++$again, 'noop', 'null' ]); alone() =~ /\bputItem\b/ }, 'what a trigger does counts', 20);
	$session->query('drop trigger adds on item');
	wait_until(sub { status('again', [ 'again', ++$again, 'noop', 'null' ]); alone() !~ /\bputItem\b/ }, 'and its end', 20);
	pass('by the pushes of a second later');
};

diag($program->log) if $ENV{SHOWLOG};
is($program->stop, 0, 'the program ends in order');
done_testing;
