#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The examples of replicache-sql(7) do what it says, in order.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(srcdir slurp spew workdir find_tool start_process reap_process);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('core');
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my %done;
my $mutations = 0;

# As a reader would: psql, and what it prints.
sub run_sql
{
	my ($text) = @_;
	my @expected = $text =~ /^--> (.*)$/mg;
	$text =~ s/^-->.*\n//mg;
	my $file = spew(workdir() . '/example.sql', $text);
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process([ find_tool('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1',
		'-d', $cluster->conninfo($database), '-f', $file ], stdout => $out, stderr => $out,
		environment => { PGOPTIONS => '-c client_min_messages=warning' });
	is(reap_process($pid, 30), 0, 'sql') or diag(slurp(workdir() . '/out'));
	# A function that returns nothing prints an empty line.
	my @got = grep { $_ ne '' } split /\n/, slurp(workdir() . '/out');
	is_deeply(\@got, \@expected, 'gives what it says') or diag($text);
}

sub run_mutations
{
	my ($text) = @_;
	my @mutation = map { /^(\w+) (.*)$/ ? [ 'client', ++$mutations, $1, $2 ] : die "$_\n" }
	    split /\n/, $text;
	my $answer = Rig::Program::cgi(\%environment, push_params('group', @mutation));
	is($answer->{status}, 200, 'mutations') or diag($answer->{body}, $answer->{stderr});
}

sub run_values
{
	my ($text) = @_;
	my %expected = map { /^(\S+)  (.*)$/ ? ($1 => Rig::Json::decode($2)) : die "$_\n" }
	    split /\n/, $text;
	my $view = Rig::Sync::View->new('other', sub {
		return Rig::Program::cgi(\%environment, @_);
	});
	$view->pull;
	is(Rig::Json::difference($view->{rows}, \%expected), '', 'values');
}

my $page = slurp(srcdir() . '/man/replicache-sql.7.in');
my %run = (sql => \&run_sql, mutations => \&run_mutations, values => \&run_values);
while ($page =~ /^\.\\" (\w+)\n\.Bd -literal -offset indent\n(.*?)^\.Ed/msg) {
	my ($kind, $text) = ($1, $2 =~ s/\\e/\\/gr);
	$run{$kind}->($text);
	$done{$kind}++;
}
cmp_ok($done{sql} // 0, '>', 5, 'there are examples in SQL');
ok($done{$_}, "and of $_") for qw(mutations values);
is($done{sql} + $done{mutations} + $done{values}, scalar(my @all = $page =~ /^\.Bd -literal/mg),
	'no example is left out');
done_testing;
