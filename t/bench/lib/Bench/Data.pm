# SPDX-License-Identifier: Apache-2.0
#
# The sets of data that something is measured against, by name:
#
#	fresh...		nothing: "fresh1", "fresh2" are two of them
#	rows1000...		1000 messages
#	rows1000gone100000...	the same, and 100000 deleted messages
#
# The chat's messages have some 80 bytes of text each.

package Bench::Data;

use strict;
use warnings;

use Rig::Place qw(srcdir);

# Make the database of a server for a set; returns its name.
sub make
{
	my ($cluster, $server, $set) = @_;
	my $database = $cluster->database($server eq 'ours' ? 'chat' : 'empty');
	$cluster->run_file($database, srcdir() . '/t/bench/reference/schema.sql')
	    if $server ne 'ours';
	my ($rows) = $set =~ /^rows(\d+)/;
	my ($gone) = $set =~ /gone(\d+)/;
	fill($cluster, $database, $server, $rows // 0, $gone // 0) if $rows || $gone;
	return $database;
}

sub fill
{
	my ($cluster, $database, $server, $rows, $gone) = @_;
	my $session = $cluster->session($database);
	my ($before, $version, $after) = $server eq 'ours'
	    ? ('alter table message disable trigger user',
		'select replicache_next_version() as v',
		'alter table message enable trigger user')
	    : ('', 'update replicache_server set version = version + 1 returning version as v',
		'');
	my $total = $rows + $gone;
	$session->query(<<"SQL", 600);
begin;
$before;
with new as ($version)
insert into message (id, sender, content, ord, deleted, version)
select substr(md5(i::text), 1, 21), 'client ' || i % 100,
  'message ' || i || ' of some, with a "quoted" word, a na\x{c3}\x{af}ve one, and so on to its end', i,
  i > $rows, v
from new, generate_series(1, $total) as i;
$after;
commit;
SQL
	$session->query('vacuum analyze message', 600);
	$session->close;
}

1;
