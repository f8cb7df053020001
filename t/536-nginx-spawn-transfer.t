#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What lies between the program and a browser: nginx as in
# examples/nginx/replicache.conf, before a program that spawn-fcgi started.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Behind;
use Rig::Cluster;
use Rig::Nginx;
use Rig::Place qw(workdir);
use Rig::Way;

plan skip_all => 'no nginx or spawn-fcgi here' unless Rig::Way::Spawn->is_possible;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $path = workdir() . '/socket';
my $program = Rig::Way::Spawn::start($path, REPLICACHE_METRICS => 'on',
	REPLICACHE_DATABASE => $cluster->conninfo($database));
is((stat $path)[2] & 0777, 0660, 'the socket is for the web server alone');
my $front = Rig::Nginx::Example->start(example => 'nginx/replicache.conf', socket => $path);

Rig::Behind::check($front, $session, streams => 1);
is($program->stop, 0, 'the program ends in order');
done_testing;
