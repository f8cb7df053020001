#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# FastCGI as no web server speaks it: cut, slow, silent, forged, endless. The
# peer is closed or refused; the program lives, its database is the same, and
# others are served meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Fastcgi;
use Rig::Faults qw(faulty);
use Rig::Place qw(wait_until slurp);
use Rig::Program;
use Rig::Sync qw(push_body push_params pull_params);

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $program = Rig::Program->start(
	REPLICACHE_DATABASE => $cluster->conninfo($database),
	REPLICACHE_WORKERS => 2, REPLICACHE_HEADER_TIMEOUT => 400,
	REPLICACHE_REQUEST_TIMEOUT => 1500, REPLICACHE_WRITE_TIMEOUT => 500,
	REPLICACHE_MAX_BODY => 1_000_000);

my $next = 0;

# A push nobody has sent yet, of one mutation.
sub fresh_push
{
	my $id = 'c' . ++$next;
	return push_params('g', [ $id, 1, 'note', qq("$id") ]);
}

# The program serves a good request.
sub serves
{
	my ($name) = @_;
	my $answer = eval { $program->request(fresh_push(), seconds => 10) };
	is($answer && $answer->{status}, 200, "$name: others are served") or diag($@);
}

sub applied
{
	my ($note) = @_;
	return $session->value("select count(*) from journal where note = '$note'");
}

sub descriptors { my @fd = glob "/proc/$program->{pid}/fd/*"; return scalar @fd }

sub sent
{
	my ($bytes) = @_;
	my $peer = $program->connect;
	$peer->send_raw($bytes);
	return $peer;
}

serves('at first');
my $quiet = descriptors();

subtest 'records of any size' => sub {
	for my $option ({ size => 1 }, { size => 7 }, { size => 65535 }, { request => 513 }) {
		my ($params, $body) = fresh_push();
		my $answer = $program->request($params, $body, %$option);
		is($answer->{status}, 200, join ' ', %$option);
		is_deeply($answer->{end}, [ 0, 0 ], 'ended');
	}
};

# As nginx pads: to eight bytes. What it never pads may be padded, and is then
# served or closed, but never taken for something else.
subtest 'records with padding' => sub {
	for my $size (1, 100, 255) {
		my ($params, $body) = fresh_push();
		my $peer = sent(Rig::Fastcgi::begin()
		    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params), padding => $size)
		    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_PARAMS, '')
		    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN, $body, padding => $size)
		    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN, ''));
		is($peer->answer(10)->{status}, 200, "$size bytes");
	}
	my ($params, $body) = fresh_push();
	like($program->request($params, $body, padding => 8)->{status}, qr/^(200|0)$/,
		'of all records');
};

# As a web server that does not buffer a slow upload passes it on.
subtest 'a body in many small writes' => sub {
	my $text = 'x' x 100_000;
	my ($params, $body) = push_params('g', [ 'small', 1, 'note', qq("$text") ]);
	my $peer = sent(Rig::Fastcgi::begin()
	    . Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params)));
	my $start = time;
	my $whole = 1;
	for (my $at = 0; $whole && $at < length $body; $at += 400) {
		$whole = eval { $peer->send_raw(Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN,
			substr($body, $at, 400))) };
	}
	$peer->send_raw(Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN, ''));
	ok($whole, 'is taken to its end');
	my $answer = eval { $peer->answer(10) };
	is($answer && $answer->{status}, 200, 'served');
	cmp_ok(time - $start, '<', 1.4, 'without a wait');
};

