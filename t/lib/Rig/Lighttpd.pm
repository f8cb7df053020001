# SPDX-License-Identifier: Apache-2.0
#
# A private lighttpd that starts the program; see Rig::Front. The option
# environment is the program's settings, as variables.

package Rig::Lighttpd;

use strict;
use warnings;

our @ISA = ('Rig::Front');

use Rig::Front;
use Rig::Place qw(program find_tool spew);
use Rig::Program;

sub is_installed { return defined find_tool('lighttpd') }

sub command
{
	my ($self) = @_;
	return (find_tool('lighttpd'), '-D', '-f', "$self->{folder}/conf");
}

sub prepare
{
	my ($self) = @_;
	Rig::Program::write_settings("$self->{folder}/replicache.conf", %{ $self->{environment} });
}

sub configuration
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	my $documents = $self->documents;
	my $example = $self->example(
		'/usr/local/libexec/replicache-fcgi/replicache.fcgi' => program(),
		'/etc/replicache.conf' => "$folder/replicache.conf",
		'/run/lighttpd/replicache.sock' => "$folder/fcgi.sock");
	return <<"CONF";
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$documents"
server.errorlog = "$folder/log"
server.upload-dirs = ( "$folder" )
@{[ $self->{lines} // '' ]}
$example
CONF
}

1;
