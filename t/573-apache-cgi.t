#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The cases, as a CGI program of Apache's mod_cgi in a folder with
# examples/apache/htaccess. Some of them: what it gives the program is what mod_cgid
# gives it, which t/574-apache-cgid.t has all cases for. SCALE=1 takes all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Rig::Case;

Rig::Case::run_every(4, 'apachecgi', qw(auth transport json limits push pull poke faults));