subtest 'bytes that come one by one' => sub {
	my ($params, $body) = fresh_push();
	my $peer = $program->connect;
	my $bytes = Rig::Fastcgi::request_bytes($params, $body);
	$peer->send_raw($_) for split(//, substr $bytes, 0, 40), substr $bytes, 40;
	is($peer->answer(10)->{status}, 200, 'served');
};

subtest 'a connection that is kept' => sub {
	my $peer = $program->connect;
	for my $id (1, 2, 300, 1) {
		my $answer = $peer->request(fresh_push(), keep => 1, request => $id);
		is($answer->{status}, 200, "served, by ID $id");
	}
	my ($params, $body) = fresh_push();
	my $bytes = Rig::Fastcgi::request_bytes($params, $body, keep => 1);
	for my $at (1, 8, 20, length($bytes) - 8, length($bytes) - 1) {
		$peer->send_raw(substr $bytes, 0, $at);
		ok(!$peer->is_closed(0.1), "it waits for the rest, behind $at bytes");
		$peer->send_raw(substr $bytes, $at);
		is($peer->answer(10)->{status}, 200, 'served');
	}
	is($peer->request(Rig::Program::params('GET', '/nowhere'), '', keep => 1)->{status}, 404, 'an error');
	is($peer->request(Rig::Program::params('POST', '/push', body => 'x'), 'x', keep => 1)->{status}, 400, 'another one');
	is($peer->request(fresh_push())->{status}, 200, 'the last one');
	ok($peer->is_closed(5), 'is closed where nobody asks to keep it');
};

# The answer may come before the body was read: what the web server sends then is
# not taken for more of it.
subtest 'a next request as soon as there is an answer' => sub {
	my $other = Rig::Program->start(-command => [ faulty() ],
		REPLICACHE_DATABASE => $cluster->conninfo($database), REPLICACHE_FAULT => 'answer-sent:1:stop');
	my $peer = $other->connect;
	my $body = 'x' x 20_000;
	is($peer->request(Rig::Program::params('POST', '/nowhere', body => $body), $body, keep => 1)->{status}, 404, 'refused');
	wait_until(sub { slurp('/proc/' . $other->pid . '/stat') =~ /\) T / }, 'the program to stand still', 10);
	$peer->send_raw(Rig::Fastcgi::request_bytes(fresh_push(), keep => 1));
	kill 'CONT', $other->pid;
	is(eval { $peer->answer(10)->{status} }, 200, 'served');
	is($other->stop, 0, 'it ends in order');
};

subtest 'a connection that can not be kept' => sub {
	my %bytes = (
		'with more behind the request' => Rig::Fastcgi::request_bytes(fresh_push(), keep => 1) x 2,
		'with a body that is not seen to its end' => Rig::Fastcgi::request_bytes(
			push_params('g', [ 'long', 1, 'note', '"' . 'x' x 200_000 . '"' ]), keep => 1),
	);
	for my $name (sort keys %bytes) {
		my $peer = $program->connect;
		$peer->send_raw($bytes{$name});
		is($peer->answer(10)->{status}, 200, "$name: served");
		ok($peer->is_closed(5), "$name: closed");
	}
};

subtest 'what is no request on a connection that was kept' => sub {
	my $peer = $program->connect;
	is($peer->request(fresh_push(), keep => 1)->{status}, 200, 'served');
	$peer->send_raw(Rig::Fastcgi::record(Rig::Fastcgi::TYPE_ABORT, ''));
	ok($peer->is_closed(5), 'closed');
};

subtest 'connections that are kept, and the end' => sub {
	my $other = Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database));
	my @peer = map { $other->connect } 1 .. 20;
	is($_->request(fresh_push(), keep => 1)->{status}, 200, 'served') for @peer;
	is($other->stop, 0, 'do not keep the program');
	unlike($other->log, qr/cut at the end/, 'nor have it end otherwise');
	ok($_->is_closed(5), 'closed') for @peer;
};

