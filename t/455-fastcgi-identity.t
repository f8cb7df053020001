#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Who is asking, where one request does not show it: what the program won't
# start with, keys that change while it serves, and two users at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(workdir wait_until spew slurp);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params parallel);
use Rig::Token;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my $folder = Rig::Token::folder();

sub pull_status
{
	my ($program, $token) = @_;
	my ($params, $body) = pull_params('g');
	return $program->request({ %$params, HTTP_AUTHORIZATION => $token }, $body)->{status};
}

subtest 'what it does not start with' => sub {
	my $file = workdir() . '/key';
	my $start = sub {
		my ($text, $mode, %setting) = @_;
		spew($file, $text);
		chmod $mode, $file;
		my $program = Rig::Program->start(%environment, REPLICACHE_AUTH => 'jwt',
			REPLICACHE_JWT_ALGORITHM => 'HS256', REPLICACHE_JWT_KEY_FILE => $file,
			-arguments => ['--check-config'], %setting);
		my $status = Rig::Place::reap_process($program->pid, 20);
		return ($status, $program->log);
	};
	my $good = "planted-0123456789-0123456789-0123456789\n";
	my $refused = sub {
		my ($reason, @start) = @_;
		my ($status, $log) = $start->(@start);
		is($status, 256, "refused: $reason");
		like($log, qr/^replicache: error .*\Q$reason\E/m, 'and told');
	};
	is(($start->($good, 0600))[0], 0, 'all is well');
	is(($start->($good, 0640))[0], 0, 'the group may read it');
	$refused->('others can read this secret', $good, 0644);
	$refused->('others can write this file', $good, 0602);
	$refused->('too short', "changeme\n", 0600);
	$refused->('too short', '', 0600);
	$refused->('has a key in PEM', slurp("$folder/rs256.pem"), 0600);
	$refused->('has no PUBLIC KEY', $good, 0600, REPLICACHE_JWT_ALGORITHM => 'RS256');
	$refused->('No such file', $good, 0600, REPLICACHE_JWT_KEY_FILE => "$file.gone");
	$refused->('jwt_key_file must be said', $good, 0600, REPLICACHE_JWT_KEY_FILE => '');
	$refused->('jwt_algorithm must be said', $good, 0600, REPLICACHE_JWT_ALGORITHM => 'unset');
	$refused->('REPLICACHE_JWT_ALGORITHM', $good, 0600, REPLICACHE_JWT_ALGORITHM => 'none');
	$refused->('jwt_subject must be said', $good, 0600, REPLICACHE_JWT_SUBJECT => '');
	$refused->('jwt_header', $good, 0600, REPLICACHE_JWT_HEADER => 'X-Token: x');
	$refused->('jwt_cookie', $good, 0600, REPLICACHE_JWT_COOKIE => 'a;b');
	$refused->('REPLICACHE_AUTH', $good, 0600, REPLICACHE_AUTH => 'JWT');
};

subtest 'keys change while it serves' => sub {
	my $file = workdir() . '/changing';
	my @secret = map { "planted-$_-0123456789-0123456789-0123456789" } qw(first second);
	my $claims = '{"sub":"ann","exp":' . (time + 600) . '}';
	my @token = map { Rig::Token::sign($claims, secret => $_) } @secret;
	spew($file, $secret[0]);
	chmod 0600, $file;
	my $program = Rig::Program->start(%environment, Rig::Token::environment(),
		REPLICACHE_JWT_KEY_FILE => $file);
	is(pull_status($program, $token[0]), 200, 'the first key is in force');
	is(pull_status($program, $token[1]), 401, 'the second is not');

	my $reload = sub {
		my ($text, $wanted) = @_;
		spew($file, $text);
		$program->new_log;
		kill 'HUP', $program->pid;
		my $log = '';
		wait_until(sub { ($log .= $program->new_log) =~ $wanted }, "$wanted", 10);
	};
	$reload->('planted-short', qr/error \Q$file\E: the secret is too short.*the keys stay as they were/);
	is(pull_status($program, $token[0]), 200, 'what is no good changes nothing');
	spew("$file.new", $secret[1]);
	$reload->($secret[1], qr/the settings were read again/);
	wait_until(sub { pull_status($program, $token[1]) == 200 }, 'the second key', 10);
	is(pull_status($program, $token[0]), 401, 'and the first no more');

	# Requests of either key are answered right, however often they change.
	my @status = parallel(3, sub {
		my ($number) = @_;
		if ($number == 0) {
			for my $round (1 .. 100) {
				spew("$file.next", $secret[$round % 2]);
				chmod 0600, "$file.next";
				rename "$file.next", $file;
				kill 'HUP', $program->pid;
			}
			return {};
		}
		my %seen;
		$seen{pull_status($program, $token[$number - 1])}++ for 1 .. 150;
		return \%seen;
	});
	for my $seen (@status[1, 2]) {
		is_deeply([ grep { $_ ne '200' && $_ ne '401' } sort keys %$seen ], [],
			'nothing but 200 and 401');
	}
	is($program->stop, 0, 'ended in order');
};

subtest 'a token that is missing is hinted at once a minute' => sub {
	my $program = Rig::Program->start(%environment, Rig::Token::environment());
	is(pull_status($program, $_), 401, 'no token') for ('') x 5;
	my @hint = $program->log =~ /warning .*CGIPassAuth On/g;
	is(scalar @hint, 1, 'one hint');
	is($program->stop, 0, 'ended in order');
};

subtest 'streams are counted by user' => sub {
	my $program = Rig::Program->start(%environment, Rig::Token::environment(),
		REPLICACHE_POKE_USER_STREAMS => 2);
	my $open = sub {
		my ($user) = @_;
		return Rig::Stream->fastcgi($program,
			headers => { Authorization => Rig::Token::of_user($user) });
	};
	my @held = map { $open->('ann') } 1, 2;
	is($_->status, 200, 'a stream of ann') for @held;
	is($open->('ann')->status, 429, 'no third');
	is($open->('bob')->status, 200, 'one of bob');
	$_->close for @held;
	wait_until(sub { $open->('ann')->status == 200 }, 'room for ann again', 10);
	is($program->stop, 0, 'ended in order');
};

done_testing;
