#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# replicache-admin check: what it finds in the database, each fault made first
# and put right by the advice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Cluster;

my $cluster = Rig::Cluster->start(settings => { fsync => 'on' });
$cluster->admin->query("create role $_ login") for qw(web weak);

sub place
{
	my $database = $cluster->database($_[0] // 'chat');
	my $session = $cluster->session($database);
	return ($cluster->conninfo($database), $session, $database);
}

# What is not fine: "result what: advice".
sub found
{
	my ($conninfo, @options) = @_;
	my $run = Rig::Admin->new($conninfo)->run('--json', 'check', @options);
	my $got = Rig::Json::decode($run->{out});
	my @bad = grep { $_->{result} ne 'fine' } @{ $got->{findings} };
	is($got->{faults}, scalar(grep { $_->{result} eq 'fault' } @bad), 'faults are counted');
	is($run->{exit}, $got->{faults} ? 3 : 0, 'and are the exit code');
	return map { "$_->{result} $_->{what}: $_->{advice}" } @bad;
}

# One thing is found; then it is put right, by SQL or as the advice says.
sub finds
{
	my ($conninfo, $session, $break, $expected, $mend, @options) = @_;
	$session->query($break);
	my @bad = found($conninfo, @options);
	is(scalar @bad, 1, 'one thing') or diag(explain \@bad);
	like($bad[0], $expected, 'which is told');
	if (!defined $mend) {
		($mend) = $bad[0] =~ /: ((?:select|CREATE|REVOKE) .*)$/;
		$mend =~ s/, \.\.\.//;
	}
	$session->query($mend =~ /^select/ ? "do \$do\$ begin $mend; end \$do\$" =~ s/begin select/begin perform/r : $mend);
	is_deeply([ found($conninfo, @options) ], [], 'and put right');
}

subtest 'all is well' => sub {
	my ($conninfo, $session) = place();
	is_deeply([ found($conninfo) ], [], 'nothing is found');
	my $run = Rig::Admin->new($conninfo)->run('check');
	like($run->{out}, qr/^fine +table message$/m, 'it says what it looked at');
	like($run->{out}, qr/^fine +mutator createMessage$/m, 'each mutator');
	like($run->{out}, qr/^fine +LISTEN$/m, 'LISTEN');
	like($run->{out}, qr/^faults +0$/m, 'for people');
	my ($rooms) = place('rooms');
	is_deeply([ found($rooms) ], [], 'nor with audiences');
};

subtest 'tables' => sub {
	my ($conninfo, $session) = place('core');
	$session->query(q(create table t (id int primary key, a text, b text); create table u (id int primary key);
		create view v as select id, a from t;
		do $$ begin perform replicache_register_table('t', view => 'v'); perform replicache_register_table('u'); end $$));
	$session->query(q(insert into u values (1)));
	my $floor = $session->value('select floor from replicache_state');
	my $again = q(select replicache_register_table('t', view => 'v'));
	finds($conninfo, $session, 'drop trigger zz_replicache_stamp on u', qr/fault table u: Changes are missed, for want of zz_replicache_stamp\./);
	cmp_ok($session->value('select floor from replicache_state'), '>', $floor, 'clients start over then');
	finds($conninfo, $session, 'alter table u disable trigger zz_replicache_gone', qr/zz_replicache_gone/);
	finds($conninfo, $session, 'alter table t add column c int; create or replace view v as select id, a, b from t',
		qr/fault table t: It, or its view or audience, has changed/, $again);
	finds($conninfo, $session, 'drop index t_version_idx', qr/warning table t: Each pull reads all of it/);
	finds($conninfo, $session, 'alter table u drop constraint u_pkey', qr/fault table u: It can't sync any more: u has no primary key/,
		q(alter table u add primary key (id)));
	finds($conninfo, $session, 'drop table u', qr/fault table with prefix u\/: It was dropped: select replicache_unregister_table\(\d+\)$/);
};

subtest 'mutators' => sub {
	my ($conninfo, $session) = place();
	finds($conninfo, $session, 'alter function create_message(jsonb) rename to gone', qr/fault mutator createMessage: There is no function .*create_message/,
		'alter function gone(jsonb) rename to create_message');
};

subtest 'the role' => sub {
	my ($conninfo, $session, $database) = place();
	my @bad = found($conninfo, '--role', 'web');
	is(scalar @bad, 1, 'a role without rights');
	like($bad[0], qr/fault role web may do what it needs: It lacks .*SELECT on replicache_version, .*EXECUTE on replicache_push_begin.*SELECT on message.*EXECUTE on .*create_message.*: select replicache_grant\('web'\)/,
		'and what it lacks');
	finds($conninfo, $session, 'select 1', qr/web/, "select replicache_grant('web')", '--role', 'web');
	finds($conninfo, $session, 'revoke select on message from web', qr/It lacks SELECT on message:/, undef, '--role', 'web');
	finds($conninfo, $session, 'revoke execute on function replicache_guard from web', qr/It lacks EXECUTE on replicache_guard/, undef, '--role', 'web');
	finds($conninfo, $session, 'grant create on schema public to public', qr/warning schema public: .*REVOKE/, undef, '--role', 'web');
	like((found($conninfo, '--role', 'nobody at all'))[0], qr/fault role nobody at all: It does not exist/, 'a role that is none');
	like(join("\n", found($conninfo, '--role', 'postgres')), qr/warning role postgres is an ordinary one: It is postgres/, 'one that may do all');
	$session->query('alter table message enable row level security');
	like(join("\n", found($conninfo)), qr/fault row level security of message holds for role app: View message_entry reads it as app, whom no policy holds/, 'policies do not hold for the owner');
};

subtest 'the server' => sub {
	my ($conninfo, $session, $database) = place();
	my $other = $cluster->session($database);
	finds($conninfo, $session, "alter database $database set default_transaction_read_only = on", qr/fault transactions may write/,
		"set default_transaction_read_only = off; alter database $database set default_transaction_read_only = off");
	finds($conninfo, $session, "alter database $database set synchronous_commit = off", qr/warning commits are durable/,
		"alter database $database reset synchronous_commit");
	$session->query(q(insert into replicache_schema_version (version, pulls) values ('1', false), ('2', true)));
	finds($conninfo, $session, q(update replicache_schema_version set pushes = false where version = '1'),
		qr/warning pushes of schemaVersion 1: They are refused: what its clients did offline is lost .*: update/,
		q(update replicache_schema_version set pushes = true, pulls = false where version = '1'));
	finds($conninfo, $session, 'insert into replicache_version values (9007199254740000)', qr/warning the clock/,
		'delete from replicache_version where version = 9007199254740000');
};

subtest 'LISTEN' => sub {
	my ($conninfo, $session, $database) = place();
	my $admin = Rig::Admin->new($conninfo, environment => { REPLICACHE_LISTEN_DATABASE => 'host=/nonexistent' });
	my $run = $admin->run('check');
	is($run->{exit}, 3, 'where nobody is');
	like($run->{out}, qr/^fault +LISTEN: .*nonexistent.*\n +Without it.*listen_database/m, 'is told');
	# One that takes LISTEN and gives nothing: another database.
	$admin = Rig::Admin->new($conninfo, environment => { REPLICACHE_LISTEN_DATABASE => $cluster->conninfo('postgres') });
	$run = $admin->run('check');
	is($run->{exit}, 3, 'where no notification comes');
	like($run->{out}, qr/^fault +LISTEN: no notification comes$/m, 'is told');
};

done_testing;
