#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The link to the web server, cut after each byte of a request and of its answer.
# What was not received whole does nothing; what was, is done once, whether or not
# anybody is there to be told.
#
# SCALE=1 takes every byte; less, every so manieth, chosen by SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $SCALE = $ENV{SCALE} // 0.1;
my $STEP = int(1 / $SCALE + 0.5) || 1;
my $SEED = $ENV{SEED} // int rand 1000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
my $number = 0;

sub notes { return $session->value("select count(*) from journal where client = '$_[0]'") }

sub the_push
{
	my ($client) = @_;
	return push_params($client, map { [ $client, $_, 'note', qq("$_") ] } 1 .. 3);
}

# Sent again it is answered, and was done once.
sub wrong_afterwards
{
	my ($client, $sent) = @_;
	my $answer = $program->request(the_push($client));
	my $count = notes($client);
	return $answer->{status} == 200 && $count == 3 ? ()
	    : "after byte $sent: sent again $answer->{status}, $count of 3 applied";
}

sub new_client { return sprintf 'k%05d', ++$number }

{
	my $length = length Rig::Fastcgi::request_bytes(the_push(new_client()));
	my @wrong;
	for (my $bytes = int rand $STEP; $bytes < $length; $bytes += $STEP) {
		my $client = new_client();
		my $peer = $program->connect;
		$peer->send_raw(substr Rig::Fastcgi::request_bytes(the_push($client)), 0, $bytes);
		$peer->close;
		# The bytes that only end the parameters or the body are all
		# that may be missing from a request that is done.
		push @wrong, "$bytes bytes of $length were taken for a push"
		    if $bytes < $length - 16 && notes($client) != 0;
		push @wrong, wrong_afterwards($client, $bytes);
	}
	is(join("\n", @wrong), '', "a request cut after each of its $length bytes");
}

{
	my $client = new_client();
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(the_push($client)));
	my $length = length($peer->take(8)) + 8;
	$length++ while defined $peer->take(1);
	my @wrong;
	for (my $bytes = int rand $STEP; $bytes < $length; $bytes += $STEP) {
		$client = new_client();
		$peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(the_push($client)));
		$peer->take($bytes) if $bytes;
		$peer->close;
		push @wrong, wrong_afterwards($client, $bytes);
	}
	is(join("\n", @wrong), '', "an answer cut after each of its $length bytes");
}

{
	$session->query(q(insert into item (id, body) select 'i' || n, to_jsonb(repeat('x', 100)) from generate_series(1, 2000) n));
	my @wrong;
	my $most = 300_000;
	for (my $bytes = 1; $bytes < $most; $bytes += int($most * $STEP / 300)) {
		my $peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params('reader', undef)));
		$peer->take($bytes);
		$peer->close;
	}
	my $view = Rig::Sync::View->new('reader', sub { $program->request(@_) });
	$view->pull;
	is(scalar(grep { /^item/ } keys %{ $view->{rows} }), 2000, 'pulls that were cut leave the next one whole');
}

wait_until(sub {
	$session->value(q(select count(*) from pg_stat_activity where datname = current_database()
		and pid <> pg_backend_pid() and state not in ('idle'))) == 0;
}, 'the sessions to be idle', 10);
pass('no session is left in a transaction');
is($program->stop, 0, 'the program ends in order');
done_testing;
