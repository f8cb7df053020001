# SPDX-License-Identifier: Apache-2.0
#
# A plot of pushes a second against connections, as SVG: both axes logarithmic,
# lines named at their ends, readable on a light and on a dark page.

package Bench::Plot;

use strict;
use warnings;

use List::Util qw(max min);
use POSIX qw(ceil floor);

my ($width, $height) = (720, 400);
my %edge = (left => 64, right => 120, top => 48, bottom => 56);
my $inset = 28; # of the lines in the grid, for the figures at their ends

# The plot of the rows of a report that have connections; undef if there are
# fewer than two.
sub connections
{
	my @row = grep { $_->{connections} } @_;
	return undef if @row < 2;
	my @own = grep { !$_->{series} } @row;
	my @series = (
		series('ours', 'replicache-fcgi', ours => @own),
		series('reference', 'reference', reference => @own),
		series('wide', 'reference, pool of 128', reference => grep { $_->{series} } @row),
	);
	@series = grep { @{ $_->{points} } } @series;
	my @y = map { map { $_->[1] } @{ $_->{points} } } @series;
	my @x = map { $_->{connections} } @own;
	my $scale = {
		x => [ log(min(@x)), log(max(@x)) ],
		y => [ log(min(@y) / 2), log(max(@y) * 2) ],
	};
	return join "\n", head(), axes($scale, @x),
	    (map { line($scale, $_) } @series), "</svg>\n";
}

# A line: the medians of one column of some rows.
sub series
{
	my ($class, $label, $column, @row) = @_;
	return {
		class => $class, label => $label,
		points => [ map { [ $_->{connections}, $_->{median}{$column} ] }
		    grep { $_->{median}{$column} } @row ],
	};
}

sub x_of
{
	my ($scale, $x) = @_;
	my ($from, $to) = @{ $scale->{x} };
	return $edge{left} + $inset + (log($x) - $from) / ($to - $from)
	    * ($width - $edge{left} - $edge{right} - 2 * $inset);
}

sub y_of
{
	my ($scale, $y) = @_;
	my ($from, $to) = @{ $scale->{y} };
	return $height - $edge{bottom} - (log($y) - $from) / ($to - $from)
	    * ($height - $edge{top} - $edge{bottom});
}

sub head
{
	return <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" role="img" aria-labelledby="title">
<title id="title">Pushes a second against connections: ours, and the reference</title>
<style>
svg { --text: #24292f; --soft: #57606a; --grid: #d0d7de; --ours: #0969da; --reference: #bc4c00; --wide: #8250df; }
\@media (prefers-color-scheme: dark) {
svg { --text: #e6edf3; --soft: #9198a1; --grid: #3d444d; --ours: #58a6ff; --reference: #f0883e; --wide: #bc8cff; }
}
text { font: 13px system-ui, sans-serif; fill: var(--text); }
.soft { fill: var(--soft); }
.head { font-size: 15px; font-weight: 600; }
.grid { stroke: var(--grid); stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.ours { stroke: var(--ours); } .reference { stroke: var(--reference); } .wide { stroke: var(--wide); }
circle.ours { fill: var(--ours); } circle.reference { fill: var(--reference); } circle.wide { fill: var(--wide); }
text.ours { fill: var(--ours); stroke: none; } text.reference { fill: var(--reference); stroke: none; } text.wide { fill: var(--wide); stroke: none; }
</style>
<text class="head" x="$edge{left}" y="24">Pushes a second, one mutation each</text>
SVG
}

sub axes
{
	my ($scale, @x) = @_;
	my ($left, $right) = ($edge{left}, $width - $edge{right});
	my $bottom = $height - $edge{bottom};
	my @out;
	my ($from, $to) = map { $_ / log(10) } @{ $scale->{y} };
	for my $power (ceil($from) .. floor($to)) {
		my $y = sprintf '%.1f', y_of($scale, 10 ** $power);
		push @out, qq(<line class="grid" x1="$left" y1="$y" x2="$right" y2="$y"/>),
		    text($left - 8, $y + 4, number(10 ** $power), 'soft', 'end');
	}
	for my $x (@x) {
		push @out, text(x_of($scale, $x), $bottom + 20, $x, 'soft', 'middle');
	}
	push @out, text(($left + $right) / 2, $bottom + 42, 'connections', 'soft', 'middle');
	return @out;
}

sub line
{
	my ($scale, $series) = @_;
	my $name = $series->{class};
	my @at = map { [ x_of($scale, $_->[0]), y_of($scale, $_->[1]), $_->[1] ] }
	    @{ $series->{points} };
	my $path = join ' ', map { sprintf '%.1f,%.1f', @$_[0, 1] } @at;
	my $below = $name eq 'wide' ? 20 : -10;
	my @out = qq(<polyline class="line $name" points="$path"/>);
	for my $at (@at) {
		push @out, sprintf('<circle class="%s" cx="%.1f" cy="%.1f" r="3.5"/>', $name, @$at[0, 1]),
		    text($at->[0], $at->[1] + $below, number(sprintf '%.0f', $at->[2]), '', 'middle');
	}
	push @out, text($at[-1][0] + $inset + 8, $at[-1][1] + 4, $series->{label},
	    $name, 'start');
	return @out;
}

sub text
{
	my ($x, $y, $text, $class, $anchor) = @_;
	return sprintf '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>',
	    $x, $y, $class, $anchor, $text;
}

sub number
{
	my ($number) = @_;
	1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
	return $number;
}

1;
