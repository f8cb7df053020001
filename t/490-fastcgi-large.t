#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Sizes: a view of 100,000 rows, 20,000 pending mutations, 20 MB of them, a
# million values. What they cost the program in memory is bounded.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(program slurp);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));

# A sanitizer takes memory of its own.
my $measured = slurp(program()) !~ /__[at]san_init/;

sub last_id
{
	return $session->value(qq(select last_mutation_id from replicache_client where id = '$_[0]'));
}

# Nothing is waited for longer than statement_timeout, lock_timeout and
# connect_timeout together, but a pull of several tables may take longer.
subtest 'rows that come slowly' => sub {
	my $slow = $cluster->database('cases');
	my $owner = $cluster->session($slow);
	$owner->query(qq(create table slow$_ (id int primary key);
		create view slow_view$_ as select id, repeat('x', 9000) as text, pg_sleep(0.1)::text as slept from slow$_;
		do \$\$ begin perform replicache_register_table('slow$_', view => 'slow_view$_'); end \$\$;
		insert into slow$_ select generate_series(1, 10))) for 1 .. 4;
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($slow), REPLICACHE_STATEMENT_TIMEOUT => 2000,
		REPLICACHE_PULL_TIMEOUT => 2000, REPLICACHE_LOCK_TIMEOUT => 10, REPLICACHE_CONNECT_TIMEOUT => 1000);
	my $answer = $program->request(pull_params('g'));
	is($answer->{status}, 200, 'pulled');
	is(scalar(() = ($answer->{body} // '') =~ /"op":"put"/g), 40, 'whole');
	is($program->stop, 0, 'ended in order');
};

subtest '100,000 rows pulled' => sub {
	$session->query(q(insert into message (id, sender, content, ord)
		select i, 'ann', 'a message of some length, number ' || i, i
		from generate_series(1, 100000) i));
	my $program = Rig::Program->start(%environment);
	my $version = $session->value('select max(version) from replicache_version');
	for my $round (1 .. 3) {
		my $answer = $program->request(pull_params('g'));
		is($answer->{status}, 200, "pull $round");
		like($answer->{body}, qr/\A\{.*\}\s*\z/s, 'is whole');
		my $count = () = $answer->{body} =~ /"op":\s*"put"/g;
		is($count, 100_000, 'with all rows');
		like($answer->{body}, qr/"cookie":\s*$version\b/, 'of one version');
	}
	my (undef, $peak) = $program->memory;
	note("peak $peak bytes");
	cmp_ok($peak, '<', 32 << 20, 'the program stays below 32 MB') if $measured;

	# A reader who goes away in the middle leaves nothing behind.
	for (1 .. 5) {
		my $peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params('g')));
		$peer->next_record(10);
		$peer->close;
	}
	is($program->request(pull_params('g', $version))->{status}, 200, 'a pull after cut ones');
	is($program->stop, 0, 'ended in order');
};

subtest '20,000 pending mutations' => sub {
	my $program = Rig::Program->start(%environment);
	my @mutation = map { [ 'many', $_, 'note', qq("$_") ] } 1 .. 20_000;
	my ($params, $body) = push_params('many', @mutation);
	my $answer;
	for my $try (1 .. 10) {
		$answer = $program->request($params, $body);
		note("try $try: $answer->{status}, at " . (last_id('many') // 0));
		last if $answer->{status} == 200;
		is($answer->{status}, 503, 'a prefix was done');
	}
	is($answer->{status}, 200, 'done');
	is_deeply($session->query(q(select count(*), count(distinct mutation), max(mutation)
		from journal where client = 'many')), [ [ 20000, 20000, 20000 ] ], 'each once');
	is($session->value(q(select count(*) from (select mutation, lag(mutation) over (order by n) as before
		from journal where client = 'many') j where mutation < before)), 0, 'in order');
	is($program->request($params, $body)->{status}, 200, 'the same again');
	my (undef, $peak) = $program->memory;
	note("peak $peak bytes for a body of " . length $body);
	is($program->stop, 0, 'ended in order');
};

subtest '20 MB of pending mutations, half of them done' => sub {
	my $program = Rig::Program->start(%environment);
	my $text = 'x' x 1000;
	my @mutation = map { [ 'wide', $_, 'note', qq("$_ $text") ] } 1 .. 20_000;
	is($program->request(push_params('wide', @mutation[0 .. 9999]))->{status}, 200, 'a half');
	my ($params, $body) = push_params('wide', @mutation);
	my $answer;
	for my $try (1 .. 10) {
		$answer = $program->request($params, $body);
		last if $answer->{status} == 200;
	}
	is($answer->{status}, 200, length($body) . ' bytes');
	is($session->value(q(select count(*) from journal where client = 'wide')), 20000, 'each once');
	my (undef, $peak) = $program->memory;
	cmp_ok($peak, '<', 3 * length($body) + (32 << 20), 'memory is bounded') or note($peak) if $measured;
	is($program->stop, 0, 'ended in order');
};

subtest 'a million values' => sub {
	my $program = Rig::Program->start(%environment);
	$program->request(pull_params('g', 0)) for 1 .. 2;
	my (undef, $before) = $program->memory;
	my ($params, $body) = push_params('t', [ 't', 1, 'note', '[' . '{},' x 1_000_000 . '{}]' ]);
	is($program->request($params, $body)->{status}, 413, 'refused');
	my (undef, $after) = $program->memory;
	cmp_ok($after - $before, '<', 2 * length($body) + (4 << 20), 'memory is bounded')
		or note($after - $before) if $measured;
	is($program->stop, 0, 'ended in order');
};

done_testing;
