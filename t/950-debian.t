#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The Debian packages: they build from what a release has, twice the same;
# lintian finds no error; the files are where they belong, and the program and
# replicache-admin run from there. On a machine made for this, they are installed
# by apt, the commands of README.Debian make a chat of it, and purging them leaves
# nothing. It takes some minutes, so it waits for `make check-long PART=debian`.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::Container;
use Rig::Json;
use Rig::Place qw(srcdir builddir workdir find_tool slurp spew start_process reap_process wait_until);
use Rig::Program qw(params);
use Rig::Sync qw(push_params pull_params push_body pull_body);

plan skip_all => 'slow: make check-long PART=debian' unless $ENV{DEBIAN};
for my $tool (qw(dpkg-buildpackage dh lintian)) {
	plan skip_all => "no $tool here" unless defined find_tool($tool);
}
# make gives its children what belongs to the build that it runs.
delete @ENV{grep { /^(MAKE|MFLAGS|TOP_|srcdir$|DEB_|CFLAGS|CPPFLAGS|LDFLAGS)/ } keys %{ { %ENV } }}
    if (my $top = srcdir()) && (my $built = builddir());
BAIL_OUT('no source tree') unless -e "$top/debian/control";

my $count = 0;

# Exit code and output.
sub run
{
	my ($folder, @command) = @_;
	my $out = workdir() . '/out' . ++$count;
	open my $file, '>', $out or die "$out: $!";
	my $pid = start_process(\@command, stdout => $file, stderr => $file, folder => $folder);
	my $status = reap_process($pid, 3600) // die "@command does not end\n";
	return ($status >> 8, slurp($out));
}

sub must
{
	my ($code, $text) = run(@_);
	return $text if $code == 0;
	die "@_[1 .. $#_]: exit $code\n" . substr($text, -4000);
}

# A release, unpacked; the packages of it, by name.
my @built;

sub build
{
	my ($name, $options) = @_;
	my $place = workdir() . "/$name";
	mkdir $place or die "$place: $!";
	must($built, 'make', '-s', 'distdir', "distdir=$place/tree");
	must("$place/tree", 'env', 'SOURCE_DATE_EPOCH=1700000000', "DEB_BUILD_OPTIONS=$options",
		'dpkg-buildpackage', '-us', '-uc', '-b', '-d');
	return { map { m{/([\w-]+)_[^/]*\.deb$} ? ($1 => $_) : () } glob "$place/*.deb" };
}

my $deb = build('one', 'parallel=2');
is_deeply([ sort grep { !/-dbgsym$/ } keys %$deb ], [qw(replicache-fcgi replicache-fcgi-admin)],
	'two packages');

subtest 'lintian' => sub {
	my ($code, $text) = run('/', 'lintian', '--allow-root', '--fail-on', 'error',
		values %$deb, glob workdir() . '/one/*.changes');
	is($code, 0, 'finds no error');
	unlike($text, qr/^[EW]: /m, 'and warns of nothing') or diag($text);
};

subtest 'reproducible' => sub {
	my $again = build('two', 'parallel=1 nocheck');
	is_deeply([ sort keys %$again ], [ sort keys %$deb ], 'the same packages');
	for my $name (sort keys %$deb) {
		ok(slurp($deb->{$name}) eq slurp($again->{$name}), "$name, from another folder, is the same");
	}
};

