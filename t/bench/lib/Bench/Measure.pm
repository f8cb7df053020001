# SPDX-License-Identifier: Apache-2.0
#
# One measurement: load from t/bench/load, statements from pgbench, a COPY.
# Answers of servers are checked; one that is wrong ends the bench.

package Bench::Measure;

use strict;
use warnings;

use Exporter qw(import);
use List::Util qw(sum);
use Time::HiRes qw(time);

use Rig::Json;
use Rig::Place qw(builddir workdir slurp);

our @EXPORT_OK = qw(load copy pgbench median);

my $count = 0;

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[$#sorted / 2] if @sorted % 2;
	return @sorted ? ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2 : undef;
}

# load($ground, server, set, option => value...): what t/bench/load measured,
# with cpu: microseconds of processor time a request, by process. With bare => 1 the
# server is asked at its own socket, without nginx.
sub load
{
	my ($ground, $server, $set, %option) = @_;
	$ground->serve($server, $set);
	my $expect = workdir() . '/expect';
	my $used = $ground->used;
	my ($begun, @times) = (time, times);
	my @way = !delete $option{bare} ? ('--connect', $ground->address, '--prefix', "/$server")
	    : ('--connect', 'unix:' . $ground->socket($server),
	        $server eq 'ours' ? '--fastcgi' : ('--prefix', "/$server"));
	my $text = output(builddir() . '/t/bench/load', @way,
	    '--tag', sprintf('b%x', ++$count), '--expect', $expect,
	    map { ("--$_", $option{$_}) } sort keys %option);
	my $seconds = time - $begun;
	my $result = Rig::Json::decode($text);
	die "$server, $result->{mode}: $result->{errors} errors, first: $result->{first_error}\n"
	    if $result->{errors};
	die "$server, $result->{mode}: nothing was done in time\n" if !$result->{requests};
	# More was done than was measured, at about the same rate.
	my $requests = $result->{requests} * ($option{seconds}
	    ? $seconds / $result->{seconds} : 1);
	my $after = $ground->used;
	my @after = times;
	$result->{cpu} = {
		map { $_ => 1e6 * ($after->{$_} - ($used->{$_} // 0)) / $requests }
		    keys %$after };
	$result->{cpu}{load} = 1e6 * ($after[2] + $after[3] - $times[2] - $times[3]) / $requests;
	return $result if $server eq 'constant';
	check_clients($ground->session($server, $set), $expect);
	$ground->rest($server, $set);
	return $result;
}

sub output
{
	my @command = @_;
	open my $pipe, '-|', @command or die "$command[0]: $!\n";
	local $/;
	my $text = <$pipe>;
	close $pipe or die "$command[0] failed\n";
	return $text;
}

# Each client's last mutation is in the database, and no other.
sub check_clients
{
	my ($session, $path) = @_;
	my %want = map { split } split /\n/, slurp($path) or return;
	my $list = join ',', map { "'$_'" } keys %want;
	my $rows = $session->query(
	    "select id, last_mutation_id from replicache_client where id in ($list)");
	my %have = map { @$_ } @$rows;
	for my $client (sort keys %want) {
		my $have = $have{$client} // 'none';
		die "the last mutation of $client is $have, and should be $want{$client}\n"
		    if $have ne $want{$client};
	}
}

# Transactions a second of a script on one connection.
sub pgbench
{
	my ($ground, $set, $script, $seconds, @option) = @_;
	my $conninfo = $ground->conninfo('ours', $set);
	my $text = output('pgbench', '-n', '-M', 'prepared', '-c', 1, '-T',
	    $seconds < 1 ? 1 : int($seconds + 0.5), @option, '-f', $script,
	    $conninfo);
	return $text =~ /^tps = ([\d.]+)/m ? $1 : die "pgbench: $text";
}

# Milliseconds to read the columns of a first pull.
sub copy
{
	my ($ground, $set) = @_;
	my $text = output('psql', '-XAt', '-c', '\timing on', '-c',
	    q(\copy (select id, sender, content, ord from message where not deleted) to '/dev/null'),
	    '-d', $ground->conninfo('ours', $set));
	return $text =~ /^Time: ([\d.]+) ms/m ? $1 : die "psql: $text";
}

1;
