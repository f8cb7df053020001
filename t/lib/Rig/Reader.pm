# SPDX-License-Identifier: Apache-2.0
#
# Runs the blocks of a document from its top, as a reader would: in a shell that stays
# in the folder it changed to, with a Postgres that authenticates as Debian's does (by
# peer: users get the role of the same name), and with a page in Node.
#
#	Rig::Reader::prepare();
#	my $reader = Rig::Reader->new('README.md');
#	my $trouble = $reader->shell($text);	# '' if all went well
#	$reader->leave;
#
# The commands are run as root, or as another user. If the test is not run by root, its
# user plays all users; if it is, %player plays the others.
#
# These commands are replaced:
#
#	git clone              copies this tree
#	./quickstart           does nothing in that copy: t/850-quickstart.t runs it
#	make                   builds and installs; of other targets it only looks
#	                       whether they are there
#	dpkg-buildpackage      makes empty files of the packages' names, and
#	apt install            looks for them: t/950-debian.t does both
#	useradd, systemctl     look at their arguments: they would change this machine
#	chat/build, chat/serve likewise, of the packages' examples: t/950-debian.t
#	spawn-fcgi, su         go over to the players
#
# Some paths are elsewhere, see new().

package Rig::Reader;

use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(make_path);

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Node;
use Rig::Place qw(srcdir builddir workdir slurp spew find_tool start_process reap_process
    stop_process process_lives wait_until server_user);
use Rig::Session;
use Rig::Site;

my $me = getpwuid $>;
my %player = (postgres => server_user() // $me, map { ($_ => $> == 0 ? 'nobody' : $me) } qw(web replicache www-data));

# The Postgres of the machine, and that of ./quickstart.
my ($cluster, $own);
my ($stubs, $prefix, $config_site);

# Once for all documents.
sub prepare
{
	$stubs = workdir() . '/stubs';
	$prefix = workdir() . '/local';
	mkdir $stubs or die "$stubs: $!";
	make_stubs();
	# ./configure as it stands installs below $prefix, and is soon done.
	$config_site = spew(workdir() . '/config.site',
		qq(prefix=$prefix\nCFLAGS="\${CFLAGS--O0}"\ncache_file=) . workdir() . "/config.cache\n");
	$cluster = Rig::Cluster->start;
	my $admin = $cluster->admin;
	my %may = map { ("$me $_" => 1) } qw(postgres app chat);
	$may{"$player{$_} $_"} = 1 for qw(postgres web replicache);
	spew("$cluster->{folder}/data/pg_ident.conf", join '', map { "documents $_\n" } sort keys %may);
	spew("$cluster->{folder}/data/pg_hba.conf", "local all all peer map=documents\n");
	$admin->query('select pg_reload_conf()');
}

sub quickstart
{
	return $own if $own;
	$own = Rig::Cluster->start(name => 'quickstart');
	$own->admin->query("create role $_ login") for qw(chat web);
	$own->admin->query('create database chat owner chat');
	$own->run_files('chat', [ map { srcdir() . "/schema/$_.sql" } qw(replicache chat) ], 'chat');
	return $own;
}

sub stub
{
	my ($name, $text) = @_;
	spew("$stubs/$name", "#!/bin/sh\n$text");
	chmod 0755, "$stubs/$name" or die "$stubs/$name: $!";
}

sub make_stubs
{
	my $top = srcdir();
	my $players = join ' ', map { "$_) player=$player{$_};;" } sort keys %player;
	stub('git', <<"SH");
[ \$# = 3 ] && [ "\$1" = clone ] || exit 2
mkdir "\$3" && cd '$top' && tar -cf - --exclude=./.git --exclude=./build --exclude=./run \\
	--exclude='*.o' --exclude='*.a' --exclude=node_modules --exclude=./config.status \\
	--exclude=./t/corpus --exclude=./autom4te.cache . | tar -xf - -C "\$OLDPWD/\$3" && cd "\$OLDPWD/\$3" &&
	chmod -R u+w . && printf '#!/bin/sh\\n[ \$# = 0 ]\\n' >quickstart && mkdir -p t/corpus
SH
	my $setpriv = $> == 0 ? 'exec setpriv --reuid="$player" --clear-groups sh -c "$3"' : '';
	stub('su', <<"SH");
[ \$# = 3 ] && [ "\$2" = -c ] || exit 2
case \$1 in $players *) exit 2;; esac
export PGUSER="\$1"
$setpriv
exec sh -c "\$3"
SH
	stub('useradd', qq([ "\$*" = '--system web' ]\n));
	stub('systemctl', qq([ "\$1 \$2" = 'enable --now' ] && [ -e '$top/examples/systemd/'"\$3" ]\n));
	stub('dpkg-buildpackage', <<'SH');
[ "$*" = '-us -uc -b' ] || exit 2
for name in $(sed -n 's/^Package: //p' debian/control); do : >"../${name}_1_all.deb"; done
SH
	stub('apt', <<'SH');
[ $# -gt 1 ] && [ "$1" = install ] || exit 2
shift
for file; do [ -e "$file" ] || exit 1; done
SH
	my $make = find_tool('make') // 'make';
	stub('make', <<"SH");
case "\$*" in
-*) exec '$make' "\$@" ;; # ./configure looks what it can do
'') exec '$make' -s -j2 ;;
esac
[ "\$*" != install ] || exec '$make' -s install
for word; do
	case \$word in
	*=*) grep -qF "\\\$(\${word%%=*})" Makefile ;;
	*) grep -qE "^([a-z-]+ )*\$word( [a-z-]+)*:" Makefile ;;
	esac || { echo "make: there is no \$word"; exit 2; }
