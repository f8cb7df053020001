#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Apps made up at random (Rig::Hostile), one after another: their mutators set things and
# leave them, take locks, run dynamic SQL, fail by every class of error and have their
# functions replaced meanwhile, while clients of several users push and pull. Of each app:
# nothing that works alone is in the ledger, no client is blocked by its own or another's,
# no mutator meets what another group's has left, nobody is sent another's secret, and in
# the end a full pull, what deltas came to and the tables are the same. SCALE is how many
# apps; SEED repeats them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep time);

use Rig::Cluster;
use Rig::Hostile;
use Rig::Json;
use Rig::Place qw(srcdir workdir spew);
use Rig::Program;
use Rig::Sync qw(push_params pull_params push_body cookie_order);

use constant { CLIENTS => 5, PUSHES => 12 };

# How often a push may be sent until it is answered by 200, and for how long. A mutation
# that fails by what looks like the server's error takes some seconds.
use constant { TRIES_MAX => 400, SECONDS_MAX => 150 };

# Of a push that is longer than a round, others must not see the end first.
use constant BACKLOG => 400;

my $SCALE = $ENV{SCALE} // 2;
my $SEED = $ENV{SEED} // int rand 100_000;
note("SCALE=$SCALE SEED=$SEED");

my $cluster = Rig::Cluster->start;
$cluster->admin->query("create role web login; create role left_g99; grant left_g99 to web");
$cluster->admin->query("create role left_g$_; grant left_g$_ to web") for 0 .. CLIENTS - 1;
# Those of strangers are not looked for.
my %pause = (min => 0.01, max => 0.2);

# What one client does: pushes of some mutations each, and pulls.
sub live
{
	my ($number, $app, $program) = @_;
	my $user = "u$number";
	my %told = (user => $user, client => "c$number", wrong => [], made => [], tries => 0, longest => 0);
	my $ask = sub {
		my ($params, $body) = @_;
		my $answer = $program->[ rand @$program ]->request({ %$params, REMOTE_USER => $user }, $body, seconds => 60);
		push @{ $told{wrong} }, "$user was sent the $1" if $answer->{body} =~ /(secret of (u\d+) [\w.]*)/ && $2 ne $user;
		return $answer;
	};
	my $view = Rig::Sync::View->new("g$number", sub {
		my $answer;
		for (1 .. 100) {
			$answer = $ask->(@_);
			return $answer if $answer->{status} != 503 && $answer->{status} != 0;
			sleep $pause{min} + rand $pause{max};
		}
		return $answer;
	});
	# One client alone makes what takes seconds.
	my @mutator = grep { $_->{kind} ne 'slow' } @{ $app->{mutator} };
	my @slow = $number == 0 ? grep { $_->{kind} eq 'slow' } @{ $app->{mutator} } : ();
	my $id = 0;
	PUSH: for my $push (1 .. PUSHES) {
		my @push;
		for (0 .. rand 5) {
			my $mutator = @slow && $push == 3 ? shift @slow : $mutator[ rand @mutator ];
			my $gone = rand() < 0.2 ? 'true' : 'false';
			push @push, [ "c$number", ++$id, $mutator->{name}, sprintf('{"id":"%d","gone":%s}', int rand 5, $gone) ];
			push @{ $told{made} }, $mutator->{name};
		}
		my $begun = time;
		my ($tries, $answer) = (0);
		for (;;) {
			$answer = $ask->(push_params("g$number", @push));
			$tries++;
			last if $answer->{status} == 200;
			if ($tries > TRIES_MAX || time > $begun + SECONDS_MAX || $answer->{status} !~ /^(?:503|0)$/) {
				push @{ $told{wrong} }, "c$number is blocked: $answer->{status} after $tries tries for " . join ' ', map { $_->[2] } @push;
				last PUSH;
			}
			sleep $pause{min} + rand $pause{max};
		}
		push @{ $told{wrong} }, "c$number: a push was answered $answer->{body}" if $answer->{body} ne '{}';
		$told{tries} += $tries;
		$told{longest} = time - $begun if time - $begun > $told{longest};
		if (rand() < 0.4) {
			eval { $view->pull } or push @{ $told{wrong} }, "c$number: $@";
		}
	}
	return { %told, last => $id, cookie => $view->{cookie}, rows => $view->{rows}, ids => $view->{ids} };
}

