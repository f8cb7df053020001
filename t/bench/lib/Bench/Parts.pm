# SPDX-License-Identifier: Apache-2.0
#
# The parts of the bench that have goals. Each is run in rounds: ours, the
# reference, the limit, and again, so that whatever else the machine does
# happens to all of them.

package Bench::Parts;

use strict;
use warnings;

use Rig::Place qw(wait_until);
use Rig::Token;

use Bench::Growth;
use Bench::Measure qw(copy median);
use Bench::Statements;

my $rounds = 5;

# With one connection all hangs on how fast who sleeps is woken, and a round differs
# from the next by a tenth; so there are more, and shorter ones.
my $lone_rounds = 15;

my @parts = (
	[ push => \&push_new ],
	[ bulk => \&push_bulk ],
	[ failing => \&push_failing ],
	[ duplicate => \&push_duplicate ],
	[ idle => \&pull_idle ],
	[ storm => \&pull_storm ],
	[ tokens => \&tokens ],
	[ first => \&pull_first ],
	[ memory => \&Bench::Growth::memory ],
	[ lock => \&Bench::Growth::lock_time ],
	[ snapshot => \&Bench::Growth::snapshot ],
	[ rows => \&Bench::Growth::rows ],
	[ table => \&Bench::Growth::table ],
	[ tombstones => \&Bench::Growth::tombstones ],
);

sub names { return map { $_->[0] } @parts }

sub new
{
	my ($class, $ground, $report, $scale) = @_;
	return bless { ground => $ground, report => $report, scale => $scale,
	    made => 0 }, $class;
}

sub run
{
	my ($self, $name) = @_;
	my ($part) = grep { $_->[0] eq $name } @parts;
	$part->[1]->($self);
}

sub ground { return $_[0]{ground} }

sub report { return $_[0]{report} }

