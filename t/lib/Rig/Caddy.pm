# SPDX-License-Identifier: Apache-2.0
#
# A private Caddy before the program; see Rig::WebServer.

package Rig::Caddy;

use strict;
use warnings;

our @ISA = ('Rig::WebServer');

use Rig::WebServer;
use Rig::Place qw(find_tool);

sub is_installed { return defined find_tool('caddy') }

sub command
{
	my ($self) = @_;
	return (find_tool('caddy'), 'run', '--adapter', 'caddyfile', '--config', "$self->{folder}/conf");
}

sub configuration
{
	my ($self, $port) = @_;
	my $documents = $self->documents;
	my $example = $self->example('/run/replicache/fcgi.sock' => $self->{socket});
	return <<"CONF";
{
	admin off
	auto_https off
	storage file_system $self->{folder}/data
}
http://:$port {
	bind 127.0.0.1
	$example
	@{[ $self->{lines} // '' ]}
	root * $documents
	file_server
}
CONF
}

1;
