#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Clients are forgotten again and again while they push, and repeat what they
# pushed: nothing is ever run twice, and what was answered 200 was run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep time);

use Rig::Cluster;
use Rig::Program;
use Rig::Sync qw(push_params parallel);

my $workers = 6;
my $rounds = $ENV{ROUNDS} // 120;
my $seed = $ENV{SEED} // time;
my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
# Two, so that each has hints that the other makes wrong.
my @program = map { Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database)) } 1 .. 2;

# Pushes, by a new client each time it is told to start over, if need be of a new
# group.
# Returns what was answered 200, and how often it was told so.
sub work
{
	my ($number) = @_;
	srand $seed + $number;
	my ($count, $group, $id, $over, $in_row) = (0, 0, 0, 0, 0);
	my (@old, @done);
	for my $round (1 .. $rounds) {
		my $client = "w$number-$count";
		# What it pushed last is repeated; now and then all of it, or what
		# another client of the group did long ago.
		my $from = rand() < 0.2 ? 1 : $id < 2 ? 1 : $id - 1;
		my @push = map { [ $client, $_, 'note', qq("$client/$_") ] } $from .. $id + 1;
		unshift @push, [ $old[rand @old], 1, 'note', '"again"' ] if @old && rand() < 0.1;
		my $answer = $program[rand 2]->request(push_params("g$number-$group", @push));
		die "status $answer->{status}: $answer->{body}\n" if $answer->{status} != 200;
		if ($answer->{body} eq '{}') {
			push @done, "$client/" . ++$id;
			$in_row = 0;
		} else {
			$over++;
			push @old, $client;
			$count++;
			$id = 0;
			# Another client of the group is new, unless that is retired.
			next if ++$in_row < 2;
			$group++;
			$in_row = 0;
			@old = ();
		}
	}
	return { done => \@done, over => $over };
}

# Until the workers are done, forgets all clients.
sub forget
{
	my $own = $cluster->session($database);
	my $forgotten = 0;
	my $end = time + 120;
	until ($own->value('select exists (select from journal where client = $$end$$)') eq 't' || time > $end) {
		$forgotten += $own->value(q(select replicache_forget_clients('0')));
		sleep rand 0.1;
	}
	return $forgotten;
}

my @result = parallel($workers + 1, sub {
	my ($number) = @_;
	return forget() if $number == $workers;
	my $result = eval { work($number) };
	my $error = $@;
	# The last one ends the forgetter.
	my $own = $cluster->session($database);
	$own->query(q(insert into journal (client) values ('ended')));
	$own->query(qq(insert into journal (client) select 'end' from journal where client = 'ended' having count(*) >= $workers));
	die $error if !defined $result;
	return $result;
});

my $forgotten = pop @result;
my @done = map { @{ $_->{done} } } @result;
my $over = 0;
$over += $_->{over} for @result;
cmp_ok($forgotten, '>', 20, "clients were forgotten: $forgotten times, SEED=$seed");
cmp_ok($over, '>', 20, "and told so: $over times");
cmp_ok(scalar @done, '>', 100, 'and yet ' . @done . ' pushes were applied');
is_deeply($session->query(q(select client, mutation, count(*) from journal where note is not null group by 1, 2 having count(*) > 1)),
	[], 'no mutation was run twice');
is($session->value(q(select count(*) from journal where note = 'again')), 0, 'nor one of a client that was forgotten');
my %run = map { $_->[0] => 1 } @{ $session->query(q(select note from journal where note is not null)) };
is(join(' ', grep { !$run{$_} } @done), '', 'what was answered by {} was run');
is(scalar(keys %run), scalar @done, 'and nothing else');
$_->stop for @program;
done_testing;
