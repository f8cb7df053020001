#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What makes a fault hard to exploit is in the programs as they were linked:
# configure adds it as far as the compiler knows it, and this is to notice when it
# no longer does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(builddir find_tool slurp);

plan skip_all => 'readelf is not installed' unless defined find_tool('readelf');

my $makefile = slurp(builddir() . '/Makefile');
my ($flags) = $makefile =~ /^CFLAGS = (.*)/m;
my ($project) = $makefile =~ /^PROJECT_CFLAGS = (.*)/m;
plan skip_all => 'built for tests' if "$flags $project" =~ /-fsanitize|--coverage/;

# Fortified functions are those of an optimising compiler.
my $optimised = $flags =~ /-O(?!0)/;
my ($machine) = qx(uname -m) =~ /(\S+)/;

sub read_elf
{
	my ($options, $file) = @_;
	return scalar qx(LC_ALL=C readelf -W $options '$file');
}

for my $name ('cgi/replicache.fcgi', 'admin/replicache-admin') {
	my $file = builddir() . "/$name";
	my $dynamic = read_elf('-d', $file);
	my $segments = read_elf('-l', $file);
	my $symbols = read_elf('--dyn-syms', $file);

	like(read_elf('-h', $file), qr/Type:\s+DYN/, "$name: its address is not fixed");
	like($dynamic, qr/\(FLAGS_1\).*\bPIE\b/, '... nor is it a library');
	like($segments, qr/GNU_RELRO/, 'tables of addresses are read-only');
	like($dynamic, qr/\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b/, '... all of them, from the start');
	like($segments, qr/GNU_STACK.*\sRW\s/, 'the stack is no code');
	unlike($segments, qr/LOAD.*\sRWE\s/, 'nothing is writable and code');
	unlike($dynamic, qr/TEXTREL/, 'code is not written to');
	unlike($dynamic, qr/R(UN)?PATH/, 'libraries are the system\'s');
	like($symbols, qr/__stack_chk_fail/, 'the stack is guarded');
	SKIP: {
		skip 'not optimised', 1 if !$optimised;
		like($symbols, qr/__\w+_chk\b(?<!__stack_chk)/, 'copies are checked');
	}
}

# The linker drops the mark where the C library's own start has none, as Debian's.
for my $name ('cgi/libcgi.a', 'common/libcommon.a') {
	SKIP: {
		skip "not on $machine", 1 if $machine ne 'x86_64';
		my $notes = read_elf('-n', builddir() . "/$name");
		my @object = $notes =~ /^File: /mg;
		my @marked = $notes =~ /x86 feature: IBT, SHSTK/g;
		is(@marked, @object, "$name: jumps and returns are checked");
	}
}
done_testing;
