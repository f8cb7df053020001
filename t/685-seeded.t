#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The checker is checked: bugs are put into the program and its schema, one at a
# time, and t/680-checked.t must notice, or the test that the patch names. Each is a
# patch of t/seeded that says what it breaks, and may say "Seen by TEST at scale N."; of
# such a test any check that fails will do, if it comes to its end.
#
# SCALE=1 takes all, and builds those that are in C in a copy of the tree; else two
# are taken that are in SQL and show at once. SEEDED='03 17' names others. A bug may
# need luck to show: it has ATTEMPTS chances.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(srcdir builddir workdir slurp start_process stop_process reap_process);

use constant { ATTEMPTS => 8, RUN_SCALE => 1 };

my @AT_ONCE = qw(04 05 13 15);

my $SCALE = $ENV{SCALE} // 0;
my $SEED = $ENV{SEED} // int rand 100_000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my %about = map { $_ => slurp($_) } sort glob srcdir() . '/t/seeded/*.patch';
my @chosen = sort keys %about;
if (defined $ENV{SEEDED} || $SCALE < 1) {
	my %wanted = map { $_ => 1 } split ' ',
	    $ENV{SEEDED} // join ' ', map { splice @AT_ONCE, rand @AT_ONCE, 1 } 1 .. 2;
	@chosen = grep { m{/(\d+)-[^/]*$} && $wanted{$1} } @chosen;
}

sub is_in_c { return $about{ $_[0] } =~ m{^\+\+\+ b/(?:cgi|common|schema/statements)}m }

# Run a command; returns whether it was well, and what it said.
sub run
{
	my ($environment, @command) = @_;
	my $path = workdir() . '/said';
	open my $out, '>', $path or die "$path: $!";
	my $pid = start_process(\@command, stdout => $out, stderr => $out,
	    environment => $environment);
	my $status = reap_process($pid, 1800) // stop_process($pid, 'TERM', 30);
	return (defined $status && $status == 0, slurp($path));
}

sub must
{
	my (@command) = @_;
	my ($good, $said) = run({}, @command);
	die "@command:\n$said" if !$good;
}

my @targets = qw(all t/faulty/replicache.fcgi);
my $source = workdir() . '/source';
my $build = builddir();
must('sh', '-c', 'mkdir "$2" && cd "$1" && tar -cf - --exclude=./run --exclude=./.git --exclude=./build . | tar -xf - -C "$2"',
    'sh', srcdir(), $source);
if (grep { is_in_c($_) } @chosen) {
	$build = workdir() . '/build';
	must('sh', '-c', 'mkdir "$2" && cd "$2" && "$1/configure" -q CFLAGS=-O1 && make -s -j2 $3', 'sh',
	    $source, $build, "@targets");
}

# Without fuzz: what fits elsewhere, too, is another bug, or none.
my @stale = grep { !(run({}, 'patch', '-s', '--dry-run', '-F0', '-p1', '-d', $source, '-i', $_))[0] } sort keys %about;
is("@stale", '', 'all bugs can be put in');

# Whether all is well; what the checker finds; and what was said. A test that breaks
# down otherwise has found nothing.
sub finds
{
	my ($seed, $test, $scale, $any) = @_;
	my ($good, $said) = run({ TOP_SRCDIR => $source, TOP_BUILDDIR => $build, SEED => $seed, SCALE => $scale },
	    $^X, "$source/t/$test.t");
	my ($found) = $said =~ /((?:P\d+: |in parallel: ).*)/;
	($found) = $said =~ /^(not ok .*)/m if !defined $found && $any && $said =~ /^1\.\.\d+$/m;
	return ($good, $found, $said);
}

# What notices each, and at what scale.
my %test = map {
	$_ => $about{$_} =~ /^Seen by (\S+) at scale (\S+)\.$/m ? [ $1, $2, 1 ] : [ '680-checked', RUN_SCALE, 0 ]
} @chosen;
my %scale = map { @$_[0, 1] } values %test;
for my $test (sort keys %scale) {
	my ($good, undef, $said) = finds($SEED, $test, $scale{$test});
	ok($good, "$test: without a bug nothing is found") or diag($said);
}

for my $patch (@chosen) {
	my ($name) = $patch =~ m{([^/]+)\.patch$};
	my ($breaks) = $about{$patch} =~ /\A(.*)/;
	must('patch', '-s', '-p1', '-d', $source, '-i', $patch);
	must('make', '-s', '-j2', '-C', $build, @targets) if is_in_c($patch);
	my ($found, $said);
	for my $attempt (1 .. ATTEMPTS) {
		(undef, $found, $said) = finds($SEED + $attempt, @{ $test{$patch} });
		last if defined $found;
	}
	ok(defined $found, "$name is found: $breaks") ? note($found) : diag($said);
	must('patch', '-s', '-R', '-p1', '-d', $source, '-i', $patch);
	must('make', '-s', '-j2', '-C', $build, @targets) if is_in_c($patch);
}
done_testing;
