# SPDX-License-Identifier: Apache-2.0
#
# The ways a request reaches the program: "cgi", "fastcgi", "nginx", and those of
# other web servers, which say by kinds() which of these they are like.
# begin() and end() enclose the cases on one database; request() takes what
# Rig::Case read.

package Rig::Way;

use strict;
use warnings;

use Test::More;

use Rig::Apache;
use Rig::Caddy;
use Rig::Lighttpd;
use Rig::Nginx;
use Rig::Place qw(workdir);
use Rig::Program;
use Rig::Systemd;

sub new
{
	my ($class, $name) = @_;
	return bless { name => $name }, 'Rig::Way::' . ucfirst $name;
}

sub is_possible { return 1 }

# What a case may call this way.
sub names { return ($_[0]{name}, $_[0]->kinds) }

sub kinds { return () }

# May a case set parameters no web server would send?
sub has_params { return 1 }

sub prepare { }

sub parameters
{
	my ($method, $path, %option) = @_;
	my $params = Rig::Program::params($method, $path, %option);
	$params = { %$params, %{ $option{params} // {} } };
	delete $params->{CONTENT_LENGTH} if $option{chunked};
	delete @$params{grep { !defined $params->{$_} } keys %$params};
	return $params;
}

package Rig::Way::Cgi;
our @ISA = ('Rig::Way');
use Test::More;

sub begin
{
	my ($self, %environment) = @_;
	$self->{environment} = \%environment;
	@$self{qw(log read)} = ('', 0);
}

sub request
{
	my ($self, $method, $path, %option) = @_;
	my $answer = Rig::Program::cgi($self->{environment},
	    Rig::Way::parameters($method, $path, %option), $option{body});
	$self->{log} .= $answer->{stderr};
	is($answer->{exit}, 0, 'the program ends in order')
	    or diag($answer->{stderr});
	return $answer;
}

sub new_log
{
	my ($self) = @_;
	my $new = substr $self->{log}, $self->{read};
	$self->{read} = length $self->{log};
	return $new;
}

sub log { return $_[0]{log} }

sub is_alive { return 1 }

sub end { }

package Rig::Way::Fastcgi;
our @ISA = ('Rig::Way');
use Test::More;

sub prepare
{
	my ($self) = @_;
	$self->{path} = Rig::Place::workdir() . '/program';
	$self->{listener} = Rig::Program::listener($self->{path});
}

sub begin
{
	my ($self, %environment) = @_;
	$self->{environment} = \%environment;
}

# Starts with the first request.
sub program
{
	my ($self) = @_;
	return $self->{program} //= Rig::Program->start(-socket => $self->{path},
	    -listener => $self->{listener}, %{ $self->{environment} });
}

sub request
{
	my ($self, $method, $path, %option) = @_;
	my $answer = $self->program->request(
	    Rig::Way::parameters($method, $path, %option), $option{body});
	ok($answer->{end}, 'the request is ended');
	return $answer;
}

sub new_log { return $_[0]->program->new_log }

sub log { return $_[0]->program->log }

sub is_alive { return !$_[0]{program} || $_[0]{program}->is_alive }

sub end
{
	my ($self) = @_;
	my $program = delete $self->{program} // return;
	is($program->stop, 0, 'the program ends in order') or diag($program->log);
}

package Rig::Way::Nginx;
our @ISA = ('Rig::Way::Fastcgi');

sub is_possible { return Rig::Nginx::is_installed() }

sub has_params { return 0 }

sub prepare
{
	my ($self) = @_;
	$self->SUPER::prepare;
	$self->{nginx} = Rig::Nginx->start($self->{path});
}

sub request
{
	my ($self, $method, $path, %option) = @_;
	my %header = %{ $option{headers} // {} };
	$header{'Content-Type'} = 'application/json'
	    if $method eq 'POST' && !exists $header{'Content-Type'};
	$self->program;
	$path .= "?$option{query}" if defined $option{query};
	return $self->{nginx}->request($method, $path, headers => \%header,
	    body => $option{body}, chunked => $option{chunked});
}

# A web server before a program that the test has started. A request as in nginx.
package Rig::Way::Front;
our @ISA = ('Rig::Way::Nginx');

sub kinds { return ('nginx') }

sub start_server { die "to be overridden\n" }

sub prepare
{
	my ($self) = @_;
	$self->Rig::Way::Fastcgi::prepare;
	$self->{nginx} = $self->start_server($self->{path});
}

package Rig::Way::Apacheproxy;
our @ISA = ('Rig::Way::Front');

sub is_possible { return Rig::Apache->is_installed('proxy_fcgi') }

sub start_server
{
	my ($self, $path) = @_;
	return Rig::Apache->start(example => 'apache/proxy.conf', socket => $path);
}

package Rig::Way::Caddy;
our @ISA = ('Rig::Way::Front');

sub is_possible { return Rig::Caddy->is_installed }

sub start_server
{
	my ($self, $path) = @_;
	return Rig::Caddy->start(example => 'caddy/Caddyfile', socket => $path);
}

# nginx as its example says, before a program that systemd's own tool started, with
# the socket as standard input.
package Rig::Way::Systemd;
our @ISA = ('Rig::Way::Front');

sub is_possible { return Rig::Nginx::is_installed() && Rig::Systemd::is_installed() }

sub prepare
{
	my ($self) = @_;
	$self->{path} = Rig::Place::workdir() . '/program';
	$self->{nginx} = Rig::Nginx::Example->start(example => 'nginx/replicache.conf',
	    socket => $self->{path});
}

sub program
{
	my ($self) = @_;
	return $self->{program} //= Rig::Systemd::start($self->{path}, '--inetd',
	    %{ $self->{environment} });
}

# The same before a program that spawn-fcgi started.
package Rig::Way::Spawn;
our @ISA = ('Rig::Way::Systemd');

sub is_possible { return Rig::Nginx::is_installed() && defined Rig::Place::find_tool('spawn-fcgi') }

sub program
{
	my ($self) = @_;
	return $self->{program} //= start($self->{path}, %{ $self->{environment} });
}

# As the README says.
sub start
{
	my ($path, %environment) = @_;
	unlink $path;
	my $program = Rig::Program->start(-socket => $path, -listener => undef,
		-command => [ Rig::Place::find_tool('spawn-fcgi'), '-s', $path, '-M', '0660', '-n', '--',
		    Rig::Place::program() ], %environment);
	Rig::Place::wait_until(sub { -S $path && $program->log =~ /serving/ }, 'the socket', 10);
	return $program;
}

# A web server that starts the program itself, with its settings in a file. It
# is started anew for each database, as the program's processes are its own.
package Rig::Way::Starter;
our @ISA = ('Rig::Way::Front');
use Test::More;

sub prepare { }

sub program { }

sub begin
{
	my ($self, %environment) = @_;
	@$self{qw(log read)} = ('', 0);
	$self->{nginx} = $self->start_server(%Rig::Program::usual, %environment);
}

# What the program wrote, in the server's log.
sub log
{
	my ($self) = @_;
	my $server = $self->{nginx} // return '';
	return join '', map { "$_\n" } map { s/.*\b(?=replicache: \w)//r =~ s/, referer:.*//r }
	    split /\n/, $server->log;
}

sub new_log
{
	my ($self) = @_;
	my $log = $self->log;
	my $new = substr $log, $self->{read};
	$self->{read} = length $log;
	return $new;
}

sub is_alive { return 1 }

sub end
{
	my ($self) = @_;
	my $server = delete $self->{nginx} // return;
	ok(defined $server->stop, 'the server ends') or diag($server->log);
}

package Rig::Way::Apachefcgid;
our @ISA = ('Rig::Way::Starter');

sub by { return 'fcgid' }

sub kinds { return ('shared') }

sub is_possible { return Rig::Apache->is_installed($_[0]->by) }

sub start_server
{
	my ($self, %environment) = @_;
	return Rig::Apache::Shared->start(example => 'apache/htaccess',
	    by => $self->by, environment => \%environment);
}

package Rig::Way::Apachecgi;
our @ISA = ('Rig::Way::Apachefcgid');

sub by { return 'cgi' }

sub kinds { return ('shared', 'cgi') }

package Rig::Way::Apachecgid;
our @ISA = ('Rig::Way::Apachecgi');

sub by { return 'cgid' }

package Rig::Way::Lighttpd;
our @ISA = ('Rig::Way::Starter');

sub is_possible { return Rig::Lighttpd->is_installed }

sub start_server
{
	my ($self, %environment) = @_;
	return Rig::Lighttpd->start(example => 'lighttpd/replicache.conf',
	    environment => \%environment);
}

1;
