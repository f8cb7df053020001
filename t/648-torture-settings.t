#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Each allocation fails once while the settings are read, from a file that is named or
# from where the program looks for one: either they are read all the same, or it is
# told why not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::More;

use Rig::Place qw(workdir start_process reap_process report_in slurp spew);
use Rig::Torture;

my $folder = workdir();
my $reins = Rig::Torture->new;

# What it ended by, what it dumped and what it said.
sub run
{
	my ($program, $arguments, $environment) = @_;
	open my $out, '>', "$folder/out" or die "$folder/out: $!";
	open my $err, '>', "$folder/err" or die "$folder/err: $!";
	my $pid = start_process([ $program, @$arguments, '--dump-config' ],
		stdout => $out, stderr => $err, clean => 1,
		environment => { $reins->environment, REPLICACHE_AUTH => 'none', %$environment });
	my $status = reap_process($pid, 20) // die "it does not end\n";
	return ($status, slurp("$folder/out"), slurp("$folder/err"));
}

# What is wrong with that.
sub judge
{
	my ($seen, $status, $dumped, $said, $usual) = @_;
	return report_in($said) if report_in($said);
	# Who can't tell whether a password is in it does not show it.
	$dumped =~ s/^# (\w+) is set, but not shown/$usual =~ m{^($1 = .*?)  # }m ? $1 : ''/gme;
	return $dumped eq $usual ? () : "dumped other settings: $dumped" if $status == 0;
	return () if Rig::Torture::death($seen, $status, $said);
	return "ended by $status: $said" if ($status & 127) != 0;
	return $said =~ /^replicache: error .+/m ? () : 'says nothing';
}

# The last line has no end; the program adds one.
my $text = <<'CONF' =~ s/\n\z//r;
# A comment
workers = 3
database = "host=/run/x dbname='a b'"
listen_database = "host=/run/y"
allowed_origins = https://app.example
jwt_leeway = 7
CONF
my $file = spew("$folder/named.conf", $text);
my $copy = "$folder/program";
mkdir $copy or die "$copy: $!";
spew("$copy/replicache.conf", "workers = 5\n");
copy(Rig::Torture::program(), "$copy/replicache.fcgi") or die "copy: $!";
chmod 0755, "$copy/replicache.fcgi" or die "chmod: $!";

# By which the program finds the file.
my %way = (
	'named' => [ Rig::Torture::program(), [ '--config', $file ], {} ],
	'beside the program' => [ "$copy/replicache.fcgi", [], {} ],
	'the system\'s, if any' => [ Rig::Torture::program(), [], {} ],
);

for my $name (sort keys %way) {
	$reins->arm(kind => 'own library', mode => 'count');
	my ($status, $usual) = run(@{ $way{$name} });
	my $count = $reins->disarm->{count};
	is($status, 0, "$name: it is read");
	my (@wrong, %failed);
	for my $at (1 .. $count) {
		$reins->arm(kind => 'own library', mode => 'once', at => $at);
		my ($status, @said) = run(@{ $way{$name} });
		my $seen = $reins->disarm;
		$failed{$status == 0 ? 'read all the same' : 'refused'}++;
		push @wrong, map { "$at ($seen->{first}): $_" } judge($seen, $status, @said, $usual);
	}
	is(join("\n", @wrong), '', "$name: all the same, or refused by name");
	note("$count calls: ", join ', ', map { "$failed{$_} $_" } sort keys %failed);
	cmp_ok($failed{refused} // 0, '>', 0, "$name: some are needed");
}
done_testing;
