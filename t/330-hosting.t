#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The archive for shared hosting: unpacked, with two lines of its settings changed
# as its README says, it is all that a CGI server needs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::WebServer;
use Rig::Place qw(srcdir builddir workdir slurp spew start_process reap_process find_tool
    server_user);
use Rig::Program;
use Rig::Sync qw(push_params pull_params);

my ($archive, @more) = glob builddir() . '/replicache-fcgi-*-hosting.tar.gz';
ok(defined $archive && !@more, 'one archive is there: make shared-hosting-dist') or BAIL_OUT('no archive');
is(system('tar', '-xzpf', $archive, '-C', workdir()), 0, 'it unpacks');
my ($top) = glob workdir() . '/replicache-fcgi-*-hosting';
my $place = "$top/replicache";
my $settings = "$place/replicache.conf";

# What a command of the folder says, and its exit code.
sub run
{
	my ($command, %option) = @_;
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process($command, stdout => $out, stderr => $out, clean => 1,
		folder => $place, %option);
	return (reap_process($pid, 30) >> 8, slurp(workdir() . '/out'));
}

sub request
{
	my ($params, $body) = @_;
	open my $in, '<', spew(workdir() . '/in', $body // '') or die "in: $!";
	my (undef, $text) = run(["$place/replicache.fcgi"], stdin => $in, environment => $params);
	return Rig::Fastcgi::parse_cgi($text =~ s/^replicache: .*\n//mgr);
}

subtest 'what is in it' => sub {
	my %mode = ('replicache.fcgi' => 0755, 'replicache.conf' => 0600, '.htaccess' => 0644);
	is((stat "$place/$_")[2] & 07777, $mode{$_}, "$_ has its mode") for sort keys %mode;
	is(slurp("$place/.htaccess"), slurp(srcdir() . '/examples/apache/htaccess'), 'the example for Apache');
	is(slurp("$top/poke.js"), slurp(srcdir() . '/examples/poke.js'), 'poke.js');
	is(slurp("$top/schema/$_"), slurp(srcdir() . "/schema/$_"), "schema/$_")
	    for qw(chat.sql rooms.sql grants.sql);
	is(slurp("$top/schema/replicache.sql"), slurp(builddir() . '/schema/joined/replicache.sql'), 'schema/replicache.sql, joined');
	my $readme = slurp("$top/README");
	unlike($readme, qr/@[A-Z]+@/, 'the README is complete');
	for my $library (qx(readelf -d '$place/replicache.fcgi') =~ /NEEDED.*\[(.*)\]/g) {
		like($readme, qr/^ +\Q$library\E$/m, "and tells of $library");
	}
};

my ($code, $text) = run(["$place/replicache.fcgi", '--check-config']);
isnt($code, 0, 'nobody is let in by the settings as they come');
like($text, qr/auth must be said/, 'which is told');

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $sample = slurp($settings);
my $conninfo = $cluster->conninfo($database);
ok($sample =~ s/^#database = .*/database = "$conninfo"/m, 'the database can be said');
ok($sample =~ s/^#auth = .*/auth = none/m, 'and who may');
spew($settings, $sample);

subtest 'it serves' => sub {
	is(request(Rig::Program::params('GET', '/health'))->{status}, 200, 'health');
	is(request(push_params('g', [ 'a', 1, 'note', '"x"' ]))->{status}, 200, 'a push');
	is($cluster->session($database)->value('select count(*) from journal'), 1, 'is applied');
	my $answer = request(pull_params('g'));
	is($answer->{status}, 200, 'a pull');
	like($answer->{body}, qr/"lastMutationIDChanges":\{"a":1\}/, 'tells of it');
};

# A certificate for this machine, by nobody else.
sub certificate
{
	my ($name) = @_;
	my @file = map { workdir() . "/$name.$_" } qw(key crt);
	my ($code, $text) = run([ find_tool('openssl'), 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', "/CN=$name",
		'-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', $file[0], '-out', $file[1] ]);
	die "openssl: $text\n" if $code;
	return @file;
}

# A Postgres that lets nobody in from elsewhere but by TLS and with a password.
sub remote
{
	my ($key, $crt) = @_;
	if (my $user = server_user()) {
		chown +(getpwnam $user)[2, 3], $key or die "chown: $!";
	}
	my $port = Rig::WebServer::free_port();
	my $remote = Rig::Cluster->start(name => "remote$port", settings => { listen_addresses => '127.0.0.1',
		port => $port, ssl => 'on', ssl_key_file => $key, ssl_cert_file => $crt });
	spew("$remote->{folder}/data/pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
	$remote->admin->query(q(alter role app password 'let me in'));
	$remote->admin->query('select pg_reload_conf()');
	return ($remote, $port);
}

subtest 'a remote Postgres over TLS' => sub {
	plan skip_all => 'no openssl here' unless defined find_tool('openssl');
	my ($key, $crt) = certificate('database');
	my (undef, $other) = certificate('other');
	# Somebody may have taken the port meanwhile.
	my ($remote, $port);
	for my $try (1 .. 3) {
		($remote, $port) = eval { remote($key, $crt) } and last;
		die $@ if $try == 3;
	}
	my $database = $remote->database('cases');
	my $session = $remote->session($database);
	my $id = 0;
	my $push = sub {
		my ($how) = @_;
		my $text = $sample =~ s/^database = .*/database = "host=127.0.0.1 port=$port dbname=$database user=app $how"/mr;
		spew($settings, $text =~ s/^#connect_timeout = .*/connect_timeout = 10000/mr);
		return request(push_params('g', [ 'a', $id + 1, 'note', '"x"' ]))->{status};
	};
	my $password = q(password='let me in');
	is($push->("$password sslmode=verify-full sslrootcert=$crt"), 200, 'whose certificate is known: a push');
	is($session->value('select count(*) from journal'), ++$id, 'is applied');
	like(request(pull_params('g'))->{body}, qr/"a":1/, 'and a pull tells of it');
	is($push->("$password sslmode=require"), 200, 'one that is not looked at');
	is($session->value('select count(*) from journal'), ++$id, 'too');
	is($push->("$password sslmode=verify-full sslrootcert=$other"), 503, 'one that is another\'s: it is not trusted');
	is($push->("$password sslmode=disable"), 503, 'without TLS nobody is let in');
	is($push->("password=wrong sslmode=require"), 503, 'nor without the password');
	is($session->value('select count(*) from journal'), $id, 'nothing of these was applied');
	$remote->stop;
};

done_testing;
