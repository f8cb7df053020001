# SPDX-License-Identifier: Apache-2.0
#
# The program, started by systemd's own tool with a socket that the tool made, at
# the first connection to it. systemd itself is not needed.
#
#	my $program = Rig::Systemd::start($path, '--inetd', REPLICACHE_... => ...);

package Rig::Systemd;

use strict;
use warnings;

use Rig::Place qw(program find_tool wait_until);
use Rig::Program;

sub is_installed { return defined find_tool('systemd-socket-activate') }

# A Rig::Program. With "--inetd" the socket is its standard input, with "" it is
# passed by LISTEN_FDS.
sub start
{
	my ($path, $how, %environment) = @_;
	my @variable = map { ('-E', $_) } sort keys %{ { %Rig::Program::usual, %environment } };
	unlink $path;
	my $program = Rig::Program->start(-socket => $path, -listener => undef,
		-command => [ find_tool('systemd-socket-activate'), '-l', $path, @variable,
		    $how ne '' ? $how : (), program() ], %environment);
	wait_until(sub { $program->log =~ /^Listening on/m }, 'the socket', 10);
	chmod 0666, $path;
	return $program;
}

1;
