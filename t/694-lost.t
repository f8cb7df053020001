#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# A standby that lags behind takes over, again and again: commits are lost that were
# answered by 200, but never in silence. Whoever was told of one is refused until
# there is a new epoch, and then starts over; and whoever had counted on a mutation
# that is lost is told that they are not known. What each is to be told is computed.
#
# SCALE is the number of promotions; SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5;
use Encode;
use List::Util qw(max sum0);
use Test::More;

use Rig::Admin;
use Rig::Cluster;
use Rig::History;
use Rig::Json;
use Rig::Standby;
use Rig::Place qw(srcdir wait_until);
use Rig::Program qw(params);
use Rig::Sync qw(cookie_version);

my $SCALE = int($ENV{SCALE} // 1);
my $SEED = $ENV{SEED} // int rand 100_000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start(settings => \%Rig::Standby::settings, initdb => ['--wal-segsize=1']);
my $database = $cluster->database('core');
$cluster->run_file($database, srcdir() . '/t/sql/history.sql');
my $pair = Rig::Standby->new($cluster);

sub start_program
{
	return Rig::Program->start(REPLICACHE_DATABASE => $pair->conninfo($database),
	    REPLICACHE_AUTH => 'remote_user', REPLICACHE_BATCH_MUTATIONS => 5);
}

# Somebody with a page open.
{
	package Person;

	sub new
	{
		my ($class, $name, $program) = @_;
		my $self = bless { name => $name, user => 'u' . ($name % Rig::History::USERS), program => $program, life => 0 }, $class;
		$self->renew;
		return $self;
	}

	# A new group, which has the rows and the cookie of the old one.
	sub renew
	{
		my ($self) = @_;
		my $old = $self->{view};
		my $id = "$self->{name}-" . $self->{life}++;
		@$self{qw(group client made acked queue)} = ("g$id", "c$id", 0, 0, []);
		$self->{view} = Rig::Sync::View->new("g$id", sub { $self->ask(@_) });
		@{ $self->{view} }{qw(cookie rows)} = @$old{qw(cookie rows)} if $old;
	}

	# An answer; not that a connection has to be made first.
	sub ask
	{
		my ($self, $params, $body) = @_;
		my $answer;
		main::wait_until(sub {
			my $program = $self->{program}[ rand @{ $self->{program} } ];
			$answer = $program->request({ %$params, REMOTE_USER => $self->{user} }, $body);
			return $answer->{status} != 503 || $answer->{body} =~ /cookie_from_future/;
		}, 'an answer', 180);
		return $answer;
	}

	sub submit
	{
		my ($self) = @_;
		my $told = $self->{view}{ids}{ $self->{client} } // 0;
		my $some = int rand 5;
		my ($name, $args) = @{ ([ add => qq({"list":"l$some","item":"$self->{client}"}) ], [ toggle => qq({"id":"k$some"}) ],
		    [ own => qq({"id":"$some","body":"$self->{client}","drop":"@{[ int rand 5 ]}"}) ])[ rand 3 ] };
		push @{ $self->{queue} }, [ $self->{client}, ++$self->{made}, $name, $args ];
		@{ $self->{queue} } = grep { $_->[1] > $told } @{ $self->{queue} };
		my $answer = $self->ask(Rig::Sync::push_params($self->{group}, @{ $self->{queue} }));
		return $answer->{body} =~ /ClientStateNotFound/ ? 'unknown' : $answer->{status} if $answer->{body} ne '{}';
		$self->{acked} = $self->{made};
		return 200;
	}

	# 200, 'future', or what went wrong.
	sub pull
	{
		my ($self) = @_;
		return 200 if eval { $self->{view}->pull };
		return $@ =~ /cookie_from_future/ ? 'future' : $@;
	}

	sub told { return $_[0]{view}{ids}{ $_[0]{client} } // 0 }

	sub digest
	{
		my $rows = $_[0]{view}{rows};
		return Digest::MD5::md5_hex(Encode::encode_utf8(join "\n", map { "$_=$rows->{$_}{body}" } sort keys %$rows));
	}
}

my %count = map { $_ => 0 } qw(seen confirmed resent refused unknown overtaken);
my @wrong;

sub wrong { push @wrong, join ' ', @_ if @wrong < 20 }

# Everybody's view is what is there.
sub check_views
{
	my ($when, $session, @person) = @_;
	my %digest = map { @$_ } @{ $session->query('select who, history_digest(who) from unnest(array[' .
		join(',', map { "'u$_'" } 0 .. Rig::History::USERS - 1) . ']) as who') };
	for my $one (@person) {
		wrong($when, $one->{client}, 'has another view') if $one->digest ne $digest{ $one->{user} };
	}
}

sub last_id { return $_[0]->value("select last_mutation_id from replicache_client where id = '$_[1]'") // 0 }

# What is lost, and what becomes of everybody.
sub lose_some
{
	my ($n, $program, @person) = @_;
	my $act = sub { my $one = $person[ rand @person ]; rand() < 0.5 ? $one->submit : $one->pull };
	$act->() for 1 .. 10 + rand 20;
	$pair->catch_up;
	$act->() for 0 .. rand 10;
	$pair->cut_off;
	$act->() for 1 .. 5 + rand 20;
	$pair->fail_over(alone => 1);
	my $session = $pair->primary->session($database);
	my $kept = $session->value('select max(version) from replicache_version');
	my %kept = map { $_->{client} => last_id($session, $_->{client}) } @person;
	my %seen = map { $_->{client} => cookie_version($_->{view}{cookie}) > $kept } @person;
	my %confirmed = map { $_->{client} => $_->told > $kept{ $_->{client} } } @person;
	$count{seen} += grep { $_ } values %seen;
	$count{confirmed} += sum0(map { max(0, $_->told - $kept{ $_->{client} }) } @person);
	$count{resent} += sum0(map { max(0, $_->{acked} - max($_->told, $kept{ $_->{client} })) } @person);

	# Some go on before anybody comes with a version that is lost.
	my $steps = int rand 25;
	for (1 .. $steps) {
		my $one = $person[ rand @person ];
		my $got = $one->submit;
		# Of a client that is lost to its last mutation nothing is known, not even that.
		my $wanted = !$confirmed{ $one->{client} } ? 200 : $kept{ $one->{client} } ? 409 : 'unknown';
		wrong("round $n:", $one->{client}, "pushed and was answered $got, not $wanted") if $got ne $wanted;
	}
	$count{overtaken} += grep { $seen{ $_->{client} } && cookie_version($_->{view}{cookie}) <= $kept + $steps } @person;
	for my $one (@person) {
		my $got = $one->pull;
		my $wanted = $seen{ $one->{client} } ? 'future' : 200;
		wrong("round $n:", $one->{client}, "pulled and was answered $got, not $wanted") if $got ne $wanted;
		$count{refused}++ if $got eq 'future';
	}
	check_views("round $n: before the new epoch", $session, grep { !$seen{ $_->{client} } } @person);
	if (grep { $_ } values %seen) {
		my @health = map { Rig::Json::decode($_->request({ %{ params('GET', '/health') } })->{body})->{status} } @$program;
		wrong("round $n: health is @health") if !grep { $_ eq 'degraded' } @health;
	}

	my $admin = Rig::Admin->new($pair->primary->conninfo($database));
	wrong("round $n: no new epoch") if $admin->run('--yes', 'new-epoch')->{exit} != 0;
	for my $one (@person) {
		my $got = $one->pull;
		wrong("round $n:", $one->{client}, "pulled in the new epoch and was answered $got") if $got ne 200;
	}
	check_views("round $n: in the new epoch", $session, @person);
	for my $one (@person) {
		my $got = $one->submit;
		my $wanted = $confirmed{ $one->{client} } ? 'unknown' : 200;
		wrong("round $n:", $one->{client}, "pushed in the new epoch and was answered $got, not $wanted") if $got ne $wanted;
		wrong("round $n:", $one->{client}, 'has lost', $one->{acked}, 'in silence')
		    if $got eq 200 && last_id($session, $one->{client}) < $one->{acked};
		$count{unknown}++ if $got eq 'unknown';
		$one->renew if $got eq 'unknown';
	}
	wrong("round $n: in the end ", $_->{client}, 'could not pull') for grep { $_->pull ne 200 } @person;
	check_views("round $n: in the end", $session, @person);
	$session->close;
	$pair->rebuild;
}

$pair->synchronous(0);
my @program = map { start_program() } 1 .. 2;
my @person = map { Person->new($_, \@program) } 0 .. 5;
$_->submit for @person;
lose_some($_, \@program, @person) for 1 .. $SCALE;
is(join("\n", @wrong), '', 'nothing is lost in silence, and all comes right by a new epoch');
is($count{refused}, $count{seen}, 'all who were told of what is lost were refused');
note("asynchronous: $SCALE promotions; clients that were told of what is lost: $count{seen}, of these refused: $count{refused},",
    " whose version others had passed by number: $count{overtaken};");
note("    mutations that were acknowledged, confirmed by a pull, and lost: $count{confirmed}, of clients that were told so: $count{unknown};",
    " acknowledged, lost, and sent again: $count{resent}");
is($_->stop, 0, 'a program ends in order') for @program;
done_testing;
