# SPDX-License-Identifier: Apache-2.0
#
# Programs on one socket that are killed by SIGKILL, at any moment or at a named
# point, and started again at once, as systemd or multiwatch does. To whoever sends
# requests it is as Rig::Program: the socket stays, and connections wait in it.
#
#	my $supervisor = Rig::Supervisor->start(programs => 2,
#	    environment => { REPLICACHE_DATABASE => ... });
#	$supervisor->kill_often(100);
#	$supervisor->stop;
#	$supervisor->{killed};	# { random => 50, 'commit-sent' => 3, ... }
#	$supervisor->{wrong};	# what ended otherwise

package Rig::Supervisor;

use strict;
use warnings;

use parent -norequire, 'Rig::Program';

use List::Util qw(sum0);
use POSIX qw(WNOHANG);
use Time::HiRes qw(time);

use Rig::Faults qw(points faulty);
use Rig::Place qw(workdir start_process forget_process stop_process slurp);
use Rig::Program;
use Rig::Secrets;

use constant MISSES_MAX => 8;

my $count = 0;

# What a program has to be sent to come to a point.
my %signal = (reloading => 'HUP', draining => 'TERM', drained => 'TERM');

# Options: programs, environment, pause (how long a program lives that is killed at
# random, on average, in seconds; more, where it takes long to start), patience (how
# long it is given to come to its point; more after each miss of one that was never
# hit), random (the part of kills that is), passings (a point is taken at one of the
# first so many, or at the first after a miss), points (all), known (what others have
# learned of the points, and this one will: a hash that starts empty).
sub start
{
	my ($class, %option) = @_;
	my $path = workdir() . '/kept' . ++$count;
	my $self = bless {
		programs => 1, pause => 0.3, patience => 2, random => 0.5, passings => 3,
		points => [ points() ], known => {}, %option,
		path => $path, slots => [], warm => 0,
		killed => {}, wrong => [],
	}, $class;
	$self->{listener} = Rig::Program::listener($path);
	$self->launch($_) for 0 .. $self->{programs} - 1;
	return $self;
}

# Starts a program in a slot, to be ended as planned; without a plan it is left alone.
sub launch
{
	my ($self, $number, %plan) = @_;
	my %fault = defined $plan{point}
	    ? (REPLICACHE_FAULT => "$plan{point}:$plan{passing}") : ();
	my $path = "$self->{path}.log$number";
	open my $log, '>', $path or die "$path: $!";
	my $pid = start_process([ faulty() ], stdin => $self->{listener},
	    stdout => $log, stderr => $log, clean => 1,
	    environment => { %Rig::Program::usual, %{ $self->{environment} }, %fault });
	$self->{slots}[$number] = { pid => $pid, log => $path, begun => time, %plan };
}

# The point that is next: one that was not hit yet, else the one tried least.
sub next_point
{
	my ($self) = @_;
	my $known = $self->{known};
	$known->{$_} //= { tried => 0, hit => 0 } for @{ $self->{points} };
	my ($point) = sort {
		!!$known->{$a}{hit} <=> !!$known->{$b}{hit}
		    || $known->{$a}{tried} <=> $known->{$b}{tried}
	} @{ $self->{points} };
	$known->{$point}{tried}++;
	return $point;
}

# How often it did not come there, this time included; 1 once it is known that it does.
sub misses
{
	my ($self, $point) = @_;
	my $known = $self->{known}{$point};
	return 1 if $known->{hit};
	return $known->{tried} > MISSES_MAX ? MISSES_MAX : $known->{tried};
}

# How the next program is to end.
sub plan
{
	my ($self) = @_;
	my ($now, $warm) = (time, $self->{warm});
	my $pause = $self->{pause} > 3 * $warm ? $self->{pause} : 3 * $warm;
	return (kill_at => $now + rand(2 * $pause)) if rand() < $self->{random};
	my $point = $self->next_point;
	return (point => $point, kill_at => $now + ($self->{patience} + 10 * $warm) * $self->misses($point),
	    defined $signal{$point}
	    ? (passing => 1, signal => $signal{$point}, signal_at => $now + rand $pause)
	    # Many points are passed once in a program's life.
	    : (passing => $self->misses($point) > 1 ? 1 : 1 + int rand $self->{passings}));
}

