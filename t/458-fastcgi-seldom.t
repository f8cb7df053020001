#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What seldom happens: a schema that is another's or has lost its state, changes that
# nobody can be told of, few descriptors.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use Test::More;

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(program workdir wait_until start_process stop_process);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));

sub health { return $_[0]->request(Rig::Program::params('GET', '/health'), '') }

subtest 'a schema of another number' => sub {
	my $program = Rig::Program->start(%environment);
	my $number = $session->value('select schema_number from replicache_state');
	for my $case ([ -1, 'old' ], [ 1, 'new' ]) {
		$session->query("update replicache_state set schema_number = $number + $case->[0]");
		my $answer = health($program);
		is($answer->{status}, 503, "one too $case->[1]");
		is(Rig::Json::decode($answer->{body})->{reason}, "schema too $case->[1]", 'which is told');
	}
	$session->query("update replicache_state set schema_number = $number");
	is(health($program)->{status}, 200, 'the right one');
	is($program->stop, 0, 'ended in order');
};

subtest 'a schema without its state' => sub {
	my $program = Rig::Program->start(%environment);
	$session->query('create table kept as select * from replicache_state; delete from replicache_state');
	is($program->request(push_params('g', [ 'a', 1, 'note', '1' ]))->{status}, 503, 'a push');
	is($program->request(pull_params('g'))->{status}, 503, 'a pull');
	is(health($program)->{status}, 503, 'health');
	$session->query('insert into replicache_state select * from kept; drop table kept');
	is($program->request(push_params('g', [ 'a', 1, 'note', '1' ]))->{status}, 200, 'a push when it is back');
	is($program->request(pull_params('g'))->{status}, 200, 'a pull');
	is($session->value(q(select count(*) from journal where client = 'a')), 1, 'applied once');
	is($program->stop, 0, 'ended in order');
};

subtest 'a connect that is refused after another one went well' => sub {
	my $folder = workdir() . '/early';
	my $path = "$folder/.s.PGSQL.5432";
	mkdir $folder or die "$folder: $!";
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 8) or die "$path: $!";
	chmod 0777, $path or die "$path: $!";
	my $program = Rig::Program->start(REPLICACHE_DATABASE => "host=$folder dbname=$database user=app");
	my $early = Rig::Sync::background(1, sub { return $program->request(pull_params('g'))->{status} });
	my $held = $listener->accept or die "accept: $!";
	unlink $path or die "$path: $!";
	symlink "$cluster->{socket}/.s.PGSQL.5432", $path or die "symlink: $!";
	is($program->request(push_params('g', [ 'early', 1, 'note', '1' ]))->{status}, 200, 'the later one');
	close $listener;
	close $held;
	is((Rig::Sync::collect($early, 60))[0], 200, 'the earlier one, with the session of the later one');
	unlike($program->log, qr/no connection to the database/, 'the database is not thought to be away');
	is($program->stop, 0, 'ended in order');
};

subtest 'a poke without a database' => sub {
	my $program = Rig::Program->start(REPLICACHE_POKE => 'answer',
		REPLICACHE_DATABASE => $cluster->conninfo('nowhere'));
	my $answer = $program->request(Rig::Program::params('GET', '/poke'), '');
	is($answer->{status}, 503, 'is refused');
	is($program->stop, 0, 'ended in order');
};

# Who waits for changes that can't be seen is told later; when nobody waits, nothing
# is tried.
subtest 'changes that can not be seen' => sub {
	my $program = Rig::Program->start(%environment, REPLICACHE_METRICS => 'on',
		REPLICACHE_LISTEN_DATABASE => $cluster->conninfo('later'));
	my $stream = Rig::Stream->fastcgi($program);
	is($stream->status, 200, 'a stream is opened');
	wait_until(sub { $program->log =~ /later/ }, 'the program to complain');
	$stream->close;
	wait_until(sub { $program->metric('streams{kind="stream"}') == 0 }, 'the stream to go');
	is($program->metric('listening'), 0, 'nobody listens');
	$stream = Rig::Stream->fastcgi($program);
	is($stream->status, 200, 'another one is opened');
	my $made = $cluster->database('cases');
	$cluster->admin->query("alter database $made rename to later");
	ok(defined $stream->poke(30), 'it is told of the version when the database is there');
	is($program->stop, 0, 'ended in order');
};

# The shell that starts it has given so many descriptors.
sub with_descriptors
{
	my ($limit) = @_;
	return Rig::Program->start(%environment,
		-command => [ '/bin/sh', '-c', "ulimit $limit && exec " . program() ]);
}

subtest 'few descriptors' => sub {
	my $program = with_descriptors('-n 40');
	# All of them wait for a request that does not come.
	my @peer = map { $program->connect } 1 .. 50;
	wait_until(sub { $program->log =~ /error out of file descriptors/ }, 'the program to complain');
	$_->close for @peer;
	wait_until(sub { health($program)->{status} == 200 }, 'it to serve');
	like($program->log, qr/warning 0 streams at most, for want of file descriptors/, 'no stream is held');
	is(Rig::Stream->fastcgi($program)->status, 503, 'but refused');
	is(() = $program->log =~ /error out of file/g, 1, 'all is said once');
	is($program->stop, 0, 'ended in order');
};

subtest 'few descriptors, held by connections that are kept' => sub {
	my $program = with_descriptors('-n 40');
	my (@peer, @status);
	for (1 .. 60) {
		push @peer, $program->connect;
		push @status, $peer[-1]->request(Rig::Program::params('GET', '/health'), '', keep => 1)->{status};
	}
	is(join(' ', grep { $_ != 200 } @status), '', 'new ones are served');
	unlike($program->log, qr/out of file descriptors/, 'nobody is turned away');
	is($program->stop, 0, 'ended in order');
};

subtest 'few descriptors, of which there can be more' => sub {
	my $program = with_descriptors('-Sn 40');
	is(health($program)->{status}, 200, 'it serves');
	unlike($program->log, qr/ 0 streams at most/, 'and raises the limit');
	is($program->stop, 0, 'ended in order');
};

done_testing;
