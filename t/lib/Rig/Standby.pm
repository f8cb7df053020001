# SPDX-License-Identifier: Apache-2.0
#
# A primary and its standby, on one machine, in two folders. The primary fails, the
# standby is promoted, and where the old primary was a new standby is made: again
# and again.
#
#	my $pair = Rig::Standby->new($cluster);	# which has the databases already
#	my $program = Rig::Program->start(REPLICACHE_DATABASE => $pair->conninfo($database));
#	$pair->synchronous(1);
#	$pair->fail_over;
#	$pair->rebuild;
#
# Who connects by conninfo() comes to whichever of the two is the primary.

package Rig::Standby;

use strict;
use warnings;

use File::Basename qw(basename);

use Rig::Cluster;
use Rig::Place qw(wait_until);
use Rig::Session;

# What a cluster has to be started with to be one of a pair.
our %settings = (
	max_wal_senders => 5, wal_retrieve_retry_interval => '100ms', wal_keep_size => '256MB',
	# A server that is killed leaves nothing in /dev/shm then.
	dynamic_shared_memory_type => 'mmap',
);

sub new
{
	my ($class, $cluster) = @_;
	my @name = (basename($cluster->{folder}), 'standby');
	my $self = bless { primary => $cluster, standby => $cluster->standby($name[1]), names => \@name }, $class;
	$self->{folders} = join ',', map { $_->{folder} } @$self{qw(primary standby)};
	return $self;
}

sub primary { return $_[0]{primary} }

sub standby { return $_[0]{standby} }

sub conninfo
{
	my ($self, $database, $user) = @_;
	return "host=$self->{folders} dbname=$database user=" . ($user // 'app') . ' target_session_attrs=read-write';
}

sub session
{
	my ($self, $database, $user) = @_;
	return Rig::Session->new($self->conninfo($database, $user));
}

# Have commits wait for the standby, or not any more; waits until it follows.
sub synchronous
{
	my ($self, $whether) = @_;
	$self->{primary}->configure(synchronous_standby_names => $self->names($whether));
	$self->wait_synchronous if $whether;
	return $self;
}

sub names { return $_[1] ? 'FIRST 1 (' . join(', ', @{ $_[0]{names} }) . ')' : '' }

sub wait_synchronous
{
	my ($self) = @_;
	wait_until(sub {
		$self->{primary}->admin->value(q(select count(*) from pg_stat_replication
			where sync_state = 'sync' and state = 'streaming'));
	}, 'the standby to follow', 180);
}

# The primary is gone for good, and the standby takes over. If the standby is
# `alone`, commits do not wait until there is another one.
sub fail_over
{
	my ($self, %option) = @_;
	$self->{standby}->configure(synchronous_standby_names => $self->names(!$option{alone}))
	    if defined $option{alone};
	$self->{primary}->crash;
	$self->{standby}->promote;
	@$self{qw(primary standby)} = ($self->{standby}, undef);
	@{ $self->{names} }[ 0, 1 ] = @{ $self->{names} }[ 1, 0 ];
	return $self;
}

# A new standby, where the one was that failed.
sub rebuild
{
	my ($self) = @_;
	$self->{standby} = $self->{primary}->standby($self->{names}[1]);
	return $self;
}

# From here on the standby hears of nothing.
sub cut_off
{
	my ($self) = @_;
	$self->{standby}->configure(primary_conninfo => '');
	wait_until(sub { $self->{standby}->admin->value('select count(*) from pg_stat_wal_receiver') == 0 },
		'the standby to be cut off', 20);
}

# The standby has all there is.
sub catch_up
{
	my ($self) = @_;
	my $to = $self->{primary}->admin->value('select pg_current_wal_lsn()');
	wait_until(sub { $self->{standby}->admin->value("select pg_last_wal_replay_lsn() >= '$to'") eq 't' },
		'the standby to catch up', 180);
}

1;
