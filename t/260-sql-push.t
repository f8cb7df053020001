#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What replicache.fcgi calls: replicache_push_begin, the statements of mutators,
# replicache_guard and the ledger.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('chat');
my $session = $cluster->session($database);

sub version { $session->value('select max(version) from replicache_version') }

sub array { "'{" . join(',', map { length $_ ? $_ : '""' } @{ $_[0] }) . "}'" }

# Of groups, their users, clients, the group of each, and last mutation IDs.
sub begin_push
{
	my ($groups, $users, $clients, $client_groups, @ids) = @_;
	my %user;
	@user{@$groups} = @$users;
	return 'select replicache_push_begin(' . join(', ', map { array($_) } $groups, $users, $clients, $client_groups,
		[ map { $user{$_} // 'null' } @$client_groups ], @ids) . ')';
}

sub clients
{
	return $session->value(q(select coalesce(string_agg(concat_ws(':', client_group_id, id, last_mutation_id), ' ' order by id), 'none')
		from replicache_client));
}

sub groups
{
	return $session->value(q(select coalesce(string_agg(id || ':' || user_id, ' ' order by id), 'none') from replicache_client_group));
}

# All there is to tell whether anything changed.
sub state_of_all
{
	return join '|', version(), clients(), groups(), $session->value('select count(*) from replicache_failed_mutation'),
	    $session->value(q(select coalesce(string_agg(m::text, ' ' order by id), 'none') from message m));
}

# push_begin.
{
	my $start = version();
	is($session->value(begin_push(['g'], ['u'], ['c'], ['g'], [0], [3])), $start + 1, 'push_begin returns the version');
	is(version(), $start + 1, 'which is taken');
	is(clients(), 'g:c:3', 'a client is created');
	is(groups(), 'g:u', 'and its group');
	is($session->value(q(select version from replicache_client)), $start + 1, 'with the version');
	is($session->value(begin_push(['g'], ['u'], ['c'], ['g'], [3], [4])), $start + 2, 'the next');
	is(clients(), 'g:c:4', 'moves the client on');
	$session->value(begin_push([qw(g h g)], [qw(u v u)], [qw(c d e)], [qw(g h g)], [4, 0, 0], [5, 1, 2]));
	is(clients(), 'g:c:5 h:d:1 g:e:2', 'several at once, a group twice');
	is(groups(), 'g:u h:v', 'another group');
	$session->value(begin_push([qw(h g)], [qw(v u)], [qw(d c)], [qw(h g)], [1, 5], [2, 6]));
	is(clients(), 'g:c:6 h:d:2 g:e:2', 'in any order');
	$session->value(begin_push(['i'], [''], [], [], [], []));
	is(groups(), 'g:u h:v i:', 'an empty user, no clients');
	$session->query(q(insert into replicache_client_step values ('z', 'g', 0, 1)));
	$session->value(begin_push(['g'], ['u'], ['z'], ['g'], [0], [1]));
	is(clients(), 'g:c:6 h:d:2 g:e:2 g:z:1', 'a client that is there, at 0');

	my $before = state_of_all();
	my %moved = (
		'a group of another user' => [ ['g'], ['v'], ['c'], ['g'], [6], [7] ],
		'a group of nobody' => [ ['g'], [''], ['c'], ['g'], [6], [7] ],
		'one good group, one bad' => [ [qw(h g)], [qw(v v)], [qw(d c)], [qw(h g)], [2, 6], [3, 7] ],
		'a group of no user' => [ ['h'], ['v'], ['c'], ['g'], [6], [7] ],
		'a group that is not there' => [ [], [], ['new'], ['new'], [0], [1] ],
		'a client that moved on' => [ ['g'], ['u'], ['c'], ['g'], [5], [7] ],
		'a client that is behind' => [ ['g'], ['u'], ['c'], ['g'], [7], [8] ],
		'a client that exists' => [ ['g'], ['u'], ['c'], ['g'], [0], [1] ],
		'a client that does not' => [ ['g'], ['u'], ['new'], ['g'], [3], [4] ],
		'a client of another group' => [ [qw(g h)], [qw(u v)], ['c'], ['h'], [6], [7] ],
		'a client of another group, as new' => [ [qw(g h)], [qw(u v)], ['c'], ['h'], [0], [1] ],
		'the second of two' => [ ['g'], ['u'], [qw(new2 c)], [qw(g g)], [0, 9], [1, 10] ],
		'a client twice, in two steps' => [ ['g'], ['u'], [qw(c c)], [qw(g g)], [6, 7], [7, 9] ],
		'two that moved on' => [ ['g'], ['u'], [qw(c e z)], [qw(g g g)], [5, 1, 1], [7, 3, 2] ],
		'a new group, a known client' => [ ['n'], ['u'], ['c'], ['n'], [0], [1] ],
	);
	for my $about (sort keys %moved) {
		like($session->error(begin_push(@{ $moved{$about} })), qr/RP001/, "RP001: $about");
	}
	like($session->error(begin_push(['g'], ['u'], [qw(c c)], [qw(g g)], [6, 6], [7, 7])), qr/23505/, '23505: a client twice, the same step');
	my %wrong = (
		'back' => [ ['g'], ['u'], ['c'], ['g'], [6], [5] ],
		'nowhere' => [ ['g'], ['u'], ['c'], ['g'], [6], [6] ],
		'a null' => [ ['g'], ['u'], ['c'], ['g'], ['null'], [7] ],
		'missing numbers' => [ ['g'], ['u'], [qw(c e)], [qw(g g)], [6], [7] ],
	);
	for my $about (sort keys %wrong) {
		like($session->error(begin_push(@{ $wrong{$about} })), qr/22023/, "22023: $about");
	}
	like($session->error(begin_push(['g'], ['u'], ['c'], ['g'], [6], [7]) =~ s/\)\z/, -1)/r), qr/RP001/, 'RP001: another revision');
	is(state_of_all(), $before, 'nothing changed');
}

# Two sessions that looked at the same time.
{
	my $other = $cluster->session($database);
	$session->query('begin; ' . begin_push(['g'], ['u'], ['c'], ['g'], [6], [7]));
	$other->send(begin_push(['g'], ['u'], ['c'], ['g'], [6], [7]));
	$session->query('commit');
	like($other->wait_raw, qr/RP001/, 'the second of the same pushes');
	$session->query('begin; ' . begin_push(['two'], ['u'], ['t'], ['two'], [0], [1]));
	$other->send(begin_push(['two'], ['w'], ['t2'], ['two'], [0], [1]));
	$session->query('commit');
	like($other->wait_raw, qr/RP001/, 'the second to claim a group');
	$session->query('begin; ' . begin_push(['three'], ['u'], ['t3'], ['three'], [0], [1]));
	$other->send(begin_push(['three'], ['u'], ['t4'], ['three'], [0], [1]));
	$session->query('commit');
	is($other->wait->[0][0], version(), 'two new clients of a new group');
}

# A client's steps: few are kept, and whatever is deleted, where it stands is
# found without reading them.
{
	my $id = 0;
	for my $by ((1) x 130, 1000, 7, 64, 63, 1, 65, (2) x 40) {
		$session->query(begin_push(['steps'], ['u'], ['s'], ['steps'], [$id], [ $id + $by ]));
		$id += $by;
		my ($count, $highest) = @{ $session->query(q(select count(*), max(last_mutation_id) from replicache_client_step where id = 's'))->[0] };
		is($highest, $id, "the step to $id is the highest");
		cmp_ok($count, '<=', 64, 'and the others are few');
	}
	is($session->value(q(select concat_ws(':', client_group_id, last_mutation_id) from replicache_client where id = 's')), "steps:$id",
		'the view tells the highest');
}

# With a snapshot open elsewhere nothing that is deleted goes away.
{
	my $other = $cluster->session($database);
	$other->query('begin isolation level repeatable read; select 1 from replicache_state');
	for my $i (0 .. 299) {
		$session->query(begin_push(['kept'], ['u'], ['k'], ['kept'], [$i], [ $i + 1 ]));
	}
	my $plan = $session->query(q(explain (analyze, buffers, format json)
		select last_mutation_id from replicache_client_step where id = 'k' order by last_mutation_id desc limit 1));
	my $buffers = decode_json($plan->[0][0])->[0]{Plan};
	cmp_ok($buffers->{'Shared Hit Blocks'} + $buffers->{'Shared Read Blocks'}, '<=', 6, 'the last step is found at once');
	$other->close;
}

# Who is mutating.
$session->query(q(create function who(args jsonb) returns void language plpgsql as $$ begin
	insert into message (id, sender, content, ord) values (args #>> '{}',
		concat_ws(' ', replicache_client_id(), replicache_client_group_id(), replicache_mutation_id(), replicache_user_id()), 'x', 1);
	end $$));
$session->query(q(do $$ begin perform replicache_register_mutator('who', 'who'); end $$));
{
	my $call = $session->value(q(select call from replicache_mutator where name = 'who'));
	$session->query("prepare who as $call");
	my $who = 'select concat_ws(\' \', replicache_client_id(), replicache_client_group_id(), replicache_mutation_id(), replicache_user_id())';
	is($session->value("$who || '.'"), '.', 'outside nobody');
	$session->query(q(begin; execute who ('c', 'g', 7, 'me', '"w1"', ''); ));
	is($session->value($who), 'c g 7 me', 'from the call on');
	$session->query(q(execute who ('c2', 'g2', 9007199254740991, '', '"w2"', ''); commit));
	is($session->value(q(select string_agg(sender, '; ' order by id) from message)), 'c g 7 me; c2 g2 9007199254740991', 'each mutation has its own');
	is($session->value("$who || '.'"), '.', 'gone with the transaction');
	$session->query(q(begin; select set_config('replicache.user_id', 'someone', true)));
	is($session->value($who), 'someone', 'in a pull, the user');
	$session->query('commit');
}

# The guard.
$session->query(q(
	create table tried (id int);
	create function fail(args jsonb) returns void language plpgsql as $$ begin
		insert into message (id, sender, content, ord) values ('half', 'x', 'y', 1);
		execute args ->> 'sql';
		if args ? 'state' then raise 'as you wish' using errcode = args ->> 'state'; end if;
		assert not args ? 'assert', 'asserted';
		end $$;
	create function keep(args json) returns void language plpgsql as $$ begin
		insert into message (id, sender, content, ord) values ('json', 'x', args::text, 1); end $$;
	create schema other; create table other.elsewhere (note text);
	create function look(args jsonb) returns void language plpgsql as $$ begin
		insert into elsewhere values (current_setting('search_path')); end $$;
	do $$ begin
		perform replicache_register_mutator('fail', 'fail');
		perform replicache_register_mutator('keep', 'keep');
		perform replicache_register_mutator('look', 'look');
	end $$;
));

my $mutation = 0;

# Run the guard in a transaction of its own; returns the code or the error, and
# the ledger's row.
sub guard
{
	my ($name, $args, $refused) = @_;
	$mutation++;
	$session->query('begin');
	$session->send("select coalesce(replicache_guard('c', 'g', $mutation, 'u', \$n\$$name\$n\$, \$a\$$args\$a\$"
	    . ($refused ? ", '$refused'" : '') . "), 'applied')");
	my $answer = $session->wait_raw;
	my ($code) = $answer =~ /ERROR:  (\w{5})/ ? $1 : $answer =~ /(\w+)/;
	$session->query('commit');
	my $row = $session->query("select client_id, client_group_id, user_id, name, args, code, sqlstate, message,
		version = (select max(version) from replicache_version) from replicache_failed_mutation where mutation_id = $mutation");
	return ($code, @$row ? join('|', map { $_ // 'null' } @{ $row->[0] }) : 'no row');
}

is_deeply([ guard('createMessage', '{"id":"ok","from":"a","content":"b","order":1}') ], [ 'applied', 'no row' ], 'a mutation that does well');
is($session->value(q(select content from message where id = 'ok')), 'b', 'is applied');
is_deeply([ guard('nope', '[1]') ], [ 'unknown_mutator', 'c|g|u|nope|[1]|unknown_mutator|null|null|t' ], 'an unknown one');
is_deeply([ guard($_, 'null') ], [ 'unknown_mutator', "c|g|u|$_|null|unknown_mutator|null|null|t" ], "unknown: $_")
    for 'pg_sleep', 'public.create_message', 'CREATEMESSAGE', 'x; drop table message', "'", '"createMessage"';
is_deeply([ guard('createMessage', 'null', 'timeout') ], [ 'timeout', 'c|g|u|createMessage|null|timeout|null|null|t' ], 'one refused by the caller');
is_deeply([ guard('nope', 'null', 'unstorable_text') ], [ 'unstorable_text', 'c|g|u|nope|null|unstorable_text|null|null|t' ], 'for another reason');
like((guard('nope', 'null', 'no_such_code'))[0], qr/23514/, 'but only for known ones');

is_deeply([ guard('fail', '{"sql":"select","state":"P0001"}') ],
    [ 'mutator_error', 'c|g|u|fail|{"sql":"select","state":"P0001"}|mutator_error|P0001|as you wish|t' ], 'one that raises');
is_deeply([ guard('fail', '{"sql":"select","assert":1}') ],
    [ 'mutator_error', 'c|g|u|fail|{"sql":"select","assert":1}|mutator_error|P0004|asserted|t' ], 'one that asserts');
like((guard('fail', qq({"sql":"$_->[0]"})))[1], qr/\|mutator_error\|$_->[1]\|/, "one that does $_->[0]") for
    [ 'insert into message values (null)', 23502 ], [ 'select 1/0', 22012 ], [ 'nonsense', 42601 ],
    [ 'commit', '0A000' ], [ 'select 1::int2 * 100000 :: int2', 22003 ],
    [ 'insert into message (id, sender, content, ord) values (\'half\', \'\', \'\', 1)', 23505 ];
like((guard('createMessage', $_))[1], qr/\|mutator_error\|22023\|/, "args $_") for 'null', '1', '"x"', '[]', '{}',
    '{"id":1,"from":"a","content":"b","order":1}', '{"id":"","from":"a","content":"b","order":1}',
    '{"id":"x","from":"a","content":"b","order":"1"}', '{"id":"x","from":"a","content":"b"}',
    '{"id":"x","from":null,"content":"b","order":1}', '[{"id":"x","from":"a","content":"b","order":1}]';
like((guard('createMessage', '{"id":"x","from":"a","content":"b","order":1.5}'))[1], qr/\|mutator_error\|22P02\|/, 'args with a fraction for order');
like((guard('createMessage', '{"id":"' . 'x' x 40 . '","from":"a","content":"b","order":1}'))[1], qr/\|mutator_error\|22001\|/, 'args with a long id');
is($session->value(q(select count(*) from message where id = 'half')), 0, 'none left anything');

like((guard('createMessage', '{"id":"\u0000","from":"a","content":"b","order":1}'))[1], qr/\|unstorable_text\|22P05\|/, 'text with a zero');
like((guard('createMessage', '{"\ud800":1}'))[1], qr/\|\{"\\ud800":1}\|unstorable_text\|22P02\|/, 'half a surrogate pair');
like((guard('createMessage', '{"id":"\udc00\ud800","from":"a","content":"b","order":1}'))[1], qr/\|unstorable_text\|22P02\|/, 'a pair the wrong way round');
like((guard('createMessage', '1e131072'))[1], qr/\|number_out_of_range\|22003\|/, 'a number out of range');
like((guard('createMessage', '{"x":1'))[1], qr/\|null\|unstorable_text\|22P02\|/, 'text that is no JSON is left out');
is_deeply([ guard('keep', '{"a":"\u0000\ud800", "n":1e400,"a" : 1}') ], [ 'applied', 'no row' ], 'a function of json takes them');
is($session->value(q(select content from message where id = 'json')), '{"a":"\u0000\ud800", "n":1e400,"a" : 1}', 'as they were sent');

# Text that is nested too deep for Postgres, which the program takes far less of
# (SCAN_DEPTH_MAX), is an error like others. The guard can't keep it, as its own row
# would have it again, so it is nobody's.
{
	my $backend = $session->value('select pg_backend_pid()');
	my $deep = sub { '[' x $_[0] . ']' x $_[0] };
	like((guard('createMessage', $deep->(128)))[1], qr/\|mutator_error\|22023\|/, 'arrays as deep as the program lets pass are read');
	is_deeply([ guard('createMessage', $deep->(100_000)) ], [ '54001', 'no row' ], '100,000 arrays in one another');
	is($session->value('select pg_backend_pid()'), $backend, 'and the session goes on');
}

# Nobody's fault: raised again, and not recorded.
for my $state (qw(08006 40001 40P01 53100 53200 53300 53400 55P03 57P01 57P02 57P03 58030 25006)) {
	is_deeply([ guard('fail', qq({"sql":"select","state":"$state"})) ], [ $state, 'no row' ], "$state is raised again");
}
# What else there is, extensions raise for bad input (XX000), or a mutator by a mistake.
for my $state (qw(25P01 40003 55000 55006 57P05 58P01 XX000 XX001 P0002 P0004 RP001 F0000)) {
	like((guard('fail', qq({"sql":"select","state":"$state"})))[1], qr/\|mutator_error\|$state\|/, "$state is the mutation's own");
}
$session->query(q(set statement_timeout = '200ms'));
is_deeply([ guard('fail', '{"sql":"select pg_sleep(10)"}') ], [ '57014', 'no row' ], 'nor is a timeout caught');
$session->query('reset statement_timeout');
$session->query('alter function keep(json) rename to keep2');
is_deeply([ guard('keep', '1') ], [ 'RP002', 'no row' ], 'a function that is gone is no fault of the mutation');
$session->query('alter function keep2(json) rename to keep');

# But it is not believed for ever: see replicache_note_trouble().
{
	my $note = sub { $session->value("select replicache_note_trouble('t', $_[0], '$_[1]', 'as ever')") };
	is(join('', map { $note->(1, '57014') } 1 .. 3), 'fft', 'out of time for the third time');
	is(join('', map { $note->(2, '53100') } 1 .. 9), 'f' x 9, 'nine times within a moment are none');
	$session->query(q(update replicache_trouble set since = since - interval '31 seconds'));
	is($note->(2, '53100'), 't', 'but over half a minute');
	is(join('', map { $note->(3, '40001') } 1 .. 4), 'ffff', 'another one');
	$session->query(q(update replicache_trouble set since = since - interval '31 seconds'));
	is($note->(3, '40001'), 't', 'five times at least');
	is(join('', map { $note->(6, '55P03') } 1 .. 5), 'fffff', 'a lock that somebody holds');
	$session->query(q(update replicache_trouble set since = since - interval '9 minutes'));
	is($note->(6, '55P03'), 'f', 'may be a migration\'s');
	$session->query(q(update replicache_trouble set since = since - interval '2 minutes'));
	is($note->(6, '55P03'), 't', 'but not for ever');
	$session->query(q(update replicache_trouble set last_at = last_at - interval '2 days', since = since - interval '2 days'));
	is($note->(3, '40001'), 'f', 'what is two days old is begun anew');
	is($session->value('select count(*) from replicache_trouble'), 1, 'and the others are forgotten');
	$session->query(q(select replicache_note_trouble('t', 4, '53100', 'no space, it says')));
	is($session->value(q(select replicache_record_failures('{t,t}', '{g,g}', '{4,5}', '{u,u}', '{a,b}', '{1,2}', '{server_error,unknown_mutator}'))), 0, 'recorded');
	is_deeply($session->query(q(select mutation_id, code, sqlstate, message from replicache_failed_mutation where client_id = 't' order by 1)),
	    [ [ 4, 'server_error', '53100', 'no space, it says' ], [ 5, 'unknown_mutator', undef, undef ] ], 'with what was the trouble');
	is($session->value('select count(*) from replicache_trouble where mutation_id = 4'), 0, 'which is over');
}

# The ledger keeps so many of a client group, and counts the others.
{
	my $record = sub {
		my ($group, $from, $to) = @_;
		return $session->value("select replicache_record_failures(array_agg(text 'l$group'), array_agg(text 'l$group'), array_agg(n), array_agg(text 'u'),
			array_agg(text 'nope'), array_agg(text 'null'), array_agg(text 'unknown_mutator')) from generate_series(${from}::bigint, $to) as n");
	};
	is($record->('a', 1, 900), 0, 'nine hundred are kept');
	is($record->('b', 1, 10), 0, 'those of another client group');
	is($record->('a', 901, 1100), 100, 'of two hundred more, one hundred');
	is($record->('a', 1, 1100), 100, 'what is there already is recorded again');
	is((guard('nope', '1'))[0], 'unknown_mutator', 'one of another group');
	is($session->value(q(select replicache_guard('la', 'la', 2000, 'u', 'fail', '{"sql":"select","state":"P0001"}'))), 'not_kept', 'one by the guard');
	is($session->value(q(select string_agg(concat_ws(':', client_group_id, n), ' ' order by 1) from (select client_group_id, count(*) as n
		from replicache_failed_mutation where client_group_id like 'l_' group by 1) x)), 'la:1000 lb:10', 'so many are there');
	is($session->value(q(select concat_ws(':', client_group_id, mutations) from replicache_failed_unkept)), 'la:201', 'and the others counted');
	$session->query(q(delete from replicache_failed_mutation where client_id = 'la'));
	is($record->('a', 3000, 3001), 0, 'there is room again');
}

# Deferred constraints fail in the mutation that broke them.
$session->query(q(
	create table head (id int primary key, first int);
	create table tail (id int primary key, head int references head deferrable initially deferred,
		n int unique deferrable initially immediate, constraint same check (n > 0));
	alter table head add constraint same foreign key (first) references tail deferrable initially deferred;
	create function chain(args jsonb) returns void language plpgsql as $$ begin
		if args ? 'sql' then execute args ->> 'sql'; return; end if;
		insert into head values ((args ->> 'head')::int, (args ->> 'tail')::int);
		insert into tail values ((args ->> 'tail')::int, (args ->> 'head')::int, (args ->> 'tail')::int);
	end $$;
	-- Said to leave nothing behind: else what fails behind others is to be run again.
	do $$ begin perform replicache_register_mutator('chain', 'chain', shared => true); end $$;
	alter table head rename constraint same to head_first;
));
{
	$session->query('begin');
	my @code = map {
		$session->value(qq(select coalesce(replicache_guard('deferred', 'g', $_->[0], 'u', 'chain', '$_->[1]'), 'applied')))
	} [ 1, '{"head":1,"tail":1}' ], [ 2, '{"sql":"insert into tail values (7, 7, 7)"}' ], [ 3, '{"head":2,"tail":2}' ],
	    [ 4, '{"sql":"insert into tail values (8, 1, 1)"}' ], [ 5, '{"sql":"set constraints all deferred; insert into tail values (9, 1, 1)"}' ],
	    [ 6, '{"head":3,"tail":3}' ];
	is("@code", 'applied mutator_error applied mutator_error mutator_error applied', 'deferred constraints fail in the guard');
	is($session->error('commit'), '', 'and not at the end');
	is($session->value('select count(*) from tail'), 3, 'the good ones are there');
	is($session->value(q(select string_agg(sqlstate, ' ' order by mutation_id) from replicache_failed_mutation where client_id = 'deferred')),
	    '23503 23505 23505', 'the others are recorded');
}

# The mutator sees the session's search_path, under the guard as without it.
$session->query('set search_path = public, other');
is((guard('look', '1'))[0], 'applied', 'the search_path of the session');
my $look = $session->value(q(select call from replicache_mutator where name = 'look'));
$session->query("prepare look as $look; execute look ('c', 'g', 1, 'u', '1', '')");
is($session->value('select count(distinct note) from elsewhere'), 1, 'the same as without a guard');
$session->query('reset search_path');

# In the middle of a push.
{
	my $start = version();
	my $rows = $session->value('select count(*) from replicache_failed_mutation');
	$session->query('begin; ' . begin_push(['g'], ['u'], ['batch'], ['g'], [0], [4]));
	$session->query(q(select replicache_guard('batch', 'g', 1, 'u', 'createMessage', '{"id":"m1","from":"a","content":"b","order":1}')));
	$session->query(q(select replicache_guard('batch', 'g', 2, 'u', 'fail', '{"sql":"delete from message","state":"P0001"}')));
	$session->query(q(select replicache_guard('batch', 'g', 3, 'u', 'who', '"m3"')));
	$session->query(q(select replicache_guard('batch', 'g', 4, 'u', 'nope', '1')));
	$session->query('commit');
	is(version(), $start + 1, 'a push with failures takes one version');
	is($session->value(q(select string_agg(sender, ' ; ' order by id) from message where id in ('m1', 'm3'))), 'a ; batch g 3 u', 'the others are applied');
	is($session->value('select count(*) from replicache_failed_mutation') - $rows, 2, 'two are recorded');
	is($session->value(q(select count(*) from replicache_failed_mutation f join replicache_client c on c.id = client_id and c.version = f.version where client_id = 'batch')), 2, 'under its version');
}
$session->query(q(select replicache_guard('batch', 'g', 2, 'u', 'nope', '2')));
is($session->value(q(select name || args from replicache_failed_mutation where client_id = 'batch' and mutation_id = 2)), 'nope2', 'recorded again, the last counts');

# The chat's mutators by themselves.
{
	my $delete = sub { $session->query("select delete_message('$_[0]')"); $session->value(q(select string_agg(id, ' ' order by id) from message where deleted)) };
	$session->query(q(select create_message('{"id":"d1","from":"","content":"","order":-5, "more": 1}')));
	$session->query(q(select create_message('{"id":"d2","from":"a","content":"b","order":9007199254740991}')));
	is($delete->('"d1"'), 'd1', 'delete by id');
	is($delete->('{"id":"d2"}'), 'd1 d2', 'and by object');
	is($delete->('"d2"'), 'd1 d2', 'again, nothing');
	is($delete->('"no such"'), 'd1 d2', 'nor for one that never was');
	like($session->error("select delete_message($_)"), qr/22023/, "refused: $_") for q('null'), q('1'), q('[]'), q('{}'), q('{"id":1}'), 'null', q('["d1"]');
	like($session->error('select create_message(null)'), qr/22023/, 'refused: null');
	is($session->value(q(select mirror->>'order' from (select to_jsonb(e) as mirror from message_entry e where id = 'd1') x)), '-5', 'what clients see');
	is_deeply([ map { $_->[0] } @{ $session->query(q(select attname from pg_attribute where attrelid = 'message_entry'::regclass and attnum > 0 order by attnum)) } ],
	    [ qw(id from content order deleted) ], 'in order');
}

done_testing;
