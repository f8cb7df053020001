# SPDX-License-Identifier: Apache-2.0
#
# A link to a unix socket that can be cut after any byte.
#
#	my $link = Rig::Cut->start($path, $target);	# listens at $path
#	$link->arm('up', 17);	# cut when 17 bytes went to the target
#	...
#	my $seen = $link->disarm;	# {up, down, cut}: bytes since, was it cut
#
# A cut closes every connection through the link at once, what is under way
# included. With stay => 1 no connection is let through until disarm().

package Rig::Cut;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC SOMAXCONN);

sub start
{
	my ($class, $path, $target) = @_;
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path,
	    Listen => SOMAXCONN) or die "$path: $!";
	chmod 0777, $path;
	socketpair(my $mine, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
	    or die "socketpair: $!";
	$_->autoflush(1) for $mine, $theirs;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $mine;
		eval { run($listener, $target, $theirs) };
		print STDERR $@ if $@;
		POSIX::_exit($@ ? 1 : 0);
	}
	return bless { control => $mine, pid => $pid }, $class;
}

sub ask
{
	my ($self, $line) = @_;
	my $control = $self->{control};
	print $control "$line\n";
	return scalar <$control> // die "the link is gone\n";
}

# Counts from now on; with a direction, cuts after so many bytes.
sub arm
{
	my ($self, $direction, $bytes, %option) = @_;
	$self->ask(join ' ', 'arm', $direction // 'none', $bytes // 0,
	    $option{stay} ? 1 : 0);
}

sub disarm
{
	my ($self) = @_;
	my ($up, $down, $cut) = split ' ', $self->ask('disarm');
	return { up => $up, down => $down, cut => $cut };
}

# It ends with the one who started it.
sub DESTROY
{
	my ($self) = @_;
	close $self->{control};
	waitpid $self->{pid}, 0;
}

# The link's own process.
sub run
{
	my ($listener, $target, $control) = @_;
	my ($select, %other, %way) = (IO::Select->new($listener, $control));
	my ($direction, $limit, $stay) = ('none', 0, 0);
	my %count = (up => 0, down => 0);
	my ($cut, $closed) = (0, 0);
	local $SIG{PIPE} = 'IGNORE';

	my $drop = sub {
		my ($one) = @_;
		my $two = delete $other{$one} or return;
		delete $other{$two};
		delete @way{ $one, $two };
		$select->remove($_), close $_ for $one, $two;
	};
	my $cut_all = sub {
		$cut = 1;
		$direction = 'none';
		$closed = $stay;
		$drop->($_) for grep { fileno $_ } map { $other{$_} // () } keys %other;
	};
	my $open = sub {
		my $near = $listener->accept or return;
		my $far = $closed ? undef
		    : IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $target);
		return close $near unless $far;
		($other{$near}, $other{$far}) = ($far, $near);
		($way{$near}, $way{$far}) = ('up', 'down');
		$select->add($near, $far);
	};
	my $forward = sub {
		my ($from) = @_;
		my $way = $way{$from} // return;
		my $most = $direction eq $way ? $limit - $count{$way} : 65536;
		my $got = sysread $from, my $bytes, $most > 65536 ? 65536 : $most;
		return $drop->($from) unless $got;
		my $at = 0;
		while ($at < $got) {
			$at += syswrite($other{$from}, $bytes, $got - $at, $at)
			    // return $drop->($from);
		}
		$count{$way} += $got;
		$cut_all->() if $direction eq $way && $count{$way} >= $limit;
	};

	for (;;) {
		for my $ready ($select->can_read) {
			if ($ready == $listener) {
				$open->();
			} elsif ($ready == $control) {
				my $line = <$control> // return;
				my ($verb, @words) = split ' ', $line;
				if ($verb eq 'arm') {
					($direction, $limit, $stay) = @words;
					%count = (up => 0, down => 0);
					($cut, $closed) = (0, 0);
					$cut_all->() if $direction ne 'none' && $limit == 0;
					print $control "armed\n";
				} else {
					print $control "$count{up} $count{down} $cut\n";
					($direction, $closed) = ('none', 0);
				}
			} elsif (fileno $ready) {
				$forward->($ready);
			}
		}
	}
}

1;
