#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What common/printable.c hides is what Unicode says, as far as this Perl knows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Unicode::UCD;

use Rig::Place qw(srcdir slurp);

my $source = slurp(srcdir() . '/common/printable.c');
my @range = map { hex } $source =~ /^\s+\{(0x[0-9a-f]+), (0x[0-9a-f]+)\}/mg;
cmp_ok(scalar @range, '>', 40, 'the table is found');
is_deeply(\@range, [ sort { $a <=> $b } @range ], 'and ascends, as it is looked up');

my %hidden;
while (my ($first, $last) = splice @range, 0, 2) {
	@hidden{ $first .. $last } = ();
}
no warnings qw(surrogate nonchar);
my (@missing, @extra);
for my $code (0x80 .. 0x10ffff) {
	next if ($code & 0xfffe) == 0xfffe;
	my $is = chr($code) =~ /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/;
	push @missing, sprintf 'U+%04X', $code if $is && !exists $hidden{$code};
	push @extra, sprintf 'U+%04X', $code if !$is && exists $hidden{$code};
}
my ($version) = Unicode::UCD::UnicodeVersion() =~ /^(\d+)/;
SKIP: {
	skip "this Perl knows Unicode $version", 2 if $version != 14;
	is("@missing", '', 'nothing is missing');
	is("@extra", '', 'nor too much');
}
done_testing;
