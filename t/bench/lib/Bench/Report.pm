# SPDX-License-Identifier: Apache-2.0
#
# The table, with ratios against the goals, and the same as JSON.

package Bench::Report;

use strict;
use warnings;

use List::Util qw(max);
use POSIX qw(strftime);

use Rig::Json;
use Rig::Place qw(find_tool slurp spew srcdir);

use Bench::Measure qw(median);
use Bench::Plot;

my $format = "%-40s %11s %11s %7s %11s %6s  %s\n";

sub new
{
	my ($class, $scale) = @_;
	return bless { scale => $scale, rows => [], begun => time }, $class;
}

sub begin
{
	my ($self, $part) = @_;
	$self->{part} = $part;
	printf "\n%s\n", $part;
	printf $format, '', 'ours', 'reference', 'times', 'limit', 'share', 'goal';
}

# Add a line. Options:
#	name, unit	what was measured; "ms", "us" and "MB" are better when low
#	ours, reference, limit	the figures of each run
#	limit_name	what the limit is
#	goals		[reference => 50]: at least 50 times better
#			[limit => 0.5]: at least half as good
#			[at_least => 6000], [at_most => 10]
#	detail		anything else, for the JSON
sub row
{
	my ($self, %row) = @_;
	$row{part} = $self->{part};
	for my $who (qw(ours reference limit)) {
		$row{median}{$who} = median(@{ $row{$who} }) if $row{$who};
	}
	for my $other (grep { $row{median}{$_} } qw(reference limit)) {
		my $ratio = ratio(@row{ 'ours', $other });
		$row{ratio}{$other} = $row{unit} =~ /^(ms|us|MB|%)/ ? 1 / ($ratio || 1e-9) : $ratio;
	}
	$row{goals} = [ map { judge(\%row, @$_) } @{ $row{goals} // [] } ];
	push @{ $self->{rows} }, \%row;
	print_row(\%row);
}

# OURS by THEIRS: the median of what each round tells, as the machine is faster in
# one round than in another.
sub ratio
{
	my ($ours, $theirs) = @_;
	return median(@$ours) / median(@$theirs) if @$ours != @$theirs;
	return median(map { $ours->[$_] / $theirs->[$_] } 0 .. $#$ours);
}

sub judge
{
	my ($row, $kind, $wanted) = @_;
	my $ours = $row->{median}{ours};
	my $met = $kind eq 'at_least' ? $ours >= $wanted
	    : $kind eq 'at_most' ? $ours <= $wanted
	    : ($row->{ratio}{$kind} // 0) >= $wanted;
	my $text = $kind eq 'at_least' ? ">= $wanted"
	    : $kind eq 'at_most' ? "<= $wanted"
	    : $kind eq 'reference' ? ">= $wanted times"
	    : sprintf '>= %.2f of the limit', $wanted;
	return { kind => $kind, wanted => $wanted, met => $met ? 1 : 0, text => $text };
}

sub figure
{
	my ($value, $unit) = @_;
	return '' unless defined $value;
	my $digits = abs $value >= 100 ? 0 : abs $value >= 10 ? 1 : 2;
	my $text = sprintf "%.${digits}f", $value;
	1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $unit =~ m{^/} ? "$text$unit" : "$text $unit";
}

sub print_row
{
	my ($row) = @_;
	my ($median, $ratio) = @$row{qw(median ratio)};
	my $goal = join ', ', map { "$_->{text}: " . ($_->{met} ? 'met' : 'NOT MET') }
	    @{ $row->{goals} };
	my $line = sprintf $format, $row->{name},
	    (map { figure($median->{$_}, $row->{unit}) } qw(ours reference)),
	    (defined $ratio->{reference} ? sprintf('%.1f', $ratio->{reference}) : ''),
	    figure($median->{limit}, $row->{unit}),
	    (defined $ratio->{limit} ? sprintf('%.2f', $ratio->{limit}) : ''), $goal;
	print $line =~ s/ +$//r;
}

sub machine
{
	my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*: (.*)/m;
	my $cores = () = slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
	my %version = map { $_->[0] => scalar qx($_->[1] 2>&1) =~ s/\s+\z//r } (
		[ postgres => 'psql --version' ], [ nginx => find_tool('nginx') . ' -v' ],
		[ node => 'node --version' ], [ kernel => 'uname -r' ]);
	return { processor => $cpu // 'unknown', cores => $cores, %version };
}

# Print what goals are missed; write FOLDER/bench.json and the plot.
sub finish
{
	my ($self, $folder) = @_;
	my @row = @{ $self->{rows} };
	my @missed = grep { grep { !$_->{met} } @{ $_->{goals} } } @row;
	my $goals = map { @{ $_->{goals} } } @row;
	printf "\n%d seconds; goals: %d, %s\n", time - $self->{begun}, $goals,
	    @missed ? 'not met: ' . join('; ', map { $_->{name} } @missed) : 'all met';
	spew("$folder/bench.json", Rig::Json::encode({
		date => strftime('%Y-%m-%d', gmtime), scale => $self->{scale} + 0,
		machine => machine(), results => \@row,
	}) . "\n");
	print "$folder/bench.json\n";
	my $plot = Bench::Plot::connections(@row) or return;
	spew("$folder/bench-push.svg", $plot);
	print "$folder/bench-push.svg\n";
}

1;
