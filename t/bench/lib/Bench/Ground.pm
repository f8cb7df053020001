# SPDX-License-Identifier: Apache-2.0
#
# What the servers measured stand on: one Postgres with durable commits, and one
# nginx in front of all of them, so that nothing but the server differs.
#
#	my $ground = Bench::Ground->start;
#	$ground->serve('ours', 'fresh');	# a server on a set of data
#	$ground->session('ours', 'fresh')->query(...);
#
# Servers: "ours"; "reference", with as many connections to Postgres as its
# library takes by default, and "wide", the same with one for each of 128
# requests; and "constant", which has no data. A set is a database for each
# server; Bench::Data fills it when it is first used.

package Bench::Ground;

use strict;
use warnings;

use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

use Rig::Cluster;
use Rig::Place qw(srcdir builddir workdir start_process wait_until find_tool
    slurp spew);
use Rig::Program;

use Bench::Data;
use Bench::Reference;

# Durable, and else as Postgres comes but for its memory, and for checkpoints,
# which would come at other times for one server than for the other.
my %setting = (
	fsync => 'on', autovacuum => 'on', shared_buffers => '512MB',
	max_connections => 300, checkpoint_timeout => '60min',
	max_wal_size => '8GB', track_commit_timestamp => 'on',
	track_wal_io_timing => 'on', log_line_prefix => '',
);

sub start
{
	my ($class) = @_;
	my $self = bless { folder => workdir(), server => {}, database => {} }, $class;
	$self->{cluster} = Rig::Cluster->start(settings => \%setting);
	$self->start_nginx;
	return $self;
}

sub cluster { return $_[0]{cluster} }

# Data sets.

sub database
{
	my ($self, $name, $set) = @_;
	return $self->{database}{"$name $set"}
	    //= Bench::Data::make($self->{cluster}, $name, $set);
}

sub conninfo
{
	my ($self, $name, $set) = @_;
	return $self->{cluster}->conninfo($self->database($name, $set));
}

# A session in the database of a server.
sub session
{
	my ($self, $name, $set) = @_;
	return $self->{session}{"$name $set"}
	    //= $self->{cluster}->session($self->database($name, $set));
}

# What is written should be on disk before something is measured.
sub settle { $_[0]{cluster}->admin->query('checkpoint', 300) }

# A server goes on for seconds with the requests of a load that is over, if there
# were many of them at once: that is not to be the next one's trouble.
sub rest
{
	my ($self, $name, $set) = @_;
	my $session = $self->session($name, $set);
	my $quiet = 0;
	wait_until(sub {
		$quiet = $session->value(<<'SQL') ? 0 : $quiet + 1;
select count(*) from pg_stat_activity
where datname = current_database() and application_name <> 'psql'
  and state <> 'idle'
SQL
		return $quiet == 5;
	}, "$name to be done", 120);
}

# Drop a set, with the servers on it.
sub drop
{
	my ($self, $set) = @_;
	for my $name (qw(ours reference wide)) {
		my $running = $self->{server}{$name};
		$self->stop($name) if $running && $running->{set} eq $set;
		my $session = delete $self->{session}{"$name $set"};
		$session->close if $session;
		my $database = delete $self->{database}{"$name $set"};
		$self->{cluster}->drop($database) if defined $database;
	}
}

# Servers.

sub socket { return "$_[0]{folder}/$_[1].sock" }

sub address { return 'unix:' . $_[0]->socket('nginx') }

# Let a server run on a set; one that does so already stays.
sub serve
{
	my ($self, $name, $set, %environment) = @_;
	my $running = $self->{server}{$name};
	return $running->{process} if $running && $running->{set} eq $set;
	$self->stop($name);
	my $method = "serve_$name";
	$self->{server}{$name} = {
		set => $set, process => $self->$method($set, %environment),
	};
	return $self->{server}{$name}{process};
}

sub stop
{
	my ($self, $name) = @_;
	my $server = delete $self->{server}{$name} or return;
	$server->{process}->stop;
}

sub serve_ours
{
	my ($self, $set, %environment) = @_;
	return Rig::Program->start(-socket => $self->socket('ours'),
	    REPLICACHE_DATABASE => $self->conninfo('ours', $set), %environment);
}

sub serve_constant
{
	my ($self) = @_;
	return Rig::Program->start(-socket => $self->socket('constant'),
	    -command => [ builddir() . '/t/bench/constant' ]);
}

sub serve_reference
{
	my ($self, $set) = @_;
	return Bench::Reference->start($self->socket('reference'),
	    $self->conninfo('reference', $set), 10);
}

