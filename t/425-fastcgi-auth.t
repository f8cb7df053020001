#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases of who may, over a FastCGI socket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('fastcgi', qw(auth));
