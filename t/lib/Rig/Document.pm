# SPDX-License-Identifier: Apache-2.0
#
# The blocks of a document: of Markdown those that are indented by four spaces or
# more, or between fences; of plain text those that are indented by as many as the
# caller says; of a page of the manual what stands between .Bd -literal and .Ed, and
# behind .Dl.
#
#	for my $block (Rig::Document::blocks("$top/README.md")) {
#		... $block->{text}; {line}, where it begins; {before}, the paragraph before it
#	}

package Rig::Document;

use strict;
use warnings;

use Rig::Place qw(slurp);

# All blocks, in order.
sub blocks
{
	my ($path, $least) = @_;
	my @line = split /\n/, slurp($path);
	my @block = $path =~ /\.\d(?:\.in)?\z/ ? manual_blocks(@line) : indented_blocks($least // 4, @line);
	return map { finished($_) } @block;
}

# A block that is indented begins behind an empty line, as the indented lines below
# a paragraph or an item of a list belong to that, and goes on over empty lines.
sub indented_blocks
{
	my ($least, @line) = @_;
	my (@block, $fence, $open);
	my ($above, $paragraph) = ('', '');
	for my $number (1 .. @line) {
		my $line = $line[$number - 1];
		if (defined $fence) {
			if ($line =~ /^\s*\Q$fence\E\s*$/) { undef $fence }
			else { $block[-1]{text} .= "$line\n" }
			next;
		}
		my $is_indented = $line =~ /^ {$least,}\S/;
		if ($line =~ /^\s*(```+|~~~+)\s*\w*\s*$/) {
			$fence = $1;
			$open = 0;
			push @block, { line => $number + 1, text => '', before => $paragraph };
		} elsif ($is_indented && ($open || $above eq '')) {
			push @block, { line => $number, text => '', before => $paragraph } unless $open;
			$block[-1]{text} .= "$line\n";
			$open = 1;
		} elsif ($line =~ /^\s*$/) {
			$block[-1]{text} .= "\n" if $open;
		} else {
			$open = 0;
			$paragraph = $above eq '' ? $line : "$paragraph\n$line";
		}
		$above = $line =~ s/^\s+$//r;
	}
	return @block;
}

sub manual_blocks
{
	my @line = @_;
	my (@block, $open);
	my $paragraph = '';
	for my $number (1 .. @line) {
		my $line = $line[$number - 1];
		if ($line =~ /^\.Bd -literal/) {
			push @block, { line => $number + 1, text => '', before => $paragraph };
			$open = 1;
		} elsif ($line =~ /^\.Ed/) {
			$open = 0;
		} elsif ($open) {
			$block[-1]{text} .= plain($line) . "\n";
		} elsif ($line =~ /^\.Dl (.*)/) {
			push @block, { line => $number, text => plain($1) . "\n", before => $paragraph };
		} else {
			$paragraph = $line;
		}
	}
	return @block;
}

sub plain { return $_[0] =~ s/\\e/\\/gr =~ s/\\\(dq/"/gr =~ s/\\&//gr }

# Without what all its lines begin with, and without empty lines at its end.
sub finished
{
	my ($block) = @_;
	my ($indent) = sort { length $a <=> length $b } $block->{text} =~ /^([ \t]*)\S/mg;
	$block->{text} =~ s/^\Q$indent\E//mg if defined $indent;
	$block->{text} =~ s/\n*\z/\n/;
	return $block;
}

# What stands between backquotes, and not in a block.
sub quoted
{
	my ($path) = @_;
	my $text = slurp($path) =~ s/^```.*?^```//gmsr =~ s/^ {4}.*\n//gmr;
	return $text =~ /`([^`]+)`/g;
}

# The first cells of the table whose head begins with these cells.
sub column
{
	my ($path, @head) = @_;
	my $head = join ' \| ', map { quotemeta } @head;
	my ($rows) = slurp($path) =~ /^\| $head \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/m;
	return map { /^\| (.*?) \|/ ? $1 : () } split /\n/, $rows // '';
}

1;
