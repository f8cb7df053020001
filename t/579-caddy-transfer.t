#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What lies between the program and a browser: Caddy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Caddy;
use Rig::Behind;
use Rig::Cluster;
use Rig::Program;

plan skip_all => 'no Caddy here' unless Rig::Caddy->is_installed;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(REPLICACHE_METRICS => 'on',
	REPLICACHE_DATABASE => $cluster->conninfo($database));
my $front = Rig::Caddy->start(example => 'caddy/Caddyfile', socket => $program->path);

Rig::Behind::check($front, $session, streams => 1, unchunked => 1);
is($program->stop, 0, 'the program ends in order');
done_testing;
