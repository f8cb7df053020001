# SPDX-License-Identifier: Apache-2.0
#
# How cost grows: parts of the bench, as those of Bench::Parts are.

package Bench::Growth;

use strict;
use warnings;

use Bench::Measure qw(copy median);

# Field of results, as a list.
sub field { return Bench::Parts::field(@_) }

# Memory: when a little was done, at most in a large pull, after many pushes.
sub memory
{
	my ($self) = @_;
	my $ground = $self->ground;
	my $set = 'rows1000000memory';
	my $mb = sub { return map { $_ / 1e6 } $ground->serve('ours', $set)->memory };
	my $row = sub {
		my ($name, $value, @goals) = @_;
		$self->report->row(name => $name, unit => 'MB', ours => [$value],
		    goals => \@goals);
	};
	$ground->serve('ours', $set, REPLICACHE_WORKERS => 8);
	$self->load('ours', $set, mode => 'push', connections => 1);
	$row->('memory at rest, 8 workers', ($mb->())[0], [ at_most => 10 ]);
	my $first = $self->first('ours', $set, 1_000_000, 5);
	$row->('memory at most, first pull of 1,000,000', ($mb->())[1], [ at_most => 10 ]);
	$self->report->row(name => 'first pull, 1,000,000 rows', unit => 'ms',
	    ours => [ $first->{p50_ms} ], limit => [ copy($ground, $set) ],
	    limit_name => 'COPY of the same columns', goals => [ [ limit => 1 / 3 ] ]);
	$self->report->row(name => 'first pull, its first byte', unit => 'ms',
	    ours => [ $first->{first_byte_ms} ], goals => [ [ at_most => 10 ] ]);
	$self->load('ours', $set, mode => 'push', connections => 32);
	$row->('memory after pushes of 32 connections', ($mb->())[0]);
	$ground->drop($set);
}

# How long a batch holds the version lock: from when its version row is written,
# which is what comes after the lock, to its commit record; and a flush more.
sub lock_time
{
	my ($self) = @_;
	my $ground = $self->ground;
	for my $connections (1, 32) {
		my $set = $self->fresh;
		my $session = $ground->session('ours', $set);
		my $version = $session->value('select max(version) from replicache_version');
		$session->query('alter table replicache_version'
		    . ' add column bench_taken timestamptz default clock_timestamp()');
		$ground->cluster->admin->query(q(select pg_stat_reset_shared('wal')));
		$self->load('ours', $set, mode => 'push', connections => $connections);
		my $flush = $ground->cluster->admin->value(
		    'select wal_sync_time / nullif(wal_sync, 0) from pg_stat_wal') // 0;
		my ($p50, $p99) = @{ $session->query(<<"SQL")->[0] };
with held as (
  select 1000 * extract(epoch from pg_xact_commit_timestamp(xmin) - bench_taken) as ms
  from replicache_version
  where version > $version and pg_xact_commit_timestamp(xmin) is not null)
select percentile_cont(0.5) within group (order by ms),
  percentile_cont(0.99) within group (order by ms)
from held
SQL
		$self->report->row(name => "version lock held, $connections connections, p99",
		    unit => 'ms', ours => [ $p99 + $flush ],
		    detail => { p50_ms => $p50 + $flush, flush_ms => $flush });
		$ground->drop($set);
	}
}

# Another session's snapshot, held for a minute as a backup does.
sub snapshot
{
	my ($self) = @_;
	my @case = ([ 'ours', 1 ], [ 'ours', 32 ], [ 'reference', 1 ]);
	for my $case (@case) {
		my ($server, $connections) = @$case;
		my $set = $self->fresh;
		my $rate = sub {
			$self->load($server, $set, mode => 'push',
			    connections => $connections, seconds => $self->seconds(9))->{per_second};
		};
		my $before = $rate->();
		my $session = $self->ground->cluster->session(
		    $self->ground->database($server, $set));
		my $begun = time;
		$session->query('begin isolation level repeatable read;'
		    . ' select count(*) from message');
		my @rate;
		push @rate, $rate->() while !@rate || time - $begun < 60 * $self->{scale};
		$session->close;
		my $after = $rate->();
		$self->report->row(
			name => "push lost to a snapshot, $connections, $server",
			unit => '%', ours => [ 100 * (1 - $rate[-1] / (($before + $after) / 2)) ],
			goals => $server eq 'ours' ? [ [ at_most => 20 ] ] : [],
			detail => { before => $before, during => \@rate, after => $after });
		$self->ground->drop($set);
	}
}

# Pulls against ever more rows.
sub rows
{
	my ($self) = @_;
	for my $rows (1_000, 10_000, 100_000, 1_000_000) {
		my $set = "rows$rows";
		my $count = int(2e5 * $self->{scale} / $rows) || 1;
		$self->ground->serve('ours', $set);
		my $first = $self->rounds(ours => sub {
			$self->first('ours', $set, $rows, $count > 100 ? 100 : $count) });
		$self->report->row(name => "first pull, $rows rows", unit => 'ms',
		    ours => field($first->{ours}, 'p50_ms'));
		my $one = $self->compare($set, ['ours'], mode => 'storm', connections => 32);
		$self->report->row(name => "pull of one row beside $rows, 32", unit => '/s',
		    ours => field($one->{ours}, 'per_second'));
		$self->ground->drop($set);
	}
}

# Pushes into an empty and into a large table.
sub table
{
	my ($self) = @_;
	my @set = ($self->fresh, 'rows1000000table');
	for my $connections (1, 32) {
		my $got = $self->rounds(map { my $set = $_; $set => sub {
			$self->load('ours', $set, mode => 'push', connections => $connections)
		} } @set);
		my @rate = map { field($got->{$_}, 'per_second') } @set;
		$self->report->row(name => "push into 1,000,000 rows, $connections", unit => '/s',
		    ours => $rate[1], limit => $rate[0], limit_name => 'into an empty table');
	}
	$self->ground->drop($_) for @set;
}

# Deleted rows: what they cost those who need not know of them, and others.
sub tombstones
{
	my ($self) = @_;
	my ($without, $with) = qw(rows1000 rows1000gone100000);
	my $got = $self->rounds(map { my $set = $_; $set => sub {
		$self->first('ours', $set, 1000, 10) } } $without, $with);
	$self->report->row(name => 'first pull beside 100,000 tombstones', unit => 'ms',
	    ours => field($got->{$with}, 'p50_ms'), limit => field($got->{$without}, 'p50_ms'),
	    limit_name => 'without tombstones');
	my $cookie = $self->ground->session('ours', $with)->value(
	    'select min(version) from replicache_version');
	my $all = $self->rounds(ours => sub {
		Bench::Measure::load($self->ground, 'ours', $with, mode => 'first',
		    cookie => $cookie, count => 3) });
	$self->report->row(name => 'pull of 100,000 tombstones', unit => 'ms',
	    ours => field($all->{ours}, 'p50_ms'));
	my $push = $self->rounds(map { my $set = $_; $set => sub {
		$self->load('ours', $set, mode => 'push', connections => 32) } } $without, $with);
	$self->report->row(name => 'push beside 100,000 tombstones, 32', unit => '/s',
	    ours => field($push->{$with}, 'per_second'),
	    limit => field($push->{$without}, 'per_second'), limit_name => 'without tombstones');
	$self->ground->drop($_) for $without, $with;
}

1;
