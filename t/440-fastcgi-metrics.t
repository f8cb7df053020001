#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# /metrics: what it tells is what was done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(wait_until);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my $session = $cluster->session($database);
my $program = Rig::Program->start(%environment, REPLICACHE_METRICS => 'on',
	REPLICACHE_POKE_STREAMS => 3);
my $last = {};

# All metrics now, and what each grew by since the last time.
sub scrape
{
	my $answer = $program->request(Rig::Program::params('GET', '/metrics'));
	my (%now, %type);
	for my $line (split /\n/, $answer->{body}) {
		if ($line =~ /^# TYPE (\S+) (counter|gauge|histogram)$/) {
			$type{$1}++ and die "$1 has two types";
			next;
		}
		next if $line =~ /^# HELP \S+ \S/;
		my ($name, $value) = $line =~
		    /^(replicache_[a-z_]+(?:\{(?:[a-z]+="[^"]*",?)*\})?) (-?[0-9.e+-]+)$/
		    or die "no line of the format: $line\n";
		my ($base) = $name =~ /^([a-z_]+)/;
		$type{$base} || $type{$base =~ s/_(bucket|sum|count)$//r}
		    or die "$name has no type";
		exists $now{$name} and die "$name twice";
		$now{$name} = $value;
	}
	my %grown = map { $_ => $now{$_} - ($last->{$_} // 0) } keys %now;
	$last = \%now;
	return (\%now, \%grown, $answer);
}

sub grown
{
	my ($grown, %wanted) = @_;
	for my $name (sort keys %wanted) {
		is($grown->{"replicache_$name"}, $wanted{$name}, $name);
	}
}

subtest 'off by default' => sub {
	my $quiet = Rig::Program->start(%environment);
	is($quiet->request(Rig::Program::params('GET', '/metrics'))->{status}, 404, 'not there');
	$quiet->stop;
};

subtest 'the format' => sub {
	my (undef, undef, $answer) = scrape();
	is($answer->{status}, 200, 'status');
	like($answer->{headers}{'content-type'}, qr{^text/plain; version=0\.0\.4}, 'type');
	is($program->request(Rig::Program::params('POST', '/metrics'))->{status}, 405, 'POST');
	my $head = $program->request(Rig::Program::params('HEAD', '/metrics'));
	is($head->{status}, 200, 'HEAD');
	is($head->{body}, '', 'HEAD has no body');
};

subtest 'pushes' => sub {
	scrape();
	my @push = push_params('g', [ 'a', 1, 'note', '1' ], [ 'a', 2, 'note', '2' ]);
	$program->request(@push) for 1 .. 2;
	$program->request(push_params('g', [ 'a', 2, 'note', '2' ], [ 'a', 3, 'note', '3' ],
		[ 'a', 4, 'unheard-of', '3' ]));
	$program->request(push_params('g', [ 'a', 9, 'note', '1' ]));
	my (undef, $grown) = scrape();
	grown($grown,
		'mutations_total{result="applied"}' => 3,
		'mutations_total{result="skipped"}' => 3,
		'mutations_total{result="failed"}' => 1,
		'requests_total{route="push",status="200"}' => 3,
		'requests_total{route="push",status="409"}' => 1,
		'batch_mutations_bucket{le="1"}' => 0,
		'batch_mutations_bucket{le="2"}' => 2,
		'batch_mutations_bucket{le="+Inf"}' => 2,
		'batch_mutations_sum{}' => 4,
		'batch_mutations_count{}' => 2,
		'lock_held_seconds_count{}' => 2,
		'request_duration_seconds_count{route="push"}' => 4,
		'requests_total{route="metrics",status="200"}' => 1,
	);
	cmp_ok($grown->{'replicache_lock_held_seconds_sum{}'}, '>', 0, 'the lock was held');
};

subtest 'pulls' => sub {
	$session->query(q(insert into item (id, body) select 'i' || n, '1' from generate_series(1, 10) as n));
	scrape();
	my $answer = $program->request(pull_params('g'));
	my (undef, $grown) = scrape();
	grown($grown, 'pull_rows_total' => scalar(() = $answer->{body} =~ /"op":"put"/g),
		'pull_bytes_total' => length $answer->{body},
		'requests_total{route="pull",status="200"}' => 1,
		'request_duration_seconds_count{route="pull"}' => 1);
	cmp_ok($grown->{'replicache_pull_rows_total'}, '>=', 10, 'rows were read');
};

subtest 'streams' => sub {
	scrape();
	my $version = $session->value('select max(version) from replicache_version');
	my @stream = map { Rig::Stream->fastcgi($program, version => $version) } 1 .. 2;
	my $poll = Rig::Stream->fastcgi($program, version => $version, poll => 1);
	$_->status for @stream;
	my $now;
	wait_until(sub {
		($now) = scrape();
		$now->{'replicache_streams{kind="longpoll"}'} == 1 && $now->{'replicache_listening'} == 1;
	}, 'the poll, and changes to be seen', 10);
	is($now->{'replicache_streams{kind="stream"}'}, 2, 'streams');
	is($now->{'replicache_version'}, $version, 'the version');
	is(Rig::Stream->fastcgi($program, version => $version)->status, 503, 'one too many');
	$session->query(q(insert into item (id, body) values ('s', '1')));
	$_->poke(5) for @stream;
	$poll->answer(5);
	$stream[0]->close;
	wait_until(sub { (scrape())[0]{'replicache_streams{kind="stream"}'} == 1 }, 'the end', 5);
	($now) = scrape();
	my %total = ('pokes_total' => 2, 'streams_opened_total{kind="stream"}' => 2,
		'streams_opened_total{kind="longpoll"}' => 1,
		'streams_refused_total{limit="process"}' => 1,
		'streams_ended_total{reason="gone"}' => 1,
		'streams_ended_total{reason="answered"}' => 1,
		'streams{kind="longpoll"}' => 0, 'streams{kind="stream"}' => 1);
	grown($now, %total);
	is(Rig::Stream->fastcgi($program, version => 1)->poke(5), $now->{replicache_version},
		'one that is behind is poked as it opens');
	wait_until(sub { (scrape())[0]{replicache_pokes_total} == $total{pokes_total} + 1 },
		'that to be counted', 5);
};

subtest 'others' => sub {
	my ($now) = scrape();
	is($now->{'replicache_pool_connections{state="used"}'}, 0, 'no connection in use');
	cmp_ok($now->{'replicache_pool_connections{state="idle"}'}, '>', 0, 'some are idle');
	is($now->{'replicache_pool_limit'}, 8, 'the limit');
	$program->request(Rig::Program::params('GET', '/nowhere'));
	$program->request(Rig::Program::params('GET', '/health'));
	my (undef, $grown) = scrape();
	grown($grown, 'requests_total{route="other",status="404"}' => 1,
		'requests_total{route="health",status="200"}' => 1);
};

is($program->stop, 0, 'ended in order');
done_testing;
