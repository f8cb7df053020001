#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The archive for shared hosting: unpacked, with two lines of its settings changed
# as its README says, it is all that a CGI server needs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Place qw(srcdir builddir workdir slurp spew start_process reap_process);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my ($archive, @more) = glob builddir() . '/replicache-fcgi-*-hosting.tar.gz';
ok(defined $archive && !@more, 'one archive is there: make shared-hosting-dist') or BAIL_OUT('no archive');
is(system('tar', '-xzpf', $archive, '-C', workdir()), 0, 'it unpacks');
my ($top) = glob workdir() . '/replicache-fcgi-*-hosting';
my $place = "$top/replicache";
my $settings = "$place/replicache.conf";

# What a command of the folder says, and its exit code.
sub run
{
	my ($command, %option) = @_;
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process($command, stdout => $out, stderr => $out, clean => 1,
		folder => $place, %option);
	return (reap_process($pid, 30) >> 8, slurp(workdir() . '/out'));
}

sub request
{
	my ($params, $body) = @_;
	open my $in, '<', spew(workdir() . '/in', $body // '') or die "in: $!";
	my (undef, $text) = run(["$place/replicache.fcgi"], stdin => $in, environment => $params);
	return Rig::Fastcgi::parse_cgi($text =~ s/^replicache: .*\n//mgr);
}

subtest 'what is in it' => sub {
	my %mode = ('replicache.fcgi' => 0755, 'replicache.conf' => 0600, '.htaccess' => 0644);
	is((stat "$place/$_")[2] & 07777, $mode{$_}, "$_ has its mode") for sort keys %mode;
	is(slurp("$place/.htaccess"), slurp(srcdir() . '/examples/apache/htaccess'), 'the example for Apache');
	is(slurp("$top/poke.js"), slurp(srcdir() . '/examples/poke.js'), 'poke.js');
	is(slurp("$top/schema/$_"), slurp(srcdir() . "/schema/$_"), "schema/$_")
	    for qw(replicache.sql chat.sql rooms.sql grants.sql);
	my $readme = slurp("$top/README");
	unlike($readme, qr/@[A-Z]+@/, 'the README is complete');
	for my $library (qx(readelf -d '$place/replicache.fcgi') =~ /NEEDED.*\[(.*)\]/g) {
		like($readme, qr/^ +\Q$library\E$/m, "and tells of $library");
	}
};

my ($code, $text) = run(["$place/replicache.fcgi", '--check-config']);
isnt($code, 0, 'nobody is let in by the settings as they come');
like($text, qr/auth must be said/, 'which is told');

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $sample = slurp($settings);
my $conninfo = $cluster->conninfo($database);
ok($sample =~ s/^#database = .*/database = "$conninfo"/m, 'the database can be said');
ok($sample =~ s/^#auth = .*/auth = none/m, 'and who may');
spew($settings, $sample);

subtest 'it serves' => sub {
	is(request(Rig::Program::params('GET', '/health'))->{status}, 200, 'health');
	is(request(push_params('g', [ 'a', 1, 'note', '"x"' ]))->{status}, 200, 'a push');
	is($cluster->session($database)->value('select count(*) from journal'), 1, 'is applied');
	my $answer = request(pull_params('g'));
	is($answer->{status}, 200, 'a pull');
	like($answer->{body}, qr/"lastMutationIDChanges":\{"a":1\}/, 'tells of it');
};

done_testing;
