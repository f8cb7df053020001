# SPDX-License-Identifier: Apache-2.0
#
# A private Postgres: made by initdb in the test's folder, or a copy of what that
# makes, reached through a Unix socket there, gone with the test.
#
#	my $cluster = Rig::Cluster->start;
#	my $name = $cluster->database('chat');
#	my $session = $cluster->session($name);
#
# A database is a copy of a template, which is made on first use:
#	empty  nothing
#	core   schema/replicache.sql
#	chat   core and schema/chat.sql
#	cases  chat and each t/schema/*.sql
# It belongs to the role "app", which is no superuser.

package Rig::Cluster;

use strict;
use warnings;

use Errno;
use File::Path qw(remove_tree);
use IPC::SysV qw(IPC_RMID);

use Rig::Place qw(srcdir builddir workdir start_process stop_process reap_process
    process_lives wait_until find_tool slurp spew server_user);
use Rig::Session;

# Rig::Cluster->start(settings => {name => value}, name => 'pg', initdb => [option])
sub start
{
	my ($class, %option) = @_;
	my $folder = workdir() . '/' . ($option{name} // 'pg');
	my $self = bless {
		folder => $folder, socket => $folder, made => 0, template => {},
		settings => $option{settings} // {},
	}, $class;
	mkdir $folder or die "$folder: $!";
	if (my $user = server_user()) {
		my ($uid, $gid) = (getpwnam $user)[2, 3];
		chown $uid, $gid, $folder or die "chown $folder: $!";
	}
	chmod 0755, $folder;
	$self->initdb(@{ $option{initdb} // [] }) if $option{initdb} || !$self->unpack_data;
	$self->launch;
	my $admin = $self->admin;
	$admin->query('create role app login');
	$admin->query('create role other');
	$admin->query('grant other to app');
	return $self;
}

sub initdb
{
	my ($self, @option) = @_;
	$self->run_as_server('initdb', '-D', "$self->{folder}/data", '-A', 'trust',
	    '-U', 'postgres', '-N', '-E', 'UTF8', '--no-locale', @option);
}

# What initdb makes takes a second to make and a tenth to copy: the tests of a build
# share it. Beside it stands which Postgres made it.
sub packed { return builddir() . '/t/cluster.tar' }

sub pack_data
{
	my ($class) = @_;
	my $folder = workdir() . '/packed';
	my $self = bless { folder => $folder }, $class;
	mkdir $folder or die "$folder: $!";
	chmod 0777, $folder;
	$self->initdb;
	spew("$folder/data/made-by", server_tool('initdb'));
	run_tar('-cf', packed() . ".$$", '-C', $folder, 'data') or die "tar failed\n";
	rename packed() . ".$$", packed() or die packed() . ": $!";
}

# False if there is none, or another Postgres made it.
sub unpack_data
{
	my ($self) = @_;
	my $data = "$self->{folder}/data";
	return 0 unless -r packed();
	return unlink "$data/made-by"
	    if run_tar('-xpf', packed(), '-C', $self->{folder}) && slurp("$data/made-by") eq server_tool('initdb');
	remove_tree($data);
	return 0;
}

# Without what make sets for tarballs that are to be the same for everybody.
sub run_tar
{
	my $status = reap_process(start_process([ 'tar', @_ ], environment => { TAR_OPTIONS => '' }), 60);
	return defined $status && $status == 0;
}

# A standby of this one, in a folder of its own: a copy, which follows it. What stood
# in the folder is gone, so a server that was killed can be made a standby anew.
sub standby
{
	my ($self, $name) = @_;
	my $folder = workdir() . "/$name";
	remove_tree("$folder/data");
	mkdir $folder or $!{EEXIST} or die "$folder: $!";
	if (my $user = server_user()) {
		my ($uid, $gid) = (getpwnam $user)[2, 3];
		chown $uid, $gid, $folder or die "chown $folder: $!";
	}
	chmod 0755, $folder;
	my $standby = bless { %$self, folder => $folder, socket => $folder,
		admin => undef, settings => { %{ $self->{settings} }, hot_standby => 'on' } }, ref $self;
	$self->run_as_server('pg_basebackup', '-R', '-N', '--no-manifest', '-c', 'fast', '-D', "$folder/data",
	    '-d', $self->conninfo('postgres', 'postgres') . " application_name=$name");
	return $standby->launch;
}

# Make a standby a primary.
sub promote
{
	my ($self) = @_;
	$self->admin->query('select pg_promote(true, 180)', 200);
	return $self;
}

# Settings that can be changed while it runs; those that launch() passes can't.
sub configure
{
	my ($self, %setting) = @_;
	open my $file, '>>', "$self->{folder}/data/postgresql.auto.conf" or die "auto.conf: $!";
	print $file map { "$_ = '" . $setting{$_} =~ s/'/''/gr . "'\n" } sort keys %setting;
	close $file or die "auto.conf: $!";
	kill 'HUP', $self->{pid};
	wait_until(sub {
		!grep { ($self->admin->value("select current_setting('$_')") // '') ne $setting{$_} } keys %setting;
	}, 'settings to be taken', 20);
	return $self;
}

# The server's processes, the first of all first.
sub processes
{
	my ($self) = @_;
	return ($self->{pid}, grep { (eval { slurp("/proc/$_/stat") } // '') =~ /\) \S $self->{pid} / }
	    map { m{/(\d+)$} } glob '/proc/[0-9]*');
}

# Stop all of it where it stands, as a machine that hangs; thaw() lets it go on.
sub freeze
{
	my ($self) = @_;
	# The first one, so that it makes no more.
	kill 'STOP', $self->{pid};
	kill 'STOP', $self->processes;
	return $self;
}

sub thaw
{
	my ($self) = @_;
	kill 'CONT', $self->processes;
	return $self;
}

# End all of it at once, by kill -9, as a machine that fails: nothing of it goes on,
# be it just to answer.
sub crash
{
	my ($self) = @_;
	kill 'STOP', $self->{pid};
	my @process = $self->processes;
	my $file = eval { slurp("$self->{folder}/data/postmaster.pid") } // '';
	(delete $self->{admin})->close if $self->{admin};
	kill 'KILL', @process;
	reap_process(delete $self->{pid}, 20);
	wait_until(sub { !grep { process_lives($_) } @process }, 'the server to be gone', 20);
	# A server that is started again would take its shared memory away.
	my ($memory) = $file =~ /^\s*\d+\s+(\d+)\s*$/m;
	shmctl $memory, IPC_RMID, 0 if defined $memory;
}

# The path of a Postgres server program.
sub server_tool
{
	my ($name) = @_;
	my $path = find_tool($name);
	return $path if defined $path;
	my ($newest) = sort { ($b =~ /(\d+)/)[0] <=> ($a =~ /(\d+)/)[0] }
	    glob "/usr/lib/postgresql/*/bin/$name";
	return $newest // die "no $name: install postgresql\n";
}

sub run_as_server
{
	my ($self, $tool, @arguments) = @_;
	my $log = "$self->{folder}/$tool.log";
	open my $out, '>>', $log or die "$log: $!";
	my $pid = start_process([ server_tool($tool), @arguments ],
	    stdout => $out, stderr => $out, user => server_user());
	my $status = reap_process($pid, 300);
	die "$tool failed:\n" . slurp($log) if !defined $status || $status != 0;
}

# Start the server (again).
sub launch
{
	my ($self) = @_;
	my %setting = (
		listen_addresses => '', unix_socket_directories => $self->{socket},
		max_connections => 100, shared_buffers => '32MB',
		max_prepared_transactions => 0, log_min_messages => 'warning',
		fsync => 'off', autovacuum => 'off', %{ $self->{settings} },
	);
	open my $log, '>>', "$self->{folder}/server.log" or die "server.log: $!";
	# A command that stands before it is run by this user, and then another one
	# drops to the server's.
	my $user = server_user();
	my @before = @{ $self->{before} // [] };
	push @before, 'setpriv', '--reuid', $user, '--regid', (getpwnam $user)[3], '--clear-groups' if @before && $user;
	$self->{pid} = start_process(
		[ @before, server_tool('postgres'), '-D', "$self->{folder}/data",
		    map { ('-c', "$_=$setting{$_}") } sort keys %setting ],
		stdout => $log, stderr => $log, user => @before ? undef : $user,
		signal => 'QUIT');
	wait_until(sub { $self->is_ready }, 'Postgres to start', 180);
	return $self;
}

sub is_ready
{
	my ($self) = @_;
	process_lives($self->{pid})
	    or die "Postgres ended:\n" . slurp("$self->{folder}/server.log");
	my $file = ($self->{seen} // "$self->{folder}/data") . '/postmaster.pid';
	return 0 unless -e $file;
	my $status = eval { slurp($file) } // '';
	return $status =~ /\A$self->{pid}\n.*^ready/ms ? 1 : 0;
}

# Stop the server: 'INT' is a fast, 'QUIT' an immediate shutdown (a crash).
sub stop
{
	my ($self, $signal) = @_;
	delete $self->{admin};
	return stop_process(delete $self->{pid}, $signal // 'INT', 60);
}

# One process crashes, by SIGKILL, upon which the server ends all others and
# recovers. True if there was one whose title fits.
sub crash_one
{
	my ($self, $title) = @_;
	my ($first, @child) = $self->processes;
	my @fitting = grep { (eval { slurp("/proc/$_/cmdline") } // '') =~ $title } @child;
	return 0 unless @fitting;
	(delete $self->{admin})->close if $self->{admin};
	return kill 'KILL', $fitting[ rand @fitting ];
}

# How often the server has recovered from a crash.
sub recoveries
{
	my ($self) = @_;
	my $log = slurp("$self->{folder}/server.log");
	return scalar(() = $log =~ /automatic recovery in progress/g);
}

sub conninfo
{
	my ($self, $database, $user) = @_;
	my $port = defined $self->{settings}{port} ? " port=$self->{settings}{port}" : '';
	return "host=$self->{socket}$port dbname=$database user=" . ($user // 'app');
}

sub session
{
	my ($self, $database, $user) = @_;
	return Rig::Session->new($self->conninfo($database, $user));
}

# A session of the superuser in the database postgres.
sub admin
{
	my ($self) = @_;
	return $self->{admin} //= $self->session('postgres', 'postgres');
}

# Run files of SQL as psql does, with these variables; dies when a statement
# fails. Returns what psql said.
sub run_file
{
	my ($self, $database, $path, $user, %variables) = @_;
	return $self->run_files($database, [$path], $user, %variables);
}

sub run_files
{
	my ($self, $database, $paths, $user, %variables) = @_;
	return '' unless @$paths;
	my $log = "$self->{folder}/psql.log";
	open my $out, '>', $log or die "$log: $!";
	my $pid = start_process(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1',
		    (map { ('-v', "$_=$variables{$_}") } keys %variables),
		    (map { ('-f', $_) } @$paths),
		    '-d', $self->conninfo($database, $user) ],
		stdout => $out, stderr => $out);
	my $status = reap_process($pid, 60);
	die "@$paths:\n" . slurp($log) if !defined $status || $status != 0;
	return slurp($log);
}

# Let this role run the program on the database.
sub grant
{
	my ($self, $database, $role) = @_;
	$self->run_file($database, srcdir() . '/schema/grants.sql', undef,
	    role => $role);
}

# A new database, copied from a template. Returns its name.
sub database
{
	my ($self, $template) = @_;
	my $source = $self->template($template // 'empty');
	my $name = 'd' . ++$self->{made};
	$self->admin->query("create database $name template $source owner app");
	return $name;
}

sub drop
{
	my ($self, $name) = @_;
	$self->admin->query("drop database $name with (force)");
}

# The name of a template database, made on first use.
sub template
{
	my ($self, $name) = @_;
	return $self->{template}{$name} if defined $self->{template}{$name};
	my $made = "t_$name";
	$self->admin->query("create database $made template template0 owner app");
	my $session = $self->session($made, 'postgres');
	$session->query('alter schema public owner to app');
	$session->close;
	$self->run_files($made, [ files($name) ]);
	return $self->{template}{$name} = $made;
}

# What makes up a template.
sub files
{
	my ($name) = @_;
	my $top = srcdir();
	my %file = (
		empty => [],
		core => [ "$top/schema/replicache.sql" ],
		chat => [ "$top/schema/replicache.sql", "$top/schema/chat.sql" ],
		rooms => [ "$top/schema/replicache.sql", "$top/schema/rooms.sql" ],
		cases => [ "$top/schema/replicache.sql", "$top/schema/chat.sql",
			sort glob "$top/t/schema/*.sql" ],
	);
	return @{ $file{$name} // die "no template $name\n" };
}

1;
