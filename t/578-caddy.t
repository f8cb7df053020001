#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, behind Caddy, set up by examples/caddy/Caddyfile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('caddy', qw(auth transport json limits push pull poke faults));
