#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# replicache-admin check --url: what it finds of web servers that stand in the
# way, and status --url.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Place qw(srcdir workdir slurp spew wait_until);
use Rig::Site;
use Rig::Stream;
use Rig::Token;

# A site whose location file was changed: doctor(sub { s/.../.../ }).
package Doctored {
	our @ISA = 'Rig::Site';

	sub doctor
	{
		my ($self, $change) = @_;
		$self->{change} = $change;
		$self->stop_nginx;
		$self->start_nginx;
	}

	sub configuration
	{
		my ($self, $port) = @_;
		my $text = $self->SUPER::configuration($port);
		my $change = $self->{change} // return $text;
		local $_ = main::slurp(main::srcdir() . '/examples/nginx/replicache.conf');
		my $before = $_;
		$change->();
		die "nothing was changed\n" if $_ eq $before;
		my $file = main::spew("$self->{folder}/doctored.conf", $_);
		$text =~ s/include "[^"]*replicache.conf"/include "$file"/ or die "no include\n";
		return $text;
	}
}

plan skip_all => $_ for Rig::Site::missing();

my $site = Doctored->start_chat(REPLICACHE_METRICS => 'on');
my $admin = Rig::Admin->new($site->cluster->conninfo($site->database));

# What is not fine, as "result what". (The servers of tests are without fsync.)
sub found
{
	my ($at, @options) = @_;
	my $got = Rig::Json::decode($admin->run('--json', 'check', '--url', $at, @options)->{out});
	return map { "$_->{result} $_->{what}" } grep { $_->{result} ne 'fine' && $_->{what} ne 'commits are durable' } @{ $got->{findings} };
}

sub at { return $site->url . '/replicache' }

subtest 'all is well' => sub {
	my $state = q(select max(version) || ' ' || (select count(*) from replicache_client_group) from replicache_version);
	my $before = $site->session->value($state);
	is_deeply([ found(at()) ], [], 'nothing is found');
	is_deeply([ found(at() . '/') ], [], 'nor with a slash at the end');
	is($site->session->value($state), $before, 'nothing was changed');
	my $run = $admin->run('check', '--url', at());
	is($run->{exit}, 0, 'for people');
	like($run->{out}, qr/^fine +\Q$_\E/m, "it looked at: $_") for '/health: the path arrives', 'Authorization reaches',
		'/health: not cached', '/pull: not cached', '/push: a body of 67108864 bytes, status 200', '/poke: events come through';
};

subtest 'what stands in the way' => sub {
	my @case = (
		[ 'the path is not split', sub { s/^\tfastcgi_split_path_info.*\n//m }, qr/^fault \/health: status 404$/ ],
		[ 'the path is lost', sub { s/PATH_INFO \$fastcgi_path_info/PATH_INFO ""/ }, qr/^fault \/health: status 404$/ ],
		[ 'Authorization is kept back', sub { s/^(\tfastcgi_pass .*)$/$1\n\tfastcgi_param HTTP_AUTHORIZATION "";/m }, qr/^fault Authorization reaches the program$/ ],
		[ 'small bodies only', sub { s/client_max_body_size 65m/client_max_body_size 1m/ }, qr/^fault \/push: a body of 67108864 bytes, status 413$/ ],
		[ 'answers are kept back', sub { s/keep_conn on/keep_conn off/; s/^(\tfastcgi_pass .*)$/$1\n\tfastcgi_ignore_headers X-Accel-Buffering;/m }, qr/^fault \/poke: no event of the stream comes through$/ ],
		[ 'Cache-Control is changed', sub { s/^(\tfastcgi_pass .*)$/$1\n\tfastcgi_hide_header Cache-Control;\n\tadd_header Cache-Control max-age=60;/m },
			qr/^fault \/health: Cache-Control is 'max-age=60'$/, qr/^fault \/pull: Cache-Control is 'max-age=60'$/ ],
		[ 'a cache answers', sub { s/^(\tfastcgi_pass .*)$/$1\n\tadd_header Age 7;/m },
			qr/^fault \/health: not cached, but Age: 7$/, qr/^fault \/pull: not cached, but Age: 7$/ ],
		[ 'another answers', sub { s/^\tfastcgi_pass .*$/\treturn 200 "hello";/m }, qr/^fault \/health: status 200$/ ],
	);
	for (@case) {
		my ($what, $change, @expected) = @$_;
		$site->doctor($change);
		my @bad = found(at());
		is(scalar @bad, scalar @expected, $what) or diag(explain \@bad);
		like($bad[$_] // '', $expected[$_], 'is found') for 0 .. $#expected;
	}
	delete $site->{change};
	$site->stop_nginx;
	like((found(at()))[0], qr/^fault \/health: .*[Cc]onnect/, 'no web server');
	$site->start_nginx;
	like((found($site->url . '/elsewhere'))[0], qr/^fault \/health: status 404$/, 'another address');
	$site->stop_program;
	is((found(at()))[0], 'fault /health: status 502', 'no program');
	$site->start_program;
	is_deeply([ found(at()) ], [], 'all is well again');
	like((found('ftp://127.0.0.1/x'))[0], qr/^fault \/health: .*[Pp]rotocol/, 'no web address');
};

subtest 'where nothing can wait' => sub {
	$site->{environment}{REPLICACHE_POKE} = 'answer';
	$site->restart_program;
	is_deeply([ found(at()) ], [ 'warning /poke: status 204' ], 'is warned of');
	delete $site->{environment}{REPLICACHE_POKE};
	$site->restart_program;
};

subtest 'a token is wanted' => sub {
	my %before = %{ $site->{environment} };
	@{ $site->{environment} }{qw(REPLICACHE_AUTH REPLICACHE_JWT_ALGORITHM REPLICACHE_JWT_KEY_FILE)} =
		('jwt', 'HS256', Rig::Token::folder() . '/hs256');
	$site->restart_program;
	is_deeply([ found(at()) ], [ 'warning /pull: status 401' ], 'without one, it is told what was not looked at');
	my $good = spew(workdir() . '/token', Rig::Token::sign('{"sub":"ann","exp":4102444800}') . "\n");
	is_deeply([ found(at(), '--token-file', $good) ], [], 'with one, all is looked at');
	my $bad = spew(workdir() . '/bad', "nonsense\n");
	is_deeply([ found(at(), '--token-file', $bad) ], [ 'fault /pull: status 401' ], 'a bad one is told');
	my $run = $admin->run('check', '--url', at(), '--token-file', "$bad.missing");
	is($run->{exit}, 1, 'a missing one');
	like($run->{error}, qr/bad\.missing: No such file/, 'too');
	$run = $admin->run('check', '--url', at(), '--token-file', spew("$bad.empty", "\n"));
	like($run->{error}, qr/bad\.empty: there is no token in it/, 'and an empty one');
	$site->{environment} = \%before;
	$site->restart_program;
};

subtest 'status' => sub {
	is($admin->json('status', '--url', at())->{streams}, 0, 'nobody waits');
	my @stream = map { Rig::Stream->http("$site->{folder}/nginx.sock") } 1 .. 3;
	is($_->status, 200, 'a stream') for @stream;
	is($admin->json('status', '--url', at())->{streams}, 3, 'three wait');
	like($admin->run('status', '--url', at())->{out}, qr/^streams +3$/m, 'for people');
	my $run = $admin->run('status', '--url', $site->url . '/elsewhere');
	is($run->{exit}, 1, 'where there is nothing');
	like($run->{error}, qr/elsewhere\/metrics tells nothing/, 'it is told');
};

$site->stop;
done_testing;
