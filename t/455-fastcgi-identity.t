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
	$refused->('jwt_header', $good, 0600, REPLICACHE_JWT_HEADER => 'X' x 65);
	$refused->('jwt_header', $good, 0600, REPLICACHE_JWT_HEADER => 'content-type');
	is(($start->($good, 0600, REPLICACHE_JWT_HEADER => 'X' x 64))[0], 0, 'a name that just fits');
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

subtest 'two users claim a group at once' => sub {
	my @program = map { Rig::Program->start(%environment, Rig::Token::environment()) } 0, 1;
	my %token = map { $_ => Rig::Token::of_user($_) } qw(ann bob);
	my @user = qw(ann bob);
	my $rounds = 25;
	my $of = sub {
		my ($program, $user, $n) = @_;
		my ($params, $body) = push_params("race$n", [ "$user$n", 1, 'note', qq("$user$n") ]);
		return $program->request({ %$params, HTTP_AUTHORIZATION => $token{$user} }, $body)->{status};
	};
	# Both in one process, and each in its own.
	my @result = parallel(4, sub {
		my ($number) = @_;
		my $user = $user[$number % 2];
		my %status;
		for my $n (1 .. $rounds) {
			$status{$n} = $of->($program[$number < 2 ? 0 : $number % 2], $user, $number < 2 ? $n : $n + $rounds);
		}
		return \%status;
	});
	my ($wrong, %won) = ('');
	for my $pair ([ @result[0, 1], 0 ], [ @result[2, 3], $rounds ]) {
		my ($ann, $bob, $offset) = @$pair;
		for my $n (1 .. $rounds) {
			my $name = 'race' . ($n + $offset);
			my $owner = $session->value("select user_id from replicache_client_group where id = '$name'");
			my $notes = $session->value("select string_agg(note, ' ') from journal where note ~ '^(ann|bob)"
				. ($n + $offset) . "\$'");
			$won{$owner}++;
			my %status = (ann => $ann->{$n}, bob => $bob->{$n});
			my $loser = $owner eq 'ann' ? 'bob' : 'ann';
			$wrong .= "$name: $owner owns it, ann got $status{ann}, bob $status{bob}, notes $notes\n"
			    if $status{$owner} != 200 || $status{$loser} != 403
			    || $notes ne $owner . ($n + $offset);
		}
	}
	is($wrong, '', 'one has it, the other is refused, and has done nothing');
	diag("won: ann $won{ann}, bob $won{bob}") if $ENV{VERBOSE};
	is($_->stop, 0, 'ended in order') for @program;
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
	my $third = $open->('ann');
	is($third->status, 429, 'no third');
	cmp_ok($third->header('retry-after'), '>', 0, 'for now');
	is($open->('bob')->status, 200, 'one of bob');
	$_->close for @held;
	wait_until(sub { $open->('ann')->status == 200 }, 'room for ann again', 10);
	is($program->stop, 0, 'ended in order');
};

done_testing;