sub control { return must('/', 'dpkg-deb', '-f', $deb->{ $_[0] }, $_[1]) =~ s/\n//r }

my ($number) = slurp("$top/configure.ac") =~ /AC_INIT\(\[[\w-]+\], \[([\d.]+)\]\)/;
is(control($_, 'Version'), $number, "$_ has the version of the program") for qw(replicache-fcgi replicache-fcgi-admin);
like(control('replicache-fcgi', 'Depends'), qr/libpq5/, 'libraries are depended on');
unlike(control('replicache-fcgi', 'Depends'), qr/curl/, 'libcurl is not');

my $root = workdir() . '/root';
must('/', 'dpkg', '-x', $deb->{$_}, $root) for qw(replicache-fcgi replicache-fcgi-admin);
my $program = "$root/usr/libexec/replicache-fcgi/replicache.fcgi";

subtest 'the files' => sub {
	for my $file (qw(etc/replicache/replicache.conf lib/systemd/system/replicache.service
		lib/systemd/system/replicache.socket usr/libexec/replicache-fcgi/replicache.fcgi
		usr/sbin/replicache-admin usr/share/replicache-fcgi/poke.js
		usr/share/replicache-fcgi/schema/replicache.sql
		usr/share/replicache-fcgi/schema/grants.sql
		usr/share/man/man5/replicache.conf.5.gz usr/share/man/man7/replicache-sql.7.gz
		usr/share/man/man8/replicache.fcgi.8.gz usr/share/man/man8/replicache-admin.8.gz
		usr/share/replicache-fcgi/examples/nginx/replicache.conf
		usr/share/replicache-fcgi/examples/apache/htaccess
		usr/share/replicache-fcgi/examples/apache/proxy.conf
		usr/share/replicache-fcgi/examples/caddy/Caddyfile
		usr/share/replicache-fcgi/examples/lighttpd/replicache.conf
		usr/share/replicache-fcgi/examples/chat/build
		usr/share/replicache-fcgi/examples/chat/src/chat.js
		usr/share/doc/replicache-fcgi/README.Debian)) {
		ok(-s "$root/$file" || -s "$root/$file.gz", $file);
	}
	is((stat "$root/etc/replicache/replicache.conf")[2] & 07777, 0640, 'others can\'t read the settings');
	is(must('/', 'dpkg-deb', '--info', $deb->{'replicache-fcgi'}, 'conffiles'),
		"/etc/replicache/replicache.conf\n", 'which dpkg keeps as they were changed');
	my @wrong = split /\n/, (run('/', 'grep', '-rlE', '/usr/local/libexec|/etc/replicache\.conf', "$root/etc", "$root/lib",
		"$root/usr/share/replicache-fcgi/examples"))[1];
	is_deeply(\@wrong, [], 'no file names a path of an installation by hand');
};

subtest 'the units' => sub {
	my $service = slurp("$root/lib/systemd/system/replicache.service");
	my @run = $service =~ m{^Exec\w+=(/usr/libexec\S+) --config (\S+)}mg;
	is_deeply(\@run, [ ('/usr/libexec/replicache-fcgi/replicache.fcgi', '/etc/replicache/replicache.conf') x 2 ],
		'run the program that is installed, with the settings that are');
	like($service, qr/^User=replicache$/m, 'as its own user');
	like($service, qr/^ProtectSystem=strict$/m, 'that can do little');
	my $script = must('/', 'dpkg-deb', '--info', $deb->{'replicache-fcgi'}, 'postinst');
	like($script, qr/adduser .*replicache/s, 'which is made');
	unlike($script, qr/deb-systemd-invoke (?:start|restart)|_dh_action=start/, 'nothing is enabled');
	is_deeply([ $script =~ /deb-systemd-invoke (.*?) >/g ], [q(try-restart 'replicache.service')],
		'nor started: an upgrade restarts what ran');
};

# What was installed is what is tried here.
my $cluster = Rig::Cluster->start;

subtest 'the program' => sub {
	my ($code, $text) = run('/', $program, '--config', "$root/etc/replicache/replicache.conf", '--check-config');
	isnt($code, 0, 'does not run on the settings as they come');
	like($text, qr/auth/, 'and says what they lack');
	my $database = $cluster->database('cases');
	my $started = Rig::Program->start(-command => [$program],
		REPLICACHE_DATABASE => $cluster->conninfo($database));
	is($started->request(params('GET', '/health'), '')->{status}, 200, 'is healthy');
	my $body = push_body('g', [ 'a', 1, 'note', '"x"' ]);
	is($started->request(params('POST', '/push', body => $body), $body)->{status}, 200, 'takes a push');
	is($cluster->session($database)->value('select count(*) from journal'), 1, 'and applies it');
	is($started->stop, 0, 'ends in order');
};

subtest 'replicache-admin' => sub {
	my $admin = Rig::Admin->new($cluster->conninfo($cluster->database('empty')),
		program => "$root/usr/sbin/replicache-admin");
	is($admin->run('install')->{exit}, 0, 'installs');
	is($admin->run('check')->{exit}, 0, 'and finds no fault');
};

# The commands of README.Debian that make a chat.
my ($part) = slurp("$top/debian/replicache-fcgi.README.Debian") =~ /^A chat to begin with\n-+\n(.*?)^An app/ms;
my @command = grep { m{/examples/chat/} } $part =~ /^    (\S.*)$/mg;

subtest 'apt install, three commands, a chat, purge' => sub {
	plan skip_all => $_ for Rig::Container::missing();
	plan skip_all => 'no npm here' unless defined find_tool('npm');
	# Certificates stay behind when what else they came with is purged.
	my ($machine, $why) = Rig::Container->make(qw(nginx-light postgresql ca-certificates));
	plan skip_all => $why unless $machine;
	is(scalar @command, 3, 'README.Debian has three commands');
	my @package = map { "./$_.deb" } qw(replicache-fcgi replicache-fcgi-admin);
	must('/', 'cp', $deb->{ m{([\w-]+)\.deb$} ? $1 : '' }, $machine->root . "/root/$_") for @package;
	my @install = ('sh', '-c', 'cd /root && exec apt-get -qy "$@"', 'sh');
	my ($code, $text) = $machine->prepare(@install, qw(--download-only install), @package);
	is($code, 0, 'what they depend on is there') or diag($text);
	plan skip_all => 'systemd-nspawn boots nothing here: ' . $machine->log unless $machine->boot;
	my $there = sub {
		my ($code, $text) = $machine->run(@_);
		is($code, 0, "@_") or diag($text);
		return $text;
	};
	my $before = $machine->files;

	$there->(@install, 'install', @package);
	is(($machine->run(qw(systemctl is-active replicache.socket replicache.service)))[1], "inactive\ninactive\n",
		'nothing runs before it is told to');
	# The page is made here, where npm is, by the file that is installed there.
	my $www = workdir() . '/chat';
	my $made = $command[1] =~ s/~/\/root/gr;
	my ($build, $folder) = split ' ', $made;
	must('/', $machine->root . $build, $www);
	must('/', 'mkdir', $machine->root . $folder);
	must('/', 'cp', '-r', "$www/www", $machine->root . "$folder/www");
	$there->('sh', '-c', $command[$_]) for 0, 2;

	like($machine->request(8080, 'GET', '/')->{body}, qr/<script/, 'the page is served');
	is($machine->request(8080, 'GET', '/chat.js')->{status}, 200, 'so is its script');
	is(($machine->run(qw(systemctl is-active replicache.service)))[1], "inactive\n", 'the program waits for a request');
	my %json = (headers => { 'Content-Type' => 'application/json' });
	my $push = push_body('g', [ 'a', 1, 'createMessage', '{"id":"m","from":"a","content":"hello","order":1}' ]);
	my $answer = $machine->request(8080, 'POST', '/replicache/push', body => $push, %json);
	is($answer->{status}, 200, 'a push') or diag($answer->{body});
	is(($machine->run(qw(systemctl is-active replicache.service)))[1], "active\n", 'has started it');
	$answer = $machine->request(8080, 'POST', '/replicache/pull', body => pull_body('g'), %json);
	like($answer->{body}, qr/"hello"/, 'a pull has the message');
	my $cookie = eval { Rig::Json::decode($answer->{body})->{cookie} } // 0;
	my $asked = $machine->ask(8080, 'GET', "/replicache/poke?version=$cookie");
	$there->('su', 'postgres', '-c', q(psql -qd chat -c "insert into message (id, sender, content, ord) values ('n', 'psql', 'hi', 2)"));
	$answer = $machine->answer($asked);
	cmp_ok(eval { Rig::Json::decode($answer->{body})->{version} } // 0, '>', $cookie, 'who waits is told of what psql writes');
	$there->(qw(systemctl reload replicache.service));
	is($machine->request(8080, 'GET', '/replicache/health')->{status}, 200, 'it has its settings read again');
	my ($pid) = $there->(qw(systemctl show --property=MainPID replicache.service)) =~ /(\d+)/;
	$there->(qw(systemctl restart replicache.service));
	is($machine->request(8080, 'GET', '/replicache/health')->{status}, 200, 'it is restarted');
	unlike($there->(qw(systemctl show --property=MainPID replicache.service)), qr/=$pid$/, 'as another process');
	like($there->(qw(systemctl show --property=User replicache.service)), qr/=replicache$/, 'as its own user');
	# This machine may not have as many descriptors as the unit asks for.
	unlike($there->(qw(journalctl --no-pager -u replicache.service)), qr/\b(?:warning (?!.*NOFILE)|error|failed)\b/i,
		'and has nothing to complain of');
	my $settings = '/etc/replicache/replicache.conf';
	$there->('sh', '-c', "echo 'nonsense = 1' >> $settings");
	isnt(($machine->run(qw(systemctl reload replicache.service)))[0], 0, 'a reload with a bad setting fails');
	like($there->(qw(journalctl --no-pager -p err -u replicache.service)), qr/no such setting/,
		'and the journal has why, as an error');
	is($machine->request(8080, 'GET', '/replicache/health')->{status}, 200, 'the program goes on');
	$there->('sed', '-i', '/^nonsense/d', $settings);
	$there->(qw(systemctl reload replicache.service));

	$there->(qw(apt-get -qy remove replicache-fcgi replicache-fcgi-admin));
	is(($machine->run(qw(systemctl is-active replicache.socket replicache.service)))[1], "inactive\ninactive\n", 'removed, it is stopped');
	$there->(qw(nginx -t));
	ok(-s $machine->root . '/etc/replicache/replicache.conf', 'its settings are kept');
	$there->(@install, 'install', @package);
	like(slurp($machine->root . '/etc/replicache/replicache.conf'), qr/^auth = none$/m, 'as they were, when it is installed again');
	$there->(qw(apt-get -qy purge replicache-fcgi replicache-fcgi-admin));
	$there->(qw(apt-get -qy autoremove --purge));
	my $after = $machine->files;
	my %path = (%$before, %$after);
	is(join("\n", grep { ($before->{$_} // 'none') ne ($after->{$_} // 'none') } sort keys %path), '',
		'purged, nothing of them is left');
	is(($machine->run('su', 'postgres', '-c', 'psql -Atd chat -c "select count(*) from message"'))[1], "2\n",
		'but the database');
	$machine->stop;
};

done_testing;
