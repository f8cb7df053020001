#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Two programs on one database, many clients that push and pull through both
# at once, some mutators failing, and somebody writing with psql. Every view
# anybody ever sees must be one committed state.
#
# What makes that checkable: the item named like a client counts the client's
# mutations. Every fifth one fails, so a view whose last mutation ID of a
# client is n must have the count n - floor(n / 5): more means that the rows
# are ahead of the ID, less that a change was lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(workdir spew);
use Rig::Program;
use Rig::Sync qw(push_params parallel);

use constant { GROUPS => 4, TABS => 2, MUTATIONS => 100, PULLERS => 2, WRITES => 60 };

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my @program = map {
	Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		REPLICACHE_WORKERS => 4, REPLICACHE_POOL => 4)
} 1 .. 2;
my $before = $session->value('select max(version) from replicache_version');
my $pushers = GROUPS * TABS;

sub ask
{
	return $program[rand @program]->request(@_, seconds => 60);
}

sub is_over
{
	return !grep { !-e workdir() . "/over$_" } 0 .. $pushers;
}

# The rule above, for every client of the view's group.
sub check
{
	my ($view) = @_;
	for my $client (keys %{ $view->{ids} }) {
		my $id = $view->{ids}{$client};
		my $row = $view->{rows}{"item/$client"};
		my $count = $row ? $row->{body} : 0;
		my $good = $id - int($id / 5);
		die "$client: mutation $id is told, but the count is $count, not $good\n"
		    if $count != $good;
	}
}

# A tab: pushes all its mutations that no pull has confirmed, as a client
# does, and pulls now and then.
sub push_all
{
	my ($number) = @_;
	srand 1000 + $number;
	my $group = 'g' . $number % GROUPS;
	my $client = "c$number";
	my $view = Rig::Sync::View->new($group, \&ask);
	my $made = 0;
	while (($view->{ids}{$client} // 0) < MUTATIONS) {
		$made += 1 + int rand 5;
		$made = MUTATIONS if $made > MUTATIONS;
		my $from = ($view->{ids}{$client} // 0) + 1;
		my @push = map {
			[ $client, $_, $_ % 5 ? 'count' : 'failHalf', qq({"id":"$client"}) ]
		} $from .. $made;
		my $answer = ask(push_params($group, @push));
		die "push: $answer->{status} $answer->{body}\n" if $answer->{status} != 200;
		if (rand() < 0.4 || $made == MUTATIONS) {
			$view->pull;
			check($view);
		}
	}
	return 1;
}

# Only pulls, in a chain; at the end the view must be the whole one.
sub pull_on
{
	my ($number) = @_;
	srand 2000 + $number;
	my $view = Rig::Sync::View->new('g' . $number % GROUPS, \&ask);
	my $pulls = 0;
	my $written = 0;
	until (is_over()) {
		$view->pull;
		$pulls++;
		check($view);
		my $now = $view->{rows}{'item/psql'} ? $view->{rows}{'item/psql'}{body} : 0;
		die "psql's count fell from $written to $now\n" if $now < $written;
		$written = $now;
	}
	$view->pull;
	check($view);
	return { pulls => $pulls, rows => $view->{rows}, cookie => $view->{cookie} };
}

# Somebody else's program, which knows nothing of all this.
sub write_on
{
	my $other = $cluster->session($database);
	for my $round (1 .. WRITES) {
		my $end = $round % 3 ? 'commit' : 'rollback';
		$other->query("begin; select case_count('{\"id\":\"psql\"}');
			insert into part values ('psql', $round, 'x');
			delete from part where box = 'psql' and slot = $round - 1; $end");
	}
	$other->close;
	return 1;
}

my @result = parallel($pushers + PULLERS + 1, sub {
	my ($number) = @_;
	return pull_on($number - $pushers - 1) if $number > $pushers;
	my $result = eval { $number < $pushers ? push_all($number) : write_on() };
	my $error = $@;
	spew(workdir() . "/over$number", '');
	return $result // die $error;
}, 150);

my $view = Rig::Sync::View->new('g0', \&ask);
$view->pull;
for my $number (0 .. PULLERS - 1) {
	my $chain = $result[$pushers + 1 + $number];
	cmp_ok($chain->{pulls}, '>', 5, "puller $number pulled $chain->{pulls} times");
	is($chain->{cookie}, $view->{cookie}, 'it came to the last version');
	is_deeply($chain->{rows}, $view->{rows}, 'the chain of pulls gives the whole view');
}

my $total = $pushers * MUTATIONS;
is($session->value(q(select sum(body::int) from item where id like 'c%')), $total - $total / 5,
	'each good mutation is applied once');
is($session->value('select count(*) from replicache_failed_mutation'), $total / 5,
	'each failing one is recorded once');
is($session->value(q(select body from item where id = 'psql')), WRITES - int(WRITES / 3),
	'each write of psql is there');
is($session->value(q(select count(*) from replicache_client where last_mutation_id = ) . MUTATIONS), $pushers,
	'the last IDs');
my $after = $session->value('select max(version) from replicache_version');
is($session->value("select count(*) from replicache_version where version > $before"), $after - $before,
	'no version was left out or used twice');
cmp_ok($session->value('select max(version) from item'), '<=', $after, 'no row is ahead of the version');
is($_->stop, 0, 'a program ends in order') for @program;
done_testing;
