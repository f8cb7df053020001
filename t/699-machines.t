#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What doc/machines.md says: several programs on one database, several hosts in the
# conninfo, the primary's end, pulls from a standby, and what goes through pgbouncer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use IO::Socket::UNIX;

use Rig::Admin;
use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Nginx;
use Rig::Place qw(wait_until workdir find_tool);
use Rig::Pooler;
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_body pull_body push_params pull_params parallel);

use constant { POOL => 2, CLIENTS => 4, PUSHES => 5 };

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);

sub version { return $_[0]->value('select max(version) from replicache_version') }

# The programs' connections, by the name that their conninfo gives them.
sub connections
{
	my ($name) = @_;
	return $session->value("select count(*) from pg_stat_activity where application_name = '$name'");
}

sub connections_of { return $session->value("select count(*) from pg_stat_activity where usename = '$_[0]'") }

# The notes that were applied: each as often as it was.
sub notes
{
	my ($where, $like) = @_;
	return $where->value(qq(select string_agg(note, ' ' order by n) from journal where note like '$like'));
}

sub push_by
{
	my ($who, @mutation) = @_;
	my $body = push_body(@mutation);
	return $who->isa('Rig::Nginx') ? $who->request('POST', '/push', body => $body,
	    headers => { 'Content-Type' => 'application/json' })
	    : $who->request(push_params(@mutation));
}

sub pull_by
{
	my ($who, @group) = @_;
	my $answer = $who->isa('Rig::Nginx') ? $who->request('POST', '/pull', body => pull_body(@group),
	    headers => { 'Content-Type' => 'application/json' })
	    : $who->request(pull_params(@group));
	return $answer->{status} == 200 ? Rig::Json::decode($answer->{body}) : $answer;
}

sub stream_of
{
	my ($program, $version) = @_;
	my $stream = Rig::Stream->fastcgi($program, version => $version);
	is($stream->status, 200, 'a stream is open');
	return $stream;
}

# Pokes up to one of this version or more.
sub poked
{
	my ($stream, $version) = @_;
	my $poke;
	do {
		$poke = $stream->poke(30) // return 0;
	} while $poke < $version;
	return 1;
}

subtest 'two programs' => sub {
	plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();
	my @program = map {
		Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database) . " application_name=two$_",
			REPLICACHE_POOL => POOL, REPLICACHE_LOG_LEVEL => 'debug')
	} 0 .. 1;
	my $nginx = Rig::Nginx->start([ map { $_->path } @program ], '', keepalive => 4);
	my @stream = map { stream_of($_, version($session)) } @program;
	parallel(CLIENTS, sub {
		my ($number) = @_;
		for my $id (1 .. PUSHES) {
			my $answer = push_by($nginx, "two$number", [ "two$number", $id, 'note', qq("two $number.$id") ]);
			die "push: $answer->{status} $answer->{body}\n" if $answer->{status} != 200;
			my $pull = pull_by($nginx, "two$number");
			my $last = $pull->{lastMutationIDChanges}{"two$number"} // 'none';
			die "of mutation $id the next pull tells $last\n" if $last ne $id;
		}
	});
	for my $number (0 .. CLIENTS - 1) {
		is(notes($session, "two $number.%"), join(' ', map { "two $number.$_" } 1 .. PUSHES),
			"client $number: all is applied once, in order, and the next pull tells of it");
	}
	like($program[$_]->log, qr{ path=/push .*status=200}, "program $_ has taken pushes") for 0 .. 1;
	ok(poked($stream[$_], version($session)), "streams at program $_ are told of all") for 0 .. 1;
	my $most = POOL + 1;
	for my $number (0 .. 1) {
		cmp_ok(connections("two$number"), '<=', $most, "program $number has $most connections at most");
		cmp_ok(connections("two$number"), '>', 1, 'and more than one');
	}

	my $gone = $program[0];
	$gone->stop('KILL');
	is(push_by($nginx, 'two', [ 'two', $_, 'note', qq("two $_") ])->{status}, 200,
		"one is gone: push $_ is taken by the other") for 1 .. 4;
	is(notes($session, 'two _'), 'two 1 two 2 two 3 two 4', 'and applied');
	is(pull_by($nginx, 'two')->{lastMutationIDChanges}{two}, 4, 'pulls are answered');
	is($program[1]->stop, 0, 'the other ends in order');
	$nginx->stop;
};

