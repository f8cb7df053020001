# SPDX-License-Identifier: Apache-2.0
#
# A link to a unix socket that can be cut after any byte.
#
#	my $link = Rig::Link->start($path, $target);	# listens at $path
#	$link->arm('up', 17);	# cut when 17 bytes went to the target
#	...
#	my $seen = $link->disarm;	# {up, down, cut}: bytes since, was it cut
#
# A cut closes every connection through the link at once, what is under way
# included. With stay => 1 no connection is let through until disarm().
#
# With start(..., messages => 1) the target is Postgres, and messages are counted
# instead of bytes; what is done after so many is to terminate the backend at the
# other end, as pg_terminate_backend() does. It has ended before anything else is
# let through. Both arm() and disarm() wait until all that was asked is answered, so
# that what belongs to a request is counted, and nothing else.

package Rig::Link;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC SOMAXCONN);

use Rig::Place qw(wait_until process_lives);

sub start
{
	my ($class, $path, $target, %option) = @_;
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path,
	    Listen => SOMAXCONN) or die "$path: $!";
	chmod 0777, $path;
	socketpair(my $mine, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
	    or die "socketpair: $!";
	$_->autoflush(1) for $mine, $theirs;
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		close $mine;
		eval { run($listener, $target, $theirs, $option{messages}) };
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

# True if all could be sent.
sub send_all
{
	my ($to, $bytes) = @_;
	my $at = 0;
	while ($at < length $bytes) {
		$at += syswrite($to, $bytes, length($bytes) - $at, $at) // return 0;
	}
	return 1;
}

# Ends a backend.
sub terminate
{
	my ($backend) = @_;
	kill 'TERM', $backend;
	wait_until(sub { !process_lives($backend) }, "backend $backend to end", 30);
}

# The link's own process.
sub run
{
	my ($listener, $target, $control, $messages) = @_;
	my ($select, %other, %way, %reader) = (IO::Select->new($listener, $control));
	my ($direction, $limit, $stay) = ('none', 0, 0);
	my %count = (up => 0, down => 0);
	my ($cut, $closed) = (0, 0);
	my @order;
	local $SIG{PIPE} = 'IGNORE';

	my $drop = sub {
		my ($one) = @_;
		my $two = delete $other{$one} or return;
		delete $other{$two};
		delete @way{ $one, $two };
		delete @reader{ $one, $two };
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
		@reader{ $near, $far } = (Rig::Link::Messages->new(1), Rig::Link::Messages->new(0));
		$select->add($near, $far);
	};
	my $forward_messages = sub {
		my ($from, $bytes) = @_;
		my ($way, $to) = ($way{$from}, $other{$from});
		my $sent = 0;
		for my $end ($reader{$from}->ends($bytes)) {
			next if ++$count{$way} != $limit || $direction ne $way;
			# A backend that is gone takes nothing; what it said, it said.
			send_all($to, substr $bytes, $sent, $end - $sent);
			$sent = $end;
			$direction = 'none';
			$cut = 1;
			# Before it has told who it is, it can only be left.
			my $backend = $reader{$from}{backend} // $reader{$to}{backend} // return $drop->($from);
			terminate($backend);
		}
		send_all($to, substr $bytes, $sent);
	};
	my $forward = sub {
		my ($from) = @_;
		my $way = $way{$from} // return;
		my $most = $direction eq $way && !$messages ? $limit - $count{$way} : 65536;
		my $got = sysread $from, my $bytes, $most > 65536 ? 65536 : $most;
		return $drop->($from) unless $got;
		return $forward_messages->($from, $bytes) if $messages;
		send_all($other{$from}, $bytes) or return $drop->($from);
		$count{$way} += $got;
		$cut_all->() if $direction eq $way && $count{$way} >= $limit;
	};

	my $is_settled = sub {
		return !grep { $way{$_} eq 'up' && $reader{$_}{asked} > $reader{ $other{$_} }{answered} } keys %way;
	};
	my $obey = sub {
		my ($verb, @words) = split ' ', $_[0];
		if ($verb eq 'arm') {
			($direction, $limit, $stay) = @words;
			%count = (up => 0, down => 0);
			($cut, $closed) = (0, 0);
			$cut_all->() if $direction ne 'none' && $limit == 0 && !$messages;
			print $control "armed\n";
		} else {
			print $control "$count{up} $count{down} $cut\n";
			($direction, $closed) = ('none', 0);
		}
	};

	for (;;) {
		for my $ready ($select->can_read) {
			if ($ready == $listener) {
				$open->();
			} elsif ($ready == $control) {
				push @order, scalar(<$control>) // return;
			} elsif (fileno $ready) {
				$forward->($ready);
			}
		}
		$obey->(shift @order) if @order && (!$messages || $is_settled->());
	}
}

package Rig::Link::Messages;

# One direction of a dialogue with Postgres. What a client sends first has no type.
# Counts what a client asked that is to be answered, and what a server answered.
sub new
{
	my ($class, $is_client) = @_;
	return bless { rest => '', typed => !$is_client, asked => 0, answered => 0 }, $class;
}

# Takes bytes; returns where in them messages end.
sub ends
{
	my ($self, $bytes) = @_;
	my $before = length $self->{rest};
	my $text = $self->{rest} . $bytes;
	my ($at, @end) = (0);
	for (;;) {
		my $head = $self->{typed} ? 5 : 4;
		last if length($text) < $at + $head;
		my $size = $head - 4 + unpack 'N', substr $text, $at + $head - 4, 4;
		last if length($text) < $at + $size;
		my $type = $self->{typed} ? substr $text, $at, 1 : 'startup';
		# BackendKeyData
		$self->{backend} = unpack 'N', substr $text, $at + 5, 4 if $type eq 'K';
		# Startup, Sync and Query are each answered by a ReadyForQuery. A client
		# sends no Z, and the server's S is ParameterStatus, which nobody asks for.
		$self->{asked}++ if $type =~ /^(?:startup|S|Q)$/;
		$self->{answered}++ if $type eq 'Z';
		$at += $size;
		$self->{typed} = 1;
		push @end, $at - $before;
	}
	$self->{rest} = substr $text, $at;
	return @end;
}

1;
