# SPDX-License-Identifier: Apache-2.0
#
# One psql kept open: statements in, rows out. A statement may also be sent
# without waiting for its end, which is how a test holds a lock or runs two
# transactions side by side.

package Rig::Session;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use Time::HiRes qw(time);

use Rig::Place qw(start_process stop_process);

my $FIELD = "\x1f";
my $ROW = "\x1e";
my $NULL = "\x1d";
my $FAILED = qr/^(?:(?:ERROR|FATAL|PANIC):  [0-9A-Z]{5}: |psql: error)/m;

# Rig::Session->new(conninfo): open a session.
sub new
{
	my ($class, $conninfo) = @_;
	pipe(my $child_in, my $to) or die "pipe: $!";
	pipe(my $from, my $child_out) or die "pipe: $!";
	my $pid = start_process(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-F', $FIELD,
		    '-R', $ROW, '-P', "null=$NULL", '-d', $conninfo ],
		stdin => $child_in, stdout => $child_out, stderr => $child_out);
	close $child_in;
	close $child_out;
	$to->autoflush(1);
	my $self = bless {
		pid => $pid, to => $to, from => $from, buffer => '', serial => 0,
		notifications => [],
	}, $class;
	$self->query('set client_min_messages = error');
	return $self;
}

# Go over to another database, which is much quicker than another psql.
sub reconnect
{
	my ($self, $conninfo) = @_;
	delete $self->{backend};
	print { $self->{to} } qq(\\connect -reuse-previous=off "$conninfo"\n);
	$self->query('set client_min_messages = error');
	$self->{notifications} = [];
	return $self;
}

# Send statements without waiting. Errors do not end the session.
sub send
{
	my ($self, $sql) = @_;
	my $mark = 'end-of-answer-' . ++$self->{serial};
	push @{ $self->{pending} }, $mark;
	print { $self->{to} } "$sql\n;\n\\echo $mark\n";
	return $self;
}

# The raw answer to the oldest statements sent; dies after $seconds.
sub wait_raw
{
	my ($self, $seconds) = @_;
	my $mark = shift @{ $self->{pending} } // die "nothing was sent\n";
	my $end = time + ($seconds // 60);
	my $select = IO::Select->new($self->{from});
	while ((my $at = index $self->{buffer}, "$mark\n") < 0) {
		my $left = $end - time;
		die "psql gave no answer in time\n"
		    if $left <= 0 || !$select->can_read($left);
		sysread $self->{from}, $self->{buffer}, 65536,
		    length $self->{buffer} or die "psql ended: $self->{buffer}\n";
	}
	$self->{buffer} =~ s/\A(.*?)\Q$mark\E\n//s;
	my $answer = $1;
	while ($answer =~ s/^Asynchronous notification "([^"]*)"(?: with payload "(.*?)")? received from server process with PID \d+\.\n//m) {
		push @{ $self->{notifications} }, [ $1, $2 // '' ];
	}
	return $answer;
}

# As wait_raw, without waiting: true when the answer is there.
sub is_done
{
	my ($self) = @_;
	my $mark = $self->{pending}[0] // return 1;
	my $select = IO::Select->new($self->{from});
	while ($select->can_read(0)) {
		sysread $self->{from}, $self->{buffer}, 65536,
		    length $self->{buffer} or last;
	}
	return index($self->{buffer}, "$mark\n") >= 0;
}

# The rows of the oldest statements sent, each a reference to its fields
# (null is undef); dies on an error of SQL. Only one of the statements may
# return rows.
sub wait
{
	my ($self, $seconds) = @_;
	my $answer = $self->wait_raw($seconds);
	die "SQL: $answer" if $answer =~ $FAILED;
	return [] if $answer eq '';
	$answer =~ s/\n\z//;
	return [ map {
		[ map { $_ eq $NULL ? undef : $_ } split /$FIELD/, $_, -1 ]
	} split /$ROW/, $answer, -1 ];
}

sub query
{
	my ($self, $sql, $seconds) = @_;
	return $self->send($sql)->wait($seconds);
}

# The first field of the first row.
sub value
{
	my ($self, $sql) = @_;
	my $rows = $self->query($sql);
	return @$rows ? $rows->[0][0] : undef;
}

# Run statements that must fail; returns the message, '' when they did not.
sub error
{
	my ($self, $sql) = @_;
	$self->send($sql);
	my $answer = $self->wait_raw;
	return $answer =~ /((?:ERROR|FATAL|PANIC):  .*)/s ? $1 : '';
}

# Notifications since the last call, as [channel, payload].
sub notifications
{
	my ($self) = @_;
	$self->query('select 1');
	return splice @{ $self->{notifications} };
}

# The server's process id of this session.
sub backend
{
	my ($self) = @_;
	return $self->{backend} //= $self->value('select pg_backend_pid()');
}

sub close
{
	my ($self) = @_;
	return unless defined $self->{pid};
	close $self->{to};
	close $self->{from};
	stop_process(delete $self->{pid}, 'TERM', 5);
}

1;
