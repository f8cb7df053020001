#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What is quick of the static checks: the names of tests, and, where their tools are,
# the layout of the source, and cppcheck. Other versions than Debian 12's lay out and
# warn otherwise.
# The slow ones are make lint PART='tidy analyzer'.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(srcdir builddir find_tool slurp);

my @CHECKS = (
	[ 'clang-format', qr/version 14\./, 'format' ],
	[ 'cppcheck', qr/^Cppcheck 2\.10\b/, 'cppcheck' ],
);

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
my $build = builddir();

for my $check (@CHECKS) {
	my ($tool, $version, $part) = @$check;
	SKIP: {
		my $found = defined find_tool($tool) ? qx($tool --version) : 'none';
		chomp $found;
		skip "$tool: $found", 1 if $found !~ $version;
		my $said = qx(make -s --no-print-directory -C '$build' lint PART=$part 2>&1);
		is($?, 0, "lint PART=$part") or diag($said);
	}
}

# Documents cite a test by its number alone: `t/488`.
sub shared_numbers
{
	my %of;
	push @{ $of{ /\/(\d{3})-[^\/]*$/ ? $1 : 'none' } }, $_ for @_;
	return map { "$_: @{ $of{$_} }" } grep { $_ eq 'none' || @{ $of{$_} } > 1 } sort keys %of;
}

my @script = map { s{^.*/(?=t/)}{}r } glob srcdir() . '/t/*.t';
cmp_ok(scalar @script, '>', 50, 'there are tests');
is(join("\n", shared_numbers(@script)), '', 'each has a number of its own');
is(join("\n", shared_numbers(qw(t/100-a.t t/110-b.t t/100-c.t t/d.t))),
	"100: t/100-a.t t/100-c.t\nnone: t/d.t", 'two of a number would be found, and one of none');

# A unit that no list has would never run.
my $lists = join '', map { slurp(srcdir() . "/$_") } qw(Makefile.am t/fuzz/local.mk);
my @unit = map { s{^.*/(?=t/)}{}r =~ s/c$/t/r } map { glob srcdir() . "/t/$_.c" } qw(unit/* fuzz/fuzz_*);
cmp_ok(scalar @unit, '>', 40, 'there are units');
is(join("\n", grep { $lists !~ m{^\t\Q$_\E(?: \\)?$}m } @unit), '', 'all are built');

# The parts of make check-long: each has its tests, or a build.
my $make = "make -s --no-print-directory -C '$build'";
my @part = qx($make check-long) =~ /^ {4}([a-z]+) +\w/mg;
cmp_ok(scalar @part, '>', 15, 'make check-long lists its parts');
my $would = qx($make -n check-long PART='@part' 2>&1);
is($?, 0, 'and knows what each runs') or diag($would);
my @command = $would =~ m{^(?:env \w+=\S+ \S*prove -v |make -C |make check |\S+/t/fuzz/run \d|skipped).+}mg;
cmp_ok(scalar @command, '>=', scalar @part, 'a command or more each') or diag($would);
my $said = qx($make check-long PART=nothing 2>&1);
isnt($?, 0, 'a part that is not there fails');
like($said, qr/no part nothing/, 'and is named');
done_testing;
