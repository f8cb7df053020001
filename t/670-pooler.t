#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Behind pgbouncer in transaction mode: the program's requests share two
# connections with each other and with others, and yet who asks, and what their
# token says, is never mixed up.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Json;
use Rig::Pooler;
use Rig::Program;
use Rig::Sync qw(push_body pull_body parallel);
use Rig::Token;

use constant { USERS => 6, ROUNDS => 25 };

plan skip_all => $_ for Rig::Pooler::missing();

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('core');
my $session = $cluster->session($database);
$session->query(q(
	create table seen (id text primary key, owner text, rank text, client text);
	create view seen_audience as select id, owner as viewer from seen;
	create view seen_by as select id, owner, rank, replicache_user_id() as reader, replicache_claim('rank') as reader_rank from seen;
	create function see(args jsonb) returns void language sql as $$
		insert into seen values (args ->> 'id', replicache_user_id(), replicache_claim('rank'), replicache_client_id()) $$;
	create function fail(args jsonb) returns void language plpgsql as $$ begin perform see(args); raise 'no'; end $$;
	do $$ begin
		perform replicache_register_table('seen', view => 'seen_by', audience => 'seen_audience');
		perform replicache_register_mutator('see', 'see');
		perform replicache_register_mutator('fail', 'fail');
	end $$));

my $pooler = Rig::Pooler->start($cluster, size => 2);
my @program = map {
	Rig::Program->start(REPLICACHE_DATABASE => $pooler->conninfo($database),
	    REPLICACHE_LISTEN_DATABASE => $cluster->conninfo($database),
	    REPLICACHE_PREPARED => 'off', Rig::Token::environment())
} 1 .. 2;

# Each user pushes, fails and pulls, by a token that says their rank.
sub live
{
	my ($number) = @_;
	my $user = "u$number";
	my $exp = time + 600;
	my $token = Rig::Token::sign(qq({"sub":"$user","rank":"r$number","exp":$exp}));
	my $ask = sub {
		my ($path, $body) = @_;
		my $params = Rig::Program::params('POST', $path, body => $body,
		    headers => { Authorization => "Bearer $token" });
		my $answer = $program[rand @program]->request($params, $body);
		die "$path: $answer->{status} $answer->{body}\n" if $answer->{status} != 200;
		return Rig::Json::decode($answer->{body});
	};
	my (%rows, $cookie);
	for my $round (1 .. ROUNDS) {
		my $id = 3 * $round;
		$ask->('/push', push_body("g$number", map {
			[ "c$number", $id - 2 + $_, $_ == 1 ? 'fail' : 'see', qq({"id":"$user-$round-$_"}) ]
		} 0 .. 2));
		my $got = $ask->('/pull', pull_body("g$number", $cookie));
		$cookie = $got->{cookie};
		for my $op (@{ $got->{patch} }) {
			die "a patch of $user has $op->{op} $op->{key}\n"
			    if defined $op->{key} && $op->{key} !~ m{^seen/$user-};
			$rows{ $op->{key} } = $op->{value} if $op->{op} eq 'put';
		}
	}
	for my $value (values %rows) {
		my $is = join ' ', @$value{qw(owner rank reader reader_rank)};
		die "$user has a row of $is\n" if $is ne "$user r$number $user r$number";
	}
	return scalar keys %rows;
}

is_deeply([ parallel(USERS, \&live) ], [ (2 * ROUNDS) x USERS ], 'each has what is theirs, and no more');
is($session->value(q(select count(*) from seen where owner <> 'u' || substr(client, 2) or rank <> 'r' || substr(client, 2))), 0,
	'each mutation ran as the one who sent it');
is($session->value(q(select count(*) from replicache_failed_mutation where user_id <> 'u' || substr(client_id, 2))), 0,
	'each failed one too');
is($session->value('select count(*) from replicache_failed_mutation'), USERS * ROUNDS, 'once each');

# Whoever comes next on these connections.
my $next = $cluster->session($database);
$next->reconnect($pooler->conninfo($database));
my %left;
for (1 .. 20) {
	my $row = $next->query(q(select pg_backend_pid(), concat(current_setting('replicache.user_id', true),
		current_setting('replicache.claims', true), current_setting('replicache.client_id', true))))->[0];
	$left{$row->[0]} = $row->[1];
}
is(join('', values %left), '', 'nothing is left for whoever comes next');
# Beside these: ours, and one for LISTEN of each program.
cmp_ok($session->value('select count(*) from pg_stat_activity where datname = current_database()'), '<=', 2 + 1 + 2,
	'all this went through two connections');
is($_->stop, 0, 'a program ends in order') for @program;
$pooler->stop;
done_testing;
