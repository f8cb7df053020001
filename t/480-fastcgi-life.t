#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The program's life: how it starts and refuses to, its socket, its signals,
# and a database that is not there, comes, goes and comes back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(program workdir wait_until start_process reap_process
    stop_process server_user slurp spew);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my $session = $cluster->session($database);

# Run to its end; returns exit code and output.
sub run
{
	my ($arguments, %option) = @_;
	my $path = workdir() . '/run';
	open my $out, '>', $path or die "$path: $!";
	my $pid = start_process([ program(), @$arguments ], stdout => $out,
	    stderr => $out, clean => 1, %option);
	my $status = reap_process($pid, 10);
	stop_process($pid, 'KILL') unless defined $status;
	return (defined $status ? $status >> 8 : -1, slurp($path));
}

sub health { return $_[0]->request(Rig::Program::params('GET', '/health'), '', seconds => 10) }

subtest 'options' => sub {
	my ($code, $text) = run(['--help']);
	is($code, 0, '--help') or diag($text);
	like($text, qr/--listen/, 'tells the options');
	($code, $text) = run(['--version']);
	is($code, 0, '--version');
	like($text, qr/^replicache\S* \d/m, 'tells the version');
	($code) = run(['--nonsense']);
	isnt($code, 0, 'an unknown option is refused');
	($code, $text) = run(['nonsense']);
	isnt($code, 0, 'so is an argument');
	like($text, qr/no arguments/, 'which is told');
	($code, $text) = run(['--check-config'], environment => { %environment, REPLICACHE_AUTH => 'none' });
	is($code, 0, '--check-config of a good one') or diag($text);
	($code, $text) = run(['--dump-config'], environment => { %environment, REPLICACHE_AUTH => 'none', REPLICACHE_WORKERS => 3 });
	is($code, 0, '--dump-config') or diag($text);
	like($text, qr/workers\W+3/, 'tells the settings');
};

subtest 'settings that are refused' => sub {
	my ($code, $text) = run(['--check-config'], environment => { %environment });
	isnt($code, 0, 'no authentication said');
	like($text, qr/auth/i, 'it is told');
	for my $bad ('REPLICACHE_WORKERS=0', 'REPLICACHE_WORKERS=many', 'REPLICACHE_AUTH=maybe',
		'REPLICACHE_MAX_BODY=-1', 'REPLICACHE_STATEMENT_TIMEOUT=5s') {
		my ($name, $value) = split /=/, $bad;
		($code, $text) = run(['--check-config'],
			environment => { %environment, REPLICACHE_AUTH => 'none', $name => $value });
		isnt($code, 0, $bad);
		my $word = lc $name =~ s/^REPLICACHE_//r;
		like($text, qr/$word/i, 'it is told');
	}
	my $path = workdir() . '/refused';
	($code) = run(['--listen', $path], environment => { %environment });
	isnt($code, 0, 'nor does it serve');
	ok(!-e $path, 'and leaves no socket');
	($code) = run(['--listen', workdir() . '/' . 'x' x 200],
		environment => { %environment, REPLICACHE_AUTH => 'none' });
	isnt($code, 0, 'a path too long for a socket');
	($code, $text) = run(['--listen', workdir() . '/nowhere/socket'],
		environment => { %environment, REPLICACHE_AUTH => 'none' });
	isnt($code, 0, 'a path in a folder that is not there');
	like($text, qr{/nowhere/socket: No such file or directory}, 'it is told');
	($code) = run([], environment => { %environment, REPLICACHE_AUTH => 'none' });
	isnt($code, 0, 'no socket at all');
};

# A web server may pass a query string as arguments.
subtest 'as CGI arguments are not read' => sub {
	for my $argument ('--version', '--dump-config', '--help', '--listen', '-x') {
		my $answer = Rig::Program::cgi(\%environment,
			Rig::Program::params('GET', '/health', query => $argument), '',
			arguments => [$argument]);
		is($answer->{status}, 200, $argument) or diag($answer->{body}, $answer->{stderr});
	}
};

