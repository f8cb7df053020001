# SPDX-License-Identifier: Apache-2.0
#
# Clients at work, each a process, while something is done to the program. They
# push and pull until they are stopped, and see that every request is answered;
# others hold streams, which end in order and are opened again.
#
#	my $load = Rig::Load->start([@way], streams => [@opener], ...);
#	...;
#	my $told = $load->stop($session);	# { requests, failed, ... }
#	my @wrong = $load->check($session);
#
# A way is a function that takes a request as FastCGI parameters and a body and
# gives its answer; an opener one that gives a Rig::Stream. The database is that of
# the cases. Options:
#
#	streams    openers of streams: a process for all of them
#	pause      seconds between two requests of a client, on the average
#	life       pushes after which a client is gone and another one comes
#	faults     a request may be refused by 503, and is sent again
#	tokens     seconds that a token is good for: each client is a user, and takes
#	           a new one when the old one is refused by 401
#	failing    the share of mutations that fail
#
# What is told, of all: requests, refused (by 503), expired (by 401), pokes, streams
# (how many were opened), clients, and failed: what went wrong, as text.

package Rig::Load;

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use Time::HiRes qw(sleep time);

use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(workdir spew slurp wait_until);
use Rig::Sync qw(background collect);

our @EXPORT_OK = qw(straight_to through);

# How long a stream may take to tell of the last version, and a refused request
# to do.
use constant PATIENCE => 60;

my $count = 0;

# The way to the program at a socket, whichever process accepts there.
sub straight_to
{
	my ($path) = @_;
	return sub {
		my ($params, $body) = @_;
		my $peer = Rig::Fastcgi->connect($path)
		    or return { status => 0, body => "connect: $!", headers => {} };
		return $peer->request($params, $body);
	};
}

