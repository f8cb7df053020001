# SPDX-License-Identifier: Apache-2.0
#
# A private Apache before the program; see Rig::WebServer. What is in configuration()
# beside the example is what Debian's, or a shared host's, own files say.

package Rig::Apache;

use strict;
use warnings;

our @ISA = ('Rig::WebServer');

use Rig::WebServer;
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

sub user { return server_user() }

sub configuration
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	my $load = join '', map { "LoadModule ${_}_module " . modules_folder() . "/mod_$_.so\n" }
	    $self->modules;
	my $user = $self->user;
	$user = defined $user ? "User $user\nGroup " . getgrgid((getpwnam $user)[3]) : '';
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

# Apache as on a shared host: the site has a folder with an .htaccess, the
# program and its settings, and Apache starts the program. The option "by" is
# fcgid, cgi or cgid; max_body, what the host lets mod_fcgid take; modules, more of
# Apache's.
package Rig::Apache::Shared;

our @ISA = ('Rig::Apache');

use File::Copy qw(copy);

use Rig::Place qw(program server_user spew wait_until);
use Rig::Program;

sub modules
{
	my ($self) = @_;
	return ($self->{by} eq 'cgi' ? 'mpm_prefork' : 'mpm_event',
	    qw(authz_core mime rewrite), $self->{by}, @{ $self->{modules} // [] });
}

sub place { return $_[0]->documents . '/replicache' }

sub prepare
{
	my ($self) = @_;
	my $place = $self->place;
	mkdir $place or die "$place: $!";
	spew("$place/.htaccess", $self->example);
	copy(program(), "$place/replicache.fcgi") or die "replicache.fcgi: $!";
	chmod 0755, "$place/replicache.fcgi" or die "chmod: $!";
	$self->configure(%{ $self->{environment} });
}

# Apache answers before the socket to the process that starts programs is there, and
# its user's: until then it refuses.
sub is_answering
{
	my ($self, $port) = @_;
	return 0 if !$self->SUPER::is_answering($port);
	return 1 if $self->{by} ne 'cgid';
	my $user = server_user();
	return eval {
		wait_until(sub {
			my ($socket) = glob "$self->{folder}/cgid*";
			return defined $socket && (!$user || ((stat $socket)[4] // 0) == (getpwnam $user)[2]);
		}, 'the CGI daemon', 20);
	};
}

sub configure
{
	my ($self, %environment) = @_;
	my $file = $self->place . '/replicache.conf';
	Rig::Program::write_settings($file, %environment);
	if (my $user = server_user()) {
		chown +(getpwnam $user)[2, 3], $file or die "chown: $!";
	}
}

sub included
{
	my ($self) = @_;
	my $folder = $self->{folder};
	my $documents = $self->documents;
	my %server = (
		fcgid => qq(FcgidIPCDir "$folder/fcgid"\nFcgidProcessTableFile "$folder/fcgid_shm"\n)
		    . 'FcgidMaxRequestLen ' . ($self->{max_body} // 100_000_000),
		cgid => qq(ScriptSock "$folder/cgid"\n),
		cgi => '',
	);
	return <<"CONF";
TypesConfig /dev/null
$server{$self->{by}}
<Directory "$documents">
	AllowOverride All
	Require all granted
</Directory>
CONF
}

1;
