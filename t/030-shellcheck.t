#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Shell scripts are without what shellcheck warns of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(srcdir find_tool);

plan skip_all => 'shellcheck is not installed'
    unless defined find_tool('shellcheck');

for my $script (qw(.ci/run bootstrap debian/replicache-fcgi.postinst
	debian/replicache-fcgi.postrm debian/replicache-fcgi.prerm examples/chat/build quickstart t/fuzz/run t/long)) {
	my $path = srcdir() . "/$script";
	next unless -e $path;	# .ci is not in a tarball
	is(qx(shellcheck '$path'), '', $script);
}
done_testing;
