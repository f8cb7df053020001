#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, as a CGI program of Apache's mod_cgi in a folder with
# examples/apache/htaccess.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run('apachecgi', qw(auth transport json limits push pull poke faults));