# The body of a refused request holds a request of its own.
subtest 'a request in a refused body' => sub {
	my $inner = Rig::Fastcgi::request_bytes(
		push_params('smuggled', [ 's', 1, 'note', '"smuggled"' ]));
	for my $filler (0 .. 15) {
		my $body = ' ' x $filler . $inner x 20;
		my $params = Rig::Program::params('POST', '/push', body => $body);
		$params->{CONTENT_LENGTH} = 2_000_000;
		my $peer = $program->connect;
		$peer->send_raw(Rig::Fastcgi::begin(keep => 1)
		    . Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params))
		    . $body);
		my $answer = eval { $peer->answer(5) };
		$peer->is_closed(5) or fail("closed, filler $filler");
	}
	# Sent to its end, though nobody reads it.
	for my $filler (0 .. 15) {
		my $body = ' ' x $filler . $inner x 20;
		my $peer = $program->connect;
		is($peer->request(Rig::Program::params('POST', '/nowhere', body => $body), $body, keep => 1)->{status},
			404, "refused, filler $filler");
		is($peer->request(fresh_push(), keep => 1)->{status}, 200, 'the next one is served');
	}
	is(applied('smuggled'), 0, 'is not taken for one');
};

subtest 'what is no FastCGI' => sub {
	my $params = Rig::Program::params('POST', '/push', body => '{}');
	my %bytes = (
		'HTTP' => "POST /replicache/push HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
		'zeros' => "\0" x 4096,
		'ones' => "\xff" x 4096,
		'version 2' => Rig::Fastcgi::request_bytes($params, '{}', version => 2),
		'version 0' => Rig::Fastcgi::request_bytes($params, '{}', version => 0),
		'request 0' => Rig::Fastcgi::request_bytes($params, '{}', request => 0),
		'parameters first' => Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS,
			Rig::Fastcgi::pairs($params)),
		'a body first' => Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_STDIN, '{}'),
		'an abort first' => Rig::Fastcgi::record(Rig::Fastcgi::TYPE_ABORT, ''),
		'a short begin' => Rig::Fastcgi::record(Rig::Fastcgi::TYPE_BEGIN, "\0\1")
			. 'x' x 100,
		'authorizer' => Rig::Fastcgi::request_bytes($params, '{}', role => 2),
		'filter' => Rig::Fastcgi::request_bytes($params, '{}', role => 3),
		'role 9' => Rig::Fastcgi::request_bytes($params, '{}', role => 9),
		'another begin' => Rig::Fastcgi::begin() . Rig::Fastcgi::begin(request => 2)
			. Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params)),
		'another id' => Rig::Fastcgi::begin() . Rig::Fastcgi::stream(
			Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params), request => 2),
		'a type unknown' => Rig::Fastcgi::record(77, 'x' x 50),
		'a type unknown, of none' => Rig::Fastcgi::record(77, 'x', request => 0),
		'values asked' => Rig::Fastcgi::record(Rig::Fastcgi::TYPE_GET_VALUES,
			Rig::Fastcgi::pairs({ FCGI_MPXS_CONNS => '' }), request => 0),
		'values asked often' => Rig::Fastcgi::record(Rig::Fastcgi::TYPE_GET_VALUES,
			Rig::Fastcgi::pairs([ map { [ 'FCGI_MPXS_CONNS', '' ] } 1 .. 500 ]),
			request => 0),
	);
	for my $name (sort keys %bytes) {
		my $peer = sent($bytes{$name});
		ok($peer->is_closed(5), "$name: closed");
	}
	ok($program->is_alive, 'the program lives');
	serves('after all that');
};

subtest 'parameters that lie about their length' => sub {
	my $lie = sub {
		my ($name, $value, $rest) = @_;
		return pack('NN', $name | 0x80000000, $value | 0x80000000) . ($rest // 'x');
	};
	my %params = (
		'2^31-1' => $lie->(0x7fffffff, 1),
		'2^31-2 and 1' => $lie->(0x7ffffffe, 1),
		'2^30 and 2^30' => $lie->(1 << 30, 1 << 30),
		'both 2^31-1' => $lie->(0x7fffffff, 0x7fffffff),
		'one more than there is' => $lie->(3, 3, 'abcde'),
		'cut inside a length' => "\x80\0",
		'a name alone' => "\4",
	);
	for my $name (sort keys %params) {
		my $peer = sent(Rig::Fastcgi::begin()
		    . Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, $params{$name})
		    . Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_STDIN, '{}'));
		ok($peer->is_closed(5), "$name: closed");
	}
	ok($program->is_alive, 'the program lives');
};