# What a conninfo says itself is not for the program to say.
subtest 'the conninfo has the word' => sub {
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database)
	    . ' fallback_application_name=chosen');
	is(push_by($program, 'word', [ 'word', 1, 'note', '"word"' ])->{status}, 200, 'a push');
	is(connections('chosen'), 1, 'its fallback_application_name is heard');
	is($program->stop, 0, 'the program ends in order');
};

# A host that takes connections and never answers, as a machine that hangs.
my $mute = workdir() . '/mute';
mkdir $mute or die "$mute: $!";
my $silent = IO::Socket::UNIX->new(Type => Socket::SOCK_STREAM, Local => "$mute/.s.PGSQL.5432", Listen => 64)
    or die "$mute: $!";
chmod 0777, "$mute/.s.PGSQL.5432";

my $standby = $cluster->standby('standby');
my $there = $standby->session($database, 'postgres');

sub several
{
	my ($hosts, $wanted) = @_;
	return "host=$hosts dbname=$database user=app" . (defined $wanted ? " target_session_attrs=$wanted" : '');
}

my ($primary_host, $standby_host) = ($cluster->{socket}, $standby->{socket});

sub catch_up
{
	my $version = version($session);
	wait_until(sub { version($there) == $version }, 'the standby to catch up', 30);
}

# Each is one push or pull by a program of its own, all at once, as some wait.
my @several = (
	[ 503, 'push', "$standby_host,$primary_host", undef, 'a standby is taken if nothing else is wanted' ],
	[ 200, 'push', "$standby_host,$primary_host", 'read-write', 'read-write: the primary is found behind a standby' ],
	[ 200, 'push', "$standby_host,$primary_host", 'primary', 'primary: the same' ],
	[ 200, 'push', "/nowhere,$primary_host", undef, 'the primary is found behind a host that is not there' ],
	[ 200, 'push', "$mute,$primary_host", undef, 'and behind one that does not answer' ],
	[ 200, 'push', "$standby_host,$mute,/nowhere,$primary_host", 'read-write', 'and behind all of these' ],
	[ 503, 'push', "$mute,/nowhere", undef, 'where none answers, that is told' ],
	[ 200, 'pull', "$primary_host,$mute,$standby_host", 'prefer-standby', 'a pull is answered by the standby' ],
	[ 200, 'pull', "$primary_host,$mute", 'prefer-standby', 'or by the primary, if no standby answers' ],
);

subtest 'several hosts' => sub {
	my @status = parallel(scalar @several, sub {
		my ($n) = @_;
		my (undef, $what, $hosts, $wanted) = @{ $several[$n] };
		my $environment = { REPLICACHE_DATABASE => several($hosts, $wanted), REPLICACHE_CONNECT_TIMEOUT => 4000 };
		return Rig::Program::cgi($environment, $what eq 'pull' ? pull_params("hosts$n")
		    : push_params("hosts$n", [ "hosts$n", 1, 'note', '"hosts"' ]))->{status};
	});
	is($status[$_], $several[$_][0], $several[$_][4]) for 0 .. $#several;
	is($session->value(q(select count(*) from journal where note = 'hosts')),
		scalar(grep { $_->[0] == 200 && $_->[1] eq 'push' } @several), 'what was answered by 200 is there, and no more');
};

my $both = several("$primary_host,$standby_host", 'read-write');
my $main = Rig::Program->start(REPLICACHE_DATABASE => $both, REPLICACHE_CONNECT_TIMEOUT => 4000,
	REPLICACHE_LISTEN_TIMEOUT => 2000);

