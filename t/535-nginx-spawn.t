#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, behind nginx as in examples/nginx/replicache.conf, the program having
# been started by spawn-fcgi.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('spawn', qw(auth transport json limits push pull poke faults));
