# SPDX-License-Identifier: Apache-2.0
#
# A private lighttpd that starts the program; see Rig::WebServer. The option
# environment is the program's settings, as variables.

package Rig::Lighttpd;

use strict;
use warnings;

our @ISA = ('Rig::WebServer');

use Rig::WebServer;
use Rig::Place qw(program find_tool slurp spew wait_until);
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

# A program that lighttpd tells to end before it has become one, between fork and
# exec, is not told: lighttpd's own handler has the signal.
sub stop
{
	my ($self, $signal) = @_;
	my $status = $self->SUPER::stop($signal);
	wait_until(sub {
		my @left = grep { (eval { slurp("/proc/$_/cmdline") } // '') =~ m{\Q$self->{folder}\E/} }
		    map { m{(\d+)$} } glob '/proc/[0-9]*';
		kill 'TERM', @left;
		return !@left;
	}, 'what lighttpd has started to end', 20);
	return $status;
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
