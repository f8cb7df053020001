#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# OpenSSL has no memory to be made ready, which it tries but once: all its allocations
# fail from one of the first on, as a token comes that a shared secret has signed. That
# request can't be answered well, but nothing is ended by a fault.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place;
use Rig::Program;
use Rig::Sync qw(push_params);
use Rig::Token;
use Rig::Torture;

# The first of OpenSSL's is among these.
use constant CALLS => 60;

Rig::Place::use_program(Rig::Torture::program());
my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $reins = Rig::Torture->new;
my %environment = ($reins->environment, Rig::Token::environment(),
	REPLICACHE_DATABASE => $cluster->conninfo($database));
my ($params, $body) = push_params('g', [ 'a', 1, 'note', '"one"' ]);
$params->{HTTP_AUTHORIZATION} = 'Bearer ' . Rig::Token::of_user('ann');

sub ask { return Rig::Program::cgi(\%environment, $params, $body) }

my (%failed, @wrong);
for my $at (1 .. CALLS) {
	$reins->arm(kind => 'library', mode => 'on', at => $at);
	my $answer = ask();
	my $seen = $reins->disarm;
	$failed{$seen->{last}}++;
	push @wrong, "$at ($seen->{first}): ended by signal " . ($answer->{exit} & 127) if $answer->{exit} & 127;
	push @wrong, "$at ($seen->{first}): answered $answer->{status} $answer->{body}"
	    if $answer->{status} != 0 && $answer->{status} != 503;
}
is(join("\n", @wrong), '', 'no fault, and no answer but that the server can\'t');
note(join ', ', map { "$_ $failed{$_}" } sort keys %failed);
cmp_ok($failed{'malloc libcrypto.so.3'} // 0, '>', 0, 'OpenSSL has failed');
is(ask()->{status}, 200, 'with memory it is done');
done_testing;
