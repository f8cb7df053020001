#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# replicache-admin: install, grant, status, and how it is used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::Place qw(builddir srcdir workdir slurp spew server_user);
use Rig::Program qw(params);

my $cluster = Rig::Cluster->start;

subtest 'how it is used' => sub {
	my $admin = Rig::Admin->new(undef);
	my $help = $admin->run('--help');
	is($help->{exit}, 0, '--help');
	is($help->{error}, '', 'says nothing else');
	like($admin->run('--version')->{out}, qr/^replicache-admin \(replicache-fcgi [\d.]+\)$/, '--version');
	for my $bad ([], ['nonsense'], ['status', 'x'], ['--nonsense', 'status'], ['--databas'],
		['failed'], ['failed', 'list', 'x'], ['failed', 'show', 'a'], ['failed', 'show', '--all'],
		['failed', 'nonsense'], ['grant'], ['grant', 'a', 'b'], ['purge', 'x']) {
		# What is wrong with a verb of the ledger is seen where there is one.
		my $run = ($bad->[0] // '') eq 'failed' && @$bad > 1
		    ? Rig::Admin->new($cluster->conninfo($cluster->database('core')))->run(@$bad)
		    : $admin->run(@$bad);
		is($run->{exit}, 2, "'@$bad' is not understood");
		like($run->{error}, qr/--help/, 'and it is told where to look');
		is($run->{out}, '', 'on standard error');
	}
	like($admin->run('bogus')->{error}, qr/there is no verb 'bogus'; --help lists them/, 'it is told what it is');
	like($admin->run("a\x1b[31m\n" . 'x' x 500)->{error}, qr/^replicache-admin: there is no verb 'a\\x1b\[31m\n    x{30,80}';/, 'and nothing else');
	like($admin->run('status', 'x')->{error}, qr/status takes no argument; see its line in --help/, 'or what it does not take');
	my $run = Rig::Admin->new('host=/nonexistent dbname=x')->run('status');
	is($run->{exit}, 1, 'no database');
	like($run->{error}, qr/^replicache-admin: .*\/nonexistent/, 'is told');
};

subtest 'where the database is' => sub {
	my $database = $cluster->database('core');
	my $conninfo = $cluster->conninfo($database);
	my $name = sub { Rig::Json::decode($_[0]->run('--json', 'status', @_[1 .. $#_])->{out})->{database}{database} };
	is($name->(Rig::Admin->new(undef, environment => { REPLICACHE_DATABASE => $conninfo })), $database,
		'in the environment, and auth need not be said');
	my $file = spew(workdir() . '/replicache.conf', qq(database = "$conninfo"\n));
	is($name->(Rig::Admin->new(undef), '--config', $file), $database, 'in a file');
	is($name->(Rig::Admin->new($conninfo, environment => { REPLICACHE_DATABASE => 'dbname=other' })), $database,
		'--database wins');
	my $run = Rig::Admin->new(undef)->run('--config', spew(workdir() . '/bad.conf', "workers = x\n"), 'status');
	is($run->{exit}, 1, 'a bad file');
	like($run->{error}, qr/bad.conf:1: workers/, 'is told with its line');
};

# As the packages have it: the settings are for the program alone, and whoever owns
# the database must not read them.
subtest 'settings of somebody else' => sub {
	my $folder = workdir() . '/beside';
	mkdir $folder or die "$folder: $!";
	copy(builddir() . '/admin/replicache-admin', "$folder/replicache-admin") or die "copy: $!";
	chmod 0755, "$folder/replicache-admin" or die "chmod: $!";
	my $file = spew("$folder/replicache.conf", "workers = x\n");
	my $conninfo = $cluster->conninfo($cluster->database('core'));
	my $run = sub {
		my ($mode, $database, @arguments) = @_;
		chmod $mode, $file or die "chmod: $!";
		my $admin = Rig::Admin->new($database, program => "$folder/replicache-admin", user => server_user(),
			environment => { REPLICACHE_CONFIG => '' });
		return $admin->run(@arguments);
	};
	like($run->(0644, $conninfo, 'status')->{error}, qr/replicache\.conf:1: workers/, 'what can be read counts');
	is($run->(0, $conninfo, 'status')->{exit}, 0, 'with --database, what must not be read does not');
	for my $arguments ([ undef, 'status' ], [ $conninfo, '--config', $file, 'status' ]) {
		my $ran = $run->(0, @$arguments);
		is($ran->{exit}, 1, 'without, or when it is named, it does');
		like($ran->{error}, qr/\Q$file\E: can't be read: Permission denied/, 'and that is told');
	}
};

subtest 'install' => sub {
	my $database = $cluster->database('empty');
	my $admin = Rig::Admin->new($cluster->conninfo($database));
	for my $verb (['status'], ['upgrade'], ['failed', 'list'], ['--yes', 'purge'],
		['--yes', 'new-epoch'], ['grant', 'other']) {
		is($admin->run(@$verb)->{exit}, 4, "@$verb: not installed");
	}
	is_deeply($admin->json(4, 'status'), { database_schema => 'public', schema_number => undef,
		program_knows => 2 }, 'as status tells');
	is_deeply($admin->json('install'), { database_schema => 'public', schema_number => 2 }, 'installed');
	my $session = $cluster->session($database);
	my $before = $session->value('select max(version) from replicache_version');
	$session->query('create or replace function replicache_clock_version() returns bigint language sql as $$ select 1::bigint $$');
	is($admin->run('install')->{exit}, 0, 'again');
	is($session->value('select max(version) from replicache_version'), $before, 'leaves data alone');
	cmp_ok($session->value('select replicache_clock_version()'), '>', 1, 'and brings functions up to date');

	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
	is($program->request(params('GET', '/health'))->{status}, 200, 'the program takes it');
	$program->stop;

	$session->query('create schema "My Sync"');
	$session->query("alter role app in database $database set search_path = \"My Sync\", public");
	is_deeply($admin->json('install'), { database_schema => 'My Sync', schema_number => 2 },
		'into the first schema of search_path, also beside another');
	my $nobody = Rig::Admin->new($cluster->conninfo($cluster->database('empty'), 'postgres'));
	$cluster->admin->query('create role guest login');
	my $run = Rig::Admin->new($cluster->conninfo($cluster->database('empty'), 'guest'))->run('install');
	is($run->{exit}, 1, 'one who may not');
	like($run->{error}, qr/replicache.sql:\d+: permission denied/, 'is told, with the line');
};

# In a source tree psql takes in the parts of replicache.sql; replicache-admin has them
# joined.
subtest 'the same as by psql' => sub {
	my $objects = q(select string_agg(o, E'\n' order by o collate "C") from (
		select concat_ws(' ', 'function', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)), p.proacl)
		from pg_proc as p where pronamespace = 'public'::regnamespace
		union all
		select concat_ws(' ', 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull)
		from pg_attribute as a join pg_class as c on c.oid = a.attrelid
		where relnamespace = 'public'::regnamespace
		union all
		select concat_ws(' ', 'trigger', tgrelid::regclass, pg_get_triggerdef(oid)) from pg_trigger) as t (o));
	my $database = $cluster->database('empty');
	is(Rig::Admin->new($cluster->conninfo($database))->run('install')->{exit}, 0, 'installed');
	my ($joined, $parts) = map { [ split /\n/, $cluster->session($_)->value($objects) ] } $database, $cluster->database('core');
	cmp_ok(scalar @$parts, '>', 200, 'there is something to compare');
	is_deeply($joined, $parts, 'each function, column and trigger');
	my ($files, $text) = (0, slurp(srcdir() . '/schema/replicache.sql'));
	$files++ while $text =~ /^\\ir parts\/\w+\.sql$/mg;
	is($files, scalar(() = glob srcdir() . '/schema/parts/*'), 'and no part is left out');
};

subtest 'grant' => sub {
	my $database = $cluster->database('chat');
	my $admin = Rig::Admin->new($cluster->conninfo($database));
	$cluster->admin->query('create role web login');
	is_deeply($admin->json('grant', 'web'), { granted_to => 'web' }, 'granted');
	$cluster->session($database)->query('grant insert, update on message to web');
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database, 'web'));
	my $body = q({"pushVersion":1,"profileID":"p","clientGroupID":"g","schemaVersion":"","mutations":[{"clientID":"c","id":1,)
	    . q("name":"createMessage","args":{"id":"m","from":"f","content":"c","order":1},"timestamp":1}]});
	is($program->request(params('POST', '/push', body => $body), $body)->{status}, 200, 'enough for a push');
	$program->stop;
	for my $role ('postgres', 'app', 'nobody at all') {
		my $run = $admin->run('grant', $role);
		is($run->{exit}, 1, "$role is refused");
		like($run->{error}, qr/role \Q$role\E/, 'by name');
	}
};

subtest 'status' => sub {
	my $database = $cluster->database('chat');
	my $admin = Rig::Admin->new($cluster->conninfo($database));
	my $session = $cluster->session($database);
	# A client a year ago, one a week ago, one just now, and two mutations that failed.
	$session->query(q(do $$ begin
		perform replicache_push_begin('{g}', '{u}', '{a}', '{g}', '{u}', '{0}', '{1}');
	end $$; select replicache_horizon('0')));
	$session->query(q(update replicache_version_time set at = at - interval '400 days'));
	$session->query(q(do $$ begin
		perform replicache_push_begin('{g}', '{u}', '{b}', '{g}', '{u}', '{0}', '{7}');
	end $$; select replicache_horizon('0')));
	$session->query(q(update replicache_version_time set at = at - interval '8 days'));
	$session->query(q(do $$ begin
		perform replicache_push_begin('{h}', '{v}', '{c}', '{h}', '{v}', '{0}', '{9}');
		perform replicache_guard('c', 'h', 9, 'v', E'no\x1b[31m', '{"x":1}');
	end $$; insert into replicache_schema_version values ('7')));
	my $status = $admin->json('status');
	is($status->{database}{version}, $session->value('select max(version) from replicache_version'), 'the version');
	is($status->{database}{schema_number}, 2, 'the number of the schema');
	ok(!$status->{database}{standby}, 'a primary');
	is_deeply([ @{ $status->{clients} }{qw(clients seen_within_a_day a_week a_month a_year longer_ago)} ],
		[ 3, 1, 0, 1, 0, 1 ], 'clients, by when they were seen') or diag(explain $status->{clients});
	is_deeply([ @{ $status->{failed_mutations} }{qw(failed_mutations failed_within_a_day)} ], [ 1, 1 ], 'failed mutations');
	my $moment = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
	like($_, $moment, 'a moment') for $status->{database}{epoch_began}, $status->{failed_mutations}{last_failed}, $status->{sessions}[0]{since};
	like($admin->run('--json', 'status')->{out}, qr/"notify_queue_percent":\d/, 'numbers are numbers');
	is($status->{tables}[0]{table}, 'message', 'a table');
	is($status->{tables}[0]{prefix}, 'message/', 'its prefix');
	is_deeply([ map { $_->{name} } @{ $status->{mutators} } ], [ qw(createMessage deleteMessage) ], 'mutators');
	is_deeply([ map { "@$_{qw(version pushes pulls)}" } @{ $status->{schema_versions} } ], [ '7 1 1' ], 'schemaVersions');
	my $sessions = sub { grep { $_->{application} eq 'replicache.fcgi' } @{ $admin->json('status')->{sessions} } };
	is(scalar $sessions->(), 0, 'no program is connected');
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
	is($program->request(params('GET', '/health'))->{status}, 200, 'one is started');
	my ($found) = $sessions->();
	is($found->{sessions}, 1, 'and seen');
	is($found->{role}, 'app', 'with its role');
	$program->stop;

	my $run = $admin->run('status');
	is($run->{exit}, 0, 'for people');
	like($run->{out}, qr/^version +\d{15,16}$/m, 'a fact a line');
	like($run->{out}, qr/^tables\n(table +prefix .*)\n(message +message\/ .*)\n/m, 'tables as tables');
	my ($head, $row) = $run->{out} =~ /^tables\n(.*)\n(.*)\n/m;
	is(index($head, 'prefix'), index($row, 'message/'), 'aligned');
	unlike($run->{out}, qr/\x1b/, 'without colour');
	like($admin->run('failed', 'list')->{out}, qr/no\\x1b\[31m/, 'and without what clients call theirs');
};

# Names and messages of clients that drive a terminal, hide, or are endless.
subtest 'what clients write, for people' => sub {
	my $database = $cluster->database('core');
	my $admin = Rig::Admin->new($cluster->conninfo($database));
	my $session = $cluster->session($database);
	my $evil = "a\x{9b}31m\x{85}\x{202e}b\x{200b}\x{feff}\x{2028}c\x{e0041}d\x{7f}\r\n\te" . "\x{301}" x 300;
	my $text = $evil =~ s/([^ -~])/sprintf '\\+%06x', ord $1/ger;
	my $insert = 'insert into replicache_failed_mutation'
	    . ' (client_id, mutation_id, client_group_id, user_id, name, args, code, message, version)';
	$session->query("$insert values
		('c', 1, 'g', U&'$text', U&'$text', '{}', 'mutator_error', U&'$text', 1),
		('long', 1, 'g', 'u', repeat('x', 1000000), '1', 'unknown_mutator', '', 1),
		('args', 1, 'g', 'u', 'm', to_json(repeat('y', 1000000)), 'mutator_error', '', 1)");
	for my $locale ('C', 'C.UTF-8') {
		my $other = Rig::Admin->new($cluster->conninfo($database), environment => { LC_ALL => $locale });
		for my $arguments ([qw(failed list)], [qw(failed show c 1)], [qw(failed show args 1)],
			[qw(failed show c), "1$evil"], [qw(grant), $evil], ['status']) {
			my $run = $other->run(map { utf8::encode(my $byte = $_); $byte } @$arguments);
			my $all = $run->{out} . $run->{error};
			utf8::decode($all);
			unlike($all, qr/[^\P{Cc}\n]|[\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/, "$locale: $arguments->[0]: nothing hidden")
			    if @$arguments > 1;
			unlike($all, qr/\p{M}{5}/, 'no heap of accents');
			unlike($all, qr/[^ -~\n]/, 'nothing but ASCII') if $locale eq 'C';
			cmp_ok(length $all, '<', 30_000, 'nor is it endless');
		}
	}
	my $run = $admin->run(qw(failed list));
	like($run->{out}, qr/^long  1  x{68}\.\.\.$/m, 'what is long bears a mark');
	is_deeply([ grep { length > 80 } split /\n/, $run->{out} ], [], 'a terminal of 80 columns has each line');
	like($run->{out}, qr/^args  1  m\n {4}\d{4}-\S+Z  mutator_error  u$/m, 'why is below its name');
	like($run->{out}, qr/ a\\xc2\\x9b31m\\xc2\\x85\\xe2\\x80\\xae/, 'what is hidden is shown');
	my %failed = map { ($_->{client_id} => $_) } @{ $admin->json(qw(failed list))->{failed_mutations} };
	is(length $failed{long}{name}, 1_000_000, 'JSON has all of it');
	is($failed{c}{name}, $evil, 'as it is');
	like($failed{c}{failed_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'and when');

	# More than any buffer: what a client can write in a minute.
	$session->query("$insert select 'many', n, 'g', 'u', repeat('x', 1000000), '1', 'unknown_mutator', '', 1
		from generate_series(1, 300) as n");
	$run = $admin->run(qw(failed list));
	is($run->{exit}, 0, 'however much there is') or diag($run->{error});
	is(scalar(() = $run->{out} =~ /^many /mg), 300, 'all are listed');
};

done_testing;
