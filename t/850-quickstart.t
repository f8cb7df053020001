#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# ./quickstart in a copy of this tree that lies deep, and where the servers'
# user can't enter.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(make_path remove_tree);
use Test::More;

use Rig::Http;
use Rig::Node;
use Rig::Place qw(srcdir workdir start_process reap_process wait_until
    find_tool slurp spew process_lives);
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();
for my $tool (qw(autoreconf automake cc flock make multiwatch npm pkg-config
    spawn-fcgi tar)) {
	plan skip_all => "$tool is not installed" unless defined find_tool($tool);
}

my $closed = workdir() . '/closed';
my $clone = "$closed/" . 'a-rather-long-name-for-a-folder/' x 6 . 'clone';
my $tools = workdir() . '/tools';
my $port = Rig::Site::free_port();
my $runs = 0;
# What a caller has open, and what nobody but root may touch.
my $open = spew(workdir() . '/open', '');
my $victim = spew(workdir() . '/victim', "untouched\n");

# Run ./quickstart. Returns its exit status and all it said.
sub quickstart
{
	my ($arguments, %environment) = @_;
	my $path = workdir() . '/said' . ++$runs;
	open my $out, '>', $path or die "$path: $!";
	my $pid = start_process([ 'sh', '-c', 'exec 7<"$0" 8>>"$0" "$@"', $open, "$clone/quickstart", @$arguments ],
	    stdout => $out, stderr => $out, signal => 'TERM',
	    environment => { PORT => $port, PATH => "$tools:$ENV{PATH}",
		%environment });
	my $status = reap_process($pid, 300);
	return (defined $status ? $status >> 8 : -1, slurp($path));
}

sub psql { return (quickstart([ 'psql', '-AtXc', @_ ]))[1] }

