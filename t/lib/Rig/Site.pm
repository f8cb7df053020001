# SPDX-License-Identifier: Apache-2.0
#
# The whole as a visitor meets it: nginx on a port of this machine, with the
# location file a user would include, the program behind it, and the chat
# page at / when it is built.
#
#	plan skip_all => $_ for Rig::Site::missing();
#	my $site = Rig::Site->start_chat;
#	... $site->url . '/replicache' ... $site->session->query(...)
#	$site->stop_program('KILL'); $site->start_program;

package Rig::Site;

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

use Rig::Cluster;
use Rig::Http;
use Rig::Json;
use Rig::Node;
use Rig::Place qw(srcdir workdir start_process stop_process wait_until
    find_tool slurp spew);
use Rig::Program;

my $count = 0;

sub missing
{
	return 'nginx is not installed' unless defined find_tool('nginx');
	return;
}

# Start all; the pairs are the program's environment.
sub start
{
	my ($class, %environment) = @_;
	my $folder = workdir() . '/site' . ++$count;
	mkdir $folder or die "$folder: $!";
	my $self = bless { folder => $folder, environment => \%environment,
	    socket => "$folder/fastcgi.sock" }, $class;
	$self->start_program;
	$self->start_nginx;
	return $self;
}

# Start a Postgres with the chat's database, and all on it.
sub start_chat
{
	my ($class, %environment) = @_;
	my $self = $class->start_on('chat', %environment);
	$self->{cluster}->run_file($self->{database}, srcdir() . '/t/client/mutators.sql');
	return $self;
}

# The same with a database made from another template.
sub start_on
{
	my ($class, $template, %environment) = @_;
	my $cluster = Rig::Cluster->start;
	my $database = $cluster->database($template);
	my $self = $class->start(
		REPLICACHE_DATABASE => $cluster->conninfo($database), %environment);
	$self->{cluster} = $cluster;
	$self->{database} = $database;
	return $self;
}

sub cluster { return $_[0]{cluster} }

sub database { return $_[0]{database} }

# A session of the chat's owner.
sub session
{
	my ($self) = @_;
	return $self->{session} //= $self->{cluster}->session($self->{database});
}

# The session does not outlive the server.
sub stop_postgres
{
	my ($self, $signal) = @_;
	$self->end_session;
	return $self->{cluster}->stop($signal);
}

sub start_postgres { return $_[0]{cluster}->launch }

sub end_session
{
	my ($self) = @_;
	(delete $self->{session})->close if $self->{session};
}

# Drop the database and make it again, empty, as its owner would. What was
# installed in another second has another epoch.
sub recreate_database
{
	my ($self) = @_;
	my $name = $self->{database};
	my $second = 'select floor(extract(epoch from clock_timestamp()))::bigint';
	my $before = $self->session->value($second);
	$self->end_session;
	my $admin = $self->{cluster}->admin;
	wait_until(sub { $admin->value($second) > $before }, 'the next second');
	my $empty = $self->{cluster}->template('empty');
	$self->{cluster}->drop($name);
	$admin->query("create database $name template $empty owner app");
	$self->{cluster}->run_file($name, srcdir() . "/$_")
	    for qw(schema/replicache.sql schema/chat.sql t/client/mutators.sql);
}

# What every client should see: {key => message}.
sub expected_view
{
	my ($self) = @_;
	my $rows = $self->session->query(<<'SQL');
select id, json_build_object('from', sender, 'content', content, 'order', ord)
from message where not deleted
SQL
	return { map { ("message/$_->[0]" => Rig::Json::decode($_->[1])) } @$rows };
}

# The body that nginx answers to GET.
sub get
{
	my ($self, $target) = @_;
	my $answer = Rig::Http::request("$self->{folder}/nginx.sock", 'GET', $target);
	die "$target: $answer->{status}\n" if $answer->{status} != 200;
	return $answer->{body};
}

sub url { return "http://127.0.0.1:$_[0]{port}" }

sub start_program
{
	my ($self) = @_;
	$self->{listener} //= Rig::Program::listener($self->{socket});
	$self->{program} = Rig::Program->start(-socket => $self->{socket},
	    -listener => $self->{listener}, %{ $self->{environment} });
	return $self;
}

# Until it is started again connections are refused and nginx answers 502.
sub stop_program
{
	my ($self, $signal) = @_;
	delete $self->{listener};
	return $self->{program}->stop($signal);
}

# As a process manager does it: the socket stays, and connections wait in it.
sub restart_program
{
	my ($self, $signal) = @_;
	my $status = $self->{program}->stop($signal);
	$self->start_program;
	return $status;
}

sub program { return $_[0]{program} }

# Start nginx (again): on a free port, which it keeps.
sub start_nginx
{
	my ($self) = @_;
	for my $try (1 .. 5) {
		my $port = $self->{port} // free_port();
		$self->{nginx} = $self->launch($port);
		return $self if $self->is_answering($port);
		stop_process($self->{nginx}, 'TERM', 10);
	}
	die "nginx did not start:\n" . slurp("$self->{folder}/nginx.log");
}

# From now on connections are refused.
sub stop_nginx
{
	my ($self) = @_;
	stop_process(delete $self->{nginx}, 'TERM', 10) if defined $self->{nginx};
	return $self;
}

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
	    or die "no free port: $!";
	return $socket->sockport;
}

sub launch
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	spew("$folder/nginx.conf", $self->configuration($port));
	open my $log, '>>', "$folder/nginx.log" or die "nginx.log: $!";
	return start_process(
		[ find_tool('nginx'), '-p', $folder, '-c', "$folder/nginx.conf",
		    '-e', "$folder/nginx.log" ],
		stdout => $log, stderr => $log, signal => 'TERM');
}

# True once our nginx is up; false when it could not have the port.
sub is_answering
{
	my ($self, $port) = @_;
	my $socket = "$self->{folder}/nginx.sock";
	my $up = eval {
		wait_until(sub {
			Rig::Place::process_lives($self->{nginx}) or die "ended\n";
			return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket);
		}, 'nginx to listen', 20);
	};
	$self->{port} = $port if $up;
	return $up;
}

sub configuration
{
	my ($self, $port) = @_;
	my $folder = $self->{folder};
	my $location = srcdir() . '/examples/nginx/replicache.conf';
	my $page = Rig::Node::chat_build() . '/www';
	my $user = $> == 0 ? 'user root;' : '';
	my $temp = join ' ', map { "${_}_temp_path $folder/$_;" }
	    qw(client_body proxy fastcgi uwsgi scgi);
	unlink "$folder/nginx.sock";
	return <<"CONF";
daemon off;
worker_processes 1;
pid $folder/nginx.pid;
$user
events { worker_connections 512; }
http {
	types {
		text/html html;
		text/css css;
		text/javascript js;
		image/svg+xml svg;
	}
	access_log off;
	$temp
	upstream replicache { server unix:$self->{socket}; keepalive 16; }
	server {
		listen 127.0.0.1:$port;
		listen unix:$folder/nginx.sock;
		root "$page";
		charset utf-8;
		location / { add_header Cache-Control no-cache; }
		include "$location";
	}
}
CONF
}

sub stop
{
	my ($self) = @_;
	$self->stop_nginx;
	$self->stop_program;
}

1;
