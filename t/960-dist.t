#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The tarball: made twice it is the same to the byte, also by others, at another
# place and from itself, built in its own folder; and it has no more than sources.
# That is a build from nothing, so it waits for `make check-long PART=dist`.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(builddir srcdir workdir slurp start_process reap_process);

plan skip_all => 'slow: make check-long PART=dist' unless $ENV{DIST};
my $built = builddir();
# make gives its children what belongs to the build that it runs.
delete @ENV{grep { /^(MAKE|MFLAGS|TOP_|srcdir$|SOURCE_DATE_EPOCH$|TAR_OPTIONS$)/ } keys %ENV};

my $count = 0;

sub must
{
	my ($folder, $script, %environment) = @_;
	my $out = workdir() . '/out' . ++$count;
	open my $file, '>', $out or die "$out: $!";
	my $pid = start_process([ 'sh', '-c', $script ], stdout => $file, stderr => $file,
		folder => $folder, environment => \%environment);
	my $status = reap_process($pid, 1800) // die "$script does not end\n";
	die "$script\n" . substr slurp($out), -4000 if $status;
}

# The tarball that make dist makes in a folder, taken away from there.
sub dist
{
	my ($folder, $before, %environment) = @_;
	must($folder, "$before make -s dist", %environment);
	my ($made, @more) = grep { !/-hosting/ } glob "$folder/replicache-fcgi-*.tar.gz";
	die "no tarball in $folder\n" if !defined $made || @more;
	my $name = workdir() . '/' . ++$count . '.tar.gz';
	must('/', "mv '$made' '$name'");
	return $name;
}

my $first = dist($built, 'umask 022;');
my $second = dist($built, 'umask 027;', TZ => 'Asia/Tokyo');
ok(slurp($first) eq slurp($second), 'made twice, it is the same');

must(workdir(), "tar -xzf '$first'");
my ($tree) = glob workdir() . '/replicache-fcgi-*';
my @binary;
my @file = split /\n/, qx(cd '$tree' && find . -type f);
for my $file (@file) {
	push @binary, $file if slurp("$tree/$file") =~ /\A(\x7fELF|!<arch>)/;
}
cmp_ok(scalar @file, '>', 100, 'it has files');
is_deeply(\@binary, [], 'none of them was compiled');
SKIP: {
	my @tracked = grep { !m{^\.(?:ci/|git)} } split /\n/, qx(git -C '@{[ srcdir() ]}' ls-files 2>/dev/null);
	skip 'no git here', 1 unless @tracked;
	is_deeply([ grep { !-e "$tree/$_" } @tracked ], [], 'all that is tracked is in it');
}
is_deeply([ grep { m{/(node_modules|\.deps|\.git|run)/|/chat/installed$|/bench/packages/} } @file ], [], 'nor brought along');

must($tree, './configure && make -j2 check-programs');
my $third = dist($tree, '');
ok(slurp($first) eq slurp($third), 'made of itself, where it was built, it is the same');

done_testing;