# GET of a path; the answer's status and body.
sub get
{
	my ($path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
	    or return (0, '');
	my $answer = Rig::Http::exchange($socket,
	    "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 10);
	return @$answer{qw(status body)};
}

# The processes that run from a folder.
sub processes
{
	my ($folder) = @_;
	return grep {
		my $command = eval { slurp("/proc/$_/cmdline") } // '';
		index($command, $folder) >= 0;
	} map { m{(\d+)} } glob '/proc/[0-9]*';
}

my $home;

# Nothing may be left, however the test ends.
END {
	my $status = $?;
	if (defined $home) {
		quickstart(['stop']);
		remove_tree($home);
	}
	$? = $status;
}

make_path($clone);
chmod 0700, $closed;
my $source = srcdir();
system('sh', '-c', 'cd "$1" && tar -cf - --exclude=./.git --exclude=./build'
    . ' --exclude=./run --exclude=node_modules --exclude=./config.status .'
    . ' | tar -C "$2" -xf -', 'sh', $source, $clone) == 0 or die "tar failed";
mkdir $tools;
# This test installs nothing.
spew("$tools/apt-get", "#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n");
chmod 0755, "$tools/apt-get";

subtest 'it says how it is used' => sub {
	my ($status, $said) = quickstart(['--help']);
	is($status, 0, '--help');
	like($said, qr/quickstart stop.*quickstart psql.*quickstart check/s, 'names all');
	($status, $said) = quickstart(['begin']);
	is($status, 2, 'an unknown command');
	for my $bad (qw(0 65536 http), '80 80') {
		($status, $said) = quickstart([], PORT => $bad);
		is($status, 1, "PORT=$bad");
		like($said, qr/PORT must be a number/, 'says so');
	}
	($status, $said) = quickstart(['psql']);
	like($said, qr/start \.\/quickstart first/, 'psql before the start');
};

subtest 'a port in use' => sub {
	my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
	my ($status, $said) = quickstart([], PORT => $taken->sockport);
	is($status, 1, 'is refused');
	like($said, qr/port \d+ is in use; choose another: PORT=/, 'with a way out');
};

subtest 'a package that cannot be had' => sub {
	my $few = workdir() . '/few';
	mkdir $few;
	for my $path (glob('/usr/local/bin/* /usr/bin/* /bin/*')) {
		my ($name) = $path =~ m{([^/]+)$};
		symlink $path, "$few/$name" unless $name =~ /^(multiwatch|apt-get)$/;
	}
	my ($status, $said) = quickstart([], PATH => $few);
	is($status, 1, 'without apt-get');
	like($said, qr/missing: multiwatch/, 'names it');
	symlink "$tools/apt-get", "$few/apt-get";
	# No user here has sudo but root.
	symlink '/bin/false', "$few/sudo" if unlink("$few/sudo");
	($status, $said) = quickstart([], PATH => $few);
	is($status, 1, 'with an apt-get that fails');
	like($said, $> == 0 ? qr/E: no such package.*apt-install failed/s
	    : qr/As root, please run: apt-get install multiwatch/, 'shows why');
};

subtest 'it starts' => sub {
	my ($status, $said) = quickstart([]);
	$home = readlink "$clone/run/home";
	is($status, 0, 'well') or die $said;
	like($said, qr{http://localhost:$port/}, 'and prints the address');
	cmp_ok(length "$home/fastcgi.sock", '<', 107, 'its sockets have short names');
	is((get('/replicache/health'))[0], 200, 'the endpoints answer');
	like((get('/'))[1], qr/<title>Chat/, 'the page is served');
	like((get('/chat.js'))[1], qr/replicache/, 'with its code');
	is(psql('select count(*) from message'), "0\n", 'psql opens the database');
	is(psql('select current_user'), "chat\n", 'as its owner, no superuser');
	is(psql(q(select distinct usename from pg_stat_activity where application_name = 'replicache')), "web\n",
	    'the program has a role of its own');
	psql(q(insert into message (id, sender, content, ord) values ('q', 'a', 'b', 1)));
};

subtest 'who runs, and with what' => sub {
	my @process = processes($home);
	cmp_ok(scalar @process, '>=', 4, 'Postgres, multiwatch, the program and nginx');
	for my $process (@process) {
		my $name = slurp("/proc/$process/cmdline") =~ s/\0.*//sr;
		my @file = map { readlink($_) // '' } glob "/proc/$process/fd/*";
		is_deeply([ grep { $_ eq $open || m{/run/lock$|/pipe:} } @file ], [], "$name has nothing of its caller");
		next if $> != 0;
		isnt((stat "/proc/$process")[4], 0, 'and is not root');
	}
	my @mine = grep { (lstat $_)[4] == 0 } glob "$home/*";
	is_deeply(\@mine, [], 'nor does root own a file there') if $> == 0;
};

subtest 'the program is restarted' => sub {
	my ($program) = grep {
		(readlink "/proc/$_/exe" // '') =~ /replicache\.fcgi/
	} processes($home);
	kill 'KILL', $program;
	wait_until(sub { !process_lives($program) }, 'its end');
	wait_until(sub { (get('/replicache/health'))[0] == 200 }, 'an answer');
	pass('by multiwatch');
};

subtest 'it is started again' => sub {
	my ($status, $said) = quickstart([]);
	is($status, 0, 'well') or diag($said);
	is(readlink "$clone/run/home", $home, 'in the same place');
	is(psql('select id from message'), "q\n", 'with what was written');
	is((get('/replicache/health'))[0], 200, 'and answers');
};

subtest 'it is stopped' => sub {
	my ($status, $said) = quickstart(['stop']);
	is($status, 0, 'well') or diag($said);
	is_deeply([ processes($home) ], [], 'nothing runs any more');
	is((get('/'))[0], 0, 'nothing listens');
	is((quickstart(['stop']))[0], 0, 'a second stop is no error');
};

# What the servers' user could put where root was to write.
subtest 'a link where a file is written' => sub {
	plan skip_all => 'only root can do what it must not' if $> != 0;
	chmod 0600, $victim;
	my @before = (stat $victim)[2, 4, 5, 7];
	my ($user) = (getpwuid((stat $home)[4]))[0];
	# Those that stop the start early are tried last.
	for my $names ([qw(program.log nginx.log nginx.conf replicache.conf fastcgi.sock www.new)],
		[qw(program.pid nginx.pid nginx.conf.new replicache.conf.new bin/replicache.fcgi.new)],
		[qw(postgres.log data/pg_hba.conf.new)]) {
		for my $name (@$names) {
			system('setpriv', "--reuid=$user", '--clear-groups', 'ln', '-sfn', $victim, "$home/$name") == 0
			    or die "$name: $?";
		}
		my ($status, $said) = quickstart([]);
		is_deeply([ (stat $victim)[2, 4, 5, 7] ], \@before, "@$names lead nowhere") or diag($said);
		is(slurp($victim), "untouched\n", 'nothing is written');
		quickstart(['stop']);
		is_deeply([ processes($home) ], [], 'nothing is left');
		unlink map { "$home/$_" } @$names;
	}
	# A process of root that looks like one of it.
	my $other = start_process([ 'perl', '-e', 'sleep 600', $home ]);
	wait_until(sub { grep { $_ == $other } processes($home) }, 'it', 10);
	spew("$home/nginx.pid", "$other\n");
	my ($status, $said) = quickstart(['stop']);
	is($status, 1, 'what the servers\' user could not end');
	like($said, qr/cannot stop nginx, process $other of root/, 'is not ended');
	ok(process_lives($other), 'it lives');
	kill 'KILL', $other;
	reap_process($other, 10);
	unlink "$home/nginx.pid";
};

done_testing;
