# SPDX-License-Identifier: Apache-2.0
#
# Comparing JSON by value: member order is free, 1 and "1" differ, and a
# patch is compared as what it does, not in which order it names the keys.
# A string that starts with MARK is a placeholder: "any" fits every value,
# "capture NAME" too and keeps it.

package Rig::Json;

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP;

our @EXPORT_OK = qw(decode encode difference);

use constant MARK => "\x01";

my $json = JSON::PP->new->utf8->allow_nonref->canonical;

# JSON::PP makes strings of large integers; as floats they stay numbers.
sub decode
{
	my ($text) = @_;
	$text =~ s/("(?:[^"\\]+|\\.)*")|(?<![.\deE+-])(-?\d{17,})(?![.\deE])/
	    defined $1 ? $1 : sprintf '%.17g', $2/gse if $text =~ /\d{17}/;
	return $json->decode($text);
}

sub encode { return $json->encode($_[0]) }

# '' when $got fits $expected, else where and how they differ. What
# placeholders capture goes into %$captured.
sub difference
{
	my ($got, $expected, $captured, $where) = @_;
	$where //= '$';
	if (!ref $expected && defined $expected && $expected =~ /^${\ MARK}/) {
		$captured->{$1} = $got if $expected =~ /^.capture (\w+)/;
		return '';
	}
	if (ref $expected eq 'HASH' && ref $got eq 'HASH') {
		my %name = (%$expected, %$got);
		for my $name (sort keys %name) {
			return "$where: unexpected member \"$name\""
			    unless exists $expected->{$name};
			return "$where: no member \"$name\"" unless exists $got->{$name};
			my $found = difference($got->{$name}, $expected->{$name},
			    $captured, "$where.$name");
			return $found if $found;
		}
		return '';
	}
	if (ref $expected eq 'ARRAY' && ref $got eq 'ARRAY') {
		if ($where eq '$.patch') {
			$got = sort_patch($got);
			$expected = sort_patch($expected);
		}
		return sprintf '%s: %d elements, not %d', $where, scalar @$got,
		    scalar @$expected if @$got != @$expected;
		for my $i (0 .. $#$expected) {
			my $found = difference($got->[$i], $expected->[$i], $captured,
			    "$where\[$i]");
			return $found if $found;
		}
		return '';
	}
	my ($have, $want) = (encode($got), encode($expected));
	return $have eq $want ? '' : "$where: $have, not $want";
}

# What a patch comes to: "clear", then the last operation of each key.
sub sort_patch
{
	my ($patch) = @_;
	return $patch if grep { ref $_ ne 'HASH' } @$patch;
	my %last = map { ($_->{key} // '') . ' ' . exists $_->{key} => $_ } @$patch;
	return [ @last{sort keys %last} ];
}

# What is wrong with a patch, '' when it is sound.
sub patch_fault
{
	my ($patch) = @_;
	for my $i (0 .. $#$patch) {
		my $entry = $patch->[$i];
		my $op = $entry->{op} // '';
		my $form = join ' ', sort keys %$entry;
		if ($op eq 'clear') {
			return 'clear is not first' if $i != 0;
			return "clear with $form" if $form ne 'op';
			next;
		}
		return "$op with $form" unless $op eq 'put' && $form eq 'key op value'
		    || $op eq 'del' && $form eq 'key op';
	}
	return '';
}

1;
