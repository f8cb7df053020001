#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Which tables are everybody's, and which are read for each user: what registering finds
# out of a table or view, what it says of it, and what is given by hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('core');
my $session = $cluster->session($database);
my $admin = $cluster->session($database, 'postgres');
$session->query('set client_min_messages = notice');

# What registering says, and what has become of it.
sub register
{
	my (@argument) = @_;
	$session->send('select from replicache_register_table(' . join(', ', q('note'), @argument) . ')');
	# (What it says of other tables is t/299's.)
	my $said = $session->wait_raw =~ s/NOTICE: .* nobody watches .*\nDETAIL: .*\nHINT: .*\nLOCATION: .*\n//gr;
	my $row = $session->query(q(select per_user, per_user_given, per_user_reason from replicache_table where prefix = 'note/'))->[0];
	return ($said, @{ $row // [] });
}

sub forget { $session->query(q(do $$ begin perform replicache_unregister_table('note'); end $$)) }

$session->query(q(
	create table note (id int primary key, owner text, secret text, at timestamptz default now(), tags text[], body jsonb);
	create table other (id int primary key, owner text);
	create type mood as enum ('sad', 'glad');
	create domain plain_text as text check (value <> '');
));

# The question is always the same: is it everybody's? Each is a view `v` of note.
my @EVERYBODY = (
	[ 'columns', 'select id, owner as o from note' ],
	[ 'what Postgres computes', q(select id, upper(owner) || 'x' || id as o, coalesce(secret, 'none') as s, owner = 'a' as mine,
		case when id > 3 then id * 2 end as n, owner like '%a%' as l, owner ~ 'x' as r, length(secret) as len, tags[1] as t,
		body ->> 'a' as ba, body @> '{"a":1}' as bb, id in (1, 2) as i, id = any (array[3]) as j, greatest(id, 2) as g from note) ],
	[ 'JSON that it makes', q(select id, json_build_object('a', owner) as a, jsonb_build_array(id) as b, to_jsonb(note) as c, row_to_json(note) as d from note) ],
	[ 'time and chance', q(select id, at at time zone 'UTC' as u, at::text as t, at + interval '1 day' as d, now() - at as age, at < current_timestamp as b,
		to_char(at, 'YYYY') as y, date_trunc('day', at) as e, extract(year from at) as f, current_date as g, random() as h from note) ],
	[ 'a join and an aggregate', q(select n.id, count(*) as c, string_agg(o.owner, ',' order by o.id) as l, json_agg(o) as j, max(o.id) as m
		from note as n join other as o on o.owner = n.owner group by n.id) ],
	[ 'a subquery, a function in FROM, and a window', q(select n.id, (select count(*) from other) as c, g, row_number() over (order by n.id) as r
		from note as n, generate_series(1, 1) as g where exists (select from other where owner = n.owner)) ],
	[ 'a union', q(select id, owner from note where id < 5 union all select id, owner from note where id >= 5) ],
	[ 'a view of a view', q(select id, o from (select id, owner as o from note) as x), 'create view under as select * from note; create view v as select id, owner from under' ],
	[ 'a security barrier', undef, 'create view v with (security_barrier) as select id, owner from note where owner is not null' ],
	[ 'types of the app', q(select id, 'sad'::mood as m, array['glad']::mood[] as a, owner::plain_text as d from note) ],
	[ 'a name that looks like more', q(select id, owner as ":funcid 1", 'current_setting(''x'')' as lie from note) ],
	[ 'a materialized view, read when it was refreshed', undef, q(create function tint(text) returns text language sql immutable as 'select $1 || ''!''';
		create materialized view stored as select id, tint(owner) as o from note; create view v as select * from stored) ],
);
for my $one (@EVERYBODY) {
	my ($about, $view, $sql) = @$one;
	$session->query('set client_min_messages = error; drop view if exists v cascade; drop view if exists under cascade; set client_min_messages = notice');
	$session->query($sql // "create view v as $view");
	my ($said, $per_user, $given, $reason) = register(q(view => 'v'));
	is($said, '', "$about: nothing is said") ;
	is($per_user, 'f', "$about: everybody's") or diag($reason);
	is($reason, undef, "$about: without a reason");
	forget();
}

# What is not Postgres's own, or asks.
my @USER = (
	[ 'a function of a function', q(select id, case when is_mine(owner) then secret else '(hidden)' end as secret from note), 'function is_mine(text)',
		q(create function auth_uid() returns text language sql stable as 'select replicache_user_id()';
		create function is_mine(o text) returns boolean language sql stable as 'select o = auth_uid()') ],
	[ 'the same in upper case', q(select id, case when is_my(owner) then secret end as secret from note), 'function is_my(text)',
		q(create function auth_uid_up() returns text language sql stable as 'SELECT REPLICACHE_USER_ID()';
		create function is_my(o text) returns boolean language sql stable as 'SELECT o = AUTH_UID_UP()') ],
	[ 'a standard body', q(select id from note where std(owner)), 'function std(text)',
		q(create function std(o text) returns boolean language sql stable begin atomic select o = auth_uid(); end) ],
	[ 'a bound body', q(select id from note where bound(owner)), 'function bound(text)',
		q(create function bound(o text) returns boolean language sql stable return o = auth_uid()) ],
	[ 'plpgsql', q(select id from note where pl(owner)), 'function pl(text)',
		q(create function pl(o text) returns boolean language plpgsql stable as 'declare r boolean; begin execute ''select $1 = replicache'' || ''_user_id()'' into r using o; return r; end') ],
	[ 'an immutable one that lies', q(select id from note where lies(owner)), 'function lies(text)',
		q(create function lies(o text) returns boolean language plpgsql immutable as 'begin return o = auth_uid(); end') ],
	[ 'an operator', q(select id, owner === 'x' as mine from note), 'function is_own(text,text)',
		q(create function is_own(a text, b text) returns boolean language plpgsql stable as 'begin return a = auth_uid(); end';
		create operator === (function = is_own, leftarg = text, rightarg = text)), ],
	[ 'an operator that sorts', q(select id, row_number() over (order by owner using <<<) as n from note), 'operator <<<(text,text)', undef, 'superuser' ],
	[ 'a cast', q(select id, (row(owner)::o)::text as who from note), 'cast from o to text',
		q(create type o as (a text); create function o_text(o) returns text language plpgsql stable as 'begin return auth_uid(); end';
		create cast (o as text) with function o_text(o)) ],
	[ 'a cast to JSON, which nobody names', q(select id, 'x'::p as who from note), 'cast from p to json',
		q(create type p as enum ('x'); create function p_json(p) returns json language plpgsql stable as 'begin return to_json(auth_uid()); end';
		create cast (p as json) with function p_json(p)) ],
	[ 'a domain whose check is a function', q(select id, owner::checked as o from note), 'the check of checked',
		q(create function checks(text) returns boolean language plpgsql immutable as 'begin return true; end'; create domain checked as text check (checks(value))) ],
	[ 'a function in FROM', q(select n.id, x from note as n, series(n.id) as x), 'function series(integer)',
		q(create function series(int) returns setof text language plpgsql stable as 'begin return query select auth_uid(); end') ],
	[ 'a default argument', q(select id, who() as w from note), 'function who(text)',
		q(create function who(text default auth_uid()) returns text language sql stable as 'select $1') ],
	[ 'an aggregate', q(select n.id, mine_only(o.owner) as c from note as n join other as o using (id) group by n.id), 'function mine_only(text)',
		q(create function count_mine(int, text) returns int language plpgsql stable as 'begin return $1 + ($2 = auth_uid())::int; end';
		create aggregate mine_only(text) (sfunc = count_mine, stype = int, initcond = 0)) ],
	[ 'a setting', q(select id, current_setting('app.tenant', true) as t from note), 'function current_setting(text,boolean)' ],
	[ 'set_config', q(select id, set_config('app.tenant', null, true) as t from note), 'function set_config(text,text,boolean)' ],
	[ 'the role', 'select id, owner = current_user as mine from note', 'the role of the session' ],
	[ 'the role of the session', 'select id, owner = session_user as mine from note', 'the role of the session' ],
	[ 'SQL in a text', q(select id, query_to_xml('select replicache' || '_user_id()', false, false, '')::text as x from note), 'function query_to_xml(text,boolean,boolean,text)' ],
	[ 'the settings as a table', q(select n.id, s.setting from note as n, pg_settings as s where s.name = 'jit'), 'function pg_show_all_settings()' ],
	[ 'a schema of the standard', q(select n.id, t.table_name::text as t from note as n, information_schema.tables as t), qr/^function \w+\(/ ],
	[ 'a view of such a view', q(select id from note where is_mine(owner)), 'function is_mine(text)', undef, undef, 'create view under as %s; create view v as select * from under' ],
);
$admin->query(q(create operator <<< (function = text_lt, leftarg = text, rightarg = text, commutator = >>>);
	create operator >>> (function = text_gt, leftarg = text, rightarg = text, commutator = <<<);
	create operator class odd for type text using btree as operator 1 <<<, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >>>, function 1 bttextcmp(text, text)));
for my $one (@USER) {
	my ($about, $view, $why, $sql, undef, $as) = @$one;
	$session->query('set client_min_messages = error; drop view if exists v cascade; drop view if exists under cascade; set client_min_messages = notice');
	$session->query($sql) if $sql;
	$session->query(sprintf $as // 'create view v as %s', $view);
	my ($said, $per_user, $given, $reason) = register(q(view => 'v'));
	like($said, qr/\ANOTICE:  00000: what clients see of note may depend on the user\nDETAIL:  It uses \S/, "$about: said so");
	is($per_user, 't', "$about: per user");
	ref $why ? like($reason, $why, "$about: why") : is($reason, $why, "$about: why");
	my ($again) = register(q(view => 'v'));
	is($again, '', "$about: again, nothing is said");
	my ($quiet, $not, $by_hand, $none) = register(q(view => 'v'), 'per_user => false');
	is_deeply([ $quiet, $not, $by_hand, $none ], [ '', 'f', 'f', undef ], "$about: unless somebody knows better");
	forget();
}

# What it says itself is refused, as nobody is to learn keys by mistake.
for my $one (
	[ 'the user', q(select id from note where owner = replicache_user_id()) ],
	[ 'a claim', q(select id, case when replicache_claim('role') = 'admin' then secret end as secret from note) ],
	[ 'its setting', q(select id, case when current_setting('replicache.user_id', true) = owner then secret end as secret from note) ],
	[ 'its setting, in upper case', q(select id, case when current_setting('REPLICACHE.USER_ID', true) = owner then secret end as secret from note) ],
	[ 'a function', q(select id from note where owner = auth_uid()) ],
	[ 'a function, in upper case', q(select id from note where owner = auth_uid_up()) ],
	[ 'a view of a view', undef, q(create view under as select * from note where owner = auth_uid_up(); create view v as select * from under) ],
) {
	my ($about, $view, $sql) = @$one;
	$session->query('set client_min_messages = error; drop view if exists v cascade; drop view if exists under cascade; set client_min_messages = notice');
	$session->query($sql // "create view v as $view");
	my ($said, @row) = register(q(view => 'v'));
	like($said, qr/22023: what clients see of note depends on the user.*HINT:.*audience.*per_user => true/s, "$about: refused");
	is_deeply(\@row, [], "$about: and not registered");
	is_deeply([ register(q(view => 'v'), 'per_user => true') ], [ '', 't', 't', undef ], "$about: unless by hand");
	is_deeply([ register(q(view => 'v'), 'per_user => false') ], [ '', 'f', 'f', undef ], "$about: or as nobody sees it");
	forget();
}

# Tables.
{
	my ($said, $per_user) = register();
	is($said . $per_user, 'f', "a table is everybody's");
	is_deeply([ register('per_user => true') ], [ '', 't', 't', undef ], 'but for what is given');
	my $version = $session->value('select max(version) from replicache_version');
	is($session->value("select bool_and(version = $version) from note"), undef, 'no rows');
	$session->query(q(insert into note (id) values (1)));
	is_deeply([ register() ], [ '', 'f', undef, undef ], 'it is found out again');
	$version = $session->value('select max(version) from replicache_version');
	is($session->value('select version from note'), $version, 'and rows are sent anew, as they may look different');
	$session->query('alter table note add column p p');
	my ($notice, undef, undef, $reason) = register();
	like($notice, qr/NOTICE/, 'a type that the app has a cast to JSON for');
	is($reason, 'cast from p to json', 'is named');
	$session->query('alter table note drop column p');
	$session->query('create domain pp as p; create type deep as (a int, b pp[]); alter table note add column deep deep');
	(undef, undef, undef, $reason) = register();
	is($reason, 'cast from p to json', 'also in an array in a type, as a domain');
	$session->query('alter table note drop column deep');
	$session->query(q(alter table note add column made text generated always as (lower(owner)) stored, add column own boolean generated always as (lies(owner)) stored));
	is_deeply([ register() ], [ '', 'f', undef, undef ], 'a stored column is the same for all, whoever wrote it');
	$session->query('create view may as select id, owner as viewer from note');
	is_deeply([ register(q(audience => 'may')) ], [ '', 't', undef, 'it has an audience' ], 'with an audience it is per user');
	is_deeply([ register(q(audience => 'may'), 'per_user => true') ], [ '', 't', 't', undef ], 'also by hand');
	like((register(q(audience => 'may'), 'per_user => false'))[0], qr/22023: what has an audience is per user/, 'and nothing else');
	forget();
	$session->query('alter table note enable row level security');
	like((register())[0], qr/22023: what clients see of note depends on the user/, 'with row policies it is refused');
	$session->query('alter table note disable row level security');
}

# The text that is compared has the functions that functions call, too.
{
	$session->query(q(set client_min_messages = error; drop view v; create view v as select id, case when is_mine(owner) then secret end as secret from note; set client_min_messages = notice));
	register(q(view => 'v'));
	my $version = $session->value('select max(version) from replicache_version');
	register(q(view => 'v'));
	is($session->value('select max(version) from replicache_version'), $version, 'again, nothing');
	is($session->value(q(select what from replicache_check_tables())), 'table note, read for each user because of function is_mine(text)', 'check shows it');
	$session->query(q(create or replace function auth_uid() returns text language sql stable as 'select nullif(replicache_user_id(), ''x'')'));
	is($session->value(q(select result from replicache_check_tables())), 'fault', 'a function that a function calls has changed');
	register(q(view => 'v'));
	cmp_ok($session->value('select max(version) from replicache_version'), '>', $version, 'and rows are sent anew');
	is($session->value(q(select result from replicache_check_tables())), 'fine', 'which is enough');
}

# The file run again keeps what was given by hand.
{
	register(q(view => 'v'), 'per_user => false');
	my $version = $session->value('select max(version) from replicache_version');
	$cluster->run_file($database, Rig::Place::srcdir() . '/schema/replicache.sql');
	is_deeply($session->query('select per_user, per_user_given from replicache_table')->[0], [ 'f', 'f' ], 'installed again, it stays as it was given');
	is($session->value('select max(version) from replicache_version'), $version, 'and nothing is sent anew');
}
done_testing;
