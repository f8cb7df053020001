#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases of push and pull, over a FastCGI socket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('fastcgi', qw(push pull faults));