subtest 'parameters that imitate others' => sub {
	my ($params, $body) = push_params('forged', [ 'f', 1, 'note', '"forged"' ]);
	my %fake = (
		REQUEST_METHOD => [ 'REQUEST_METHOD', "POST\0X" ],
		PATH_INFO => [ "PATH_INFO\0X", '/push' ],
		CONTENT_TYPE => [ 'CONTENT_TYPE=application/json; charset', 'utf-8' ],
	);
	for my $name (sort keys %fake) {
		my @pair = map { [ $_, $params->{$_} ] } grep { $_ ne $name && $_ ne 'REQUEST_URI' }
			sort keys %$params;
		my $answer = sent(Rig::Fastcgi::request_bytes([ @pair, $fake{$name} ], $body))->answer(5);
		isnt($answer->{status}, 200, "$name: not served");
	}
	is(applied('forged'), 0, 'not taken for them');

	my ($twice, $again) = fresh_push();
	my @pairs = map { [ $_, $twice->{$_} ] } sort keys %$twice;
	my $answer = sent(Rig::Fastcgi::request_bytes(
		[ @pairs, [ 'PATH_INFO', '/pull' ], [ 'CONTENT_LENGTH', '1' ] ], $again))->answer(5);
	ok($program->is_alive, 'given twice: the program lives');
};

subtest 'a path with a line feed' => sub {
	my ($params, $body) = fresh_push();
	is($program->request({ %$params, PATH_INFO => "/push\n" }, $body)->{status}, 404, 'is nothing');
};

subtest 'parameters without measure' => sub {
	my (undef, $before) = $program->memory;
	my $params = Rig::Program::params('GET', '/health');
	my %many = (
		'100,000 of them' => { %$params, map { ("HTTP_X_$_" => $_) } 1 .. 100_000 },
		'a megabyte' => { %$params, HTTP_X => 'x' x 1_000_000 },
		'300 of them' => { %$params, map { ("HTTP_X_$_" => $_) } 1 .. 300 },
		'names alone' => [ map { [ '', '' ] } 1 .. 30_000 ],
	);
	for my $name (sort keys %many) {
		my $peer = sent(Rig::Fastcgi::request_bytes($many{$name}, ''));
		my $answer = eval { $peer->answer(5) };
		ok($answer && !$answer->{end} && !$answer->{status}, "$name: closed");
	}
	my $large = $program->request({ %$params, HTTP_X => 'x' x 30_000 }, '');
	is($large->{status}, 200, 'as much as nginx lets through is served');
	my (undef, $after) = $program->memory;
	cmp_ok($after - $before, '<', 8 << 20, 'memory is bounded');
	ok($program->is_alive, 'the program lives');
};

subtest 'a request that is cut' => sub {
	my ($params, $body) = push_params('g', [ 'cut', 1, 'note', '"cut"' ]);
	my $bytes = Rig::Fastcgi::request_bytes($params, $body);
	my $body_at = length($bytes) - length($body) - 16;
	my @at = (1, 7, 8, 15, 16, 20, 24, 100, $body_at - 1, $body_at, $body_at + 8,
		$body_at + 20, length($bytes) - 9, length($bytes) - 8, length($bytes) - 1);
	for my $at (@at) {
		my $peer = sent(substr $bytes, 0, $at);
		$peer->close_write;
		my $answer = eval { $peer->answer(5) };
		isnt($answer->{status}, 200, "at byte $at of " . length $bytes);
	}
	for my $at (@at) {
		sent(substr $bytes, 0, $at)->close;
	}
	serves('after cut ones');
	is(applied('cut'), 0, 'nothing of it is applied');
};

