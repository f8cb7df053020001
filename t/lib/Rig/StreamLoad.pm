# SPDX-License-Identifier: Apache-2.0
#
# Many event streams at once, and a client that pushes: t/bench/hold.c, which
# tells what it can be asked.
#
#	my $hold = Rig::StreamLoad->start('127.0.0.1:8080', 5000);
#	my $told = $hold->ask('open 5000');	# { open => 5000, missing => 0, ... }
#	$hold->send('push 10 100'); ...; $hold->wait;

package Rig::StreamLoad;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use JSON::PP;
use Time::HiRes qw(time);

use Rig::Place qw(builddir start_process stop_process);

# Against the address ADDRESS, at most MOST streams.
sub start
{
	my ($class, $address, $most) = @_;
	pipe(my $child_in, my $to) or die "pipe: $!";
	pipe(my $from, my $child_out) or die "pipe: $!";
	my $pid = start_process([ builddir() . '/t/bench/hold', '--connect', $address,
		'--most', $most ], stdin => $child_in, stdout => $child_out);
	close $child_in;
	close $child_out;
	$to->autoflush(1);
	return bless { pid => $pid, to => $to, from => $from, buffer => '' }, $class;
}

sub send
{
	my ($self, $command) = @_;
	$self->{command} = $command;
	print { $self->{to} } "$command\n";
	return $self;
}

# The answer to what was sent; dies after $seconds.
sub wait
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 120);
	my $select = IO::Select->new($self->{from});
	my $length;
	while (($length = index $self->{buffer}, "\n") < 0) {
		my $left = $end - time;
		die "no answer to \"$self->{command}\" in time\n"
		    if $left <= 0 || !$select->can_read($left);
		sysread $self->{from}, $self->{buffer}, 65536, length $self->{buffer}
		    or die "hold ended at \"$self->{command}\"\n";
	}
	return JSON::PP::decode_json(substr $self->{buffer}, 0, $length + 1, '');
}

sub ask
{
	my ($self, $command, $seconds) = @_;
	return $self->send($command)->wait($seconds);
}

sub stop
{
	my ($self) = @_;
	return unless defined $self->{pid};
	close $self->{to};
	stop_process(delete $self->{pid}, 'TERM', 10);
	close $self->{from};
}

1;