# How long to measure, for something that takes so many seconds at scale 1.
sub seconds
{
	my ($self, $seconds) = @_;
	my $scaled = ($seconds // 2) * $self->{scale};
	return $scaled < 0.2 ? 0.2 : $scaled;
}

# A new set of data without rows.
sub fresh { return 'fresh' . ++$_[0]{made} }

sub load
{
	my ($self, $server, $set, %option) = @_;
	return Bench::Measure::load($self->{ground}, $server, $set,
	    seconds => $self->seconds, warmup => $self->seconds(1), %option);
}

# Do each piece of work in turn, in rounds; returns {name => [result...]}.
sub rounds
{
	my ($self, @work) = @_;
	return in_rounds($rounds, @work);
}

sub in_rounds
{
	my ($count, @work) = @_;
	my %result;
	for my $round (1 .. $count) {
		for (my $i = 0; $i < @work; $i += 2) {
			push @{ $result{$work[$i]} }, $work[$i + 1]->();
		}
	}
	return \%result;
}

# One kind of load on some servers; returns {server => [result...]}.
sub compare
{
	my ($self, $set, $servers, %option) = @_;
	$self->ground->serve($_, $set) for @$servers;
	$self->ground->settle;
	return $self->rounds(map {
		my $server = $_;
		my @mode = $server eq 'constant' ? (mode => 'constant') : ();
		$server => sub { $self->load($server, $set, %option, @mode) };
	} @$servers);
}

# A figure of each result.
sub field
{
	my ($results, $name, $factor) = @_;
	return $results ? [ map { $_->{$name} * ($factor // 1) } @$results ] : undef;
}

# What the JSON tells beside the medians: latencies, and where the processor
# time of a request goes.
sub detail
{
	my ($results) = @_;
	my %detail;
	for my $server (keys %$results) {
		my @result = grep { ref } @{ $results->{$server} } or next;
		$detail{$server}{$_} = median(@{ field(\@result, $_) }) for qw(p50_ms p99_ms max_ms);
		for my $process (keys %{ $result[0]{cpu} // {} }) {
			$detail{$server}{cpu_us}{$process} = int 0.5
			    + median(map { $_->{cpu}{$process} } @result);
		}
	}
	return \%detail;
}

# By one connection nginx takes as much of a push as the program, and pgbench has none
# before it: so each server is asked without it, too, with the same goals.
#
# The reference is run with two sizes of its pool. The wide one gives each push a
# connection, as many small processes would; the default of 10 keeps most pushes
# waiting outside of the database, where they would be in the way of each other.
sub push_new
{
	my ($self) = @_;
	my $set = $self->fresh;
	my %goals = (
		1 => [ [ reference => 3 ], [ limit => 0.8 ] ],
		32 => [ [ at_least => 6000 ] ],
	);
	my $script = Bench::Statements->capture($self->ground, $set);
	for my $connections (split ' ', $ENV{CONNECTIONS} // '1 8 32 128 512') {
		my $wide = $connections > 1 && $connections <= 128;
		my @servers = (qw(ours reference), $wide ? 'wide' : ());
		$self->ground->serve($_, $set) for @servers;
		$self->ground->settle;
		my $got = $connections == 1 ? $self->push_alone($set, $script)
		    : $self->rounds(map { my $server = $_; $server => sub {
			$self->load($server, $set, mode => 'push',
			    connections => $connections) } } @servers);
		my $name = "push, $connections " . plural($connections, 'connection');
		my $ours = field($got->{ours}, 'per_second');
		$self->report->row(name => $name, unit => '/s',
			connections => $connections, ours => $ours,
			reference => field($got->{reference}, 'per_second'),
			limit => $got->{whole},
			limit_name => 'pgbench, the same statements on one connection',
			goals => $goals{$connections},
			detail => { %{ detail($got) }, transaction => $got->{transaction} });
		$self->report->row(name => '  the same, each at its own socket', unit => '/s',
			ours => field($got->{'bare ours'}, 'per_second'),
			reference => field($got->{'bare reference'}, 'per_second'),
			limit => $got->{whole},
			limit_name => 'pgbench, the same statements on one connection',
			goals => $goals{$connections})
		    if $got->{'bare ours'};
		$self->report->row(name => '  the same, reference with a connection a push', unit => '/s',
			connections => $connections, series => 'wide', ours => $ours,
			reference => field($got->{wide}, 'per_second'),
			goals => $connections == 32 ? [ [ reference => 50 ] ] : [])
		    if $wide;
	}
	$self->ground->drop($set);
}

sub push_alone
{
	my ($self, $set, $script) = @_;
	my %option = (mode => 'push', connections => 1,
	    seconds => $self->seconds(1), warmup => $self->seconds(0.5));
	return in_rounds($lone_rounds,
		(map { my $server = $_;
			$server => sub { $self->load($server, $set, %option) },
			"bare $server" => sub { $self->load($server, $set, %option, bare => 1) }
		} qw(ours reference)),
		map { my $what = $_;
			$what => sub { $script->run($what, $self->seconds(1)) }
		} qw(whole transaction));
}

sub plural
{
	my ($count, $word) = @_;
	return $count == 1 ? $word : "${word}s";
}

# The reference takes a transaction for each mutation, so it gets fewer at once.
sub push_bulk
{
	my ($self) = @_;
	my $set = $self->fresh;
	my %size = (ours => 1000, reference => 20);
	$self->ground->serve($_, $set) for keys %size;
	$self->ground->settle;
	my $got = $self->rounds(map { my $server = $_; $server => sub {
		$self->load($server, $set, mode => 'push', connections => 1,
		    mutations => $size{$server}) } } qw(ours reference));
	$self->report->row(name => 'push of 1000 mutations, mutations', unit => '/s',
		ours => field($got->{ours}, 'per_second', $size{ours}),
		reference => field($got->{reference}, 'per_second', $size{reference}),
		goals => [ [ at_least => 15000 ] ], detail => detail($got));
	$self->ground->drop($set);
}

# One client all of whose mutations fail, among others that are well.
sub push_failing
{
	my ($self) = @_;
	my $set = $self->fresh;
	$self->ground->serve('ours', $set);
	$self->ground->settle;
	my $got = $self->rounds(map { my $failing = $_; $failing => sub {
		$self->load('ours', $set, mode => 'push', connections => 32,
		    failing => $failing) } } 0, 1);
	$self->report->row(name => 'push beside one that fails, 31 connections', unit => '/s',
		ours => field($got->{1}, 'per_second'), limit => field($got->{0}, 'per_second'),
		limit_name => '32 connections, none of which fails',
		goals => [ [ limit => 0.5 ] ], detail => detail($got));
	$self->ground->session('ours', $set)->value(
	    'select count(*) from replicache_failed_mutation') > 0
	    or die "nothing has failed\n";
	$self->ground->drop($set);
}

sub push_duplicate
{
	my ($self) = @_;
	my $set = $self->fresh;
	my $got = $self->compare($set, [qw(ours reference constant)],
	    mode => 'duplicate', connections => 32);
	$self->against_constant('push that is known, 32 connections', $got,
	    [ [ limit => 0.5 ] ]);
	$self->ground->drop($set);
}

sub pull_idle
{
	my ($self) = @_;
	my $set = $self->fresh;
	my $got = $self->compare($set, [qw(ours reference constant)],
	    mode => 'idle', connections => 32);
	$self->against_constant('pull of nothing, 32 connections', $got,
	    [ [ reference => 5 ], [ limit => 0.5 ] ]);
	$self->ground->drop($set);
}

sub against_constant
{
	my ($self, $name, $got, $goals) = @_;
	$self->report->row(name => $name, unit => '/s',
		ours => field($got->{ours}, 'per_second'),
		reference => field($got->{reference}, 'per_second'),
		limit => field($got->{constant}, 'per_second'),
		limit_name => 'nginx and libfcgi answering a constant',
		goals => $goals, detail => detail($got));
}

# What it costs to know who asks: the program anew for each, as the key is its.
sub tokens
{
	my ($self) = @_;
	my $set = $self->fresh;
	my $folder = Rig::Token::folder();
	my %way = (
		none => [ '', REPLICACHE_AUTH => 'none' ],
		HS256 => [ Rig::Token::of_user('ann', 7200), Rig::Token::environment() ],
		map { (uc $_ => [ Rig::Token::kept($_), REPLICACHE_AUTH => 'jwt',
		    REPLICACHE_JWT_ALGORITHM => uc $_,
		    REPLICACHE_JWT_KEY_FILE => "$folder/$_.pem" ]) } qw(rs256 es256),
	);
	for my $mode (qw(push idle)) {
		my $got = $self->rounds(map { my $way = $_; $way => sub {
			my ($token, %environment) = @{ $way{$way} };
			$self->ground->stop('ours');
			$self->ground->serve('ours', $set, %environment);
			return $self->load('ours', $set, mode => $mode, connections => 32,
			    $token eq '' ? () : (token => $token));
		} } qw(none HS256 RS256 ES256));
		my $name = $mode eq 'push' ? 'push' : 'pull of nothing';
		$self->report->row(name => "$name, 32 connections, $_", unit => '/s',
			ours => field($got->{$_}, 'per_second'),
			limit => field($got->{none}, 'per_second'), limit_name => 'auth = none',
			goals => [], detail => detail($got)) for qw(HS256 RS256 ES256);
	}
	$self->ground->stop('ours');
	$self->ground->drop($set);
}

sub pull_storm
{
	my ($self) = @_;
	my $set = 'rows10000';
	my $got = $self->compare($set, [qw(ours reference)],
	    mode => 'storm', connections => 32);
	$self->report->row(name => 'pull of one row, 32 at once', unit => '/s',
		ours => field($got->{ours}, 'per_second'),
		reference => field($got->{reference}, 'per_second'),
		goals => [ [ reference => 5 ] ], detail => detail($got));
	$self->ground->drop($set);
	$self->report->row(name => 'reads of one row that 32 pull, to those of one pull', unit => '',
		ours => [ $self->reads_of_many('ours') ],
		reference => [ $self->reads_of_many('reference') ],
		goals => [ [ at_most => 1.1 ] ]);
}

# One pull may fetch a row more than once: ours joins the table to its view.
sub reads_of_many
{
	my ($self, $server) = @_;
	my ($one, $many) = map { $self->rows_read($server, $_) } 1, 32;
	return $many / $one;
}

# Rows of messages that Postgres read in a storm, for each that was written. The
# pull of them all that a storm begins with does not count.
sub rows_read
{
	my ($self, $server, $connections) = @_;
	my ($set, $rows) = ("rows10000storm$connections", 10000);
	my $result = $self->load($server, $set, mode => 'storm',
	    connections => $connections, warmup => 0);
	$self->ground->stop($server);
	my $session = $self->ground->session($server, $set);
	# A session's statistics are complete when it has ended.
	wait_until(sub {
		$session->value(<<'SQL') == 0;
select count(*) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
SQL
	}, 'the sessions of a server to end');
	my $read = $session->value(<<'SQL');
select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
from pg_stat_user_tables where relname = 'message'
SQL
	return ($read - $rows) / ($result->{requests} / $connections);
}

sub pull_first
{
	my ($self) = @_;
	my $set = 'rows100000';
	my $count = int(5 * $self->{scale}) || 1;
	$self->ground->serve($_, $set) for qw(ours reference);
	$self->ground->settle;
	my $got = $self->rounds(
		(map { my $server = $_; $server => sub {
			$self->first($server, $set, 100000, $count) } } qw(ours reference)),
		copy => sub { median(map { copy($self->ground, $set) } 1 .. $count) });
	$self->report->row(name => 'first pull, 100,000 rows', unit => 'ms',
		ours => field($got->{ours}, 'p50_ms'),
		reference => field($got->{reference}, 'p50_ms'), limit => $got->{copy},
		limit_name => 'COPY of the same columns',
		goals => [ [ reference => 4 ], [ limit => 1 / 3 ] ],
		detail => detail($got));
	$self->report->row(name => 'first pull, its first byte', unit => 'ms',
		ours => field($got->{ours}, 'first_byte_ms'),
		reference => field($got->{reference}, 'first_byte_ms'),
		goals => [ [ at_most => 10 ] ]);
}

# First pulls, which must bring so many rows at least.
sub first
{
	my ($self, $server, $set, $rows, $count, %option) = @_;
	my $result = Bench::Measure::load($self->ground, $server, $set,
	    mode => 'first', count => $count, connections => 1, %option);
	die "a first pull brought $result->{rows} rows\n" if $result->{rows} < $rows;
	return $result;
}

1;
