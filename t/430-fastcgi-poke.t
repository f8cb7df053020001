#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# /poke over FastCGI: streams and long-polls, how they begin, are told, are
# limited and end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Clock;
use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(wait_until reap_process workdir);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my %environment = (REPLICACHE_DATABASE => $cluster->conninfo($database));
my $session = $cluster->session($database);
my $program = Rig::Program->start(%environment);
my $next = 0;

sub version { return $session->value('select max(version) from replicache_version') }

# A commit by psql; the version it made.
sub commit
{
	$session->query(qq(insert into item (id, body) values ('i${\ ++$next}', '"x"')));
	return version();
}

sub stream { return Rig::Stream->fastcgi($_[0] // $program, @_[1 .. $#_]) }

sub poll { return stream($_[0], poll => 1, @_[1 .. $#_]) }

sub is_version
{
	my ($answer, $version, $name) = @_;
	is($answer->{status}, 200, "$name: status");
	is_deeply(eval { Rig::Json::decode($answer->{body}) }, { version => $version }, $name)
		or diag($answer->{body});
}

sub open_files { return scalar(() = glob "/proc/${\ $_[0]->pid}/fd/*") }

subtest 'a stream' => sub {
	my $stream = stream($program, version => version());
	is($stream->status, 200, 'status');
	like($stream->header('content-type'), qr{^text/event-stream\b}, 'Content-Type');
	is($stream->header('cache-control'), 'no-cache, no-transform', 'Cache-Control');
	is($stream->header('x-accel-buffering'), 'no', 'X-Accel-Buffering');
	is($stream->header('content-length'), undef, 'no Content-Length');
	my $first = $stream->block(5);
	ok(defined $first->{comment}, 'begins with a comment');
	cmp_ok($first->{retry}, '>=', 1000, 'and the time to come back');
	is($stream->poke(0.2), undef, 'is silent while nothing happens');
	my $version = commit();
	is($stream->poke(5), $version, 'is poked by a commit of psql');
	my $answer = $program->request(push_params('g', [ 'a', 1, 'note', '1' ]));
	is($answer->{status}, 200, 'a push');
	is($stream->poke(5), version(), 'pokes');
	$program->request(push_params('g', [ 'a', 1, 'note', '1' ]));
	is($stream->poke(0.2), undef, 'one that repeats does not');
};

subtest 'what the client knows' => sub {
	my $version = version();
	is(stream($program)->poke(5), $version, 'nothing: poked at once');
	is(stream($program, version => $version - 1)->poke(5), $version, 'an old one: poked at once');
	is(stream($program, id => $version - 1)->poke(5), $version, 'an old event: poked at once');
	is(stream($program, version => $version - 5, id => $version)->poke(0.2), undef,
		'the last event counts');
	for my $junk ('', 'x', '-1', '9' x 30, '1' x 7000, "$version.0", "${version}x") {
		is(stream($program, id => $junk)->poke(5), $version,
			'junk: poked at once: ' . substr $junk, 0, 20);
		is(stream($program, query => "version=$junk")->poke(5), $version, 'in the query, too');
	}
	my $other = stream($program, query => "a=1&version=$version&b=2");
	is($other->poke(0.2), undef, 'among others');
};

subtest 'a long-poll' => sub {
	my $version = version();
	is_version(poll($program, version => $version - 1)->answer(5), $version, 'an old one');
	is_version(poll($program)->answer(5), $version, 'none');
	my $poll = poll($program, version => $version);
	ok(!$poll->read_more(0.3), 'is held');
	my $new = commit();
	is_version($poll->answer(5), $new, 'is answered by a change');
	is($poll->{headers}{'cache-control'}, 'no-store', 'and not to be kept');
	is_deeply($poll->{end}, [ 0, 0 ], 'the request is ended');
};

# A program with other settings for one subtest.
sub with
{
	my ($test, %setting) = @_;
	my $own = Rig::Program->start(%environment, REPLICACHE_METRICS => 'on', %setting);
	$test->($own);
	is($own->stop, 0, 'ended in order') or diag($own->log);
}

subtest 'a long-poll that waits in vain' => sub {
	with(sub {
		my ($own) = @_;
		my $start = time;
		is_version(poll($own, version => version())->answer(5), version(), 'the same version');
		my $took = time - $start;
		cmp_ok($took, '>=', 0.3, 'not before the time');
		cmp_ok($took, '<', 2, 'and soon after');
	}, REPLICACHE_POKE_WAIT => 300);
};

subtest 'HEAD' => sub {
	for my $poll (0, 1) {
		my $stream = stream($program, method => 'HEAD', poll => $poll);
		is($stream->status, 200, 'status');
		ok($stream->is_over(5), 'is over');
		is($stream->{text}, '', 'without a body');
	}
};

subtest 'another origin' => sub {
	with(sub {
		my ($own) = @_;
		for my $poll (0, 1) {
			my $stream = stream($own, poll => $poll, version => version(),
				headers => { Origin => 'https://a.example' });
			is($stream->status, 200, 'status');
			is($stream->header('access-control-allow-origin'), 'https://a.example', 'is allowed');
			is($stream->header('vary'), 'Origin', 'and answers differ by it');
		}
	}, REPLICACHE_ALLOWED_ORIGINS => 'https://a.example', REPLICACHE_POKE_WAIT => 1000);
};

subtest 'heartbeats' => sub {
	with(sub {
		my ($own) = @_;
		my $stream = stream($own, version => version());
		ok(defined $stream->block(5)->{comment}, "comment $_") for 1 .. 5;
		my $version = commit();
		is($stream->poke(5), $version, 'a poke between them');
	}, REPLICACHE_POKE_HEARTBEAT => 50);
};

subtest 'age' => sub {
	with(sub {
		my ($own) = @_;
		my $stream = stream($own, version => version());
		ok($stream->is_over(5), 'the stream ends in order');
		my @retry = $stream->{text} =~ /^retry: (\d+)$/mg;
		is(@retry, 2, 'told again when to come back');
		is_deeply($stream->{end}, [ 0, 0 ], 'END_REQUEST');
	}, REPLICACHE_POKE_AGE => 300);
};

subtest 'no thread is held' => sub {
	with(sub {
		my ($own) = @_;
		my @stream = map { stream($own, poll => $_ % 2, version => version()) } 1 .. 40;
		wait_until(sub { $own->metric('streams{kind="stream"}') == 20 }, 'the streams', 10);
		my $answer = $own->request(push_params('w', [ 'w', 1, 'note', '1' ]), seconds => 5);
		is($answer->{status}, 200, 'the only worker serves a push');
		my $version = version();
		is_deeply([ map { $_->{status} // $_->status; $_->header('content-type') =~ /event/
			? $_->poke(5) : Rig::Json::decode($_->answer(5)->{body})->{version} } @stream ],
			[ ($version) x 40 ], 'all are told');
	}, REPLICACHE_WORKERS => 1);
};

subtest 'limits' => sub {
	with(sub {
		my ($own) = @_;
		my @stream = map { stream($own, version => version(), poll => $_) } 0, 1;
		wait_until(sub { $own->metric('streams{kind="longpoll"}') == 1 && $own->metric('listening') },
			'both', 10);
		for my $poll (0, 1) {
			my $more = stream($own, version => version(), poll => $poll);
			is($more->status, 503, 'one too many');
			cmp_ok($more->header('retry-after'), '>', 0, 'Retry-After');
			like($more->answer(5)->{body}, qr/"poke_full"/, 'the error');
		}
		is_version(poll($own, version => 1)->answer(5), version(), 'who need not wait is answered');
		$stream[0]->close;
		wait_until(sub { stream($own, version => version())->status == 200 }, 'its place', 1);
		pass('one that goes makes room');
	}, REPLICACHE_POKE_STREAMS => 2);
};

subtest 'peers that go away' => sub {
	with(sub {
		my ($own) = @_;
		my $held = sub {
			my ($each) = @_;
			wait_until(sub { $own->metric('streams{kind="stream"}') == $each
				&& $own->metric('streams{kind="longpoll"}') == $each }, "$each of each", 10);
		};
		my $version = version();
		stream($own)->poke(5);
		$held->(0);
		my $before = open_files($own);
		my @stream = map { stream($own, version => $version, poll => $_ % 2) } 1 .. 20;
		$held->(10);
		my $start = time;
		$_->close for @stream[0 .. 9];
		# FCGI_ABORT_REQUEST
		syswrite $_->socket, Rig::Fastcgi::record(Rig::Fastcgi::TYPE_ABORT, '') for @stream[10 .. 19];
		$held->(0);
		wait_until(sub { open_files($own) <= $before }, 'the descriptors to be closed', 5);
		cmp_ok(time - $start, '<', 1, 'within a second');
		ok($_->read_more(5), 'aborted') for @stream[10 .. 11];
	});
};

# Only what is whole is handed over. Such a body is as long as it takes to be begun
# before its end is seen (cgi/framing.h).
subtest 'a request without an end' => sub {
	with(sub {
		my ($own) = @_;
		my $peer = $own->connect;
		$peer->send_raw(Rig::Fastcgi::begin()
			. Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs(Rig::Program::params('GET',
				'/poke', query => 'version=' . version(), headers => { Accept => 'text/event-stream' })))
			. Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN, 'x' x 60000) x 3);
		$peer->close_write;
		my $record = $peer->next_record(20);
		is($record, undef, 'is closed without an answer');
		wait_until(sub { stream($own, version => version())->status == 200 }, 'its place', 5);
		pass('and takes no place');
	}, REPLICACHE_POKE_STREAMS => 1);
};

subtest 'a storm' => sub {
	my $stream = stream($program, version => version());
	$stream->block(5);
	my $start = time;
	$session->send(q(do $$ begin for n in 1 .. 600 loop
		insert into item (id, body) values ('storm' || n, '1'); commit; end loop; end $$));
	my ($pokes, $last) = (0, 0);
	my $done = 0;
	my $version;
	while (1) {
		my $poke = $stream->poke(0.3);
		if (defined $poke) {
			cmp_ok($poke, '>', $last, 'a newer version') unless $poke > $last;
			($pokes, $last) = ($pokes + 1, $poke);
		} elsif (!defined $version) {
			$session->wait;
			$version = version();
		}
		last if defined $version && $last >= $version;
	}
	my $took = time - $start;
	is($last, $version, 'the last poke is of the last commit');
	cmp_ok($pokes, '<=', $took / 0.05 + 1, "$pokes pokes in ${\ int $took * 1000} ms: one in 50");
};

subtest 'a reader that is stuck' => sub {
	with(sub {
		my ($own) = @_;
		my $stuck = stream($own, version => version());
		my $other = stream($own, version => version());
		wait_until(sub { $own->metric('streams{kind="stream"}') == 2 }, 'both', 5);
		my $slowest = 0;
		wait_until(sub {
			my $start = time;
			my $version = commit();
			1 while ($other->poke(5) // die "no poke\n") < $version;
			$slowest = time - $start if time - $start > $slowest;
			$own->metric('streams_ended_total{reason="stuck"}') == 1;
		}, 'it to be dropped', 20);
		pass('is dropped');
		cmp_ok($slowest, '<', 1, 'the other is poked in time');
		is($own->metric('streams{kind="stream"}'), 1, 'and stays');
	}, REPLICACHE_WRITE_TIMEOUT => 400, REPLICACHE_POKE_HEARTBEAT => 10);
};

subtest 'a reader that reads on' => sub {
	with(sub {
		my ($own) = @_;
		my $slow = stream($own, version => version());
		my $other = stream($own, version => version());
		$other->block(5);
		# Of those, more to it than its socket takes.
		wait_until(sub { $other->poke(0); $own->metric('heartbeats_total') > 400 }, 'it to be full', 20);
		my $version = commit();
		is($other->poke(5), $version, 'the other is poked');
		is($slow->poke(5), $version, 'it is, when it reads');
		is($own->metric('streams{kind="stream"}'), 2, 'both stay');
	}, REPLICACHE_WRITE_TIMEOUT => 30000, REPLICACHE_POKE_HEARTBEAT => 10);
};

subtest 'TERM' => sub {
	my $own = Rig::Program->start(%environment, REPLICACHE_METRICS => 'on');
	my @stream = map { stream($own, version => version()) } 1 .. 10;
	my @poll = map { poll($own, version => version()) } 1 .. 2;
	$_->block(5) for @stream;
	wait_until(sub { $own->metric('streams{kind="longpoll"}') == 2 && $own->metric('listening') },
		'the polls', 10);
	my $start = time;
	kill 'TERM', $own->pid;
	ok($_->is_over(5), 'a stream ends in order') for @stream;
	my %retry = map { $_ => 1 } map { $_->{text} =~ /^retry: (\d+)$/m ? $1 : 'none' } @stream;
	cmp_ok(keys %retry, '>', 1, 'clients come back at different times');
	ok(!$retry{none}, 'each is told when');
	is_version($_->answer(5), version(), 'a poll is answered') for @poll;
	is(reap_process($own->pid, 10), 0, 'ended in order');
	cmp_ok(time - $start, '<', 2, 'soon');
	delete $own->{pid};
};

subtest 'the connection that listens is lost' => sub {
	with(sub {
		my ($own) = @_;
		my @stream = map { stream($own, version => version()) } 1 .. 3;
		my $poll = poll($own, version => version());
		my $listens = q(from pg_stat_activity where application_name = 'listens');
		wait_until(sub { $session->value("select count(*) $listens and query ~* 'version'") },
			'a connection of its own', 5);
		$_->block(5) for @stream;
		is($stream[0]->poke(0.2), undef, 'nothing happened');
		$session->query("select pg_terminate_backend(pid, 5000) $listens");
		is($_->poke(5), version(), 'a stream is poked') for @stream;
		is_version($poll->answer(5), version(), 'a poll is answered');
		my $version = commit();
		is($_->poke(5), $version, 'and changes are seen again') for @stream;
	}, REPLICACHE_LISTEN_DATABASE => "$environment{REPLICACHE_DATABASE} application_name=listens");
};

subtest 'the connection that listens is dead, but was not closed' => sub {
	with(sub {
		my ($own) = @_;
		my @stream = map { stream($own, version => version()) } 1 .. 3;
		my $poll = poll($own, version => version());
		$_->block(5) for @stream;
		my $listens = q(from pg_stat_activity where application_name = 'silent');
		my $backend = wait_until(sub {
			$session->value("select pid $listens and query ~* 'version' and state = 'idle'");
		}, 'it to listen', 10);
		kill 'STOP', $backend or die "STOP $backend: $!";
		my $version = commit();
		my $told = sub {
			my ($stream) = @_;
			1 while ($stream->poke(20) // return 0) < $version;
			return 1;
		};
		ok($told->($_), 'a stream is poked nevertheless') for @stream;
		is_version($poll->answer(20), $version, 'a poll is answered');
		cmp_ok($own->metric('listen_lost_total'), '>=', 1, 'it was given up');
		kill 'CONT', $backend;
		$version = commit();
		ok($told->($_), 'changes are seen again') for @stream;
	}, REPLICACHE_LISTEN_TIMEOUT => 1500,
		REPLICACHE_LISTEN_DATABASE => "$environment{REPLICACHE_DATABASE} application_name=silent");
};

# CHANGES_IDLE_MS of cgi/changes.c
subtest 'the connection that listens, when nobody has been interested for long' => sub {
	my $clock = Rig::Clock->new;
	with(sub {
		my ($own) = @_;
		my $listens = q(select pid from pg_stat_activity where application_name = 'seldom');
		my $stream = stream($own, version => version());
		$stream->block(5);
		my $first = wait_until(sub { $session->value($listens) }, 'it to listen', 5);
		$clock->set(ahead => 110);
		is($stream->poke(1), undef, 'while somebody is');
		ok(wait_until(sub { $session->value($listens) }, 'it to be there', 5), 'it stays');
		$stream->close;
		wait_until(sub { $own->metric('streams{kind="stream"}') == 0 }, 'the stream to be ended', 5);
		$clock->set(ahead => 240);
		wait_until(sub { !defined $session->value($listens) }, 'it to be closed', 10);
		is($own->metric('listening'), 0, 'as the metrics say');
		my $missed = commit();
		is(stream($own, version => $missed - 1)->poke(5), $missed, 'who comes then is told what was missed');
		$stream = stream($own, version => $missed);
		$stream->block(5);
		isnt(wait_until(sub { $session->value($listens) }, 'it to listen again', 5), $first, 'by a new one');
		my $version = commit();
		is($stream->poke(5), $version, 'and changes are seen');
	}, REPLICACHE_LISTEN_TIMEOUT => 600, $clock->environment,
		REPLICACHE_LISTEN_DATABASE => "$environment{REPLICACHE_DATABASE} application_name=seldom");
};

subtest 'notifications that lie' => sub {
	my $stream = stream($program, version => version());
	$stream->block(5);
	$session->query(qq(notify replicache, '$_')) for '9007199254740991', 'junk', '', '-1';
	is($stream->poke(0.3), undef, 'poke nobody');
	my $version = commit();
	is($stream->poke(5), $version, 'and do no harm');
};

subtest 'two processes' => sub {
	with(sub {
		my ($own) = @_;
		my @stream = map { stream($_, version => version()) } $program, $own;
		$_->block(5) for @stream;
		is($own->request(push_params('two', [ 'two', 1, 'note', '1' ]))->{status}, 200, 'a push to one');
		is($_->poke(5), version(), 'pokes both') for @stream;
	});
};

subtest 'a database that comes later' => sub {
	my $own = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo('later'),
		REPLICACHE_POKE_WAIT => 200);
	my $stream = stream($own, version => 5);
	is($stream->status, 200, 'a stream begins');
	my $poll = poll($own, version => 5)->answer(5);
	is($poll->{status}, 503, 'a poll is refused in the end');
	like($poll->{body}, qr/"unavailable"/, 'as any request');
	my $made = $cluster->database('cases');
	$cluster->admin->query("alter database $made rename to later");
	my $later = $cluster->session('later');
	is($stream->poke(10), $later->value('select max(version) from replicache_version'),
		'it is poked when the database is there');
	$later->close;
	is($own->stop, 0, 'ended in order');
};

# As it is when somebody empties the tables by hand: nobody can tell a version until
# the next commit makes one, which is above all that there were.
subtest 'a database without a version' => sub {
	my $empty = $cluster->database('cases');
	my $owner = $cluster->session($empty, 'postgres');
	my $before = $owner->value('select max(version) from replicache_version');
	$owner->query('truncate replicache_version');
	with(sub {
		my ($own) = @_;
		my $stream = stream($own, version => $before);
		$stream->block(5);
		wait_until(sub { $own->log =~ /there is no version/ }, 'the log to tell', 10);
		like($own->request(pull_params('g', $before))->{body}, qr/cookie_from_future/,
			'a pull of who has seen one is refused');
		is($own->request(push_params('g', [ 'g', 1, 'note', '1' ]))->{status}, 200, 'a push');
		my $version = $owner->value('select max(version) from replicache_version');
		cmp_ok($version, '>', $before, 'makes a version above all there were');
		is($stream->poke(10), $version, 'and pokes');
		is($own->request(pull_params('g', $before))->{status}, 200, 'the pull is answered');
	}, REPLICACHE_DATABASE => $cluster->conninfo($empty));
	$owner->close;
};

subtest 'a socket of mod_fcgid' => sub {
	my $folder = workdir() . '/fcgid';
	mkdir $folder or die "$folder: $!";
	my $own = Rig::Program->start(%environment, -socket => "$folder/socket");
	is(stream($own)->status, 204, 'no streams');
	is_version(poll($own, version => version())->answer(5), version(), 'polls are answered at once');
	is($own->stop, 0, 'ended in order');
};

is($program->stop, 0, 'ended in order') or diag($program->log);
done_testing;
