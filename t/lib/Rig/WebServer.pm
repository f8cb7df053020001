# SPDX-License-Identifier: Apache-2.0
#
# A web server before the program, set up by its file in examples/: what Apache,
# lighttpd and Caddy have in common here. Each runs in a folder of its own and
# listens on a free port of this machine.
#
#	my $front = Rig::Apache->start(example => 'proxy.conf', socket => $path);
#	my $answer = $front->request('POST', '/push', body => ...);
#
# A kind of server has: is_installed(), command() and configuration($port).

package Rig::WebServer;

use strict;
use warnings;

use IO::Socket::INET;

use Rig::Http;
use Rig::Place qw(srcdir workdir start_process stop_process process_lives
    wait_until report_in slurp spew);

my $count = 0;
my @started;

# Options, as the kind of server takes them:
#	socket   the program's FastCGI socket
#	example  the file below examples/
#	lines    added to the server's configuration
sub start
{
	my ($class, %option) = @_;
	my $folder = workdir() . '/front' . ++$count;
	mkdir $folder or die "$folder: $!";
	my $self = bless { folder => $folder, %option }, $class;
	$self->prepare;
	push @started, $self;
	return $self->launch;
}

# What has to be in the folder before the server starts.
sub prepare { }

# Start it (again), on its port once it has one.
sub launch
{
	my ($self) = @_;
	for my $try (1 .. 5) {
		my $port = $self->{port} // free_port();
		spew("$self->{folder}/conf", $self->configuration($port));
		open my $log, '>>', "$self->{folder}/log" or die "log: $!";
		$self->{pid} = start_process([ $self->command ], stdout => $log,
			stderr => $log, signal => 'TERM', session => 1, folder => $self->{folder},
			environment => { HOME => $self->{folder} });
		if ($self->is_answering($port)) {
			$self->{port} = $port;
			return $self;
		}
		stop_process(delete $self->{pid}, 'TERM', 10);
	}
	die "the server did not start:\n" . $self->log;
}

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
	    or die "no free port: $!";
	return $socket->sockport;
}

# True once it is up; false when it could not have the port. Nobody else gives
# this answer to that path.
sub is_answering
{
	my ($self, $port) = @_;
	return eval {
		wait_until(sub {
			process_lives($self->{pid}) or die "ended\n";
			return eval { Rig::Http::request($port, 'GET', '/here')->{body} }
			    // '' eq "$self->{folder}\n";
		}, 'the server to listen', 20);
	};
}

# The folder of files that it serves: all but the program's paths.
sub documents
{
	my ($self) = @_;
	my $folder = "$self->{folder}/www";
	if (!-d $folder) {
		mkdir $folder or die "$folder: $!";
		spew("$folder/here", "$self->{folder}\n");
	}
	return $folder;
}

# An example, in which a path has another value here: it must be in it.
sub example
{
	my ($self, %value) = @_;
	my $text = slurp(srcdir() . "/examples/$self->{example}");
	for my $path (sort keys %value) {
		$text =~ s/\Q$path\E/$value{$path}/g or die "$self->{example} has no $path\n";
	}
	return $text;
}

sub url { return "http://127.0.0.1:$_[0]{port}/replicache" }

sub port { return $_[0]{port} }

sub pid { return $_[0]{pid} }

sub log { return slurp("$_[0]{folder}/log") }

# A request to the program; options as Rig::Http's.
sub request
{
	my ($self, $method, $path, %option) = @_;
	return Rig::Http::request($self->{port}, $method, "/replicache$path", %option);
}

sub stop
{
	my ($self, $signal) = @_;
	return stop_process(delete $self->{pid}, $signal // 'TERM', 20) if defined $self->{pid};
}

# Of a program that the server has started, the log is the server's.
my $owner = $$;

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->stop for @started;
		my @report = map { report_in($_->log) } @started;
		print STDERR map { "a report:\n$_" =~ s/^/# /gmr . "\n" } @report;
		$? = $status || (@report ? 1 : 0);
	}
}

1;