sub serve_wide
{
	my ($self, $set) = @_;
	return Bench::Reference->start($self->socket('wide'),
	    $self->conninfo('wide', $set), 128);
}

sub start_nginx
{
	my ($self) = @_;
	my $folder = $self->{folder};
	spew("$folder/nginx.conf", $self->configuration);
	$self->{nginx} = start_process(
		[ find_tool('nginx'), '-p', $folder, '-c', "$folder/nginx.conf",
		    '-e', "$folder/nginx.log" ], signal => 'TERM');
	wait_until(sub {
		IO::Socket::UNIX->new(Type => SOCK_STREAM,
		    Peer => $self->socket('nginx'));
	}, 'nginx to listen', 20);
}

# The prefix of a path is the name of the server.
sub configuration
{
	my ($self) = @_;
	my $folder = $self->{folder};
	my $user = $> == 0 ? 'user root;' : '';
	my $temp = join ' ', map { "${_}_temp_path $folder/$_;" }
	    qw(client_body proxy fastcgi uwsgi scgi);
	return <<"CONF";
daemon off;
worker_processes 1;
pid $folder/nginx.pid;
$user
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
	access_log off;
	$temp
	client_max_body_size 65m;
	keepalive_requests 1000000000;
	keepalive_time 24h;
@{[ map { $self->upstream($_) } qw(reference wide ours) ]}	server {
		listen unix:@{[ $self->socket('nginx') ]} backlog=4096;
@{[ map { proxy_location($_) } qw(reference wide) ]}@{[ map { $self->fastcgi_location($_) } qw(ours constant) ]}	}
}
CONF
}

sub upstream
{
	my ($self, $name) = @_;
	return <<"CONF";
	upstream $name {
		server unix:@{[ $self->socket($name) ]};
		keepalive 64;
		keepalive_requests 1000000000;
		keepalive_time 24h;
	}
CONF
}

sub proxy_location
{
	my ($name) = @_;
	return <<"CONF";
		location /$name/ {
			proxy_pass http://$name;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_next_upstream off;
			proxy_read_timeout 300s;
		}
CONF
}

# As examples/nginx/replicache.conf has it.
sub fastcgi_location
{
	my ($self, $name) = @_;
	# What answers a constant has a thread for each connection, so its own end with
	# the request.
	my $pass = $name eq 'ours' ? 'ours; fastcgi_keep_conn on' : 'unix:' . $self->socket($name);
	return <<"CONF";
		location /$name/ {
			fastcgi_pass $pass;
			fastcgi_split_path_info "(?s)^(/$name)(/.*)\$";
			fastcgi_param GATEWAY_INTERFACE CGI/1.1;
			fastcgi_param SERVER_PROTOCOL \$server_protocol;
			fastcgi_param REQUEST_METHOD \$request_method;
			fastcgi_param REQUEST_SCHEME \$scheme;
			fastcgi_param REQUEST_URI \$request_uri;
			fastcgi_param SCRIPT_NAME \$fastcgi_script_name;
			fastcgi_param PATH_INFO \$fastcgi_path_info;
			fastcgi_param QUERY_STRING \$query_string;
			fastcgi_param CONTENT_TYPE \$content_type;
			fastcgi_param CONTENT_LENGTH \$content_length;
			fastcgi_param REMOTE_ADDR \$remote_addr;
			fastcgi_param SERVER_NAME \$server_name;
			fastcgi_param SERVER_PORT \$server_port;
			fastcgi_param HTTPS \$https if_not_empty;
			fastcgi_read_timeout 300s;
			fastcgi_next_upstream error non_idempotent;
		}
CONF
}

# Processor time.

# Seconds used so far, by each server that runs, nginx and Postgres.
sub used
{
	my ($self) = @_;
	my %pid = (
		nginx => $self->{nginx}, postgres => $self->{cluster}{pid},
		map { $_ => $self->{server}{$_}{process}->pid } keys %{ $self->{server} },
	);
	my %used = map { $_ => 0 } keys %pid;
	for my $path (glob '/proc/[0-9]*/stat') {
		my $line = eval { slurp($path) } // next;
		my ($pid, $rest) = $line =~ /^(\d+) \(.*\) (.*)/ or next;
		my @field = split ' ', $rest;
		for my $name (keys %pid) {
			if ($pid == $pid{$name}) { # with its children that ended
				$used{$name} += $_ / 100 for @field[11 .. 14];
			} elsif ($field[1] == $pid{$name}) {
				$used{$name} += $_ / 100 for @field[11, 12];
			}
		}
	}
	return \%used;
}

1;
