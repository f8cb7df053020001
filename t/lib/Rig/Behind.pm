# SPDX-License-Identifier: Apache-2.0
#
# What a web server must let through, beside what the cases say: large bodies
# both ways, a client that goes away, streams, and the npm client.
#
#	Rig::Behind::check($front, $session, streams => 1);
#
# The front is a Rig::WebServer, on a database of the kind "cases", to which the
# session is one. With streams the program has to run with metrics. unchunked: bodies
# without a length are refused.

package Rig::Behind;

use strict;
use warnings;

use Test::More;

use Rig::Client;
use Rig::Http;
use Rig::Json;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Stream;
use Rig::Sync qw(push_body pull_body);

# More than any wait here takes, less than a heartbeat.
use constant PATIENCE => 10;

my $next = 0;

sub check
{
	my ($front, $session, %option) = @_;
	my $self = bless { front => $front, session => $session, %option }, __PACKAGE__;
	subtest 'bodies' => sub { $self->check_bodies };
	subtest 'a large view' => sub { $self->check_view };
	subtest 'a client that goes away' => sub { $self->check_gone };
	subtest 'streams' => sub { $self->check_streams } if $option{streams};
	subtest 'a poke without a wait' => sub { $self->check_answered } unless $option{streams};
	subtest 'the npm client' => sub { $self->check_client };
}

sub post
{
	my ($self, $path, $body, %option) = @_;
	return $self->{front}->request('POST', $path, body => $body,
		headers => { 'Content-Type' => 'application/json' }, %option);
}

# A push of one note; each is a client's first.
sub fresh_push
{
	my ($text) = @_;
	my $id = 'behind' . ++$next;
	return push_body('behind', [ $id, 1, 'note', '"' . ($text // $id) . '"' ]);
}

sub version { return $_[0]{session}->value('select max(version) from replicache_version') }

sub check_bodies
{
	my ($self) = @_;
	my $before = $self->{session}->value('select count(*) from journal');
	my $sent = $next;
	is($self->post('/push', fresh_push())->{status}, 200, 'a push');
	is($self->post('/push', fresh_push(), chunked => 1)->{status}, 200, 'a chunked one')
	    unless $self->{unchunked};
	is($self->post('/push', fresh_push('x' x 3_000_000))->{status}, 200, 'a large one');
	is($self->post('/push', fresh_push('x' x 3_000_000), chunked => 1)->{status}, 200,
		'a large chunked one') unless $self->{unchunked};
	my $head = $self->{front}->request('HEAD', '/health');
	is($head->{status}, 200, 'HEAD');
	is($head->{body}, '', 'has no body');
	my @status = map { $self->post('/push', fresh_push())->{status} } 1 .. 20;
	is(join(' ', grep { $_ != 200 } @status), '', 'twenty in a row');
	is($self->{session}->value('select count(*) from journal'), $before + $next - $sent,
		'each is applied once');
}

sub check_view
{
	my ($self) = @_;
	my $session = $self->{session};
	my $rows = 20_000;
	$session->query(qq(insert into item (id, body)
		select 'row' || i, to_jsonb(repeat('z', 200)) from generate_series(1, $rows) i));
	my $answer = $self->post('/pull', pull_body('behind'));
	is($answer->{status}, 200, 'pulled');
	my $count = () = ($answer->{body} // '') =~ /"op":\s*"put"/g;
	cmp_ok($count, '>=', $rows, 'with all rows');
	like(substr($answer->{body} // '', -3), qr/\}\s*\z/, 'to the end');
	is($answer->{headers}{'content-type'}, 'application/json', 'as JSON');
}

sub check_gone
{
	my ($self) = @_;
	for my $round (1 .. 3) {
		my $socket = Rig::Http::open_socket($self->{front}->port) or die "connect: $!";
		my $body = pull_body('behind');
		syswrite $socket, "POST /replicache/pull HTTP/1.1\r\nHost: x\r\n"
		    . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		sysread $socket, my $bytes, 1000;
		close $socket;
	}
	is($self->post('/push', fresh_push())->{status}, 200, 'others are served');
	wait_until(sub {
		!$self->{session}->value(q(select count(*) from pg_stat_activity
			where state = 'active' and pid <> pg_backend_pid()))
	}, 'its pulls to end', 20);
	pass('its pulls end');
}

sub metric
{
	my ($self, $name) = @_;
	my $text = $self->{front}->request('GET', '/metrics')->{body};
	my ($value) = $text =~ /^replicache_\Q$name\E (\d+)$/m;
	return $value;
}

sub check_streams
{
	my ($self) = @_;
	my $port = $self->{front}->port;
	my $stream = Rig::Stream->http($port, version => $self->version);
	is($stream->status(PATIENCE), 200, 'a stream');
	like($stream->header('content-type'), qr{^text/event-stream\b}, 'Content-Type');
	ok(defined $stream->block(PATIENCE)->{comment}, 'its beginning comes at once');
	for (1 .. 3) {
		is($self->post('/push', fresh_push())->{status}, 200, 'a push');
		is($stream->poke(PATIENCE), $self->version, 'pokes at once');
	}
	my $poll = Rig::Stream->http($port, version => $self->version, poll => 1);
	wait_until(sub { $self->metric('streams{kind="longpoll"}') == 1 }, 'the long-poll', PATIENCE);
	is($self->post('/push', fresh_push())->{status}, 200, 'a push');
	my $answer = $poll->answer(PATIENCE);
	is_deeply(eval { Rig::Json::decode($answer->{body}) }, { version => $self->version },
		'answers a long-poll');
	$stream->close;
	# A web server may notice only when it writes: a push has it do so.
	wait_until(sub {
		$self->post('/push', fresh_push());
		$self->metric('streams{kind="stream"}') == 0;
	}, 'the stream to be closed', PATIENCE);
	pass('a closed stream is freed');
}

# Where a request that waits would hold a process.
sub check_answered
{
	my ($self) = @_;
	my $version = $self->version;
	my $answer = $self->{front}->request('GET', '/poke', headers => { Accept => 'text/event-stream' });
	is($answer->{status}, 204, 'who wants a stream is told to poll');
	$answer = $self->{front}->request('GET', "/poke?version=$version");
	is($answer->{status}, 200, 'who polls');
	is_deeply(eval { Rig::Json::decode($answer->{body}) }, { version => $version }, 'is answered at once');
}

sub check_client
{
	my ($self) = @_;
	my ($missing) = Rig::Node::missing();
	plan skip_all => $missing if defined $missing;
	$self->{session}->query('delete from item');
	my $node = Rig::Node->start('clients.mjs', SERVER => $self->{front}->url);
	my ($alice, $bob) = map { Rig::Client->open($node, name => $_) } qw(alice bob);
	my $message = { from => 'alice', content => "Gr\x{fc}\x{df}e", order => 1 };
	$alice->mutate(createMessage => { id => 'behind', %$message });
	$alice->settle;
	$bob->pull_until(sub { $bob->view->{'message/behind'} }, 'the message');
	is_deeply($bob->view->{'message/behind'}, $message, 'a message reaches the other');
	$bob->mutate(deleteMessage => 'behind')->settle;
	$alice->pull_until(sub { !exists $alice->view->{'message/behind'} }, 'the message to be gone');
	pass('and is deleted by it');
	$node->stop;
}

1;
