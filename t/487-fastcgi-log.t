#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The log: a line a request, in two forms, which no input breaks, and which no
# secret reaches. What is planted here is looked for at the end by Rig::Program.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use JSON::PP;

use Rig::Cluster;
use Rig::Place qw(workdir wait_until spew);
use Rig::Program;
use Rig::Secrets;
use Rig::Sync qw(push_params pull_params push_body);
use Rig::Token;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
$session->query(<<'SQL');
create function case_notice(args jsonb) returns void language plpgsql as $$
begin raise notice 'args: %', args; raise warning '%', args; end $$;
create function case_say(args jsonb) returns void language plpgsql as $$
begin raise exception 'args: %', args using errcode = args->>0; end $$;
create table checked (id text primary key);
create function case_check() returns trigger language plpgsql as $$
begin raise exception 'late: %', new.id; end $$;
create constraint trigger late after insert on checked
	deferrable initially deferred for each row execute function case_check();
create function case_late(args jsonb) returns void language sql as
	$$ insert into checked values (args->>0) $$;
select replicache_register_mutator(n, 'case_' || n) from unnest(array['notice', 'say', 'late']) n;
SQL

sub start
{
	my (%setting) = @_;
	return Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
		Rig::Token::environment(), REPLICACHE_LOG_LEVEL => 'debug', %setting);
}

sub ask
{
	my ($program, $params, $body, %more) = @_;
	return $program->request({ %$params, HTTP_AUTHORIZATION => Rig::Token::of_user('ann'),
		HTTP_COOKIE => 'session=planted-cookie', %more }, $body);
}

# The lines of requests since the last time, as they came.
sub request_lines
{
	my ($program) = @_;
	my $log = '';
	wait_until(sub { ($log .= $program->new_log) =~ /request/ }, 'a line of a request', 10);
	return grep { /request/ } split /\n/, $log;
}

subtest 'secrets are found where there are some' => sub {
	my @bad = ("args planted-x", 'token ' . Rig::Token::of_user('ann'),
		'swordfish', "a\n\"PLANTED-x\"\nb");
	is(scalar Rig::Secrets::found($_), 1, 'found') for @bad;
	is(scalar Rig::Secrets::found("replicache: info eyelash, a plant"), 0, 'nor where there are none');
};

subtest 'a line a request' => sub {
	my $program = start();
	ask($program, push_params('g', [ 'a', 1, 'note', '"planted-x"' ], [ 'a', 2, 'note', '"planted-y"' ]));
	$program->new_log;
	my ($params, $body) = push_params('g', map { [ 'a', $_, 'note', '"planted-args"' ] } 1 .. 3);
	ask($program, $params, $body, HTTP_X_REPLICACHE_REQUESTID => 'c-1:2');
	my @line = request_lines($program);
	is(scalar @line, 1, 'one line');
	like($line[0], qr{^replicache: debug request path=/push status=200 request=c-1:2 user=ann us=\d+ bytes=2 mutations=3 applied=1$},
		'which tells who did what, and how long it took');
	ask($program, pull_params('g'), HTTP_AUTHORIZATION => Rig::Token::of_user('bob b.'));
	like((request_lines($program))[0],
		qr{^replicache: debug request path=/pull status=200 error=ClientStateNotFound reason="the client group is another user's" user="bob b\." us=\d+ bytes=\d+$},
		'and why not');
	ask($program, pull_params('g'), HTTP_AUTHORIZATION => '');
	like((grep { /status/ } request_lines($program))[0],
		qr{^replicache: info request path=/pull status=401 error=unauthorized reason="there is no token" us=}, 'or who is nobody');
	is($program->stop, 0, 'ended in order');
};

subtest 'as JSON' => sub {
	my $program = start(REPLICACHE_LOG_FORMAT => 'json');
	ask($program, push_params('j', [ 'j', 1, 'note', '"planted-args"' ]), HTTP_X_REPLICACHE_REQUESTID => 'r');
	my ($line) = request_lines($program);
	my $event = decode_json($line);
	like(delete $event->{time}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'the time');
	cmp_ok(delete $event->{us}, '>', 0, 'how long it took');
	is_deeply($event, { level => 'debug', message => 'request', path => '/push', status => 200,
		request => 'r', user => 'ann', bytes => 2, mutations => 1, applied => 1 }, 'the rest');
	is($program->stop, 0, 'ended in order');
	my @bad = grep { !eval { decode_json($_) } } split /\n/, $program->log;
	is_deeply(\@bad, [], 'all its lines are');
};