# Under CGI the environment is the web server's: PG* may come from anybody.
subtest 'as CGI libpq environment is not read' => sub {
	my $answer = Rig::Program::cgi({ %environment,
		PGOPTIONS => '-c default_transaction_read_only=on', PGUSER => 'nobody',
		PGHOST => '/nowhere', PGSERVICE => 'nowhere' }, push_params('cgi', [ 'cgi', 1, 'note', '1' ]));
	is($answer->{status}, 200, 'a push') or diag($answer->{stderr});
};

# The browser has gone, or the web server's disk is full: what was committed stays,
# and the process ends in order.
subtest 'as CGI an answer that nobody takes' => sub {
	pipe(my $gone, my $closed) or die "pipe: $!";
	close $gone;
	open my $full, '>', '/dev/full' or die "/dev/full: $!";
	my @to = ([ pull => $closed ], [ push => $closed ], [ pull => $full ], [ push => $full ]);
	for my $n (0 .. $#to) {
		my ($what, $to) = @{ $to[$n] };
		my @request = $what eq 'pull' ? pull_params('untaken') : push_params('untaken', [ "untaken$n", 1, 'note', '"untaken"' ]);
		my $answer = Rig::Program::cgi(\%environment, @request, stdout => $to);
		is($answer->{exit}, 0, "$what: it ends in order");
		is($answer->{stderr} =~ /^replicache: (?:error|warning)/m ? $answer->{stderr} : '', '', 'without a complaint');
	}
	is($session->value(q(select count(*) from journal where note = 'untaken')), 2, 'each push was applied');
};

# As mod_cgid has it: what is closed with bytes unread in it loses the answer.
subtest 'as CGI on one socket for both directions' => sub {
	for my $length (100, 1_000_000) {
		socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
		my $body = 'x' x $length;
		my $params = Rig::Program::params('POST', '/push', body => $body,
			headers => { 'Content-Type' => 'text/plain' });
		$params->{CONTENT_TYPE} = 'text/plain';
		my $pid = start_process([ program() ], stdin => $theirs, stdout => $theirs, clean => 1,
			environment => { %Rig::Program::usual, %environment, %$params });
		close $theirs;
		my ($text, $writer) = ('', fork // die "fork: $!");
		if ($writer == 0) {
			local $SIG{PIPE} = 'IGNORE';
			my $at = 0;
			while ($at < $length) {
				$at += syswrite($ours, $body, $length - $at, $at) // last;
			}
			POSIX::_exit($at < $length ? 1 : 0);
		}
		is((waitpid($writer, 0), $?)[1], 0, "$length bytes are taken");
		1 while sysread $ours, $text, 4096, length $text;
		like($text, qr/^Status: 415.*\}\s*\z/s, 'the answer is whole');
		is(reap_process($pid, 10), 0, 'ended in order');
	}
};

subtest '--listen' => sub {
	my $path = workdir() . '/listen';
	my $start = sub {
		my $log = workdir() . '/listen.log';
		open my $out, '>', $log or die "$log: $!";
		return start_process([ program(), '--listen', $path ], stderr => $out,
			clean => 1, environment => { %environment, REPLICACHE_AUTH => 'none' });
	};
	my $up = sub { wait_until(sub { Rig::Fastcgi->connect($path) }, 'the socket', 10) };
	my $first = $start->();
	$up->();
	is((stat $path)[2] & 0777, 0660, 'mode 0660');
	is($up->()->request(Rig::Program::params('GET', '/health'), '')->{status}, 200, 'served');
	my $second = $start->();
	my $status = reap_process($second, 10);
	ok(defined $status && $status != 0, 'a socket in use is refused');
	like(slurp(workdir() . '/listen.log'), qr/another program listens there/, 'it is told');
	is($up->()->request(Rig::Program::params('GET', '/health'), '')->{status}, 200,
		'and its owner goes on');
	stop_process($first, 'KILL');
	ok(-S $path, 'a killed program leaves its socket');
	my $third = $start->();
	is($up->()->request(Rig::Program::params('GET', '/health'), '')->{status}, 200,
		'which the next one takes over');
	is(stop_process($third, 'TERM'), 0, 'ended by TERM');
	unlink $path;
	open my $file, '>', $path or die "$path: $!";
	close $file;
	$status = reap_process($start->(), 10);
	ok(defined $status && $status != 0, 'a file that is no socket is refused');
	like(slurp(workdir() . '/listen.log'), qr/is there, and no socket/, 'it is told');
	ok(-f $path, 'and kept');
	unlink $path;
};

