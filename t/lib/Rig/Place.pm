# SPDX-License-Identifier: Apache-2.0
#
# Where a test stands: source and build folders, one private folder under
# /tmp, and the processes it started.
#
# A guard process reads from a pipe what the test has started. When the test ends,
# however it ends (also by kill -9), the guard, its child, sees that, ends every
# registered process and removes the folder.

package Rig::Place;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use Fcntl qw(F_SETFD);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Select;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(srcdir builddir program workdir wait_until
    start_process adopt_process stop_process reap_process forget_process process_lives report_in
    slurp spew find_tool server_user);

my $work;
my $guard_pid;
my $guard_pipe;
my $owner_pid;

# Another program than the one that was built, for a test of the tests.
my $program = $ENV{PROGRAM};

delete @ENV{grep { /^(PG|REPLICACHE_|HTTP_|LC_|FCGI_)/ } keys %ENV};
delete @ENV{qw(LANG GATEWAY_INTERFACE CONTENT_LENGTH REQUEST_METHOD PATH_INFO)};
$ENV{LC_ALL} = 'C';
$SIG{PIPE} = 'IGNORE';

# The top of the source tree.
sub srcdir
{
	return abs_path($ENV{TOP_SRCDIR} // dirname(abs_path(__FILE__)) . '/../../..');
}

# The top of the build tree: TOP_BUILDDIR, else the source tree when it was
# built in place, else its folder build.
sub builddir
{
	return abs_path($ENV{TOP_BUILDDIR}) if defined $ENV{TOP_BUILDDIR};
	my $top = srcdir();
	return -x "$top/cgi/replicache.fcgi" ? $top : "$top/build";
}

# The program under test.
sub program
{
	return $program // builddir() . '/cgi/replicache.fcgi';
}

# From now on, another one.
sub use_program { $program = $_[0] }

# The test's private folder, made on first use. Short, for socket paths.
sub workdir
{
	return $work if defined $work;
	$work = tempdir('rf-XXXXXX', DIR => '/tmp', CLEANUP => 0);
	chmod 0755, $work or die "chmod $work: $!";
	start_guard();
	return $work;
}

sub start_guard
{
	$owner_pid = $$;
	pipe(my $read, my $write) or die "pipe: $!";
	$guard_pid = fork // die "fork: $!";
	if ($guard_pid == 0) {
		close $write;
		POSIX::setsid();
		@SIG{qw(INT TERM HUP QUIT)} = ('IGNORE') x 4;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		guard($read);
		POSIX::_exit(0);
	}
	close $read;
	$write->autoflush(1);
	$guard_pipe = $write;
	for my $name (qw(INT TERM HUP)) {
		$SIG{$name} = sub { POSIX::_exit(1) if $$ != $owner_pid; exit 1 };
	}
}

# The guard's life: remember who was started, and clear up at the end.
sub guard
{
	my ($read) = @_;
	my (@started, $over);
	my $text = '';
	my $select = IO::Select->new($read);
	until ($over) {
		# Processes that the test has forked hold the pipe, too: it may have no end.
		my $gone = getppid != $owner_pid;
		if ($select->can_read($gone ? 0 : 0.2)) {
			$over = !sysread($read, $text, 4096, length $text) || $text =~ /^over$/m;
			note_started(\@started, \$text);
		} else {
			$over = $gone;
		}
	}
	for my $entry (reverse @started) {
		my ($pid, $signal, $since) = @$entry;
		# Its number may be another's by now.
		next if started_at($pid) ne $since;
		kill $signal, $pid;
		my $end = time + 5;
		sleep 0.01 while process_lives($pid) && time < $end;
		kill 'KILL', $pid if process_lives($pid);
	}
	remove_tree($work, { safe => 0 });
}

# Takes whole lines out of the text.
sub note_started
{
	my ($started, $text) = @_;
	while ($$text =~ s/\A(.*)\n//) {
		my $line = $1;
		if ($line =~ /^start (\d+) (\w+) (\d*)/) {
			push @$started, [$1, $2, $3];
		} elsif ($line =~ /^ended (\d+)/) {
			my $ended = $1;
			@$started = grep { $_->[0] != $ended } @$started;
		}
	}
}

END {
	if (defined $owner_pid && $$ == $owner_pid) {
		my $status = $?;
		print $guard_pipe "over\n";
		close $guard_pipe;
		# Reap what the guard ends, so that it sees it gone.
		my $end = time + 20;
		while (time < $end) {
			my $pid = waitpid -1, WNOHANG;
			last if $pid == $guard_pid || $pid < 0;
			sleep 0.005 if $pid == 0;
		}
		$? = $status;
	}
}

# True until the process has ended (an unreaped one has ended too).
sub process_lives
{
	my ($pid) = @_;
	return 0 unless kill 0, $pid;
	open my $stat, '<', "/proc/$pid/stat" or return 1;
	my $line = <$stat> // '';
	return $line =~ /\) Z / ? 0 : 1;
}

