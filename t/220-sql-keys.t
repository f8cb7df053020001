#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Keys: made of each type that may be a primary key, one to one, and free of
# session settings.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;

my $cluster = Rig::Cluster->start;
my $session = $cluster->session($cluster->database('core'));

# The keys of a table's rows, sorted, as a pull shows them.
sub keys_of
{
	my ($table) = @_;
	my $pull = $session->value("select pull_all from replicache_table where table_name = '$table'::regclass");
	return join ' ', map { $_->[0] } @{ $session->query("select key from ($pull) q order by key collate \"C\"") };
}

sub register
{
	my ($table, @more) = @_;
	$session->query("do \$\$ begin perform replicache_register_table(" . join(', ', "'$table'", @more) . '); end $$');
}

$session->query(q(
	create type mood as enum ('sad/', 'ok');
	create domain short as varchar(10);
	create domain shorter as short check (length(value) < 5);
	create domain stamp as timestamptz;
));

my @case = (
	[ 'smallint', [ 1, -2 ], '-2 1' ],
	[ 'int', [ 1, -2 ], '-2 1' ],
	[ 'bigint', [ '9223372036854775807' ], '9223372036854775807' ],
	[ 'numeric', [ '1.50', '-3', "'NaN'" ], '-3 1.50 NaN' ],
	[ 'numeric(6,2)', [ '1.5' ], '1.50' ],
	[ 'text', [ "'a/b%'", "''", "'é'" ], ' a/b% é' ],
	[ 'varchar(5)', [ "'a'" ], 'a' ],
	[ 'char(5)', [ "'a'" ], 'a' ],
	[ 'name', [ "'a'" ], 'a' ],
	[ 'uuid', [ "'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'" ], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' ],
	[ 'boolean', [ 'true', 'false' ], 'false true' ],
	[ 'mood', [ "'sad/'", "'ok'" ], 'ok sad/' ],
	[ 'date', [ "'2024-02-29'", "'infinity'", "'0044-03-15 BC'" ], '0044-03-15 BC 2024-02-29 infinity' ],
	[ 'timestamp', [ "'2024-02-29 01:02:03.4'" ], '2024-02-29T01:02:03.4' ],
	[ 'timestamptz', [ "'2024-02-29 01:02:03.4+02'", "'infinity'" ], '2024-02-28T23:02:03.4Z infinityZ' ],
	[ 'bytea', [ "'\\xff00'" ], 'ff00' ],
	[ 'short', [ "'a'" ], 'a' ],
	[ 'shorter', [ "'a'" ], 'a' ],
	[ 'stamp', [ "'2024-02-29 01:02:03+02'" ], '2024-02-28T23:02:03Z' ],
);

my $n = 0;
for my $case (@case) {
	my ($type, $values, $keys) = @$case;
	my $table = 'k' . ++$n;
	$session->query("create table $table (id $type primary key)");
	register($table);
	$session->query("insert into $table values " . join(', ', map { "($_)" } @$values));
	my $want = join ' ', map { "$table/$_" } split / (?!BC)/, $keys, -1;
	is(keys_of($table), $want, "key of type $type");
	for my $setting ("datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'", "bytea_output = 'escape'",
	    "intervalstyle = 'sql_standard'", 'extra_float_digits = -15') {
		$session->query("set $setting");
	}
	is(keys_of($table), $want, 'with any settings');
	$session->query("delete from $table");
	is($session->value("select string_agg(key, ' ' order by key) from replicache_tombstone
		where key like '$table/%'"), $want, 'and so is its tombstone');
	$session->query('reset all');
}

for my $type (qw(float4 float8 time timetz interval json[] point text[] inet money oid)) {
	my $made = $session->error("create table bad (id $type primary key)");
	next if $made =~ /42704/;
	like($session->error(q(select replicache_register_table('bad'))), qr/42804: primary key column id/, "type $type is refused");
	$session->query('drop table bad');
}

# Composite keys.
$session->query('create table pair (a text, b text, c int, value text, primary key (b, a, c))');
register('pair');
my @part = ('', 'a', '/', '%', '%2F', 'a/b', '/b', 'a%2Fb', '%25', 'é/');
my $expected = 0;
for my $x (@part) {
	for my $y (@part) {
		$session->query("insert into pair values ('$x', '$y', 1)");
		$expected++;
	}
}
my $keys = keys_of('pair');
my %distinct = map { $_ => 1 } split / /, $keys;
is(scalar(keys %distinct), $expected, 'composite keys are one to one');
is((grep { !m{\Apair/[^/]*/[^/]*/1\z} } keys %distinct), 0, 'three parts each');
is((grep { $_ eq 'pair/a%252Fb/%2Fb/1' } keys %distinct), 1, 'parts are escaped, in the order of the key');
$session->query(q(delete from pair where a = '/' and b = 'a/b'));
is($session->value('select key from replicache_tombstone where key ~ \'^pair\''), 'pair/a%2Fb/%2F/1', 'so is the tombstone');
$session->query(q(create table pair2 (id uuid, at date, primary key (id, at)); ));
register('pair2');
$session->query(q(insert into pair2 values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29')));
is(keys_of('pair2'), 'pair2/a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11/2024-02-29', 'other types in a composite key');

# Names and prefixes that need quoting.
$session->query(q(create schema "S'1"; create table "S'1"."T ""%s' 1" ("I '%d" text primary key, "deleted" boolean, "%1$s" text)));
$session->query(q{do $do$ begin perform replicache_register_table('"S''1"."T ""%s'' 1"', 'it''s %s $code$ $$ \ '); end $do$});
$session->query(q(insert into "S'1"."T ""%s' 1" values ('x''y')));
my $odd = $session->value(q(select pull_all from replicache_table where prefix like 'it%'));
like($session->value("select key from ($odd) q"), qr/\Ait's %s \$code\$ \$\$ \\ x'y\z/, 'odd names and prefixes');
$session->query(q(delete from "S'1"."T ""%s' 1"));
is($session->value("select count(*) from ($odd) q"), 0, 'deleted softly');
$session->query(q(insert into "S'1"."T ""%s' 1" values ('x''y', false, 'z')));
is($session->value("select \"%1\$s\" from ($odd) q"), 'z', 'and revived');

# Equal values with different text.
$session->query('create table num (id numeric primary key, value text)');
register('num');
$session->query('insert into num values (1.0)');
$session->query('update num set id = 1.00');
is(keys_of('num'), 'num/1.00', 'the same number in other digits is another key');
is($session->value(q(select string_agg(key, ' ') from replicache_tombstone where key ~ '^num/')), 'num/1.0', 'and leaves a tombstone');
$session->query('update num set id = 1.0');
is($session->value(q(select string_agg(key, ' ') from replicache_tombstone where key ~ '^num/')), 'num/1.00', 'there and back');

# Prefixes.
$session->query('create table p1 (id int primary key); create table p2 (id int primary key)');
register('p1', "'x/'");
for my $prefix ('x/', 'x', 'x/y', '') {
	like($session->error("select replicache_register_table('p2', '$prefix')"), qr/22023: prefix "\Q$prefix\E" collides/, "prefix '$prefix' collides");
}
register('p2', "'X/'");
pass('prefixes differ in case');

done_testing;
