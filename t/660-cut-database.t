#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The link to the database, cut after each byte of a push and of a pull, in both
# directions: each byte of COMMIT and of what answers it among them. Whatever the
# program answers, the push that is sent again is applied exactly once, and a
# pull that is answered is right.
#
# SCALE=1 takes every byte; less, every so manieth, chosen by SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Cut;
use Rig::Json;
use Rig::Place qw(workdir wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);

# After some of the cuts the database is gone for as long as the request takes;
# after the others it can be reached again at once.
use constant STAYS => 0.03;

my $SCALE = $ENV{SCALE} // 0.015;
my $STEP = int(1 / $SCALE + 0.5) || 1;
my $SEED = $ENV{SEED} // int rand 1000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $direct = $cluster->conninfo($database);
my $folder = workdir() . '/link';
mkdir $folder or die "$folder: $!";
my ($real) = $direct =~ /host='?([^' ]+)/;
my ($port) = $direct =~ /port='?([^' ]+)/;
$port //= 5432;
my $link = Rig::Cut->start("$folder/.s.PGSQL.$port", "$real/.s.PGSQL.$port");
my $through = $direct =~ s/\Q$real\E/$folder/r;
my $program = Rig::Program->start(REPLICACHE_DATABASE => $through,
	REPLICACHE_LISTEN_DATABASE => $direct);

my $number = 0;
my $failures = 0;

sub ask { return $program->request(@_, seconds => 60) }

# As a client does it: again, for as long as the server is unavailable, which it
# may be for a moment after the link is there again.
sub ask_on
{
	my @request = @_;
	my $answer;
	wait_until(sub { ($answer = ask(@request))->{status} != 503 }, 'an answer', 30);
	return $answer;
}

sub notes { return $session->value("select count(*) from journal where client = '$_[0]'") }

# One new client's push of two mutations and one that fails; known: its session
# in the program knows the client already.
sub push_once
{
	my (%option) = @_;
	my $client = 'k' . ++$number;
	my @known = $option{known} ? ([ $client, 1, 'note', '"known"' ]) : ();
	ask_on(push_params($client, @known)) if @known;
	my $first = @known + 1;
	my @push = push_params($client, [ $client, $first, 'note', '"one"' ],
	    [ $client, $first + 1, $option{fails} ? 'failHalf' : 'note', '{"id":"two"}' ],
	    [ $client, $first + 2, 'note', '"three"' ]);
	$link->arm($option{direction}, $option{bytes}, stay => $option{stay});
	my $answer = ask(@push);
	my $seen = $link->disarm;
	my $status = $answer->{status};
	my @wrong;
	push @wrong, "answered $status $answer->{body}" if $status != 200 && $status != 503;
	my $good = $option{fails} ? 2 : 3;
	my $applied = notes($client) - @known;
	push @wrong, "200, but $applied of $good applied" if $status == 200 && $applied != $good;
	push @wrong, "$applied of $good applied" if $applied != 0 && $applied != $good;
	my $again = ask_on(@push);
	push @wrong, "sent again: $again->{status} $again->{body}" if $again->{status} != 200;
	$applied = notes($client) - @known;
	push @wrong, "sent again, $applied of $good applied" if $applied != $good;
	return ($seen, join '; ', @wrong);
}

my $view = Rig::Sync::View->new('reader', \&ask_on);

# A pull of what changed since the view was pulled last.
sub pull_once
{
	my (%option) = @_;
	$number++;
	$session->query("insert into item (id, body) values ('x', to_jsonb($number)) on conflict (id) do update set body = excluded.body");
	$view = Rig::Sync::View->new('reader', \&ask_on) if $option{first};
	my %before = (%$view, rows => { %{ $view->{rows} } }, ids => { %{ $view->{ids} } });
	$link->arm($option{direction}, $option{bytes}, stay => $option{stay});
	$view->{ask} = \&ask;
	my $got = eval { $view->pull };
	my $error = $@;
	my $seen = $link->disarm;
	$view->{ask} = \&ask_on;
	my @wrong;
	if (!$got) {
		# Refused, or cut in the middle, and then it does not parse: a
		# client keeps what it had.
		push @wrong, $error if $error =~ /^pull: (?!503)/;
		%$view = %before;
		eval { $view->pull } or push @wrong, "again: $@";
	}
	my $body = $view->{rows}{'item/x'}{body} // 'nothing';
	push @wrong, "has $body, not $number" if $body ne $number;
	return ($seen, join '; ', @wrong);
}

sub at_each_byte
{
	my ($about, $once, %option) = @_;
	$once->(%option);    # so that what comes is usual
	my ($seen) = $once->(%option);
	for my $direction (qw(up down)) {
		my $most = $seen->{$direction};
		my ($cuts, @wrong) = (0);
		for (my $bytes = int rand $STEP; $bytes < $most; $bytes += $STEP) {
			my ($then, $wrong) = $once->(%option, direction => $direction,
			    bytes => $bytes, stay => rand() < STAYS);
			$cuts += $then->{cut};
			push @wrong, "after byte $bytes: $wrong" if $wrong;
		}
		cmp_ok($cuts, '>', 0, "$about: cut $cuts times in $most bytes, $direction");
		is(join("\n", @wrong), '', "$about, $direction: nothing is lost, repeated or half done");
	}
}

at_each_byte('a push', \&push_once, known => 1);
at_each_byte('a push of a new client', \&push_once);
at_each_byte('a push with a failing mutator', \&push_once, known => 1, fails => 1);
at_each_byte('a pull', \&pull_once);
at_each_byte('a first pull', \&pull_once, first => 1);

is(ask_on(push_params('end', [ 'end', 1, 'note', '"end"' ]))->{status}, 200, 'and it goes on');
is($program->stop, 0, 'to an orderly end');
done_testing;
