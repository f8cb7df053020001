#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The same and crossing pushes at once: each mutation is applied once, in its
# client's order, and everybody is answered 200.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Load qw(straight_to);
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params parallel);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database));

# Send all requests, then read all answers. Returns the statuses.
sub at_once
{
	my @request = @_;
	my @peer = map { $program->connect // die "connect: $!" } @request;
	$peer[$_]->send_raw(Rig::Fastcgi::request_bytes(@{ $request[$_] })) for 0 .. $#peer;
	return map { $_->answer(30)->{status} } @peer;
}

sub all_good
{
	my ($name, @status) = @_;
	is(join(' ', grep { $_ != 200 } @status), '', "$name: all are answered 200");
}

sub version { return $session->value('select max(version) from replicache_version') }

subtest 'fifty times the same ten mutations' => sub {
	my $before = version();
	my @push = push_params('g', map { [ 'a', $_, 'count', '{"id":"fifty"}' ] } 1 .. 10);
	all_good('fifty', at_once(map { [@push] } 1 .. 50));
	is($session->value(q(select body from item where id = 'fifty')), 10, 'each is applied once');
	is($session->value(q(select last_mutation_id from replicache_client where id = 'a')), 10, 'the last ID');
	my $rise = version() - $before;
	ok($rise >= 1 && $rise <= 10, "the version rose by $rise");
};

subtest 'fifty that grow' => sub {
	all_good('growing', at_once(map {
		[ push_params('g', map { [ 'grow', $_, 'note', qq("grow $_") ] } 1 .. $_) ]
	} 1 .. 50));
	is($session->value(q(select string_agg(mutation::text, ',' order by n) from journal where client = 'grow')),
		join(',', 1 .. 50), 'each once, in order');
};

subtest 'two tabs that push each other' => sub {
	for my $round (1 .. 20) {
		my ($a, $b) = ([ "a$round", 1, 'who', 'null' ], [ "b$round", 1, 'who', 'null' ]);
		all_good("round $round", at_once([ push_params('tabs', $a, $b) ],
			[ push_params('tabs', $b, $a) ], [ push_params('tabs', $a) ]));
	}
	is_deeply($session->query(q(select count(*), count(distinct note) from journal where note like 'tabs %')),
		[ [ 40, 40 ] ], 'each once');
};

subtest 'a new group made by many' => sub {
	for my $round (1 .. 20) {
		all_good("round $round", at_once(map {
			[ push_params("new$round", [ "new$round-$_", 1, 'noop', 'null' ],
				[ "new$round", 1, 'note', '"new"' ]) ]
		} 1 .. 5));
	}
	is($session->value(q(select count(*) from replicache_client_group where id like 'new%')), 20, 'one row each');
	is($session->value(q(select count(*) from journal where note = 'new')), 20, 'applied once each');
	is($session->value(q(select count(*) from replicache_client where id like 'new%' and last_mutation_id = 1)),
		120, 'all clients are known');
};

# A sick push must not fail the ones that wait with it.
subtest 'sick pushes among good ones' => sub {
	my @status = at_once(map {
		my $number = $_;
		my $sick = $number % 4;
		[ push_params("sick$number", [ "s$number", 1, 'note', '"well"' ],
			$sick == 0 ? [ "s$number", 2, 'failHalf', qq({"id":"s$number"}) ] :
			$sick == 1 ? [ "s$number", 3, 'note', '"gap"' ] :
			$sick == 2 ? [ "s$number", 2, 'raise', '{"state":"53100"}' ] :
				[ "s$number", 2, 'note', '"well"' ]) ]
	} 0 .. 39);
	for my $number (0 .. 39) {
		my $want = (200, 409, 503, 200)[$number % 4];
		is($status[$number], $want, "push $number") if $status[$number] != $want;
	}
	is_deeply($session->query(q(select last_mutation_id, count(*) from replicache_client
		where id ~ '^s[0-9]+$' group by 1 order by 1)), [ [ 2, 20 ] ], 'the good ones are done');
	is($session->value(q(select count(*) from journal where note = 'well')), 30, 'once');
	is($session->value(q(select count(*) from item where id ~ '^s[0-9]+$')), 0, 'without what failed');
	is($session->value(q(select count(*) from replicache_failed_mutation)), 10, 'which is in the ledger');
};

# Each claims the same client for its own group: one gets it.
subtest 'a client claimed by two groups' => sub {
	for my $round (1 .. 10) {
		my @status = sort { $a <=> $b } at_once(map {
			[ push_params("claim$round-$_", [ "claim$round", 1, 'note', '"claim"' ]) ] } 1 .. 2);
		is("@status", '200 403', "round $round: one has it");
	}
	is($session->value(q(select count(*) from journal where note = 'claim')), 10, 'applied once each');
};

# Of what waits for its turn some has seen what was registered before, some what is
# now.
subtest 'while something is registered' => sub {
	my $other = $cluster->database('cases');
	my $own = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($other));
	my $session = $cluster->session($other);
	my $load = Rig::Load->start([ (straight_to($own->path)) x 8 ]);
	my $applied = sub { $session->value('select coalesce(sum(last_mutation_id), 0) from replicache_client') };
	for my $round (1 .. 50) {
		my $before = $applied->();
		$session->query($_) for q(select replicache_register_mutator('spare', 'case_note')),
		    q(select replicache_unregister_mutator('spare'));
		wait_until(sub { $applied->() > $before + 24 }, 'pushes', 30);
	}
	my $told = $load->stop($session);
	is(join("\n", @{ $told->{failed} }), '', 'no request fails');
	is(join("\n", $load->check($session)), '', 'nothing is lost');
	is($own->stop, 0, 'the program ends in order');
};

subtest 'from many processes' => sub {
	my @result = parallel(6, sub {
		my ($number) = @_;
		my $bad = 0;
		for my $id (1 .. 40) {
			my @push = map { [ "p$number", $_, 'count', qq({"id":"p$number"}) ] } 1 .. $id;
			my $answer = $program->request(push_params("p", @push));
			$bad++ if $answer->{status} != 200;
		}
		return $bad;
	});
	is("@result", '0 0 0 0 0 0', 'all are answered 200');
	is_deeply($session->query(q(select body, count(*) from item where id ~ '^p[0-9]$' group by 1)),
		[ [ 40, 6 ] ], 'each once');
};

is($program->stop, 0, 'the program ends in order');
done_testing;
