#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Database sessions are kept: one request after another uses the same one, and
# what is registered meanwhile takes effect all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Json;
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));

sub backends
{
	return $session->value(q(select string_agg(pid::text, ' ' order by pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()));
}

sub pushed
{
	my ($id, $mutator) = @_;
	return $program->request(push_params('g', [ 'c', $id, $mutator, '"x"' ]))->{status};
}

is(pushed(1, 'note'), 200, 'the first push');
my $first = backends();
like($first, qr/^\d+$/, 'opens one session');
is(pushed($_, 'note'), 200, "push $_") for 2 .. 5;
is($program->request(pull_params('g'))->{status}, 200, 'a pull');
# A second one may be opened: the next push can come before the session of the
# last one is back.
like(backends(), qr/\b$first\b/, 'the session is kept');

# A mutator that is replaced between two pushes: the second calls the new one.
$session->query(q(
	create function note_twice(args jsonb) returns void language sql as $$
		select note('twice'); select note('twice') $$;
	do $$ begin perform replicache_register_mutator('note', 'note_twice'); end $$));
is(pushed(6, 'note'), 200, 'a push after registering');
is($session->value(q(select count(*) from journal where note = 'twice')), 2,
	'calls what is registered now');
$session->query(q(do $$ begin perform replicache_unregister_mutator('note'); end $$));
is(pushed(7, 'note'), 200, 'a push after unregistering');
is($session->value(q(select code from replicache_failed_mutation where client_id = 'c')),
	'unknown_mutator', 'finds nothing to call');

# A column is added to a table that was pulled through a prepared statement.
$session->query(q(alter table item add column extra int; select replicache_register_table('item')));
is($program->request(pull_params('g'))->{status}, 200, 'a pull after a table has changed');
$session->query(q(alter table item alter column extra type text));
is($program->request(pull_params('g'))->{status}, 200, 'and after a type has changed');

is($program->stop, 0, 'it ends in order');
done_testing;
