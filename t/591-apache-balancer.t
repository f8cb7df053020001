#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Apache with mod_proxy_balancer before two programs, one of which takes requests
# and dies: Apache gives such a push to the other one, perhaps without its body.
# It must not be applied twice, nor told to be done when it was not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Apache;
use Rig::Cluster;
use Rig::Place qw(workdir start_process);
use Rig::Program;
use Rig::Sync qw(push_body);

package Rig::Apache::Balancer;
our @ISA = ('Rig::Apache');

sub modules
{
	return ($_[0]->SUPER::modules, qw(slotmem_shm proxy_balancer lbmethod_byrequests));
}

# The second is asked when the first has failed.
sub included
{
	my ($self) = @_;
	return <<"CONF";
<Proxy "balancer://programs">
	BalancerMember "unix:$self->{dying}|fcgi://dying" loadfactor=100
	BalancerMember "unix:$self->{socket}|fcgi://living" status=+H
</Proxy>
ProxyPass "/replicache" "balancer://programs"
SetEnvIf Request_URI "^/replicache(/.*)?\$" proxy-fcgi-pathinfo=1
CONF
}

package main;

plan skip_all => 'no Apache here'
    unless Rig::Apache->is_installed(qw(proxy_fcgi proxy_balancer lbmethod_byrequests slotmem_shm));

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database),
	REPLICACHE_LOG_LEVEL => 'debug');

# Reads so many bytes of a request and closes.
sub dying
{
	my ($bytes) = @_;
	my $path = workdir() . "/dying$bytes";
	my $script = 'while (accept(my $c, STDIN)) { my $n = 0; while ($n < $ARGV[0]) {
		my $got = sysread($c, my $b, 1000) or last; $n += $got; } close $c }';
	start_process([ $^X, '-e', $script, $bytes ], stdin => Rig::Program::listener($path));
	return $path;
}

my $client = 0;
for my $bytes (0, 500, 100_000) {
	for my $length (grep { $_ > $bytes || $bytes < 1000 } 10, 200_000) {
		my $front = Rig::Apache::Balancer->start(socket => $program->path, dying => dying($bytes));
		subtest "a program that dies after $bytes bytes of a push of $length" => sub {
			my $body = push_body('g', [ 'c' . ++$client, 1, 'note', '"' . 'x' x $length . '"' ]);
			my $send = sub {
				return $front->request('POST', '/push', body => $body,
					headers => { 'Content-Type' => 'application/json' });
			};
			my $applied = sub {
				$session->value("select count(*) from journal where client = 'c$client'");
			};
			my $answer = $send->();
			my $count = $applied->();
			note("$answer->{status}, applied $count times");
			is($count, $answer->{status} == 200 ? 1 : 0, 'it is applied if and only if it is told to be')
			    or diag($answer->{body}, $program->log);
			# The client sends it again.
			is($send->()->{status}, 200, 'sent again it is done');
			is($applied->(), 1, 'once');
		};
		$front->stop;
	}
}

is($program->stop, 0, 'the program ends in order');
done_testing;
