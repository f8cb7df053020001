#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases of who may, behind nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('nginx', qw(auth));
