#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, behind nginx as in examples/nginx/replicache.conf, the program having
# got its socket as systemd passes it by examples/systemd.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('systemd', qw(auth transport json limits push pull poke faults));
