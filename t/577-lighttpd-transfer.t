#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What lies between the program and a browser: lighttpd, which starts it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Behind;
use Rig::Cluster;
use Rig::Lighttpd;
use Rig::Place qw(wait_until);
use Rig::Program;

plan skip_all => 'no lighttpd here' unless Rig::Lighttpd->is_installed;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $front = Rig::Lighttpd->start(example => 'lighttpd/replicache.conf', environment => {
	%Rig::Program::usual, REPLICACHE_METRICS => 'on',
	REPLICACHE_DATABASE => $cluster->conninfo($database) });

Rig::Behind::check($front, $session, streams => 1);
ok(defined $front->stop, 'lighttpd ends');
# lighttpd does not wait for it.
wait_until(sub { $front->log =~ /signal 15: finishing/ }, 'the program to end', 10);
pass('and so does the program');
done_testing;