subtest 'TERM, USR1 and INT while a push is under way' => sub {
	for my $signal (qw(TERM USR1 INT)) {
		my $program = Rig::Program->start(%environment);
		my $peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(
			push_params("g$signal", [ "c$signal", 1, 'sleep', '{"seconds":0.7}' ])));
		wait_until(sub {
			$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
		}, 'the push to run', 10);
		my $start = time;
		kill $signal, $program->pid;
		is($peer->answer(10)->{status}, 200, "$signal: the push is answered");
		my $status = reap_process($program->pid, 10);
		is($status, 0, "$signal: ended in order");
		cmp_ok(time - $start, '<', 2.8, "$signal: soon");
	}
};

subtest 'TERM while a push takes too long' => sub {
	my $program = Rig::Program->start(%environment, REPLICACHE_DRAIN_TIMEOUT => 300);
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(
		push_params('long', [ 'long', 1, 'sleep', '{"seconds":4}' ])));
	wait_until(sub {
		$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the push to run', 10);
	my $start = time;
	kill 'TERM', $program->pid;
	my $answer = eval { $peer->answer(10) };
	isnt($answer->{status}, 200, 'it is not answered by 200');
	ok(defined reap_process($program->pid, 10), 'ended');
	cmp_ok(time - $start, '<', 3, 'soon');
	wait_until(sub {
		!$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the mutator to be cancelled', 10);
	is($session->value(q(select count(*) from replicache_client where id = 'long')), 0,
		'nothing of it is applied');
};

# Nobody can be told to cancel it: it ends with a request in it.
subtest 'TERM while Postgres stands still' => sub {
	my $program = Rig::Program->start(%environment, REPLICACHE_DRAIN_TIMEOUT => 600);
	my $peer = $program->connect;
	$peer->send_raw(Rig::Fastcgi::request_bytes(push_params('still', [ 'still', 1, 'sleep', '{"seconds":5}' ])));
	my $backend = wait_until(sub {
		$session->value(q(select pid from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the push to run', 10);
	kill 'STOP', $backend or die "STOP $backend: $!";
	kill 'TERM', $program->pid;
	my $answer = eval { $peer->answer(10) };
	isnt($answer->{status}, 200, 'it is not answered by 200');
	is(reap_process($program->pid, 10), 0, 'ended in order');
	like($program->log, qr/requests were cut at the end/, 'and told');
	kill 'CONT', $backend or die "CONT $backend: $!";
	wait_until(sub {
		!$session->value(qq(select count(*) from pg_stat_activity where pid = $backend))
	}, 'the session to end', 10);
	my $next = Rig::Program->start(%environment);
	is($next->request(push_params('still', [ 'still', 1, 'sleep', '{"seconds":0}' ]))->{status}, 200, 'sent again');
	is($session->value(q(select last_mutation_id from replicache_client where id = 'still')), 1, 'applied once');
	is($next->stop, 0, 'ended in order');
};

subtest 'kill -9 while a push is under way' => sub {
	my $program = Rig::Program->start(%environment);
	my $peer = $program->connect;
	my ($params, $body) = push_params('k', [ 'k', 1, 'note', '"k"' ],
		[ 'k', 2, 'sleep', '{"seconds":0.3}' ], [ 'k', 3, 'note', '"k"' ]);
	$peer->send_raw(Rig::Fastcgi::request_bytes($params, $body));
	wait_until(sub {
		$session->value(q(select count(*) from pg_stat_activity where wait_event = 'PgSleep'))
	}, 'the push to run', 10);
	$program->stop('KILL');
	isnt(eval { $peer->answer(5) }->{status}, 200, 'no answer');
	my $next = Rig::Program->start(%environment);
	is($next->request($params, $body)->{status}, 200, 'sent again');
	is($session->value(q(select count(*) from journal where note = 'k')), 2, 'applied once');
	$next->stop;
};

subtest 'a database that is not there yet' => sub {
	my $other = 'later';
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($other));
	my $start = time;
	my $answer = health($program);
	is($answer->{status}, 503, 'health');
	is(ref eval { Rig::Json::decode($answer->{body}) }, 'HASH', 'is JSON');
	unlike($answer->{body}, qr/later|FATAL|host=/, 'and tells nothing of the inside');
	is($program->request(push_params('g', [ 'a', 1, 'note', '1' ]))->{status}, 503, 'push');
	is($program->request(pull_params('g'))->{status}, 503, 'pull');
	cmp_ok(time - $start, '<', 3, 'soon');
	my $made = $cluster->database('cases');
	$cluster->admin->query("alter database $made rename to $other");
	wait_until(sub { health($program)->{status} == 200 }, 'health', 15);
	pass('health when it is there');
	is($program->request(push_params('g', [ 'a', 1, 'note', '1' ]))->{status}, 200, 'push');
	is($program->request(pull_params('g'))->{status}, 200, 'pull');
	is($program->stop, 0, 'ended in order');
};

subtest 'a database without our schema' => sub {
	my $program = Rig::Program->start(
		REPLICACHE_DATABASE => $cluster->conninfo($cluster->database('empty')));
	is(health($program)->{status}, 503, 'health');
	my $push = $program->request(push_params('g', [ 'a', 1, 'note', '1' ]));
	like($push->{status}, qr/^50[03]$/, 'push');
	unlike($push->{body}, qr/relation|replicache_/, 'tells nothing of the inside');
	like($program->request(pull_params('g'))->{status}, qr/^50[03]$/, 'pull');
	is($program->stop, 0, 'ended in order');
};

subtest 'a server that restarts' => sub {
	my $program = Rig::Program->start(%environment);
	is($program->request(push_params('r', [ 'r', 1, 'note', '"r"' ]))->{status}, 200, 'before');
	$session->close;
	$cluster->stop('INT');
	is($program->request(push_params('r', [ 'r', 2, 'note', '"r"' ]))->{status}, 503, 'push while it is down');
	is($program->request(pull_params('r'))->{status}, 503, 'pull while it is down');
	is(health($program)->{status}, 503, 'health while it is down');
	$cluster->launch;
	$session = $cluster->session($database);
	wait_until(sub {
		$program->request(push_params('r', [ 'r', 2, 'note', '"r"' ]))->{status} == 200
	}, 'the push to do', 15);
	pass('push when it is back');
	is($program->request(pull_params('r'))->{status}, 200, 'pull when it is back');
	is($session->value(q(select count(*) from journal where note = 'r')), 2, 'applied once each');
	is($program->stop, 0, 'ended in order');
};

# What belongs to a process that may not be looked into is root's.
subtest 'its memory is its own' => sub {
	plan skip_all => 'a sanitizer looks into it' if slurp(program()) =~ /__asan_init/;
	my $copy = workdir() . '/copy.fcgi';
	spew($copy, slurp(program()));
	chmod 0755, $copy;
	my $path = workdir() . '/copy.sock';
	my $log = workdir() . '/copy.log';
	open my $error, '>', $log or die "$log: $!";
	my $pid = start_process([$copy], stdin => Rig::Program::listener($path), stderr => $error,
	    clean => 1, user => server_user(),
	    environment => { %Rig::Program::usual, %environment });
	wait_until(sub { slurp($log) =~ /serving/ }, 'the program to serve', 10);
	is((stat "/proc/$pid/environ")[4], 0, 'nobody else of its user may read its environment');
	stop_process($pid, 'TERM');
};

subtest 'idle connections that were cut' => sub {
	my $program = Rig::Program->start(%environment);
	for my $round (1 .. 3) {
		is($program->request(push_params('i', [ 'i', $round, 'note', '"i"' ]))->{status}, 200, "push $round");
		is($program->request(pull_params('i'))->{status}, 200, "pull $round");
		$session->query(q(select pg_terminate_backend(pid, 5000) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid()));
	}
	is($session->value(q(select count(*) from journal where note = 'i')), 3, 'applied once each');
	is($program->stop, 0, 'ended in order');
};

done_testing;
