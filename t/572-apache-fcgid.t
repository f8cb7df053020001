#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, the program being started by Apache's mod_fcgid in a folder with
# examples/apache/htaccess, as on shared hosting.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('apachefcgid', qw(auth transport json limits push pull poke faults));
