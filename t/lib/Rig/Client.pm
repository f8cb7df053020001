# SPDX-License-Identifier: Apache-2.0
#
# A Replicache client from npm, in a Node process made by Rig::Node from
# clients.mjs.
#
#	my $client = Rig::Client->open($node, name => 'alice');
#	$client->mutate(deleteMessage => 'm1');
#	$client->settle;

package Rig::Client;

use strict;
use warnings;

use Rig::Json;
use Rig::Place qw(wait_until);

my $count = 0;

# Clients of one name share a client group. Options: mutators (their names),
# schemaVersion, pullInterval, auth (a token), tokens (for getAuth).
sub open
{
	my ($class, $node, %option) = @_;
	my $client = 'client' . ++$count;
	my $id = $node->ask(do => 'open', client => $client, %option);
	return bless { node => $node, client => $client, %$id }, $class;
}

sub ask
{
	my ($self, $do, %question) = @_;
	return $self->{node}->ask(do => $do, client => $self->{client}, %question);
}

sub id { return $_[0]{clientID} }

sub group { return $_[0]{clientGroupID} }

# Call mutators at once: name => args, ...
sub mutate
{
	my ($self, @calls) = @_;
	my @pairs;
	push @pairs, [ splice @calls, 0, 2 ] while @calls;
	$self->ask('mutate', calls => \@pairs);
	return $self;
}

# The mutations the server has not confirmed, as [{id, name, clientID}].
sub pending { return $_[0]->ask('pending') }

# The local copy: {key => value}.
sub view { return $_[0]->ask('view') }

# Pull until the condition holds.
sub pull_until
{
	my ($self, $condition, $what, $seconds) = @_;
	return wait_until(sub {
		$self->ask('pull');
		return $condition->();
	}, $what, $seconds // 30);
}

# Push and pull until nothing is pending.
sub settle
{
	my ($self, $seconds) = @_;
	return $self->pull_until(sub { !@{ $self->pending } },
	    'all mutations to be confirmed', $seconds);
}

# Wait until the local copy is the given one.
sub wait_for_view
{
	my ($self, $view, $seconds) = @_;
	return $self->pull_until(sub {
		Rig::Json::difference($self->view, $view) eq '';
	}, 'the view to be the expected one', $seconds);
}

# Wait until a tab opened anew finds so many mutations pending: what an open
# client was told to do is kept. Options as of open().
sub wait_until_kept
{
	my ($class, $node, $count, %option) = @_;
	wait_until(sub {
		my $tab = $class->open($node, %option);
		my $found = @{ $tab->pending };
		$tab->close;
		return $found == $count;
	}, "$count mutations to be kept", 30);
}

sub events { return $_[0]->ask('events') }

sub close { return $_[0]->ask('close') }

1;
