#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What the role of the program gets, what is taken from it again, as whom a relation is
# read, and whether row policies hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::People;
use Rig::Place qw(srcdir);
use Rig::Program;
use Rig::Sync qw(pull_params);
use Rig::Json;

my $cluster = Rig::Cluster->start;
my $admin = $cluster->admin;
$admin->query('create role web login; create role clerk login; create role reader login');

sub place
{
	my ($sql) = @_;
	my $database = $cluster->database('core');
	$cluster->run_file($database, srcdir() . '/t/sql/mirror.sql');
	my $session = $cluster->session($database);
	$session->query($sql);
	return ($database, $session);
}

sub register { $_[0]->query("do \$\$ begin perform $_[1]; end \$\$") }
sub grant { register($_[0], q(replicache_grant('web'))) }

# The columns that web may read of a table or view.
sub may_read
{
	my ($session, $relation) = @_;
	return $session->value("select string_agg(attname, ' ' order by attnum) from pg_attribute where attrelid = '$relation'::regclass
		and attnum > 0 and not attisdropped and has_column_privilege('web', attrelid, attnum, 'select')") // '';
}

sub check_of
{
	my ($session, $what) = @_;
	return $session->value(qq(select string_agg(result || ': ' || advice, '; ') from replicache_check('web') where what like '$what')) // '';
}

# What a pull by the program as web gives, or its status.
sub pull
{
	my ($database, $user) = @_;
	my ($params, $body) = pull_params('g' . $user);
	my $answer = Rig::Program::cgi({ REPLICACHE_DATABASE => $cluster->conninfo($database, 'web'), REPLICACHE_AUTH => 'remote_user' },
	    { %$params, REMOTE_USER => $user }, $body);
	return $answer->{status} if $answer->{status} != 200;
	return join ' ', sort map { $_->{op} eq 'put' ? "$_->{key}=" . Rig::Json::encode($_->{value}) : () } @{ Rig::Json::decode($answer->{body})->{patch} };
}

subtest 'no more than is needed' => sub {
	my ($database, $session) = place(q(
		create table note (id int primary key, body text, secret text);
		create view note_open as select id, body, secret from note;
		create view note_shut as select id, body from note;
		insert into note values (1, 'b', 's')));
	register($session, q(replicache_register_table('note')));
	grant($session);
	is(may_read($session, 'note'), 'id body secret version', 'a whole table');
	register($session, q(replicache_register_table('note', omit => '{secret}')));
	grant($session);
	is(may_read($session, 'note'), 'id body version', 'without what is omitted');
	like(pull($database, 'ann'), qr{note/1=.*"b"}, 'which a pull does not read');
	register($session, q(replicache_register_table('note', view => 'note_open')));
	grant($session);
	is(may_read($session, 'note'), 'id version', 'of a table with a view, what the pull reads');
	is(may_read($session, 'note_open'), 'id body secret', 'and the view');
	register($session, q(replicache_register_table('note', view => 'note_shut')));
	grant($session);
	is(may_read($session, 'note_open'), '', 'of the view of before nothing is left');
	is(may_read($session, 'note_shut'), 'id body', 'another one');
	register($session, q(replicache_unregister_table('note')));
	grant($session);
	is(may_read($session, 'note') . may_read($session, 'note_shut'), '', 'nor of a table that is unregistered');

	# What others granted stays.
	$session->query(q(grant select (secret) on note to web; grant select on note_open to web; grant usage on schema public to web));
	register($session, q(replicache_register_table('note')));
	grant($session);
	is(may_read($session, 'note'), 'id body secret version', 'others granted a column');
	register($session, q(replicache_register_table('note', view => 'note_open')));
	grant($session);
	is(may_read($session, 'note'), 'id secret version', 'which stays');
	register($session, q(replicache_unregister_table('note')));
	grant($session);
	is(may_read($session, 'note'), 'secret', 'when all of ours goes');
	is(may_read($session, 'note_open'), 'id body secret', 'and so does a view');
	$session->query(q(drop view note_open, note_shut));
	$session->query(q(drop table note));
	is($session->error(q(select replicache_grant('web'))), '', 'objects that are gone');
};

subtest 'mutators come and go' => sub {
	my ($database, $session) = place(q(create function take(args jsonb) returns void language sql as 'select'; revoke execute on function take(jsonb) from public));
	my $may = sub { $session->value(q(select has_function_privilege('web', 'take(jsonb)', 'execute'))) };
	register($session, q(replicache_register_mutator('take', 'take')));
	grant($session);
	is($may->(), 't', 'registered');
	register($session, q(replicache_unregister_mutator('take')));
	grant($session);
	is($may->(), 'f', 'unregistered');
	$session->query('grant execute on function take(jsonb) to web');
	register($session, q(replicache_register_mutator('take', 'take')));
	grant($session);
	register($session, q(replicache_unregister_mutator('take')));
	grant($session);
	is($may->(), 't', 'but not if somebody else granted it');
};

subtest 'other schemas' => sub {
	my ($database, $session) = place(q(
		create schema app; create schema views; create schema calls;
		create table app.note (id int primary key, owner text, body text);
		create view views.note_view as select id, body from app.note;
		create view views.note_audience as select id, owner as viewer from app.note;
		create function calls.take(args jsonb) returns void language sql as 'select';
		insert into app.note values (1, 'ann', 'b')));
	register($session, q(replicache_register_table('app.note', view => 'views.note_view', audience => 'views.note_audience')));
	register($session, q(replicache_register_mutator('take', 'calls.take')));
	grant($session);
	is(check_of($session, 'role web may%'), 'fine: ', 'all is granted');
	is(pull($database, 'ann'), 'note/1={"body":"b","id":1}', 'and a pull works');
	for my $schema (qw(app views calls)) {
		$session->query("revoke usage on schema $schema from web");
		like(check_of($session, 'role web may%'), qr/fault: It lacks USAGE on schema $schema: select replicache_grant/, "$schema: check finds it missing");
		grant($session);
	}
	is(check_of($session, 'role web may%'), 'fine: ', 'granted again');
	register($session, q(replicache_unregister_table('app.note')));
	grant($session);
	is($session->value(q(select has_schema_privilege('web', 'app', 'usage') or has_schema_privilege('web', 'views', 'usage'))), 'f', 'and revoked');
};

my $POLICED = q(
	create table doc (id int primary key, owner text, body text);
	create table friend (who text, of text);
	alter table doc enable row level security;
	create policy mine on doc using (owner = replicache_user_id() or exists (select from friend where who = replicache_user_id() and of = owner));
	create view doc_plain as select id, body from doc;
	create view doc_invoker with (security_invoker) as select id, body from doc;
	create view doc_nested with (security_invoker) as select id, body from doc_plain;
	create view doc_outer as select id, body from doc_invoker;
	create view doc_audience as select d.id, p as viewer from doc as d, unnest(array['ann', 'bob', 'cal']) as p;
	insert into doc values (1, 'ann', 'a'), (2, 'bob', 'b'); insert into friend values ('cal', 'bob');
);

subtest 'row policies' => sub {
	plan skip_all => 'views with security_invoker take PostgreSQL 15'
	    if $admin->value('select current_setting($$server_version_num$$)::int < 150000') eq 't';
	my ($database, $session) = place($POLICED);
	my $refused = sub { $session->error("select replicache_register_table('doc', view => '$_[0]', audience => 'doc_audience')") };
	like($refused->('doc_plain'), qr/22023: row level security of doc would not hold.*\n.*View doc_plain reads it as its owner, app, whom no policy holds\.\n.*ALTER VIEW doc_plain SET \(security_invoker = true\)/, 'an ordinary view passes them by: refused');
	like($refused->('doc_nested'), qr/row level security of doc would not hold.*\n.*View doc_plain reads it/, 'one below, too');
	like($session->error(q(select replicache_register_table('doc', view => 'doc_plain', per_user => true))), qr/would not hold/, 'and without an audience');
	my %mine = (ann => 'doc/1={"body":"a","id":1}', bob => 'doc/2={"body":"b","id":2}', cal => 'doc/2={"body":"b","id":2}', dan => '');
	for my $view (qw(doc_invoker doc_outer)) {
		is($refused->($view), '', "$view is not");
		grant($session);
		is(check_of($session, 'role web may%'), 'fine: ', "$view: all is granted");
		is(check_of($session, 'row level security of doc holds for role web'), 'fine: ', 'check says that the policy holds');
		is(pull($database, $_), $mine{$_}, "$view: a pull of $_") for sort keys %mine;
	}
	is(may_read($session, 'friend'), 'who of', 'a table that the policy reads is granted');
	register($session, q(replicache_register_table('doc', audience => 'doc_audience')));
	grant($session);
	like(pull($database, $_), $_ eq 'dan' ? qr/\A\z/ : qr/\Adoc.\d=[^ ]*\z/, "the table itself: a pull of $_") for sort keys %mine;

	register($session, q(replicache_register_table('doc', view => 'doc_plain', audience => 'doc_audience', ignore_policies => true)));
	grant($session);
	is(may_read($session, 'friend'), '', 'by an ordinary view the role reads nothing of it');
	like(check_of($session, 'row level security of doc%'), qr/warning: View doc_plain reads it as app, whom no policy holds\. It was registered with ignore_policies/, 'it may be said explicitly');
	is(pull($database, 'cal'), 'doc/1={"body":"a","id":1} doc/2={"body":"b","id":2}', 'and then all in the audience see it');
	$session->query('update replicache_table set ignore_policies = false');
	like(check_of($session, 'row level security of doc%'), qr/fault: View doc_plain reads it as app/, 'else check finds it');
	like(check_of($session, 'table doc'), qr/fault: It can.t sync any more: row level security of doc would not hold/, 'twice');
	$admin->query('grant app to web');
	register($session, q(replicache_register_table('doc', audience => 'doc_audience')));
	like(check_of($session, 'row level security of doc%'), qr/fault: The role owns doc/, 'a role that is a member of the owner');
	$admin->query('revoke app from web');

	# A view of somebody whom policies hold.
	$session->query(q(grant select on doc, friend to reader; grant usage, create on schema public to reader; grant execute on function replicache_user_id() to reader));
	$cluster->session($database, 'reader')->query(q(create view doc_reader as select id, body from doc; grant select on doc_reader to app, web));
	is($refused->('doc_reader'), '', 'a view whose owner is held by them');
	is(check_of($session, 'row level security of doc%'), 'fine: ', 'is fine');
	grant($session);
	is(pull($database, 'cal'), $mine{cal}, 'and shows what they let through');
};

subtest 'touch' => sub {
	my ($database, $session) = place($POLICED =~ s/ with \(security_invoker\)//gr . q(create table t (id int primary key, open text, secret text); insert into t values (1, 'o', 's');
		create function as_owner(args jsonb) returns void language plpgsql security definer set search_path = public as $$ begin perform replicache_touch('t', 'secret', 's'); end $$));
	register($session, q(replicache_register_table('t', omit => '{secret}')));
	register($session, q(replicache_register_table('doc', audience => 'doc_audience')));
	grant($session);
	my $web = $cluster->session($database, 'web');
	for my $function (qw(replicache_touch replicache_touch_readable)) {
		is($web->value("select $function('t', 'open', 'o')"), 1, "$function: a column that the role may read");
		for my $guess (qw(s wrong)) {
			like($web->error("select $function('t', 'secret', '$guess')"), qr/42501: permission denied for column secret of t.*\nHINT:  .*GRANT SELECT \(secret\) ON t TO web/s, 'one that it may not');
		}
	}
	like($web->error(q(select replicache_touch_any('t', 'secret', 's'))), qr/42501/, 'nor by what is internal');
	$web->query('begin; select set_config($$role$$, $$none$$, true)');
	like($web->error(q(select replicache_touch('t', 'secret', 's'))), qr/42501/, 'no setting helps');
	$web->query('rollback');
	like($web->error(q(select replicache_touch('t', 'nope', 's'))), qr/42703/, 'no such column');
	is($web->error(q(select as_owner('{}'))), '', 'a function of the owner may');
	is($web->value(q(select replicache_touch('doc', 'owner', 'ann'))), undef, 'the number is not told where policies hide rows');
	$session->query('grant select (secret) on t to web');
	is($web->value(q(select replicache_touch('t', 'secret', 's'))), 1, 'granted');
	is($session->value(q(select replicache_touch('t', 'secret', 's'))), 1, 'the owner may');
};

done_testing;
