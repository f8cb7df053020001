# SPDX-License-Identifier: Apache-2.0
#
# Clocks that are wrong, for a program to be started with: t/clock.c.
#
#	my $clock = Rig::Clock->new;
#	my $program = Rig::Program->start($clock->environment);
#	$clock->set(days => 1);
#	$clock->set(ahead => 120);

package Rig::Clock;

use strict;
use warnings;

use Rig::Place qw(builddir spew workdir);

my $count = 0;

sub new
{
	my ($class) = @_;
	my $self = bless { file => workdir() . '/clock' . $count++, days => 0, ahead => 0 }, $class;
	spew($self->{file}, $self->bytes);
	return $self;
}

sub bytes
{
	my ($self) = @_;
	return pack 'q2', $self->{days} * 86400, $self->{ahead};
}

sub environment
{
	my ($self) = @_;
	return (CLOCK_FILE => $self->{file}, LD_PRELOAD => builddir() . '/t/clock.so',
		ASAN_OPTIONS => 'verify_asan_link_order=0');
}

# By how many days the time of day is wrong, and by how many seconds the monotonic
# clock is ahead, which may only grow.
sub set
{
	my ($self, %by) = @_;
	%$self = (%$self, %by);
	open my $file, '+<', $self->{file} or die "$self->{file}: $!";
	syswrite $file, $self->bytes;
	close $file;
}

1;