# The way through a web server (Rig::Nginx).
sub through
{
	my ($server) = @_;
	return sub {
		my ($params, $body) = @_;
		my %header = map { (tr/_/-/r =~ s/^HTTP-//r) => $params->{$_} }
		    grep { /^HTTP_|^CONTENT_TYPE/ } keys %$params;
		return $server->request($params->{REQUEST_METHOD}, $params->{PATH_INFO},
		    body => $body, headers => \%header);
	};
}

sub start
{
	my ($class, $ways, %option) = @_;
	my $self = bless { ways => $ways, pause => 0, failing => 0, streams => [],
		%option, file => workdir() . '/load' . ++$count }, $class;
	my $clients = $self->{clients} = @$ways;
	$self->{work} = background($clients + (@{ $self->{streams} } ? 1 : 0), sub {
		my ($number) = @_;
		return $self->hold_streams if $number == $clients;
		return Rig::Load::Client->new($self, $number)->live;
	});
	return $self;
}

sub is_over { return -e "$_[0]{file}.over" }

# The last version there is, once all clients have pushed what they will.
sub wait_for_last
{
	my ($self) = @_;
	wait_until(sub { -e "$self->{file}.last" }, 'all clients to end', 2 * PATIENCE);
	return slurp("$self->{file}.last");
}

# Ends it; what was told.
sub stop
{
	my ($self, $session) = @_;
	spew("$self->{file}.over", '');
	wait_until(sub { !grep { !-e "$self->{file}.$_" } 0 .. $self->{clients} - 1 },
	    'clients to end', 2 * PATIENCE);
	my $version = $session->value('select max(version) from replicache_version');
	spew("$self->{file}.new", $version);
	rename "$self->{file}.new", "$self->{file}.last" or die "rename: $!";
	my %told = (requests => 0, refused => 0, pokes => 0, streams => 0, clients => 0,
		expired => 0, counted => 0, failed => [], last => {}, rows => []);
	for my $result (collect($self->{work}, 3 * PATIENCE)) {
		$told{$_} += $result->{$_} // 0 for qw(requests refused expired pokes streams clients counted);
		push @{ $told{failed} }, @{ $result->{failed} };
		%{ $told{last} } = (%{ $told{last} }, %{ $result->{last} // {} });
		push @{ $told{rows} }, $result->{rows} if $result->{rows};
	}
	return $self->{told} = \%told;
}

# Whether the database has what was answered, and the clients what it has.
sub check
{
	my ($self, $session) = @_;
	my $told = $self->{told};
	my @wrong;
	my %stored = map { @$_ } @{ $session->query(
		'select id, last_mutation_id from replicache_client') };
	for my $client (sort keys %{ $told->{last} }) {
		my $stored = delete $stored{$client} // 'nothing';
		push @wrong, "$client was answered for $told->{last}{$client}, stored is $stored"
		    if $stored ne $told->{last}{$client};
	}
	push @wrong, map { "$_ is nobody" } keys %stored;
	my $counted = $session->value(q(select coalesce((select body::text from item where id = 'all'), '0')));
	push @wrong, "$told->{counted} were counted by clients, $counted are"
	    if $told->{counted} != $counted;
	my $rows = { map { ("item/$_->[0]" => { id => $_->[0], body => Rig::Json::decode("[$_->[1]]")->[0] }) }
	    @{ $session->query('select id, body::text from item') } };
	for my $seen (@{ $told->{rows} }) {
		my $difference = Rig::Json::difference($seen, $rows);
		push @wrong, "a client sees: $difference" if $difference ne '';
	}
	return @wrong;
}

# Holds the streams, each opened again when it ends.
sub hold_streams
{
	my ($self) = @_;
	my %told = (streams => 0, pokes => 0, failed => []);
	my $fail = sub { push @{ $told{failed} }, $_[0] if @{ $told{failed} } < 20 };
	my @stream;
	my $open = sub {
		my ($number) = @_;
		my $stream = eval { $self->{streams}[$number]->($stream[$number]{version}) };
		my $status = $stream && eval { $stream->status(PATIENCE) };
		$told{streams}++;
		$fail->('a stream was answered ' . ($status // $@)) if ($status // 0) != 200;
		$stream[$number] = { stream => $stream, since => time,
			version => $stream[$number]{version} } if $stream;
	};
	my $read = sub {
		my ($number) = @_;
		my $held = $stream[$number] or return $open->($number);
		while (defined(my $version = $held->{stream}->poke(0))) {
			$held->{version} = $version;
			$told{pokes}++;
		}
		if ($held->{stream}{whole} || $held->{stream}{ended}) {
			$fail->("a stream of $number was cut") if !$held->{stream}{whole};
			$open->($number);
		} elsif (defined $self->{life} && rand() < 0.003) {
			# One goes away, and is back as somebody else.
			$held->{stream}->close;
			$held->{version} = undef;
			$open->($number);
		}
	};
	my @number = 0 .. $#{ $self->{streams} };
	my $last;
	$open->($_) for @number;
	until (defined $last) {
		IO::Select->new(map { $_->{stream}->socket } @stream)->can_read(0.2);
		$read->($_) for @number;
		sleep $self->{pause};
		$last = $self->wait_for_last if $self->is_over;
	}
	my $end = time + PATIENCE;
	while (grep { ($_->{version} // 0) < $last } @stream) {
		if (time > $end) {
			$fail->("a stream was not told of $last");
			last;
		}
		IO::Select->new(map { $_->{stream}->socket } @stream)->can_read(0.2);
		$read->($_) for @number;
	}
	$_->{stream}->close for @stream;
	return \%told;
}

package Rig::Load::Client;

use Time::HiRes qw(sleep time);

use Rig::Place qw(spew);
use Rig::Sync qw(push_params);
use Rig::Token;

sub new
{
	my ($class, $load, $number) = @_;
	return bless { load => $load, number => $number, way => $load->{ways}[$number],
		told => { requests => 0, refused => 0, expired => 0, clients => 0, counted => 0, failed => [], last => {} },
	}, $class;
}

sub fail
{
	my ($self, $what) = @_;
	push @{ $self->{told}{failed} }, $what if @{ $self->{told}{failed} } < 20;
}

# What says who asks.
sub identity
{
	my ($self) = @_;
	my $seconds = $self->{load}{tokens} or return {};
	$self->{token} //= Rig::Token::of_user($self->{name}, $seconds);
	return { HTTP_AUTHORIZATION => "Bearer $self->{token}" };
}

# A request that is to be answered by 200; the last answer.
sub ask
{
	my ($self, $params, $body) = @_;
	my $load = $self->{load};
	my $end = time + Rig::Load::PATIENCE;
	for (;;) {
		sleep $load->{pause} * 2 * rand if $load->{pause};
		my $answer = eval { $self->{way}->({ %$params, %{ $self->identity } }, $body) }
		    // { status => 0, body => "$@" };
		$self->{told}{requests}++;
		return $answer if $answer->{status} == 200;
		my $what = "$params->{PATH_INFO} of $self->{name}: $answer->{status} $answer->{body}";
		if ($load->{tokens} && $answer->{status} == 401) {
			$self->{told}{expired}++;
			delete $self->{token};
			next;
		} elsif ($load->{faults} && $answer->{status} == 503) {
			$self->{told}{refused}++;
		} else {
			$self->fail($what);
		}
		if (time > $end) {
			$self->fail("given up: $what");
			return $answer;
		}
		sleep 0.05;
	}
}

# Somebody opens the app.
sub begin
{
	my ($self) = @_;
	my $life = $self->{life}++ // 0;
	$self->{name} = "c$self->{number}-$life";
	$self->{id} = $self->{own} = 0;
	delete $self->{token};
	$self->{view} = Rig::Sync::View->new("g$self->{name}", sub { $self->ask(@_) });
	$self->{told}{clients}++;
}

sub mutation
{
	my ($self, $name, $args) = @_;
	return [ $self->{name}, ++$self->{id}, $name, $args ];
}

sub push
{
	my ($self, @mutation) = @_;
	my $answer = $self->ask(push_params("g$self->{name}", @mutation));
	$self->fail("a push was answered $answer->{body}") if $answer->{body} ne '{}';
	$self->{told}{last}{ $self->{name} } = $self->{id};
}

# Counts what it does where all count, and where only it does.
sub work
{
	my ($self) = @_;
	my @mutation = $self->mutation('count', '{"id":"all"}');
	CORE::push @mutation, $self->mutation('count', qq({"id":"$self->{name}"}));
	CORE::push @mutation, $self->mutation('raise', '{"state":"22023"}')
	    if rand() < $self->{load}{failing};
	$self->push(@mutation);
	$self->{own}++;
	$self->{told}{counted}++;
	return if rand() < 0.5;
	$self->pull;
	my $seen = $self->{view}{rows}{"item/$self->{name}"}{body} // 0;
	$self->fail("$self->{name} has pushed $self->{own}, and sees $seen") if $seen != $self->{own};
}

sub pull
{
	my ($self) = @_;
	eval { $self->{view}->pull } or $self->fail($@);
}

sub live
{
	my ($self) = @_;
	my $load = $self->{load};
	srand $self->{number} + $$;
	$self->begin;
	until ($load->is_over) {
		$self->work;
		next unless defined $load->{life} && $self->{own} >= $load->{life};
		$self->push($self->mutation('deleteItem', qq({"id":"$self->{name}"})));
		$self->begin;
	}
	spew("$load->{file}.$self->{number}", '');
	$load->wait_for_last;
	$self->pull;
	$self->{told}{rows} = $self->{view}{rows};
	return $self->{told};
}

1;