subtest 'pulls from a standby' => sub {
	plan skip_all => 'no nginx here' unless Rig::Nginx::is_installed();
	my $admin = $cluster->admin;
	$admin->query(q(alter system set synchronous_standby_names = '*'));
	$admin->query('alter system set synchronous_commit = remote_apply');
	$admin->query('select pg_reload_conf()');
	wait_until(sub {
		$admin->value(q(select count(*) from pg_stat_replication where sync_state = 'sync'))
	}, 'the standby to be a synchronous one', 30);
	# The listener has none of the standby's, the streams' versions are the primary's.
	my $reader = Rig::Program->start(REPLICACHE_DATABASE => several("$standby_host,$primary_host", 'prefer-standby'),
		REPLICACHE_LISTEN_DATABASE => $both);
	my $nginx = Rig::Nginx->start($main->path,
		'location = /replicache/pull { fastcgi_pass unix:' . $reader->path . '; }');
	my $stream = Rig::Stream->http($nginx->path, version => version($session));
	is($stream->status, 200, 'a stream is open');
	my (%behind, $cookie);
	for my $id (1 .. 10) {
		my $answer = push_by($nginx, 'reads', [ 'reads', $id, 'count', '{"id":"reads"}' ]);
		is($answer->{status}, 200, "push $id") or last;
		my $version = $stream->poke(30) // last;
		my $pull = pull_by($nginx, 'reads', $cookie);
		$cookie = $pull->{cookie};
		$behind{$id} = $cookie if $cookie < $version || ($pull->{lastMutationIDChanges}{reads} // 0) != $id;
	}
	is_deeply(\%behind, {}, 'with remote_apply, who is told of a change by a poke gets it from the standby');
	is($there->value(q(select count(*) from pg_stat_activity where usename = 'app' and datname = current_database())) > 0, 1,
		'which has answered the pulls');
	is($reader->stop, 0, 'the program ends in order');
	$nginx->stop;
};

subtest 'the primary ends' => sub {
	my $stream = stream_of($main, version($session));
	is(push_by($main, 'over', [ 'over', 1, 'note', '"over 1"' ])->{status}, 200, 'a push before');
	ok(poked($stream, version($session)), 'of which the stream is told');
	# Pushes under way, some answered and some not.
	my @peer = map {
		my $peer = $main->connect;
		$peer->send_raw(Rig::Fastcgi::request_bytes(push_params("under$_", [ "under$_", 1, 'note', qq("under $_") ])));
		$peer;
	} 1 .. 12;
	my %acknowledged;
	$acknowledged{$_} = $peer[$_ - 1]->answer(30)->{status} for 1 .. 4;
	is_deeply([ values %acknowledged ], [ (200) x 4 ], 'pushes under way, some answered');
	$_->close for $session;
	$cluster->stop('QUIT');
	$standby->admin->query('select pg_promote(true, 60)');
	$acknowledged{$_} = $peer[$_ - 1]->answer(30)->{status} for 5 .. 12;

	my $answer;
	wait_until(sub {
		$answer = push_by($main, 'over', [ 'over', 2, 'note', '"over 2"' ]);
		$answer->{status} == 200;
	}, 'a push to the standby that was promoted', 60);
	is($answer->{status}, 200, 'the same program goes on, with the standby that was promoted');
	is(notes($there, 'over %'), 'over 1 over 2', 'before and after: applied once');
	for my $number (1 .. 12) {
		my $times = $there->value("select count(*) from journal where note = 'under $number'");
		cmp_ok($times, '<=', 1, "the push under way $number is not applied twice");
		is($times, 1, 'what was acknowledged is there') if $acknowledged{$number} == 200;
		is(push_by($main, "under$number", [ "under$number", 1, 'note', qq("under $number") ])->{status}, 200, 'sent again');
		is($there->value("select count(*) from journal where note = 'under $number'"), 1, 'it is there once');
	}
	ok(poked($stream, version($there)), 'the stream of before is told of what came after');
	is(pull_by($main, 'over')->{lastMutationIDChanges}{over}, 2, 'pulls are answered');
	is($main->stop, 0, 'the program ends in order');
};
$cluster = $standby;
$session = $cluster->session($database);

subtest 'pgbouncer' => sub {
	plan skip_all => $_ for Rig::Pooler::missing();
	subtest 'pool_mode = session' => sub {
		my $pooler = Rig::Pooler->start($cluster, size => 10, mode => 'session');
		my $program = Rig::Program->start(REPLICACHE_DATABASE => $pooler->conninfo($database));
		my $stream = stream_of($program, version($session));
		is(push_by($program, 'bounce', [ 'bounce', $_, 'note', qq("bounce $_") ])->{status}, 200, "push $_") for 1 .. 3;
		is(notes($session, 'bounce %'), 'bounce 1 bounce 2 bounce 3', 'are applied once');
		ok(poked($stream, version($session)), 'streams are told, without any setting');
		is($program->stop, 0, 'the program ends in order');
		$pooler->stop;
	};
	subtest 'pool_mode = transaction' => sub {
		my $pooler = Rig::Pooler->start($cluster, size => 1);
		my %start = (REPLICACHE_DATABASE => $pooler->conninfo($database),
			REPLICACHE_LISTEN_DATABASE => $cluster->conninfo($database));
		my @id = (0, 0);
		my $statuses = sub {
			my @program = map { Rig::Program->start(%start, @_) } 0 .. 1;
			my @status = map {
				my $n = $_;
				my $answer = push_by($program[$n], "t$n", [ "t$n", $id[$n] + 1, 'note', qq("t $n") ]);
				$id[$n]++ if $answer->{status} == 200;
				$answer->{status};
			} 0, 1;
			$_->stop for @program;
			return @status;
		};
		my ($version) = qx(@{[ find_tool('pgbouncer') ]} --version) =~ /(\d+\.\d+)/;
		if ($version < 1.21) {
			isnt(join(' ', $statuses->()), '200 200', "pgbouncer $version: not with prepared statements");
		}
		is(join(' ', $statuses->(REPLICACHE_PREPARED => 'off')), '200 200', 'with prepared = off');
		is($session->value("select count(*) from journal where note like 't _'"), $id[0] + $id[1], 'each push is applied once');
		$pooler->stop;
	};
	subtest 'max_client_conn' => sub {
		for my $enough (0, 1) {
			my $pooler = Rig::Pooler->start($cluster, size => 10, mode => 'session', clients => 1 + $enough);
			my @program = map { Rig::Program->start(REPLICACHE_DATABASE => $pooler->conninfo($database)) } 0 .. 1;
			my @status = map { push_by($program[$_], "m$enough$_", [ "m$enough$_", 1, 'note', qq("m $enough$_") ])->{status} } 0, 1;
			is("@status", $enough ? '200 200' : '200 503',
				$enough ? 'with a connection for each of two programs both take pushes' : 'with one for two the second takes none');
			is(notes($session, "m $enough%"), $enough ? 'm 10 m 11' : 'm 00', 'what is applied is what was said to be');
			$_->stop for @program;
			$pooler->stop;
		}
	};
	subtest 'LISTEN' => sub {
		my $pooler = Rig::Pooler->start($cluster, size => 1);
		my $admin = Rig::Admin->new($cluster->conninfo($database),
			environment => { REPLICACHE_LISTEN_DATABASE => $pooler->conninfo($database) });
		my $run = $admin->run('check', '--role', 'app');
		like($run->{out}, qr/^fault +LISTEN/m, 'that it does not work through pool_mode = transaction is found by check');
		$pooler->stop;
	};
};

subtest 'a limit of the role' => sub {
	my $admin = $cluster->admin;
	$admin->query('create role few login connection limit 2 in role app');
	my $few = $cluster->conninfo($database, 'few');
	my @held = map { $cluster->session($database, 'few') } 1 .. 2;
	my $cgi = sub {
		return Rig::Program::cgi({ REPLICACHE_DATABASE => $few }, push_params('few', [ 'few', 1, 'note', '"few"' ]));
	};
	my $answer = $cgi->();
	is($answer->{status}, 503, 'a request beyond it is to be sent again');
	like($answer->{stderr}, qr/too many connections for role/, 'and the log says why');
	(pop @held)->close;
	wait_until(sub { connections_of('few') < 2 }, 'a connection to be over', 20);
	is($cgi->()->{status}, 200, 'below it, it is taken');
	is(notes($session, 'few'), 'few', 'and applied once');
	$_->close for @held;
};

subtest 'an old primary that was not stopped' => sub {
	my $next = $cluster->standby('next');
	my $program = Rig::Program->start(REPLICACHE_POOL => POOL,
		REPLICACHE_DATABASE => several("$cluster->{socket},$next->{socket}", 'read-write'));
	is(push_by($program, 'old', [ 'old', 1, 'note', '"old 1"' ])->{status}, 200, 'a push before');
	$next->promote;
	is(push_by($program, 'old', [ 'old', 2, 'note', '"old 2"' ])->{status}, 200, 'a push after');
	is(notes($session, 'old %'), 'old 1 old 2', 'goes where the session was open');
	isnt(notes($next->session($database, 'postgres'), 'old %'), 'old 1 old 2', 'and not to the new one');
	is($program->stop, 0, 'the program ends in order');
	$next->stop;
};

done_testing;
