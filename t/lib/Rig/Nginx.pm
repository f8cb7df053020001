# SPDX-License-Identifier: Apache-2.0
#
# A private nginx on a Unix socket in the test's folder, before the program:
# /replicache/... goes to it, as a user would set it up.
#
#	my $nginx = Rig::Nginx->start($fastcgi_socket);
#	my $answer = $nginx->request('POST', '/push', body => ...);

package Rig::Nginx;

use strict;
use warnings;

use Rig::Http;
use Rig::Place qw(workdir start_process stop_process process_lives wait_until
    find_tool spew slurp);

my $count = 0;

sub is_installed { return defined find_tool('nginx') }

# The program's socket, or those of several programs. Lines to add to the location,
# as one string; and, as pairs: workers,
# connections (of each worker), tcp (an address of 127.0.0.1 to listen on, too,
# as HOST:PORT and what else follows "listen"), keepalive (how many connections to
# the program are kept, as in the example).
sub start
{
	my ($class, $fastcgi, $lines, %option) = @_;
	my $folder = workdir() . '/nginx' . ++$count;
	mkdir $folder or die "$folder: $!";
	my $self = bless { folder => $folder, path => "$folder/socket" }, $class;
	spew("$folder/conf", configuration($folder, $fastcgi, $lines // '', %option));
	return $self->again;
}

# Start it, with what its folder has: after stop(), again.
sub again
{
	my ($self) = @_;
	my $folder = $self->{folder};
	open my $log, '>>', "$folder/out" or die "$folder/out: $!";
	$self->{pid} = start_process(
		[ find_tool('nginx'), '-p', $folder, '-c', "$folder/conf",
		    '-e', "$folder/error.log" ],
		stdout => $log, stderr => $log, signal => 'TERM');
	wait_until(sub {
		process_lives($self->{pid}) or die "nginx ended:\n" . $self->log;
		-S "$folder/socket" && IO::Socket::UNIX->new(
		    Type => Socket::SOCK_STREAM(), Peer => "$folder/socket");
	}, 'nginx to listen', 20);
	return $self;
}

sub configuration
{
	my ($folder, $fastcgi, $lines, %option) = @_;
	my $workers = $option{workers} // 1;
	my $connections = $option{connections} // 512;
	my $files = defined $option{connections} ? "worker_rlimit_nofile $connections;" : '';
	my $tcp = defined $option{tcp} ? "listen $option{tcp};" : '';
	my $servers = join ' ', map { "server unix:$_;" } ref $fastcgi ? @$fastcgi : $fastcgi;
	my $keepalive = '';
	if (defined $option{keepalive}) {
		$keepalive = "keepalive $option{keepalive};";
		$lines .= "\n\t\t\tfastcgi_keep_conn on; fastcgi_next_upstream error non_idempotent;";
	}
	my $user = $> == 0 ? 'user root;' : '';
	my $temp = join "\n", map { "\t${_}_temp_path $folder/$_;" }
	    qw(client_body proxy fastcgi uwsgi scgi);
	my $params = join "\n", map { "\t\t\tfastcgi_param $_;" } (
		'GATEWAY_INTERFACE CGI/1.1', 'SERVER_SOFTWARE nginx',
		'QUERY_STRING $query_string', 'REQUEST_METHOD $request_method',
		'CONTENT_TYPE $content_type', 'CONTENT_LENGTH $content_length',
		'SCRIPT_NAME $fastcgi_script_name', 'REQUEST_URI $request_uri',
		'SERVER_PROTOCOL $server_protocol', 'SERVER_NAME $server_name',
		'REMOTE_ADDR 127.0.0.1', 'PATH_INFO $fastcgi_path_info');
	return <<"CONF";
daemon off;
worker_processes $workers;
$files
pid $folder/pid;
error_log $folder/error.log info;
$user
events { worker_connections $connections; }
http {
	access_log off;
	merge_slashes off;
	client_max_body_size 0;
$temp
	upstream program { $servers $keepalive }
	server {
		listen unix:$folder/socket;
		$tcp
		location /replicache {
			fastcgi_split_path_info ^(/replicache)((?s).*)\\z;
$params
			fastcgi_pass program;
$lines
		}
	}
}
CONF
}

sub path { return $_[0]{path} }

sub log
{
	my ($self) = @_;
	return join '', map { -e $_ ? slurp($_) : '' }
	    "$self->{folder}/error.log", "$self->{folder}/out";
}

# A request to the program; options as Rig::Http's.
sub request
{
	my ($self, $method, $path, %option) = @_;
	return Rig::Http::request($self->{path}, $method, "/replicache$path", %option);
}

sub stop
{
	my ($self) = @_;
	stop_process(delete $self->{pid}, 'TERM', 10) if defined $self->{pid};
}

# nginx as examples/nginx/replicache.conf sets it up; see Rig::WebServer.
package Rig::Nginx::Example;

our @ISA = ('Rig::WebServer');

use Rig::WebServer;
use Rig::Place qw(srcdir find_tool);

sub command
{
	my ($self) = @_;
	my $folder = $self->{folder};
	return (find_tool('nginx'), '-p', $folder, '-c', "$folder/conf", '-e', "$folder/log");
}

sub configuration
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	my $user = $> == 0 ? 'user root;' : '';
	my $temp = join ' ', map { "${_}_temp_path $folder/$_;" }
	    qw(client_body proxy fastcgi uwsgi scgi);
	my $example = srcdir() . "/examples/$self->{example}";
	my $documents = $self->documents;
	return <<"CONF";
daemon off;
worker_processes 1;
pid $folder/pid;
$user
events { worker_connections 512; }
http {
	access_log off;
	merge_slashes off;
	$temp
	upstream replicache { server unix:$self->{socket}; keepalive 16; }
	server {
		listen 127.0.0.1:$port;
		root "$documents";
		include "$example";
	}
}
CONF
}

1;
