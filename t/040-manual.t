#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The manual, --help and the sample file say of options and settings what the
# program does, and formatters find nothing wrong with the manual.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Place qw(program builddir srcdir workdir start_process reap_process
    find_tool slurp spew);

my @page = qw(replicache-admin.8 replicache-sql.7 replicache.conf.5 replicache.fcgi.8);

sub page { return slurp(builddir() . "/man/$_[0]") }

# What a command prints on both its outputs.
sub output
{
	my ($command, %environment) = @_;
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process($command, stdout => $out, stderr => $out,
		clean => 1, environment => { REPLICACHE_CONFIG => '/dev/null', %environment });
	reap_process($pid, 30);
	return slurp(workdir() . '/out');
}

my $help = output([ program(), '--help' ]);
my $sample = output([ program(), '--example-config' ]);

# The table, as --dump-config has it: name and default, in order.
sub table
{
	my ($dump) = @_;
	return map { /^(\w+) = (.*?)  # / ? "$1 = $2" : () } split /\n/, $dump;
}

my @table = table(output([ program(), '--dump-config' ], REPLICACHE_AUTH => 'none'));
my @name = map { /^(\w+)/ } @table;
cmp_ok(@name, '>', 20, 'there are settings');

subtest 'settings' => sub {
	my @in_help = $help =~ /^  (REPLICACHE_\w+, \w+)$/mg;
	is_deeply(\@in_help, [ map { 'REPLICACHE_' . uc($_) . ", $_" } @name ],
		'--help has all, by both names');
	my $page = page('replicache.conf.5');
	is_deeply([ $page =~ /^\.It Ic (\w+)/mg ], \@name, 'so has the manual');
	is_deeply([ $page =~ /^\.Pq Ev (\w+)/mg ], [ map { 'REPLICACHE_' . uc } @name ],
		'with their variables');
	is_deeply([ $sample =~ /^#(\w+) = /mg ], \@name, 'so has the sample');
	is(slurp(builddir() . '/man/replicache.conf'), $sample, 'which is installed');

	# Every line of the sample is one of a good file, and a default.
	my $file = spew(workdir() . '/sample.conf', $sample =~ s/^#(\w+ = )/$1/mgr);
	my $dump = output([ program(), '--config', $file, '--dump-config' ]);
	is_deeply([ table($dump) ], \@table, 'the values in it are the defaults');
	unlike($dump, qr/# default/, 'and are all there');
	like(output([ program(), '--config', spew("$file.2", $sample), '--check-config' ],
		REPLICACHE_AUTH => 'none'), qr/settings are good/, 'it can be used as it is');

	for (map { /^(\w+) = (\S+)$/ ? [ $1, $2 ] : () } grep { !/"|^auth/ } @table) {
		my ($name, $default) = @$_;
		like($page, qr/^\.It Ic $name No = \Q$default\E$/m, "$name: the manual's default");
		like($help, qr/, $name\n(?: {6}.*\n)*? {6}(?:.*\s)?\(\Q$default\E\)$/m, "$name: --help's");
	}
};

subtest 'options' => sub {
	my %in_help = map { $_ => 1 } $help =~ /^  (--[a-z-]+)/mg;
	my %in_usage = map { $_ => 1 } $help =~ /(--[a-z-]+)/g;
	my $page = page('replicache.fcgi.8');
	my %in_page = map { ("--$_" => 1) } $page =~ /^\.It Fl Fl ([a-z-]+)/mg;
	my ($synopsis) = $page =~ /^\.Sh SYNOPSIS\n(.*?)^\.Sh/ms;
	my %in_synopsis = map { ("--$_" => 1) } $synopsis =~ /Fl Fl ([a-z-]+)/g;
	is_deeply(\%in_usage, \%in_help, '--help says something of each');
	is_deeply(\%in_page, \%in_help, 'so does the manual');
	is_deeply(\%in_synopsis, \%in_help, 'and shows it in the synopsis');
	unlike(output([ program(), $_, '--version' ]), qr/unrecognized/, "$_ is known")
	    for grep { !/config$|listen/ } sort keys %in_help;
	like(output([ program(), "--nonsense" ]), qr/unrecognized/, 'others are not');
};

subtest 'replicache-admin' => sub {
	my $help = output([ builddir() . '/admin/replicache-admin', '--help' ]);
	my $page = page('replicache-admin.8');
	my %in_help = map { $_ => 1 } $help =~ /^  (--[a-z-]+)/mg;
	my %in_page = map { ("--$_" => 1) } $page =~ /Fl Fl ([a-z-]+)/g;
	is_deeply(\%in_page, \%in_help, 'the manual has the options that --help has');
	# A verb, and the second word of those that have one.
	my @verbs = map { /^  ([a-z][a-z-]*(?: (?:list|show|retry|discard))?)/ ? $1 : () } split /\n/, $help;
	is_deeply([ $page =~ /^\.It Ic ([a-z][a-z-]*(?: (?:list|show|retry|discard))?)/mg ], \@verbs, 'and the verbs, in order');
	my ($codes) = $help =~ /^Exit codes: (.*)\z/ms;
	my ($status) = $page =~ /^\.Sh EXIT STATUS\n(.*?)^\.Sh/ms;
	is_deeply([ $status =~ /^\.It (\d)$/mg ], [ $codes =~ /(\d) /g ], 'and the exit codes');
};

subtest 'the SQL API' => sub {
	my ($list) = slurp(srcdir() . '/schema/replicache.sql') =~ /^-- What an app calls.*?\n(.*?)^-- What/ms;
	my %api = map { $_ => 1 } $list =~ /(replicache_\w+)/g;
	delete $api{'replicache_user_id'};
	$api{"replicache$_"} = 1 for $list =~ /[ ](_\w+)\(/g;
	my $page = page('replicache-sql.7');
	my %in_page = map { $_ => 1 } map { /(replicache_\w+)/g } $page =~ /^\.It (Fn .*)$/mg;
	ok($in_page{$_}, "$_ is in the manual") for sort grep { /replicache_[a-z]/ } keys %api;
};

for my $page (@page) {
	my $path = builddir() . "/man/$page";
	unlike(page($page), qr/@\w+@/, "$page: all is filled in");
	SKIP: {
		skip 'no groff here', 1 unless defined find_tool('groff');
		# A path that was filled in may be longer than a line.
		is(join("\n", grep { !/: can't break line$/ }
			split /\n/, output([ find_tool('groff'), '-mandoc', '-ww', '-z', '-Tutf8', $path ])), '', "$page: groff");
	}
	SKIP: {
		skip 'no mandoc here', 1 unless defined find_tool('mandoc');
		# Whether other pages are installed is not of interest, nor how
		# long the paths are that were filled in.
		is(join("\n", grep { !/referenced manual not found|mandoc\.db|longer than 80/ }
			split /\n/, output([ find_tool('mandoc'), '-Tlint', $path ])), '', "$page: mandoc");
	}
}

done_testing;
