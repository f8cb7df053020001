# SPDX-License-Identifier: Apache-2.0
#
# Apps as people write them, made up at random: tables with what schemas have, triggers,
# and mutators that are put together from habits. None of it means harm, and much of it
# leaves something behind in its transaction or session, or fails by itself.
#
#	my $app = Rig::Hostile->new(groups => 5);	# by rand()
#	$cluster->run_file(... $app->sql ...)
#	$app->{mutator}[0]	# { name, kind: fine, own or slow, habits }
#
# A mutator of kind "fine" never fails when it runs alone, one of "own" fails always, and
# one of "slow" fails always by an error that looks like the server's.
#
# What is left behind names its client group: "left_g3".

package Rig::Hostile;

use strict;
use warnings;

use List::Util qw(shuffle);

# Of a client group: g is its name, me its user, n the mutation. Each may be run again in
# another transaction of the same session.
my %FINE = (
	'local setting' => q(perform set_config('app.mark', 'left_' || g, true)),
	'setting' => q(perform set_config('app.mark2', 'left_' || g, false)),
	'set' => q(execute format('set local app.mark = %L', 'left_' || g)),
	'search_path' => q(perform set_config('search_path', 'public, left_' || g, n % 2 = 0)),
	'name' => q(perform set_config('application_name', 'left_' || g, n % 2 = 0)),
	'timeout' => q(perform set_config('statement_timeout', '77' || lpad(substr(g, 2), 2, '0'), n % 2 = 0)),
	'formats' => q(perform set_config('datestyle', 'SQL, DMY', n % 2 = 0), set_config('intervalstyle', 'iso_8601', true),
		set_config('bytea_output', 'escape', n % 2 = 0), set_config('extra_float_digits', '-15', n % 2 = 0),
		set_config('timezone', 'Asia/Tokyo', n % 2 = 0), set_config('xmloption', 'document', true)),
	'encoding' => q(perform set_config('client_encoding', 'LATIN1', n % 2 = 0)),
	'messages' => q(perform set_config('client_min_messages', 'debug1', n % 2 = 0); raise notice 'hello % of %', me, g),
	'row security' => q(perform set_config('row_security', 'off', n % 2 = 0)),
	'planner' => q(perform set_config('enable_seqscan', 'off', n % 2 = 0), set_config('work_mem', '64kB', n % 2 = 0),
		set_config('plan_cache_mode', 'force_generic_plan', n % 2 = 0)),
	'quotes' => q(perform set_config('standard_conforming_strings', 'off', true)),
	'commit mode' => q(perform set_config('synchronous_commit', 'off', true)),
	'reset' => q(reset app.mark2),
	'temporary table' => q(create temporary table left_scratch on commit drop as select g; execute format('create temporary table %I on commit drop as select 1', 'left_' || g)),
	'kept table' => q(execute format('create temporary table if not exists %I (a text)', 'left_' || g || '_kept')),
	'prepared' => q(begin execute format('deallocate %I', 'left_' || g); exception when others then null; end; execute format('prepare %I as select 1', 'left_' || g)),
	'cursor' => q(begin execute format('close %I', 'left_' || g); exception when others then null; end; execute format('declare %I cursor with hold for select 1', 'left_' || g)),
	'open cursor' => q(begin execute format('close %I', 'left_' || g || '_open'); exception when others then null; end; execute format('declare %I cursor for select 1', 'left_' || g || '_open')),
	'lock of session' => q(perform pg_advisory_lock_shared(5000 + substr(g, 2)::int)),
	'lock' => q(perform pg_advisory_xact_lock(1)),
	'tried lock' => q(if not pg_try_advisory_xact_lock(2) then raise notice 'busy'; end if),
	'table lock' => q(lock table parent in share row exclusive mode),
	'row lock' => q(perform from parent order by id for update),
	'dynamic' => q(execute 'insert into parent values ($1) on conflict do nothing' using g),
	'caught' => q(begin perform 1 / 0; exception when division_by_zero then raise warning 'caught %', sqlerrm; end),
	'caught deeply' => q(begin begin raise sqlstate '40001'; exception when deadlock_detected then null; end; exception when others then null; end),
	'caught assertion' => q(begin assert false; exception when assert_failure then null; end),
	'caught unique' => q(insert into parent values ('twice') on conflict do nothing; begin insert into parent values ('twice'); exception when unique_violation then null; end),
	'deferred' => q(insert into child values (g || n, g || n) on conflict do nothing; insert into parent values (g || n) on conflict do nothing),
	'deferred on' => q(set constraints all deferred),
	'deferred off' => q(set constraints all immediate),
	'large numbers' => q(perform '1e400'::jsonb, 10::numeric ^ 1000, 9223372036854775807::bigint, 'Infinity'::float8),
	'large text' => q(perform length(repeat('x', 1000000))),
	'recursion' => q(perform recurse(100)),
	'notify' => q(perform pg_notify('app', repeat('n', 7000)); notify app),
	'our channel' => q(perform pg_notify('replicache', 'hello')),
	'listen' => q(execute format('listen %I', 'left_' || g)),
	'unlisten' => q(unlisten app),
	'sequence' => q(perform nextval('counted'), currval('counted'), lastval()),
	'own sequence' => q(perform nextval('left_' || g || '_seq')),
	'do' => q(do $do$ begin perform set_config('app.mark', 'left_' || replicache_client_group_id(), true); end $do$),
	'many rows' => q(insert into bulk select g || i from generate_series(1, 300) as i on conflict do nothing; delete from bulk where id like g || '%'),
	'touch' => q(perform replicache_touch(array[me])),
	'version' => q(perform replicache_next_version()),
	'discard plans' => q(discard plans),
	'discard sequences' => q(discard sequences),
	'time' => q(perform pg_sleep(0.002)),
	'random' => q(perform setseed(0.5), random()),
	'called again' => q(t := (select prosrc from pg_proc where proname = 'recurse'); perform recurse(1)),
);