# When the process started, as Linux counts; '' elsewhere, or when it is gone.
sub started_at
{
	my ($pid) = @_;
	open my $stat, '<', "/proc/$pid/stat" or return '';
	my $line = <$stat> // '';
	return (split / /, $line =~ s/.*\) //r)[19] // '';
}

# Wait for a condition; die with its description when the time is over.
sub wait_until
{
	my ($condition, $what, $seconds) = @_;
	my $end = time + ($seconds // 20);
	my $pause = 0.002;
	while (1) {
		my $value = $condition->();
		return $value if $value;
		die "waited in vain for $what\n" if time > $end;
		sleep $pause;
		$pause *= 1.5 if $pause < 0.05;
	}
}

# The user a Postgres server runs as: undef for ourselves.
sub server_user
{
	return undef if $> != 0;
	for my $name (qw(postgres nobody)) {
		return $name if defined getpwnam $name;
	}
	die "no user to run Postgres as\n";
}

# Start a process. Options: stdin, stdout, stderr (file handles; default
# /dev/null, /dev/null and the test's own), environment (added to ours),
# clean (nothing of our environment), user, signal (how the guard ends it),
# session (one of its own, as some signal their whole process group).
sub start_process
{
	my ($command, %option) = @_;
	workdir();
	die "there is no $command->[0]\n" if $command->[0] =~ m{/} && !-x $command->[0];
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		eval { become($command, %option) };
		print STDERR "cannot start $command->[0]: $@";
		POSIX::_exit(127);
	}
	return adopt_process($pid, $option{signal});
}

# Have the guard end this one, too, if it is still there when the test ends.
sub adopt_process
{
	my ($pid, $signal) = @_;
	workdir();
	print $guard_pipe "start $pid " . ($signal // 'KILL') . ' ' . started_at($pid) . "\n";
	return $pid;
}

sub become
{
	my ($command, %option) = @_;
	open my $null, '+<', '/dev/null' or die "/dev/null: $!";
	# Copies above the standard three first: they may be each other.
	my @from = map { fileno($_) } ($option{stdin} // $null,
	    $option{stdout} // $null, $option{stderr} // \*STDERR);
	my @copy = map { POSIX::dup($_) } @from;
	POSIX::dup2($copy[$_], $_) for 0 .. 2;
	for my $fd (3 .. 255) {
		POSIX::close($fd);
	}
	@SIG{qw(INT TERM HUP PIPE)} = ('DEFAULT') x 4;
	POSIX::setsid() if $option{session};
	%ENV = (PATH => $ENV{PATH}) if $option{clean};
	while (my ($name, $value) = each %{ $option{environment} // {} }) {
		$ENV{$name} = $value;
	}
	if (defined $option{user} && $> == 0) {
		my ($uid, $gid) = (getpwnam $option{user})[2, 3];
		$) = "$gid $gid";
		POSIX::setgid($gid);
		POSIX::setuid($uid);
		$> == $uid or die "setuid: $!";
	}
	chdir($option{folder} // '/');
	no warnings;
	exec { $command->[0] } @$command or die "$!\n";
}

# Signal a process and wait for its end. Returns its wait status, undef when
# it had to be killed.
sub stop_process
{
	my ($pid, $signal, $seconds) = @_;
	kill $signal // 'TERM', $pid;
	my $status = reap_process($pid, $seconds // 10);
	if (!defined $status) {
		kill 'KILL', $pid;
		reap_process($pid, 5);
	}
	return $status;
}

# Wait for a process to end. Returns its wait status, undef when it did not.
sub reap_process
{
	my ($pid, $seconds) = @_;
	my $status;
	eval {
		wait_until(sub {
			my $got = waitpid $pid, WNOHANG;
			$status = $? if $got == $pid;
			return $got != 0;
		}, "the end of process $pid", $seconds // 10);
	} or return undef;
	forget_process($pid);
	return $status;
}

# The guard need not end this one: somebody else has waited for it.
sub forget_process
{
	my ($pid) = @_;
	print $guard_pipe "ended $pid\n";
}

# The path of an installed tool, undef when it is absent.
sub find_tool
{
	my ($name) = @_;
	for my $folder (split(/:/, $ENV{PATH}), qw(/usr/sbin /usr/local/sbin /sbin)) {
		return "$folder/$name" if -x "$folder/$name";
	}
	return undef;
}

# What a sanitizer or valgrind has found, as it stands in a log.
sub report_in
{
	my ($log) = @_;
	return $log =~ /^(?:[^\n]*(?:ERROR|WARNING): [A-Z][a-z]+Sanitizer|[^\n]*: runtime error:|==\d+== ).*/ms
	    ? $& : ();
}

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!\n";
	local $/;
	return scalar(<$file>) // '';
}

sub spew
{
	my ($path, $text) = @_;
	open my $file, '>:raw', $path or die "$path: $!\n";
	print $file $text;
	close $file or die "$path: $!\n";
	return $path;
}

1;
