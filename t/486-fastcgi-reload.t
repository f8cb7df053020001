#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# HUP: what is read again while the program serves, and what is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Place qw(workdir wait_until spew);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $file = workdir() . '/replicache.conf';

sub start
{
	my ($text, %environment) = @_;
	spew($file, $text);
	my $program = Rig::Program->start(-arguments => [ '--config', $file ],
		REPLICACHE_DATABASE => $cluster->conninfo($database), %environment);
	# It has read the file once it answers.
	$program->request(Rig::Program::params('GET', '/health'), '');
	return $program;
}

# Has the file read again; returns what was logged by it.
sub reload
{
	my ($program, $text) = @_;
	spew($file, $text);
	$program->new_log;
	kill 'HUP', $program->pid;
	my $log = '';
	wait_until(sub {
		$log .= $program->new_log;
		return $log =~ /were read again|stay as they were/;
	}, 'the file to be read again', 10);
	return $log;
}

sub push_status
{
	my ($program, $text) = @_;
	return $program->request(push_params('g', [ 'a', 1, 'note', '"' . ($text // 'x') . '"' ]))->{status};
}

sub pull_from
{
	my ($program, $origin) = @_;
	my ($params, $body) = pull_params('g');
	return $program->request({ %$params, HTTP_ORIGIN => $origin }, $body);
}

subtest 'what is read again' => sub {
	my $program = start("max_body = 1024\nlog_level = info\n");
	my $large = 'x' x 2000;
	is(push_status($program, $large), 413, 'too large a body');
	my $log = reload($program, "max_body = 10000\nlog_level = debug\nmetrics = on\n"
	    . "allowed_origins = https://a.example\n");
	like($log, qr/info $_ has changed$/m, "$_ is told to have changed")
	    for qw(max_body log_level metrics allowed_origins);
	is(push_status($program, $large), 200, 'no longer too large');
	like($program->new_log, qr/ debug /, 'the log is as fine as was asked for');
	is($program->request(Rig::Program::params('GET', '/metrics'), '')->{status}, 200, 'metrics are there');
	is(pull_from($program, 'https://a.example')->{headers}{'access-control-allow-origin'},
		'https://a.example', 'the origin is let in');
	# What the file no longer says is at its default.
	reload($program, "max_body = 1024\n");
	is(push_status($program, $large), 413, 'too large again');
	is($program->request(Rig::Program::params('GET', '/metrics'), '')->{status}, 404, 'metrics are gone');
	unlike($program->new_log, qr/ debug /, 'so is the fine log');
	is($program->stop, 0, 'ended in order');
};

subtest 'what is not' => sub {
	my $program = start("workers = 2\npool = 3\nmax_tokens = 100\n", REPLICACHE_MAX_TOKENS => 1000);
	is(push_status($program), 200, 'serves');
	my $log = reload($program, "workers = 4\npool = 3\nmax_tokens = 200\n");
	like($log, qr/warning workers has changed, but is only read at the start$/m, 'the number of workers is told');
	unlike($log, qr/pool has changed/, 'what is the same is not');
	unlike($log, qr/max_tokens has changed/, 'nor what the environment hides');
	is(push_status($program), 200, 'serves on');
	is($program->stop, 0, 'ended in order');
};

subtest 'a file that is wrong' => sub {
	my $program = start("max_body = 1024\n");
	for my $bad ([ "max_body = 10000\nnonsense = 3\n", qr/error \Q$file\E:2: no such setting/ ],
		[ "max_body = 10000\nlog_level = 'debug\n", qr/error \Q$file\E:2: / ],
		[ "max_body = 10000\nallowed_origins = https://a.example/\n", qr/error \Q$file\E:2: allowed_origins: .*write https:/ ],
		[ "max_body = 1\n", qr/error \Q$file\E:1: max_body: a whole number/ ]) {
		my $log = reload($program, $bad->[0]);
		like($log, $bad->[1], 'is told');
		like($log, qr/stay as they were$/m, 'and left alone');
		is(push_status($program, 'x' x 2000), 413, 'nothing has changed');
	}
	reload($program, "max_body = 10000\n");
	is(push_status($program, 'x' x 2000), 200, 'a good one after it is heard');
	unlink $file;
	$program->new_log;
	kill 'HUP', $program->pid;
	wait_until(sub { $program->log =~ /error \Q$file\E: can't be read: .*stay as they were/ },
		'the missing file to be told', 10);
	is(push_status($program, 'x' x 2000), 200, 'one that is gone changes nothing');
	is($program->stop, 0, 'ended in order');
};

subtest 'while requests are under way' => sub {
	my $program = start('');
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params('u', [ 'u', 1, 'sleep', '{"seconds":0.5}' ])));
	wait_until(sub {
		$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the push to run', 10);
	like(reload($program, "statement_timeout = 4000\n"), qr/statement_timeout has changed/, 'read again');
	is($peer->answer(10)->{status}, 200, 'it is answered');
	my $bad = 0;
	for my $round (1 .. 60) {
		spew($file, 'allowed_origins = "https://' . "$round.example\"\nmax_body = 1000$round\n");
		kill 'HUP', $program->pid;
		$bad++ if pull_from($program, "https://$round.example")->{status} != 200;
	}
	is($bad, 0, 'sixty times in a row, no request is lost');
	ok($program->is_alive, 'it lives');
	is($program->stop, 0, 'ended in order');
};

done_testing;