# Fine, but what follows in the same mutator runs otherwise: these come last.
my %LAST = (
	'role' => q(execute format('set local role %I', 'left_' || g)),
	'role by setting' => q(perform set_config('role', 'left_' || g, true)),
	'path away' => q(perform set_config('search_path', 'left_' || g, true)),
	'reset all' => q(reset all),
	'constraints at once' => q(set constraints all immediate),
);

my %OWN = (
	'null' => q(insert into parent values (null)),
	'twice' => q(insert into done (client, mutation, name, version) values (null, 1, 'x', 1)),
	'no parent' => q(insert into child values ('orphan' || n, 'nobody' || n)),
	'unassigned' => q(t := r.nothing),
	'no function' => q(execute 'select no_such_function()'),
	'no table' => q(execute 'select from no_such_table'),
	'cast' => q(perform 'x'::int),
	'overflow' => q(perform 2147483647 + 1 + (n * 0)::int),
	'numeric' => q(perform 10::numeric ^ 200000),
	'endless' => q(perform recurse(1000000)),
	'commit' => q(commit),
	'assert' => q(assert false, 'no'),
	'forbidden' => q(execute 'create role anybody'),
	'ledger' => q(delete from replicache_failed_mutation),
	'isolation' => q(set transaction isolation level serializable),
	'lying' => q(raise exception using message = E'50% of \\x\n{"error"}', errcode = 'P0001', hint = 'none'),
	'long' => q(raise '%', repeat('long ', 100000)),
	'cycle' => q(perform (with recursive c as (select 1 as a union all select a + 1 from c where a < 100) select array_agg(a) from c)::int),
	'temporary twice' => q(create temporary table twice_table (a int) on commit drop; create temporary table twice_table (a int)),
);
# Every class of errors that is no fault of the server's.
$OWN{"raise $_"} = "raise 'raised' using errcode = '$_'" for qw(03000 09000 0A000 0F001 0L000 0P000 0Z002 20000 21000 22P02
	22021 23505 23P01 24000 25001 25P02 26000 27000 28000 28P01 2B000 2D000 2F005 34000 38001 39004 3B001 3D000 3F000
	42501 42P01 44000 54000 54001 55000 55006 55P02 F0000 HV000 P0001 P0002 P0003 P0004 XX000 XX001 XX002 72000 53000 58000 58P01);

