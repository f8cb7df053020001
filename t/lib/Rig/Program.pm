# SPDX-License-Identifier: Apache-2.0
#
# The program under test, as CGI (one process for one request) or as FastCGI
# on a socket the test listens on before the program starts, so that nothing
# has to wait for it.
#
#	my $answer = Rig::Program::cgi($environment, $params, $body);
#	my $program = Rig::Program->start(REPLICACHE_DATABASE => $conninfo);
#	my $answer = $program->request($params, $body);

package Rig::Program;

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

use Rig::Fastcgi;
use Rig::Place qw(program workdir start_process stop_process reap_process
    process_lives report_in slurp spew);
use Rig::Secrets;

our @EXPORT_OK = qw(params);

my $count = 0;

# The programs that were started, their logs, and what was found as CGI that no log
# may have: secrets, and what a sanitizer or valgrind has to say.
my (@started, @log, @leaked);

# What a program under test is told unless the test says otherwise: no file of
# this machine, and a busy machine may take a second to connect.
our %usual = (REPLICACHE_AUTH => 'none', REPLICACHE_CONNECT_TIMEOUT => 10000,
    REPLICACHE_CONFIG => '/dev/null');

# The parameters of a request as a web server passes them. Options: query,
# headers (a hash), body (for its length).
sub params
{
	my ($method, $path, %option) = @_;
	my %param = (
		GATEWAY_INTERFACE => 'CGI/1.1', SERVER_SOFTWARE => 'test',
		SERVER_PROTOCOL => 'HTTP/1.1', SERVER_NAME => 'localhost',
		SERVER_PORT => 80, REMOTE_ADDR => '127.0.0.1',
		REQUEST_METHOD => $method, SCRIPT_NAME => '/replicache',
		PATH_INFO => $path, REQUEST_URI => "/replicache$path",
		QUERY_STRING => $option{query} // '',
	);
	$param{CONTENT_LENGTH} = length $option{body} if defined $option{body};
	$param{CONTENT_TYPE} = 'application/json' if $method eq 'POST';
	while (my ($name, $value) = each %{ $option{headers} // {} }) {
		my $key = uc $name =~ tr/-/_/r;
		$key = "HTTP_$key" unless $key =~ /^CONTENT_(TYPE|LENGTH)$/;
		$param{$key} = $value;
	}
	delete @param{grep { !defined $param{$_} } keys %param};
	return \%param;
}

# Writes settings, given as variables, as a file that only its owner can read.
sub write_settings
{
	my ($file, %environment) = @_;
	my $text = '';
	for my $name (grep { $_ ne 'REPLICACHE_CONFIG' } sort keys %environment) {
		my $key = lc $name =~ s/^REPLICACHE_//r;
		my $value = $environment{$name} =~ s/(["\\\$])/\\$1/gr;
		$text .= qq($key = "$value"\n);
	}
	unlink $file;
	spew($file, $text);
	chmod 0600, $file or die "chmod: $!";
}

# One request as CGI. The answer is as Rig::Fastcgi's, with exit for end.
# Options: arguments, stdin, stdout (whose answer is not read then), seconds to wait,
# and what to do when it is slow, which it is after so many seconds: slow => 0.4,
# when_slow => sub { ... }.
sub cgi
{
	my ($environment, $params, $body, %option) = @_;
	my $base = workdir() . "/cgi$$." . ++$count;
	spew("$base.in", $body // '');
	open my $in, '<:raw', "$base.in" or die "$base.in: $!";
	open my $out, '>:raw', "$base.out" or die "$base.out: $!";
	open my $error, '>:raw', "$base.err" or die "$base.err: $!";
	my $pid = start_process([ program(), @{ $option{arguments} // [] } ],
	    stdin => $option{stdin} // $in, stdout => $option{stdout} // $out, stderr => $error,
	    clean => 1, environment => { %usual, %$environment, %$params });
	my $status = defined $option{slow} ? reap_process($pid, $option{slow}) : undef;
	$option{when_slow}->() if defined $option{slow} && !defined $status;
	$status //= reap_process($pid, $option{seconds} // 60);
	my $answer = Rig::Fastcgi::parse_cgi(slurp("$base.out"));
	$answer->{stderr} = slurp("$base.err");
	push @leaked, unwanted($answer->{stderr});
	$answer->{exit} = $status;
	unlink glob "$base.*";
	return $answer;
}

# A listening socket under the test's folder, to hand to start().
sub listener
{
	my ($path) = @_;
	unlink $path;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path,
	    Listen => 1024) or die "$path: $!";
	chmod 0666, $path;
	return $socket;
}

# Start as FastCGI. Environment as pairs; beside REPLICACHE_* these options:
#	-socket => path, -listener => socket made by listener(path),
#	-arguments => [...], -command => [...] in place of the program
sub start
{
	my ($class, %environment) = @_;
	my %option;
	for my $name (grep { /^-/ } keys %environment) {
		$option{$name} = delete $environment{$name};
	}
	my $path = $option{-socket} // workdir() . '/program' . ++$count;
	my $log = workdir() . '/log' . ++$count;
	open my $error, '>>', $log or die "$log: $!";
	# An undefined one: the command makes it.
	my $listener = exists $option{-listener} ? $option{-listener} : listener($path);
	push @log, $log;
	my $self = bless { path => $path, log => $log, read => 0 }, $class;
	$self->{pid} = start_process(
		[ @{ $option{-command} // [ program() ] }, @{ $option{-arguments} // [] } ],
		stdin => $listener, stdout => $error, stderr => $error, clean => 1,
		environment => { %usual, %environment });
	push @started, $self;
	return $self;
}

sub pid { return $_[0]{pid} }

sub path { return $_[0]{path} }

sub connect
{
	my ($self) = @_;
	return Rig::Fastcgi->connect($self->{path});
}

sub request
{
	my ($self, $params, $body, %option) = @_;
	my $peer = $self->connect // die "cannot connect to $self->{path}: $!\n";
	my $answer = $peer->request($params, $body, %option);
	$peer->close;
	return $answer;
}

# What /metrics says of NAME, with its labels if it has any; REPLICACHE_METRICS is on.
sub metric
{
	my ($self, $name) = @_;
	my $text = $self->request(params('GET', '/metrics'))->{body};
	my ($value) = $text =~ /^replicache_\Q$name\E (\d+)$/m;
	return $value;
}

# What was logged since the last call.
sub new_log
{
	my ($self) = @_;
	my $log = slurp($self->{log});
	my $new = substr $log, $self->{read};
	$self->{read} = length $log;
	return $new;
}

sub log { return slurp($_[0]{log}) }

sub is_alive { return defined $_[0]{pid} && process_lives($_[0]{pid}) }

# Resident memory in bytes, and its peak.
sub memory
{
	my ($self) = @_;
	my $status = slurp("/proc/$self->{pid}/status");
	my ($peak) = $status =~ /^VmHWM:\s+(\d+)/m;
	my ($now) = $status =~ /^VmRSS:\s+(\d+)/m;
	return ($now * 1024, $peak * 1024);
}

# End it; returns the wait status: 0 is an orderly end.
sub stop
{
	my ($self, $signal) = @_;
	return undef unless defined $self->{pid};
	return stop_process(delete $self->{pid}, $signal // 'TERM', 10);
}

sub unwanted
{
	my ($text) = @_;
	return ((map { "a secret in a log: $_" } Rig::Secrets::found($text)),
	    map { "a report:\n$_" } report_in($text));
}

# A test whose programs have logged such fails. Those that run yet are ended: what
# they leak is told then. Where a process was forked off only the first one looks.
my $owner = $$;

END {
	if ($$ == $owner) {
		my $status = $?;
		my @running = grep { $_->is_alive } @started;
		kill 'TERM', map { $_->{pid} } @running;
		$_->stop for @running;
		push @leaked, map { unwanted(slurp($_)) } grep { -e } @log;
		print STDERR map { s/^/# /gmr . "\n" } @leaked;
		$? = $status || (@leaked ? 1 : 0);
	}
}

1;
