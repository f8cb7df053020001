#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# What is generated for tables, watched sources and mutators is what t/golden has, so
# that a change of it is a diff that can be read. `make golden` writes it anew.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Place qw(srcdir slurp spew);

my $cluster = Rig::Cluster->start;
my $folder = srcdir() . '/t/golden';

# What an app would write, each in a database of its own.
my %app = (
	'hard' => <<'SQL',
create table item (id int primary key, text text, at timestamptz);
select replicache_register_table('item');
SQL
	'soft' => <<'SQL',
create table list (id int primary key);
create table item (id int primary key, list_id int references list on delete cascade, text text,
  length int generated always as (length(text)) stored, deleted boolean);
create view item_view as select id, text from item where text <> '';
select replicache_register_table('item', view => 'item_view');
SQL
	'audience' => <<'SQL',
create table item (id int primary key, owner text, text text);
create view item_viewer as select id, owner as viewer from item;
select replicache_register_table('item', audience => 'item_viewer');
SQL
	'soft-audience' => <<'SQL',
create table item (id int primary key, owner text, text text, deleted boolean);
create view item_viewer as select id, owner as viewer from item;
select replicache_register_table('item', audience => 'item_viewer');
SQL
	'composite-key' => <<'SQL',
create table "My Item" ("The List" uuid, "100%" text, primary key ("The List", "100%"));
select replicache_register_table('"My Item"', 'it''s/');
SQL
	'watch' => <<'SQL',
create table list (id int primary key, owner text);
create table item (id int primary key, list_id int references list, text text, deleted boolean);
create view item_viewer as select i.id, l.owner as viewer from item as i join list as l on l.id = i.list_id;
select replicache_register_table('item', audience => 'item_viewer');
SQL
	'mutator' => <<'SQL',
create function create_item(args jsonb) returns void language sql as 'select';
select replicache_register_mutator('createItem', 'create_item');
SQL
);

# What was kept of it: each part under its name.
my @KEPT = (
	[ 'replicache_table.pull_all', 'select pull_all from replicache_table' ],
	[ 'replicache_table.pull_since', 'select pull_since from replicache_table' ],
	[ 'replicache_table.code', 'select code from replicache_table' ],
	[ 'replicache_source.code', 'select code from replicache_source' ],
	[ 'replicache_mutator.call', 'select call from replicache_mutator' ],
	[ 'replicache_mutator.run', 'select run from replicache_mutator' ],
);

for my $name (sort keys %app) {
	my $session = $cluster->session($cluster->database('core'));
	$session->query($app{$name} =~ s/^select (replicache_.*);/do \$\$ begin perform $1; end \$\$;/gmr);
	my $text = "-- t/golden/$name.sql: made by make golden, compared by t/235-sql-golden.t. Of:\n--\n"
	    . ($app{$name} =~ s/^/-- /gmr);
	for my $kept (@KEPT) {
		my $value = $session->value($kept->[1]) // next;
		$text .= "\n-- $kept->[0]\n\n" . ($value =~ s/\A\n+|\n+\z//gr) . "\n";
	}
	my $path = "$folder/$name.sql";
	spew($path, $text) if $ENV{GOLDEN};
	my ($is, $should) = map { [ split /\n/ ] } $text, -e $path ? slurp($path) : '';
	is_deeply($is, $should, $name) or diag('make golden writes what is generated now to t/golden: read the diff');
	$session->close;
}
# What a name or a prefix has in it is neither a placeholder nor the end of the code.
subtest 'odd names' => sub {
	my $session = $cluster->session($cluster->database('core'));
	$session->query(q(create table "{table} $trigger$ %s" ("{key}" text primary key, deleted boolean, "$1" text);
		do $$ begin perform replicache_register_table('"{table} $trigger$ %s"', E'{key} %1$s $trigger$ \\\\ ''/'); end $$));
	my $pull = sub {
		my $statement = $session->value('select pull_all from replicache_table');
		return join ' ', map { $_->[0] } @{ $session->query(qq(select key from ($statement) as q)) };
	};
	$session->query(q(insert into "{table} $trigger$ %s" values ('a', null, 'x')));
	is($pull->(), q({key} %1$s $trigger$ \\ '/a), 'a row has its key');
	$session->query(q(update "{table} $trigger$ %s" set "{key}" = 'b'));
	is($session->value('select key from replicache_tombstone'), q({key} %1$s $trigger$ \\ '/a), 'leaves a tombstone where its key changes');
	$session->query(q(delete from "{table} $trigger$ %s"));
	is($pull->(), '', 'is gone');
	$session->query(q(insert into "{table} $trigger$ %s" values ('b', null, 'y')));
	is($pull->(), q({key} %1$s $trigger$ \\ '/b), 'and comes back');
};

is(join(' ', sort map { m{([^/]+)\.sql$} } glob "$folder/*"), join(' ', sort keys %app), 'each file has its case');

done_testing;
