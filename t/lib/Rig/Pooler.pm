# SPDX-License-Identifier: Apache-2.0
#
# pgbouncer, in transaction mode unless told otherwise, in front of a cluster.
#
#	plan skip_all => $_ for Rig::Pooler::missing();
#	my $pooler = Rig::Pooler->start($cluster, size => 2);
#	$pooler->conninfo($database);

package Rig::Pooler;

use strict;
use warnings;

use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

use Rig::Place qw(workdir start_process stop_process wait_until find_tool spew
    server_user);

my $count = 0;

sub missing
{
	return 'pgbouncer is not installed' unless defined find_tool('pgbouncer');
	return;
}

# Options: size, the connections it has to each database; mode; clients, how many it
# takes.
sub start
{
	my ($class, $cluster, %option) = @_;
	my $folder = workdir() . '/pooler' . ++$count;
	mkdir $folder or die "$folder: $!";
	my ($host) = $cluster->conninfo('x') =~ /host=(\S+)/;
	my $size = $option{size} // 2;
	my $mode = $option{mode} // 'transaction';
	my $clients = $option{clients} // 200;
	# Nothing listens at the port: it only names the socket.
	spew("$folder/pgbouncer.ini", <<"INI");
[databases]
* = host=$host user=app
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = $folder
logfile = $folder/log
auth_type = any
pool_mode = $mode
default_pool_size = $size
max_client_conn = $clients
INI
	my $user = server_user();
	if ($user) {
		my ($uid, $gid) = (getpwnam $user)[2, 3];
		chown $uid, $gid, $folder or die "chown $folder: $!";
	}
	my $self = bless { folder => $folder }, $class;
	$self->{pid} = start_process(
		[ find_tool('pgbouncer'), '-q', "$folder/pgbouncer.ini" ], user => $user);
	wait_until(sub {
		IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "$folder/.s.PGSQL.5432");
	}, 'pgbouncer to listen', 20);
	return $self;
}

sub conninfo
{
	my ($self, $database, $user) = @_;
	return "host=$self->{folder} dbname=$database user=" . ($user // 'app');
}

sub stop { return stop_process(delete $_[0]{pid}, 'INT', 10) }

1;
