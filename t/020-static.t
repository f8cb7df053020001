#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What is quick of the static checks, where their tools are: the layout of the
# source, and cppcheck. Other versions than Debian 12's lay out and warn otherwise.
# The slow ones are make check-tidy and make check-analyzer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(builddir find_tool);

my @CHECKS = (
	[ 'clang-format', qr/version 14\./, 'check-format' ],
	[ 'cppcheck', qr/^Cppcheck 2\.10\b/, 'check-cppcheck' ],
);

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
my $build = builddir();

for my $check (@CHECKS) {
	my ($tool, $version, $target) = @$check;
	SKIP: {
		my $found = defined find_tool($tool) ? qx($tool --version) : 'none';
		chomp $found;
		skip "$tool: $found", 1 if $found !~ $version;
		my $said = qx(make -s --no-print-directory -C '$build' $target 2>&1);
		is($?, 0, $target) or diag($said);
	}
}
done_testing;