subtest 'an abort in the middle' => sub {
	my ($params) = fresh_push();
	my $peer = sent(Rig::Fastcgi::begin()
	    . Rig::Fastcgi::stream(Rig::Fastcgi::TYPE_PARAMS, Rig::Fastcgi::pairs($params))
	    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_STDIN, '{"pushVersion":1')
	    . Rig::Fastcgi::record(Rig::Fastcgi::TYPE_ABORT, ''));
	my $answer = eval { $peer->answer(5) };
	ok($answer && $answer->{status} != 200, 'refused or closed');
};

# More of them than there are threads.
subtest 'peers that are silent' => sub {
	my ($params, $body) = fresh_push();
	my $bytes = Rig::Fastcgi::request_bytes($params, $body);
	my @peer = map { sent(substr $bytes, 0, $_) }
		(0) x 5, (1) x 5, (8) x 5, (30) x 5;
	my $start = time;
	serves('beside silent ones');
	cmp_ok(time - $start, '<', 0.35, 'at once');
	my $closed = grep { $_->is_closed(5) } @peer;
	is($closed, scalar @peer, 'all are closed');
};

subtest 'bodies that stop' => sub {
	my ($params, $body) = push_params('g', [ 'stop', 1, 'note', '"' . 'x' x 300_000 . '"' ]);
	my $bytes = Rig::Fastcgi::request_bytes($params, $body);
	my @peer = map { sent(substr $bytes, 0, $_) } (2000) x 5;
	my $start = time;
	serves('beside stopped ones');
	cmp_ok(time - $start, '<', 0.35, 'at once');
	for my $peer (@peer) {
		my $answer = eval { $peer->answer(6) };
		ok($answer && $answer->{status} != 200, 'refused or closed');
	}
	is($session->value(q(select count(*) from replicache_client where id = 'stop')), 0,
		'nothing of it is applied');
};

# Slow, but never silent for long: the whole request has a time limit.
subtest 'a body in drops' => sub {
	my ($params, $body) = push_params('g', [ 'drop', 1, 'note', '"' . 'x' x 2000 . '"' ]);
	my $bytes = Rig::Fastcgi::request_bytes($params, $body);
	my $peer = sent(substr $bytes, 0, 1000);
	my $at = 1000;
	my ($start, $served) = (time, 0);
	while (time - $start < 6) {
		last unless $peer->send_raw(substr $bytes, $at++, 1);
		my $select = IO::Select->new($peer->socket);
		last if $select->can_read(0.05);
		serves('beside a slow one') unless $served++;
	}
	cmp_ok(time - $start, '<', 4, 'ended by the time limit');
	is($session->value(q(select count(*) from replicache_client where id = 'drop')), 0,
		'nothing of it is applied');
};

# Gone before the answer: what was asked is done, and once.
subtest 'a peer that does not wait' => sub {
	for my $round (1 .. 5) {
		sent(Rig::Fastcgi::request_bytes(push_params('g', [ 'gone', $round, 'note', '"gone"' ])))->close;
		wait_until(sub { applied('gone') == $round }, "push $round", 10);
	}
	is($program->request(push_params('g', [ 'gone', 5, 'note', '"gone"' ]))->{status}, 200,
		'sent again');
	is(applied('gone'), 5, 'applied once each');
};

subtest 'readers that do not read' => sub {
	$session->query(q(insert into item select i, to_jsonb(repeat('x', 10000))
		from generate_series(1, 2000) i));
	my @peer = map {
		my $peer = sent(Rig::Fastcgi::request_bytes(pull_params('g')));
		$peer;
	} 1 .. 4;
	wait_until(sub {
		my $answer = eval { $program->request(fresh_push(), seconds => 10) };
		$answer && $answer->{status} == 200;
	}, 'others to be served', 10);
	pass('others are served');
	wait_until(sub { descriptors() <= $quiet + 2 }, 'the connections to be dropped', 10);
	pass('they are dropped');
};

subtest 'at the end' => sub {
	serves('at last');
	wait_until(sub { descriptors() <= $quiet + 2 }, 'descriptors to be closed', 10);
	ok($program->is_alive, 'the program lives');
	is($program->stop, 0, 'it ends in order');
};

done_testing;
