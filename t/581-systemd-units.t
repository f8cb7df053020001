#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The units of examples/systemd: systemd understands them, what they run works, and
# sockets passed in both of systemd's ways are served.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Behind;
use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Nginx;
use Rig::Place qw(builddir srcdir workdir program slurp spew find_tool start_process reap_process wait_until);
use Rig::Program;
use Rig::Systemd;

plan skip_all => 'no systemd here'
    unless Rig::Systemd::is_installed() && defined find_tool('systemd-analyze');

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_METRICS => 'on');
my $path = workdir() . '/socket';

sub unit { return slurp(srcdir() . "/examples/systemd/replicache.$_[0]") }

# Exit code and output.
sub run
{
	my (@command) = @_;
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process(\@command, stdout => $out, stderr => $out, clean => 1);
	return (reap_process($pid, 60) >> 8, slurp(workdir() . '/out'));
}

subtest 'the units' => sub {
	my $program = program();
	my $service = unit('service');
	my $installed = '/usr/local/libexec/replicache-fcgi/replicache.fcgi';
	is(scalar(() = $service =~ /\Q$installed\E --config \S+/g), 3, 'run the program, with its settings');
	$service =~ s/\Q$installed\E/$program/g;
	my $file = spew(workdir() . '/replicache.service', $service);
	my $socket = spew(workdir() . '/replicache.socket', unit('socket'));
	my ($code, $text) = run(find_tool('systemd-analyze'), 'verify', '--man=no', $file, $socket);
	is($code, 0, 'systemd understands them');
	is($text, '', 'and says nothing');
	my ($listen) = unit('socket') =~ /^ListenStream=(.*)$/m;
	for my $other (qw(nginx/replicache.conf apache/proxy.conf caddy/Caddyfile)) {
		like(slurp(srcdir() . "/examples/$other"), qr/unix:?\/*\Q$listen\E\b/, "$other looks there");
	}
	# What ExecStart says, on settings that are there.
	my ($arguments) = $service =~ /^ExecStartPre=\S+ (.*)$/m;
	my $settings = workdir() . '/replicache.conf';
	Rig::Program::write_settings($settings, %environment, REPLICACHE_AUTH => 'none');
	$arguments =~ s/\Q\/etc\/replicache.conf\E/$settings/;
	($code, $text) = run($program, split ' ', $arguments);
	is($code, 0, 'good settings are checked before the start') or diag($text);

	# As the journal is standard error, to which JOURNAL_STREAM testifies.
	my $bad = spew(workdir() . '/bad.conf', "auth = none\nnonsense = 1\n");
	my $stream = 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); export JOURNAL_STREAM; exec "$0" "$@"';
	($code, $text) = run('/bin/sh', '-c', $stream, $program, '--config', $bad, '--check-config');
	like($text, qr/^<3>replicache: error /, 'the journal is given the priority of a line');
	($code, $text) = run('/bin/sh', '-c', 'export JOURNAL_STREAM=1:1; exec "$0" "$@"', $program, '--config', $bad, '--check-config');
	like($text, qr/^replicache: error /, 'nobody else is');
	($code, $text) = run('/bin/sh', '-c', $stream, builddir() . '/admin/replicache-admin', '--database', 'host=/nonexistent', 'status');
	like($text, qr/^<3>replicache-admin: /, 'so it is by replicache-admin');

	# What ExecReload says, a command after the other, as systemd runs them.
	my @reload = $service =~ /^ExecReload=(.*)$/mg;
	my $server = Rig::Program->start(-arguments => [ '--config', $settings ]);
	$server->request(Rig::Program::params('GET', '/health'), '');
	my $reload = sub {
		$server->new_log;
		for my $line (@reload) {
			$line =~ s/\Q\/etc\/replicache.conf\E/$settings/;
			$line =~ s/\$MAINPID/${\ $server->pid}/;
			my ($code, $text) = run('/bin/sh', '-c', $line);
			return ($code, $text) if $code != 0;
		}
		return (0, '');
	};
	is(($reload->())[0], 0, 'they are read again');
	wait_until(sub { $server->log =~ /were read again/ }, 'that', 10);
	for my $bad (qw(max_body=1 nonsense=1 allowed_origins=https://App.example/ auth=jwt)) {
		my %setting = (%environment, REPLICACHE_AUTH => 'none');
		Rig::Program::write_settings($settings, %setting);
		spew($settings, slurp($settings) =~ s/^auth.*\n//mr . ($bad =~ /^auth/ ? '' : "auth = none\n") . "$bad\n");
		my ($code, $text) = $reload->();
		is($code, 1, "a reload by $bad fails");
		like($text, qr/replicache: error /, 'and says why');
		is($server->new_log, '', 'nothing reached the program');
	}
	is($server->stop, 0, 'ended in order');
};

for my $how ('--inetd', '') {
	subtest $how eq '' ? 'a socket passed by LISTEN_FDS' : 'a socket as standard input' => sub {
		my $program = Rig::Systemd::start($path, $how, %environment);
		is($program->request(Rig::Program::params('GET', '/health'), '')->{status}, 200,
			'the first connection starts it, and is served');
		is($program->request(Rig::Program::params('GET', '/health'), '')->{status}, 200, 'so is the next');
		is($program->stop, 0, 'ended in order') or diag($program->log);
		ok(-S $path, 'the socket stays');
	};
}

# LISTEN_PID says whose the sockets are.
subtest 'a socket passed to another' => sub {
	my ($code, $text) = run('sh', '-c', 'LISTEN_PID=1 LISTEN_FDS=1 exec "$0"', program());
	isnt($code, 0, 'is not taken');
};

subtest 'behind nginx' => sub {
	plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();
	my $program = Rig::Systemd::start($path, '--inetd', %environment);
	my $front = Rig::Nginx::Example->start(example => 'nginx/replicache.conf', socket => $path);
	Rig::Behind::check($front, $session, streams => 1);
	is($program->stop, 0, 'ended in order');
};

done_testing;