# A program has ended: it was killed, or was faster than its end; else that is wrong.
sub bury
{
	my ($self, $slot, $status) = @_;
	my $cause = $slot->{shot} ? 'random' : $slot->{point};
	my $log = slurp($slot->{log});
	push @{ $self->{wrong} }, map { "a secret in a log: $_" } Rig::Secrets::found($log);
	if ($status == 9 && defined $cause) {
		$self->{killed}{$cause}++;
		$self->{known}{$cause}{hit}++ if $cause ne 'random';
	} elsif ($status != 0 || ($slot->{signal} // '') ne 'TERM') {
		push @{ $self->{wrong} }, "a program ended by itself: wait status $status\n$log";
	}
}

# Notes how long a program took until its first request was under way.
sub measure
{
	my ($self, $slot) = @_;
	return if $slot->{warm} || slurp($slot->{log}) !~ /registered:/;
	$slot->{warm} = time - $slot->{begun};
	$self->{warm} = $self->{warm} ? 0.8 * $self->{warm} + 0.2 * $slot->{warm} : $slot->{warm};
}

# Does what is due, and starts what has ended again.
sub attend
{
	my ($self, $plan) = @_;
	my $now = time;
	for my $number (0 .. $#{ $self->{slots} }) {
		my $slot = $self->{slots}[$number];
		$self->measure($slot);
		if ($now >= ($slot->{signal_at} // $now + 1) && slurp($slot->{log}) =~ /serving/) {
			delete $slot->{signal_at};
			kill $slot->{signal}, $slot->{pid};
		}
		if ($now >= ($slot->{kill_at} // $now + 1)) {
			delete $slot->{kill_at};
			$slot->{shot} = kill 'KILL', $slot->{pid};
		}
		next if waitpid($slot->{pid}, WNOHANG) != $slot->{pid};
		my $status = $?;
		forget_process($slot->{pid});
		$self->bury($slot, $status);
		$self->launch($number, $plan->());
	}
}

# Waits for a moment, or until a program ends.
sub rest
{
	local $SIG{CHLD} = sub { };
	select undef, undef, undef, 0.01;
}

sub kills { return sum0(values %{ $_[0]{killed} }) }

# The points that were not hit.
sub missed
{
	my ($self) = @_;
	return grep { !$self->{killed}{$_} } @{ $self->{points} };
}

# Kills so often, and, with all => 1, until each point was hit; but not for longer
# than seconds. What runs then is left alone.
sub kill_often
{
	my ($self, $kills, %option) = @_;
	my $end = time + ($option{seconds} // 600);
	# Not before there are requests.
	until ($self->{warm} || time > $end) {
		$self->attend(sub { () });
		rest();
	}
	$_->{kill_at} = time for @{ $self->{slots} };
	while ($self->kills < $kills || ($option{all} && $self->missed)) {
		last if time > $end;
		$self->attend(sub { $self->plan });
		rest();
	}
	# One that waits for its point would go later.
	my @armed = grep { defined $_->{kill_at} } @{ $self->{slots} };
	$_->{kill_at} = 0 for @armed;
	while (grep { defined $_->{kill_at} || $_->{shot} } @{ $self->{slots} }) {
		$self->attend(sub { () });
		rest();
	}
	return $self;
}

sub stop
{
	my ($self) = @_;
	for my $slot (@{ $self->{slots} }) {
		$self->bury({ %$slot, signal => 'TERM' }, stop_process($slot->{pid}, 'TERM', 20) // -1);
		unlink $slot->{log};
	}
	unlink $self->{path};
	return $self;
}

1;