done
SH
	my $spawn = find_tool('spawn-fcgi') // 'spawn-fcgi';
	my $take = $> == 0 ? 'set -- "$@" "$1" "$player"' : ':';
	stub('spawn-fcgi', <<"SH");
left=\$#
while [ \$left -gt 0 ]; do
	case \$1 in
	--) break;;
	-u | -U)
		case \$2 in $players *) exit 2;; esac
		# libpq's default.
		[ "\$1" = -U ] || export PGUSER="\$2"
		$take; shift 2; left=\$((left - 2));;
	*) set -- "\$@" "\$1"; shift; left=\$((left - 1));;
	esac
done
while [ \$left -gt 0 ]; do set -- "\$@" "\$1"; shift; left=\$((left - 1)); done
exec '$spawn' "\$@"
SH
	mkdir "$stubs/chat" or die "$stubs/chat: $!";
	stub("chat/$_", qq([ \$# = 1 ]\n)) for qw(build serve);
}

# Options: user (who runs the commands); quickstart (true: SQL and pages use the database
# that ./quickstart makes, and not "app"); installed (the SQL of an app: the database "app"
# and settings exist already).
sub new
{
	my ($class, $name, %option) = @_;
	my $top = srcdir();
	my $folder = workdir() . '/at-' . $name =~ tr{/.}{--}r;
	mkdir $folder or die "$folder: $!";
	make_path(map { "$folder/$_" } qw(run/replicache etc/replicache schema share/schema share/examples/chat));
	chmod 0777, $folder, "$folder/run", "$folder/run/replicache";
	# Copies, as other users may not enter the source tree.
	for my $below (qw(schema share/schema)) {
		system('cp', '-R', "$top/schema/.", "$folder/$below") == 0 or die "cp: $top/schema\n";
	}
	for my $file ("$top/examples/chat/database", "$stubs/chat/build", "$stubs/chat/serve") {
		copy($file, "$folder/share/examples/chat/") or die "$file: $!";
	}
	chmod 0755, glob "$folder/share/examples/chat/*";
	spew("$folder/etc/replicache/jwt.pem", slurp("$top/t/keys/rs256.pem"));
	my $self = bless { folder => $folder, cwd => $folder, user => $option{user} // 'root', running => [], sites => [] }, $class;
	@$self{qw(cluster database owner)} = $option{quickstart} ? (quickstart(), 'chat', 'chat') : ($cluster, 'app', 'app');
	my @elsewhere = (
		'/usr/local' => $prefix,
		'/usr/share/replicache-fcgi' => "$folder/share",
		'/run/replicache' => "$folder/run/replicache",
		'/run/postgresql' => $cluster->{folder},
		'/etc/replicache' => "$folder/etc/replicache",
		'@cgiexecdir@' => builddir() . '/cgi',
		# What the host of a site tells its users.
		'host=HOST dbname=NAME user=USER' => $cluster->conninfo('app'),
		'PASSWORD' => 'none',
	);
	$self->{elsewhere} = {@elsewhere};
	$self->install_app($option{installed}) if defined $option{installed};
	return $self;
}

# A database with an app, as after README.md and doc/howto/install.md.
sub install_app
{
	my ($self, $sql) = @_;
	$cluster->admin->query($_) for 'create database app owner app', 'create role web login';
	$cluster->run_files('app', [ srcdir() . '/schema/replicache.sql', spew("$self->{folder}/app.sql", $sql) ]);
	my $settings = spew("$self->{folder}/etc/replicache.conf", qq(auth = none\ndatabase = "dbname=app user=app"\n));
	chmod 0600, $settings;
	$self->{settings} = $settings;
}

# The text with the paths of this place.
sub here
{
	my ($self, $text) = @_;
	my $any = join '|', map { quotemeta } keys %{ $self->{elsewhere} };
	return $text =~ s/(?<!\w)($any)/$self->{elsewhere}{$1}/gr;
}

sub environment
{
	my ($self) = @_;
	# What was installed, if a document has said how, else what was built.
	my $path = join ':', $stubs, "$prefix/sbin", "$prefix/libexec/replicache-fcgi",
	    (map { builddir() . "/$_" } qw(admin cgi)), $ENV{PATH}, '/usr/sbin', '/sbin';
	my %environment = (PATH => $path, HOME => $self->{folder}, PGHOST => $cluster->{folder},
	    CONFIG_SITE => $config_site, MAKEFLAGS => '');
	$environment{PGUSER} = $self->{user} if $self->{user} ne 'root';
	$environment{REPLICACHE_CONFIG} = $self->{settings} if defined $self->{settings};
	return %environment;
}

# Runs commands. Returns what they said if one fails, else ''. A server stays: it is
# ended when the reader leaves.
sub shell
{
	my ($self, $text) = @_;
	my $script = spew("$self->{folder}/.script", $self->here($text) . "pwd >'$self->{folder}/.cwd'\n");
	my $log = "$self->{folder}/.log";
	open my $out, '>', $log or die "$log: $!";
	my ($socket) = $self->here($text) =~ /^spawn-fcgi .*-s (\S+)/m;
	if (defined $socket) {
		spew($script, slurp($script) =~ s/^spawn-fcgi/exec spawn-fcgi/mr);
		unlink $socket;
	}
	my $pid = start_process([ 'bash', '-eu', $script ], stdout => $out, stderr => $out, clean => 1,
		environment => { $self->environment }, folder => $self->{cwd}, signal => 'TERM');
	if (defined $socket) {
		my $listens = eval {
			wait_until(sub { Rig::Fastcgi->connect($socket) // !process_lives($pid) }, 'the socket');
			process_lives($pid);
		};
		push @{ $self->{running} }, $pid;
		$self->{socket} = $socket;
		return $listens ? '' : 'no socket: ' . slurp($log);
	}
	my $status = reap_process($pid, 300);
	return 'it fails: ' . slurp($log) if !defined $status || $status != 0;
	chomp($self->{cwd} = slurp("$self->{folder}/.cwd"));
	return '';
}

# Of the last server.
sub socket { return $_[0]{socket} }

sub log { return slurp("$_[0]{folder}/.log") }

# Runs statements in psql, as the owner of the database.
sub sql
{
	my ($self, $text) = @_;
	my $file = spew("$self->{folder}/.sql", $text);
	return eval { $self->{cluster}->run_file($self->{database}, $file, $self->{owner}); 1 } ? '' : "psql: $@";
}

sub conninfo { return $_[0]{cluster}->conninfo(@{ $_[0] }{qw(database owner)}) }

sub session
{
	my ($self) = @_;
	return Rig::Session->new($self->conninfo);
}

# Whether a query of the machine's database gives a row.
sub applied
{
	my ($self, $query) = @_;
	my $session = $cluster->session('app', 'postgres');
	my $rows = $session->query($query);
	$session->close;
	return @$rows > 0;
}

# The address of a site with a program on the database, as a role, that has these
# settings.
sub site
{
	my ($self, $role, %setting) = @_;
	my $site = Rig::Site->start(REPLICACHE_DATABASE => $self->{cluster}->conninfo($self->{database}, $role), %setting);
	push @{ $self->{sites} }, $site;
	return $site->url;
}

# A page of that address.
sub page
{
	my ($self, $url) = @_;
	return $self->{page} = Rig::Node->start('document.mjs', PAGE => $url);
}

# Ends all that was started, and takes the databases away.
sub leave
{
	my ($self) = @_;
	$self->{page}->stop if $self->{page};
	$_->stop for @{ $self->{sites} };
	stop_process($_, 'TERM', 10) for @{ $self->{running} };
	$cluster->admin->query("drop database if exists $_ with (force)") for qw(app chat);
	$cluster->admin->query("drop role if exists $_") for qw(web replicache);
}

1;
