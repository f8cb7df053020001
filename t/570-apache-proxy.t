#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, behind Apache with mod_proxy_fcgi as in examples/apache/proxy.conf.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('apacheproxy', qw(auth transport json limits push pull poke faults));
