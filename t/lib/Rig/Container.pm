# SPDX-License-Identifier: Apache-2.0
#
# A Debian machine to throw away: made by debootstrap in the test's folder, from
# where the apt of this machine gets its packages, then booted by systemd-nspawn
# with a network that is only its own.
#
#	plan skip_all => $_ for Rig::Container::missing();
#	my $container = Rig::Container->make(qw(nginx postgresql));
#	$container->prepare('apt-get', ...);	# before it is booted: the real network
#	$container->boot;
#	my ($code, $text) = $container->run('systemctl', 'status');
#	my $answer = $container->request(8080, 'GET', '/');	# as Rig::Http's

package Rig::Container;

use strict;
use warnings;

use Digest::SHA;
use File::Find;

use Rig::Json;
use Rig::Place qw(srcdir workdir start_process stop_process reap_process process_lives
    wait_until slurp spew find_tool);

# systemd-nspawn does as told, and asks nobody else on this machine.
my @NSPAWN = qw(systemd-nspawn --quiet --register=no --keep-unit);
my @ENVIRONMENT = qw(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
    DEBIAN_FRONTEND=noninteractive);

my $count = 0;

sub missing
{
	return 'only root can boot a container' if $> != 0;
	for my $tool (qw(debootstrap systemd-nspawn unshare nsenter apt-get)) {
		return "no $tool here" unless defined find_tool($tool);
	}
	my @mirror = mirrors();
	return 'apt here knows no Debian' unless @mirror;
	return;
}

# [address, suite, component] of each part of Debian that apt knows here, the
# release itself first.
sub mirrors
{
	my $format = '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)';
	my @part = map { /^Debian (.*)/ ? [ split ' ', $1 ] : () }
	    qx(apt-get indextargets --format '$format' 'Identifier: Packages' 2>/dev/null);
	return sort { length $a->[1] <=> length $b->[1] } grep { $_->[2] eq 'main' } @part;
}

# One of the release that runs here, with these packages, not yet booted. undef, and
# why, if it can't be had.
sub make
{
	my ($class, @package) = @_;
	my @mirror = mirrors();
	my $root = workdir() . '/machine';
	my $self = bless { root => $root, log => workdir() . '/machine.log' }, $class;
	# What it mounts is seen by nobody else, and gone with it.
	my ($code, $text) = $self->outside(qw(unshare --mount --pid --fork --kill-child --mount-proc),
		'debootstrap', '--variant=minbase',
		'--include=systemd-sysv,dbus', $mirror[0][1], $root, $mirror[0][0]);
	return (undef, "debootstrap fails:\n" . substr $text, -1000) if $code;
	# What else this machine has to know to reach them.
	spew("$root/etc/apt/sources.list", join '', map { "deb @$_\n" } @mirror);
	spew("$root/etc/apt/apt.conf.d/90here", join '', grep { /^Acquire::(http|https|Check)/ } qx(apt-config dump));
	# Without a number of its own it would take what is there for its first boot.
	for my $command (['systemd-machine-id-setup'], [ 'apt-get', '-q', 'update' ],
		[ 'apt-get', '-qy', '--no-install-recommends', 'install', @package ]) {
		($code, $text) = $self->prepare(@$command);
		return (undef, "@$command fails:\n" . substr $text, -1000) if $code;
	}
	return $self;
}

sub root { return $_[0]{root} }

# Exit code and output of a command of this machine.
sub outside
{
	my ($self, @command) = @_;
	my $out = workdir() . '/container.out' . ++$count;
	open my $file, '>', $out or die "$out: $!";
	my $pid = start_process(\@command, stdout => $file, stderr => $file, signal => 'TERM');
	my $status = reap_process($pid, 1800) // die "@command does not end\n";
	return ($status >> 8, slurp($out));
}

# The same there, before it is booted.
sub prepare
{
	my ($self, @command) = @_;
	return $self->outside(@NSPAWN, '--pipe', '--directory', $self->{root}, @ENVIRONMENT, @command);
}