# Somebody else: has functions replaced, and writes to the tables.
sub meddle
{
	my ($app, $database, $over) = @_;
	my $session = $cluster->session($database);
	my $owner = getppid;
	until (-e $over || getppid != $owner) {
		my $one = $app->{mutator}[ rand @{ $app->{mutator} } ];
		$session->error($one->{sql});
		my $table = Rig::Hostile::ident($app->{table}{open});
		$session->error("begin; insert into $table (id, owner, body) values ('x', 'nobody', 'psql') on conflict (id) do update set body = 'again';"
			. 'select pg_sleep(0.03); ' . (rand() < 0.8 ? 'commit' : 'rollback')) if rand() < 0.5;
		sleep 0.05 + rand 0.3;
	}
	$session->close;
	return {};
}

sub rows_of
{
	my ($rows) = @_;
	return join "\n", map { "$_=$rows->{$_}{body}" } sort keys %$rows;
}

# A push that is longer than a round, and one of another that came after it.
sub backlog
{
	my ($session, $database, $program, $mutator) = @_;
	my $blocker = $cluster->session($database);
	$blocker->query('begin; select replicache_next_version()');
	my @peer = map { $program->connect } 1 .. 3;
	my @body = (push_body('h0', map { [ 'h0', $_, $mutator, qq({"id":"$_","gone":false}) ] } 1 .. BACKLOG),
		map { push_body("h$_", [ "h$_", 1, $mutator, qq({"id":"$_","gone":false}) ]) } 1 .. 2);
	for my $i (0 .. 2) {
		my $params = Rig::Program::params('POST', '/push', body => $body[$i]);
		$peer[$i]->send_raw(Rig::Fastcgi::request_bytes({ %$params, REMOTE_USER => "u$i" }, $body[$i]));
	}
	# The first one waits for the lock by now, or soon: then the others are behind it.
	my $admin = $cluster->session($database, 'postgres');
	Rig::Place::wait_until(sub {
		$admin->value(q(select count(*) from pg_stat_activity where datname = current_database()
			and application_name <> 'psql' and wait_event_type = 'Lock'))
	}, 'a push to wait', 20);
	$admin->close;
	$blocker->query('rollback');
	$blocker->close;
	my @wrong = grep { $_ != 200 } map { $_->answer(60)->{status} } @peer;
	my $end = $session->value("select max(n) from done where client = 'h0'") // 0;
	my $others = $session->value("select count(*) from done where client in ('h1', 'h2') and n < $end");
	return (map({ "a push beside a backlog was answered $_" } @wrong),
	    $others == 2 ? () : "of 2 pushes beside a backlog $others were done before its end");
}

# Whether the mutators are of the kind that they are taken for: each runs alone, in a
# session of its own, twice.
sub misjudged
{
	my ($app, $database) = @_;
	my $session = $cluster->session($database, 'web');
	my @wrong;
	for my $mutator (grep { $_->{kind} ne 'slow' } @{ $app->{mutator} }) {
		$session->reconnect($cluster->conninfo($database, 'web'));
		for my $time (1, 2) {
			my $error = $session->error(qq(begin; do \$d\$ begin perform replicache_enter('alone', 'g99', $time, 'u99');
				perform $mutator->{name}('{"id":"1","gone":false}'); end \$d\$; commit));
			$session->error('rollback');
			push @wrong, "$mutator->{name} ($mutator->{kind}) alone: " . ($error || 'no error') if ($error eq '') != ($mutator->{kind} eq 'fine');
		}
	}
	$session->close;
	return @wrong;
}

