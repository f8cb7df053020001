# SPDX-License-Identifier: Apache-2.0
#
# Patient clients, which push and pull while something goes wrong: each sends a mutation until
# it is answered by 200, then the next one.
#
#	my $load = Rig::Retry->start($session, sub { ask the server }, clients => 4);
#	...;
#	$load->wait_done(10);		# so many more are done
#	my $told = $load->end;		# { 200 => 17, 503 => 2, longest => 1.4, ... }
#	is($load->fault, '', 'nothing is half done');
#
# Asked by ($params, $body), as Rig::Program's request(), the server may also not
# answer: then what asks dies, and that is counted as "none".

package Rig::Retry;

use strict;
use warnings;

use Time::HiRes qw(sleep time);

use Rig::Place qw(workdir spew wait_until);
use Rig::Sync qw(push_params pull_params);

my $count = 0;

# Options: clients, pause (seconds before each push, at most), retry (before one is
# sent again). Their mutations are "note", of t/schema/cases.sql, where $session is.
sub start
{
	my ($class, $session, $ask, %option) = @_;
	my $name = 'patient' . ++$count . '-';
	my $self = bless { session => $session, name => $name, over => workdir() . "/$name", owner => $$ }, $class;
	$self->{children} = Rig::Sync::background($option{clients} // 4, sub {
		return $self->live("$name$_[0]", $ask, %option);
	});
	return $self;
}

sub live
{
	my ($self, $client, $ask, %option) = @_;
	my %told = (client => $client, acked => 0, longest => 0);
	my $view = Rig::Sync::View->new($client, sub { $ask->(@_) });
	my $id = 1;
	# Until it is over, or the test has ended.
	until (-e $self->{over} || getppid() != $self->{owner}) {
		sleep rand($option{pause} // 0.05);
		my $start = time;
		my $answer = eval { $ask->(push_params($client, [ $client, $id, 'note', qq("$client") ])) };
		my $took = time - $start;
		my $status = $answer ? $answer->{status} || 'none' : 'none';
		$told{longest} = $took if $took > $told{longest};
		$told{$status}++;
		$told{hasty}++ if $status eq '503' && !defined $answer->{headers}{'retry-after'};
		if ($status eq '200') {
			$told{acked} = $id++;
			$told{pulls}++ if eval { $view->pull };
		} else {
			sleep $option{retry} // 0.2;
		}
	}
	return \%told;
}

sub done { return $_[0]{session}->value("select count(*) from journal where client like '$_[0]{name}%'") }

# Waits until so many more mutations are done, which shows that all is well (again).
sub wait_done
{
	my ($self, $more, $seconds) = @_;
	my $before = $self->done;
	wait_until(sub { $self->done >= $before + $more }, 'pushes to be done', $seconds // 180);
}

# The sum of what the clients were told: answers by status, `longest` in seconds,
# and how many of the 503 did not say when to come again (`hasty`).
sub end
{
	my ($self) = @_;
	spew($self->{over}, '');
	my @told = Rig::Sync::collect(delete $self->{children}, 120);
	$self->{acked} = { map { $_->{client} => $_->{acked} } @told };
	my %sum = (longest => 0, hasty => 0);
	for my $told (@told) {
		for my $key (grep { !/^(client|acked|longest)$/ } keys %$told) {
			$sum{$key} += $told->{$key};
		}
		$sum{longest} = $told->{longest} if $told->{longest} > $sum{longest};
	}
	return \%sum;
}

# What is lost, there twice or half done, as text.
sub fault
{
	my ($self) = @_;
	my @fault;
	for my $client (sort keys %{ $self->{acked} }) {
		my ($rows, $highest, $last) = @{ $self->{session}->query("select count(*), coalesce(max(mutation), 0),
			coalesce((select last_mutation_id from replicache_client where id = '$client'), 0)
			from journal where client = '$client'")->[0] };
		push @fault, "$client: $rows rows, to $highest; last mutation $last; answered by 200 for $self->{acked}{$client}"
		    if $rows != $highest || $last != $highest || $last < $self->{acked}{$client};
	}
	return join "\n", @fault;
}

# What was told, as a line.
sub line
{
	my ($told) = @_;
	return join(', ', map { "$told->{$_} x $_" } grep { /^(\d+|none)$/ } sort keys %$told)
	    . sprintf('; the longest answer took %.2f s', $told->{longest});
}

1;
