# SPDX-License-Identifier: Apache-2.0
#
# The reference: t/bench/reference/server.mjs in Node. Its packages come from
# npm, into the build folder.
#
#	my $server = Bench::Reference->start($socket, $conninfo, $connections);

package Bench::Reference;

use strict;
use warnings;

use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

use Rig::Place qw(srcdir builddir workdir start_process stop_process wait_until
    process_lives find_tool slurp reap_process);

# Why it can't run here; an empty list when it can.
sub missing
{
	return map { "$_ is not installed" } grep { !defined find_tool($_) } qw(node npm);
}

sub folder { return builddir() . '/t/bench/packages' }

# Install the packages, when they are not yet there.
sub prepare
{
	my $pid = start_process([ srcdir() . '/t/bench/reference/install', folder() ],
	    stdout => \*STDERR);
	reap_process($pid, 300) // die "npm took too long\n";
	-d folder() . '/node_modules/pg-promise' or die "the reference can't be installed\n";
}

sub start
{
	my ($class, $socket, $conninfo, $connections) = @_;
	my ($host) = $conninfo =~ /host=(\S+)/;
	my ($database) = $conninfo =~ /dbname=(\S+)/;
	my ($user) = $conninfo =~ /user=(\S+)/;
	unlink $socket;
	my $log = "$socket.log";
	open my $out, '>>', $log or die "$log: $!";
	my $pid = start_process(
		[ find_tool('node'), srcdir() . '/t/bench/reference/server.mjs' ],
		stdout => $out, stderr => $out, environment => {
			NODE_ENV => 'production', PACKAGES => folder(), SOCKET => $socket,
			POOL => $connections,
			PGHOST => $host, PGDATABASE => $database, PGUSER => $user,
		});
	wait_until(sub {
		process_lives($pid) or die "the reference ended:\n" . slurp($log);
		IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket);
	}, 'the reference to listen', 30);
	return bless { pid => $pid }, $class;
}

sub pid { return $_[0]{pid} }

sub stop { return stop_process($_[0]{pid}, 'TERM', 10) }

1;