# Hostile bytes wherever a client can put some.
for my $format (qw(text json)) {
	subtest "nothing breaks a line of $format" => sub {
		my $program = start(REPLICACHE_LOG_FORMAT => $format);
		my $evil = "x\r\nreplicache: error forged\e[31m\x{7f}\xff\xc0\x80\"}\\,\"a\":\"" . '%s%n';
		my $user = Rig::Token::sign('{"sub":"a\r\nreplicache: error forged\u001b[31m\"}\\\\","exp":' . (time + 60) . '}');
		my @push = push_params('e', [ 'e', 1, 'note', '"x"' ]);
		ask($program, @push, HTTP_AUTHORIZATION => $user);
		ask($program, @push);
		ask($program, @push, HTTP_AUTHORIZATION => $evil);
		ask($program, @push, HTTP_X_REPLICACHE_REQUESTID => $evil);
		ask($program, @push, HTTP_ORIGIN => $evil, HTTP_SEC_FETCH_SITE => $evil);
		ask($program, { %{ $push[0] }, PATH_INFO => "/$evil" }, $push[1]);
		ask($program, { %{ $push[0] }, PATH_INFO => '/' . 'y' x 10000 }, $push[1]);
		ask($program, { %{ $push[0] }, CONTENT_TYPE => $evil }, $push[1]);
		ask($program, Rig::Program::params('GET', '/poke', query => "version=$evil"), undef, HTTP_LAST_EVENT_ID => $evil);
		my $name = 'evil\r\nreplicache: error forged\u001b[31m';
		ask($program, push_params('e', [ 'f', 1, $name, '"x"' ]), HTTP_AUTHORIZATION => $user);
		is($program->stop, 0, 'ended in order');
		my $log = $program->log;
		unlike($log, qr/[^\x20-\x7e\n]/, 'nothing but plain characters');
		my @line = split /\n/, $log;
		is_deeply([ grep { !/^(replicache: (error|warning|info|debug) |\{"time")/ } @line ], [], 'every line is whole');
		is_deeply([ grep { /^replicache: error|"level":"error"/ } @line ], [], 'none is forged');
		is_deeply([ grep { length > 4096 } @line ], [], 'none is too long');
		is(scalar(grep { /request,? .*path=|"message":"request/ } @line), 10, 'one for each request');
		is_deeply([ grep { !eval { decode_json($_) } } @line ], [], 'all are JSON') if $format eq 'json';
		my $whole = $format eq 'json' ? q("user":"a\u000d\u000areplicache: error forged\u001b[31m\"}\\\\")
		    : q(user="a\x0d\x0areplicache: error forged\x1b[31m\"}\\\\");
		like($log, qr/\Q$whole\E/, 'a user is named whole');
	};

	# Of one length that is escaped to more than any other field may have.
	subtest "users are told apart in $format" => sub {
		my $program = start(REPLICACHE_LOG_FORMAT => $format);
		my @user = ('a', "a\n", "a\nb", 'a\nb', "a\x{202e}", "\x{430}", "\x{e9}", map { "\x01" x 254 . $_ } 'x', 'y');
		my %line;
		for my $user (@user) {
			my $token = Rig::Token::sign(JSON::PP->new->ascii->encode({ sub => $user, exp => time + 600 }));
			ask($program, pull_params('t'), HTTP_AUTHORIZATION => $token);
			my ($line) = request_lines($program);
			ok($line =~ s/.*\buser"?[=:](.*?),? ?"?us"?[=:].*/$1/, 'a user is named') or diag($line);
			$line{$line} = 1;
		}
		is(scalar keys %line, @user, 'each has a line of their own') or diag(join "\n", sort keys %line);
		is($program->stop, 0, 'ended in order');
	};
}

subtest 'what mutators are given and say' => sub {
	my $program = start(REPLICACHE_STATEMENT_TIMEOUT => 300);
	my @args = ('"planted-args"', '["22012","planted-args"]', '["53100","planted-args"]',
		'["P0001","planted-args"]', '["57014","planted-args"]', '["40001","planted-args"]');
	my %id;
	for my $name (qw(note notice say late cast float failHalf nonsense sleep putSeat)) {
		for my $args (@args, '{"n":"planted-args","seconds":2,"id":"planted-args","place":"planted-args"}') {
			my $client = "$name" . ++$id{$name};
			ask($program, push_params("m$client", [ $client, 1, $name, $args ]));
		}
	}
	ask($program, Rig::Program::params('POST', '/push', body => $_), $_)
	    for '{"planted-body":', '"planted-body"', push_body('planted-group'), 'planted-body' x 1000,
	    '{"pushVersion":1,"clientGroupID":["planted-body"]}', '{"pushVersion":"planted-body"}';
	ok($program->is_alive, 'it lives');
	is($program->stop, 0, 'ended in order');
	like($program->log, qr/status=503 error=unavailable reason="the mutator of say failed" sqlstate=53100/,
		'a failure of the system is told without what the mutator said');
	like($program->log, qr/postgres: NOTICE 00000$/m, 'so is what it said in passing');
};

subtest 'passwords' => sub {
	my $nowhere = 'host=' . workdir() . ' dbname=x password=planted-password user=nobody';
	my $program = start(REPLICACHE_DATABASE => $nowhere, REPLICACHE_CONNECT_TIMEOUT => 500);
	is(ask($program, pull_params('g'))->{status}, 503, 'no database');
	is($program->stop, 0, 'ended in order');
	for my $bad ("planted-password", "password=planted-password host='", 'postgres://u:planted-password@[/',
		'postgresql://u:planted-password@h:planted-port/d%zz') {
		my $program = start(REPLICACHE_DATABASE => $bad);
		isnt(Rig::Place::reap_process($program->pid, 20), 0, 'it does not start');
		like($program->log, qr/error REPLICACHE_DATABASE/, 'and tells why');
	}
	my $file = spew(workdir() . '/weak', 'planted-weak');
	chmod 0600, $file;
	$program = start(REPLICACHE_JWT_KEY_FILE => $file);
	isnt(Rig::Place::reap_process($program->pid, 20), 0, 'nor with a weak key');
	like($program->log, qr/too short/, 'which is told, but not shown');
	my $wrong = $cluster->conninfo($database) . ' password=planted-password user=planted_nobody';
	$program = start(REPLICACHE_DATABASE => $wrong =~ s/planted_nobody/nobody_at_all/r, REPLICACHE_CONNECT_TIMEOUT => 5000);
	is(ask($program, pull_params('g'))->{status}, 503, 'no such role');
	is($program->stop, 0, 'ended in order');
};

done_testing;