# All of one app's life; what was wrong.
sub try_out
{
	my ($number) = @_;
	srand $SEED * 1000 + $number;
	my $app = Rig::Hostile->new(groups => CLIENTS, slow => $SCALE > 2 ? 1 : 0);
	my $database = $cluster->database('core');
	my $file = workdir() . '/app.sql';
	spew($file, $app->sql);
	$cluster->run_files($database, [ srcdir() . '/t/sql/hostile.sql', $file ]);
	my $session = $cluster->session($database);
	# What works in the backlog is ordinary, and shares what it may.
	$session->query(q(create function calm(args jsonb) returns void language plpgsql as $c$
		begin
			perform work('open', args ->> 'id', false);
			perform note_done('calm');
		end $c$; select replicache_register_mutator('calm', 'calm')));
	$cluster->grant($database, 'web');
	my @wrong = misjudged($app, $database);
	$session->query("delete from done; delete from met");
	my @program = map {
		Rig::Program->start(REPLICACHE_DATABASE => $cluster->conninfo($database, 'web'), REPLICACHE_AUTH => 'remote_user',
		    REPLICACHE_WORKERS => 6, REPLICACHE_POOL => 3, REPLICACHE_BATCH_MUTATIONS => 100,
		    REPLICACHE_STATEMENT_TIMEOUT => 2000)
	} 1 .. 2;
	my $over = workdir() . "/over$number";
	my $seed = $SEED * 1000 + $number * 10;
	my $meddler = Rig::Sync::background(1, sub { srand $seed + 9; return meddle($app, $database, $over) });
	my @told = Rig::Sync::parallel(CLIENTS, sub { srand $seed + $_[0]; return live($_[0], $app, \@program) }, 600);
	spew($over, '');
	Rig::Sync::collect($meddler, 60);

	my %kind = map { $_->{name} => $_->{kind} } @{ $app->{mutator} };
	push @wrong, map { @{ $_->{wrong} } } @told;
	push @wrong, map { "$_->[0] met a $_->[1]" } @{ $session->query('select distinct client, what from met limit 10') };
	my $failed = $session->query('select client_id, mutation_id, name, code, sqlstate, left(message, 80) from replicache_failed_mutation');
	push @wrong, map { "$_->[2] of $_->[0] is in the ledger: " . join ' ', map { $_ // '' } @$_[3 .. 5] }
	    grep { $kind{ $_->[2] } eq 'fine' } @$failed;
	push @wrong, map { "$_->[0] of $_->[1] has an effect" } grep { $kind{ $_->[0] } ne 'fine' }
	    @{ $session->query(q(select distinct name, client from done where name <> 'calm')) };
	for my $told (@told) {
		my $known = $session->value("select coalesce(max(last_mutation_id), 0) from replicache_client where id = '$told->{client}'");
		push @wrong, "$told->{client} made $told->{last} mutations and is at $known" if $known != $told->{last};
		my $count = $session->value("select count(*) || ' ' || count(distinct mutation) from (select mutation from done where client = '$told->{client}'
			union all select mutation_id from replicache_failed_mutation where client_id = '$told->{client}') as m");
		push @wrong, "$told->{client} made $told->{last} mutations, and there are (distinct): $count" if $count ne "$told->{last} $told->{last}";
		# A full pull, what deltas come to, and the tables.
		my ($delta, $full) = map {
			my $view = Rig::Sync::View->new($_, sub { $program[0]->request({ %{ $_[0] }, REMOTE_USER => $told->{user} }, $_[1]) });
		} "g" . substr($told->{client}, 1), "full$told->{client}";
		@$delta{qw(cookie rows ids)} = @$told{qw(cookie rows ids)};
		for my $view ($delta, $full) {
			eval { $view->pull } or push @wrong, "$told->{client}: in the end: $@";
		}
		my $table = rows_of({ map { $_->[0] => { body => $_->[1] } } @{ $session->query("select key, body from should_see('$told->{user}')") } });
		push @wrong, "$told->{user}: deltas and tables differ" if rows_of($delta->{rows}) ne $table;
		push @wrong, "$told->{user}: a full pull and tables differ" if rows_of($full->{rows}) ne $table;
	}
	push @wrong, backlog($session, $database, $program[0], 'calm');
	push @wrong, map { "a program ended by $_" } grep { $_ } map { $_->stop } @program;
	my %used = map { $_->{name} => $_ } @{ $app->{mutator} };
	note(sprintf 'app %d: %s applied, %d failed, %.1f tries a push, the longest %.1f s', $number,
	    $session->value('select count(*) from done'), scalar @$failed,
	    (eval { my $sum = 0; $sum += $_->{tries} for @told; $sum } // 0) / (CLIENTS * PUSHES), (sort { $b <=> $a } map { $_->{longest} } @told)[0]);
	if (@wrong) {
		diag(map { "$_->{name} ($_->{kind}): $_->{habits}\n" } @{ $app->{mutator} });
		diag("triggers:\n$app->{triggers}") if $app->{triggers};
	}
	is(join("\n", @wrong), '', "app $number: all that was promised holds");
	$session->close;
	$cluster->drop($database);
}

try_out($_) for 1 .. $SCALE;
done_testing;
