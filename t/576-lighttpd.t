#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, behind lighttpd, set up by examples/lighttpd/replicache.conf.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('lighttpd', qw(auth transport json limits push pull poke faults));