my %SLOW = (
	'timed out' => q(perform pg_sleep(3600)),
	'cancelled' => q(perform pg_cancel_backend(pg_backend_pid()); perform pg_sleep(1)),
	'terminated' => q(perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1)),
	'read only' => q(set transaction read only; insert into parent values ('never')),
);
$SLOW{"raise $_"} = "raise 'raised' using errcode = '$_'" for qw(40001 40P01 08000 08006 53100 53200 53300 53400 55P03 57014
	57P01 57P02 57P03 58030 25006);

# Names as some tables have them.
my @NAMES = ('thing', 'Thing', '50% of it', 'a "quoted" one', 'select');

sub ident { return '"' . $_[0] =~ s/"/""/gr . '"' }

sub literal { return "'" . $_[0] =~ s/'/''/gr . "'" }

sub pick { return $_[ rand @_ ] }

sub new
{
	my ($class, %option) = @_;
	my $self = bless { groups => 5, fine => 14, own => 4, slow => 1, %option, mutator => [] }, $class;
	my @name = shuffle(@NAMES);
	$self->{table} = { map { $_ => shift @name } qw(open own masked) };
	$self->{tables} = $self->some_tables;
	$self->add_mutator('fine') for 1 .. $self->{fine};
	$self->add_mutator('own') for 1 .. $self->{own};
	$self->add_mutator('slow') for 1 .. $self->{slow};
	return $self;
}

# What a mutator or trigger does, of so many habits.
sub some_habits
{
	my ($self, $from, $most) = @_;
	my @left = sort keys %$from;
	return map { splice @left, rand @left, 1 } 1 .. 1 + int rand $most;
}

sub add_mutator
{
	my ($self, $kind) = @_;
	my $number = @{ $self->{mutator} };
	my $name = "do_$number";
	my @habit = $self->some_habits(\%FINE, 4);
	my @code = map { $FINE{$_} } @habit;
	my $definer = $kind eq 'fine' && rand() < 0.15;
	# A function of which that stands in its head has it put back.
	my $head = $definer ? ' security definer' : rand() < 0.15 ? ' set search_path = public' : '';
	if ($kind ne 'fine') {
		my $from = $kind eq 'own' ? \%OWN : \%SLOW;
		my ($fault) = $self->some_habits($from, 1);
		push @habit, $fault;
		push @code, $from->{$fault};
	}
	my ($table) = pick(sort keys %{ $self->{table} });
	my $write = sprintf q(perform work('%s', args ->> 'id', (args ->> 'gone')::boolean)), $table;
	splice @code, rand @code, 0, $write if $kind eq 'fine';
	push @code, "perform public.note_done('$name')";
	if ($kind eq 'fine' && $head eq '' && rand() < 0.3) {
		my $last = pick(sort keys %LAST);
		push @habit, $last;
		push @code, $LAST{$last};
	}
	# A role sees what its functions do; nothing that comes before may take rights away.
	my $body = join '', map { "\t$_;\n" } 'perform look(g)', @code;
	my $declare = q(declare g text := replicache_client_group_id(); me text := replicache_user_id();
	n bigint := replicache_mutation_id(); t text; r record;);
	my $argument = pick('jsonb', 'jsonb', 'jsonb', 'json');
	my $sql = '';
	if (rand() < 0.2) {
		# By way of a helper, so that its own text shows nothing.
		$sql = "create or replace function help_$number(args $argument) returns void language plpgsql$head as \$h\$\n$declare\nbegin\n$body" . "end \$h\$;\n"
		    . "create or replace function $name(args $argument) returns void language sql as \$h\$ select help_$number(args) \$h\$;\n";
	} else {
		$sql = "create or replace function $name(args $argument) returns void language plpgsql$head as \$h\$\n$declare\nbegin\n$body" . "end \$h\$;\n";
	}
	push @{ $self->{mutator} }, { name => $name, kind => $kind, habits => join(', ', @habit), sql => $sql };
}

# The three tables: one that all see, one with an audience, and one whose values are
# their owner's; and a table that does not sync.
sub some_tables
{
	my ($self) = @_;
	my ($open, $own, $masked) = map { ident($self->{table}{$_}) } qw(open own masked);
	my @extra = map { my $table = $_; join '', map { ", $_" } grep { rand() < 0.3 }
		"extra int generated always as identity", "sum int generated always as (length(body)) stored",
		"at timestamptz not null default now()", "check (body <> 'forbidden')", "kind text default 'a' check (kind in ('a', 'b'))",
		"unique (body, id) deferrable initially deferred", "amount numeric(12, 2)", "tags text[] default '{a}'",
		"\"50%\" text default '%s'" } 1 .. 3;
	my $soft = rand() < 0.5 ? ', deleted boolean not null default false' : '';
	my $sql = "create table $open (id text primary key, owner text not null, body text not null$extra[0]);
create table $own (id text primary key, owner text not null, body text not null$extra[1]$soft);
create table $masked (owner text not null, id text, body text not null$extra[2], primary key (owner, id));
create table bulk (id text primary key);
create view own_audience as select id, owner as viewer from $own;
create function who() returns text language sql stable as 'select replicache_user_id()';
create function is_own(one text) returns boolean language sql stable as 'select one = who()';
create view masked_seen as select owner, id, case when is_own(owner) then body else '(hidden)' end as body from $masked;
create view open_seen as select id, owner, body from $open;
select replicache_register_table(${\ literal($open)}, prefix => 'open/', view => 'open_seen');
select replicache_register_table(${\ literal($own)}, prefix => 'own/', audience => 'own_audience');
select replicache_register_table(${\ literal($masked)}, prefix => 'masked/', view => 'masked_seen');
create function work(kind text, one text, gone boolean) returns void language plpgsql as \$w\$
declare
	me text := replicache_user_id();
	mine text := me || '.' || one;
	what text := 'secret of ' || me || ' ' || replicache_client_id() || '.' || replicache_mutation_id();
begin
	if kind = 'open' then
		if gone then delete from $open where id = one; else
			insert into $open (id, owner, body) values (one, me, 'open') on conflict (id) do update set owner = excluded.owner, body = 'again';
		end if;
	elsif kind = 'own' then
		if gone then delete from $own where id = mine; else
			insert into $own (id, owner, body) values (mine, me, what) on conflict (id) do update set body = excluded.body;
		end if;
	else
		if gone then delete from $masked where owner = me and id = one; else
			insert into $masked (owner, id, body) values (me, one, what) on conflict (owner, id) do update set body = excluded.body;
		end if;
	end if;
end \$w\$;
-- What a user should have, by key.
create function should_see(one text) returns table (key text, body text) language sql stable as \$s\$
	select 'open/' || id, body from $open
	union all select 'own/' || id, body from $own where owner = one @{[ $soft ? 'and not deleted' : '' ]}
	union all select 'masked/' || owner || '/' || id, case when owner = one then body else '(hidden)' end from $masked
\$s\$;
";
	# Triggers of the app do such things as well.
	for my $number (1 .. 2) {
		next if rand() < 0.3;
		my %calm = map { $_ => $FINE{$_} } grep { !/^(temporary table|table lock|many rows|search_path|touch|row lock|deferred o)/ } keys %FINE;
		my $body = join '', map { "\t$calm{$_};\n" } $self->some_habits(\%calm, 2);
		my $when = pick('before', 'after');
		$sql .= "create function trigger_$number() returns trigger language plpgsql as \$t\$
declare g text := coalesce(replicache_client_group_id(), 'g99'); me text := replicache_user_id(); n bigint := coalesce(replicache_mutation_id(), 0); t text; r record;
begin
$body	return new;
end \$t\$;
create trigger trigger_$number $when insert or update on " . pick($open, $own, $masked) . " for each row execute function trigger_$number();\n";
		$self->{triggers} .= $body;
	}
	return $sql;
}

# All of it, for psql behind t/sql/hostile.sql.
sub sql
{
	my ($self) = @_;
	my $groups = join ' ', map { "create sequence left_g${_}_seq; grant usage on sequence left_g${_}_seq to public;" } 0 .. $self->{groups} - 1, 99;
	return "set client_min_messages = warning;\n$self->{tables}$groups\n" . join('', map {
		"$_->{sql}select replicache_register_mutator('$_->{name}', '$_->{name}');\n"
	} @{ $self->{mutator} })
	    . "do \$\$ declare one regclass; begin
	for one in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') and relname !~ '^replicache_' loop
		execute format('grant select, insert, update, delete on %s to public', one);
	end loop;
	grant usage on sequence counted to public;
end \$\$;\n";
}

1;
