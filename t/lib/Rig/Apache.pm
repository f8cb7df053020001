# SPDX-License-Identifier: Apache-2.0
#
# A private Apache before the program; see Rig::Front. What is in configuration()
# beside the example is what Debian's, or a shared host's, own files say.

package Rig::Apache;

use strict;
use warnings;

our @ISA = ('Rig::Front');

use Rig::Front;
use Rig::Place qw(find_tool server_user);

sub modules_folder { return '/usr/lib/apache2/modules' }

sub is_installed
{
	my ($class, @module) = @_;
	return defined find_tool('apache2')
	    && !grep { !-e modules_folder() . "/mod_$_.so" } @module;
}

sub command
{
	my ($self) = @_;
	return (find_tool('apache2'), '-f', "$self->{folder}/conf", '-D', 'FOREGROUND');
}

sub modules { return qw(mpm_event authz_core proxy proxy_fcgi setenvif) }

sub configuration
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	my $load = join '', map { "LoadModule ${_}_module " . modules_folder() . "/mod_$_.so\n" }
	    $self->modules;
	my $user = defined server_user() ? 'User ' . server_user() : '';
	my $documents = $self->documents;
	my $included = $self->included;
	return <<"CONF";
ServerRoot "$folder"
DefaultRuntimeDir "$folder"
PidFile "$folder/pid"
ErrorLog "$folder/log"
LogLevel warn
ServerName localhost
Listen 127.0.0.1:$port
$load
$user
MergeSlashes Off
DocumentRoot "$documents"
$included
@{[ $self->{lines} // '' ]}
CONF
}

# The program behind mod_proxy_fcgi.
sub included
{
	my ($self) = @_;
	return $self->example('/run/replicache/fcgi.sock' => $self->{socket});
}

1;