# True once it runs; what it says is in log().
sub boot
{
	my ($self) = @_;
	open my $log, '>', $self->{log} or die "$self->{log}: $!";
	$self->{pid} = start_process([ @NSPAWN, '--private-network', '--boot', '--directory', $self->{root} ],
		stdout => $log, stderr => $log, signal => 'TERM');
	return eval {
		wait_until(sub {
			process_lives($self->{pid}) or die "it ended\n";
			$self->{leader} //= $self->find_leader // return 0;
			return ($self->run('systemctl', 'is-system-running'))[1] =~ /^(running|degraded)$/;
		}, 'the container to run', 300);
	};
}

# Its first process.
sub find_leader
{
	my ($self) = @_;
	for my $path (glob '/proc/[0-9]*/status') {
		my $status = eval { slurp($path) } // next;
		next unless $status =~ /^PPid:\t$self->{pid}$/m && $status =~ /^NSpid:\t(\d+)\t1$/m;
		return $1;
	}
	return undef;
}

sub log { return slurp($_[0]{log}) }

# Exit code and output of a command there.
sub run
{
	my ($self, @command) = @_;
	return $self->outside('nsenter', '--target', $self->{leader}, qw(--mount --uts --ipc --net --pid),
		@ENVIRONMENT, @command);
}

# A request to a port there. ask() begins one, answer() ends it.
sub request
{
	my ($self, @request) = @_;
	return $self->answer($self->ask(@request));
}

sub ask
{
	my ($self, @request) = @_;
	my $base = workdir() . '/container.http' . ++$count;
	open my $in, '<', spew("$base.in", Rig::Json::encode(\@request)) or die "$base.in: $!";
	open my $out, '>', "$base.out" or die "$base.out: $!";
	my $pid = start_process([ 'nsenter', '--target', $self->{leader}, '--net', $^X, '-I',
		srcdir() . '/t/lib', '-MRig::Http', '-MRig::Json', '-e',
		'local $/; print Rig::Json::encode(Rig::Http::request(@{ Rig::Json::decode(scalar <STDIN>) }))' ],
		stdin => $in, stdout => $out);
	return [ $pid, "$base.out" ];
}

sub answer
{
	my ($self, $asked) = @_;
	my ($pid, $out) = @$asked;
	reap_process($pid, 90) // die "no answer\n";
	return eval { Rig::Json::decode(slurp($out)) } // { status => 0, body => '', headers => {} };
}

# All that is on its disk, but for logs, caches, data of Postgres and what systemd
# and apt note: {path => what it is}. Of /etc the contents count, too.
sub files
{
	my ($self) = @_;
	my $root = $self->{root};
	my %found;
	find({ no_chdir => 1, wanted => sub {
		my $path = substr $File::Find::name, length $root;
		if ($path =~ m{^/(dev|proc|sys|run|tmp|var/(log|cache|tmp)|var/lib/(dpkg|apt|postgresql)|root/chat)$}
		    || $path =~ m{^/var/lib/systemd/(?!deb-systemd)|^/var/lib/(ucf|nginx)/|^/etc/ld\.so\.cache$|^/etc/\w+-$}) {
			$File::Find::prune = 1;
			return;
		}
		my ($mode, $uid, $gid) = (lstat $File::Find::name)[2, 4, 5];
		my $is = sprintf '%o %d:%d', $mode, $uid, $gid;
		$is .= ' ' . readlink $File::Find::name if -l _;
		$is .= ' ' . Digest::SHA->new(256)->addfile($File::Find::name)->hexdigest
		    if -f _ && $path =~ m{^/etc/};
		$found{$path} = $is;
	} }, $root);
	return \%found;
}

sub stop
{
	my ($self) = @_;
	$self->run('systemctl', 'poweroff', '--force') if $self->{leader};
	return stop_process(delete $self->{pid}, 'TERM', 60);
}

1;
