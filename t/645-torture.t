#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Every allocation, every call to libpq and libfcgi and every system call fails in
# turn: alone, and with all that come after it. See Rig::Torture::Case for what
# must hold nonetheless of each request of t/cases; besides that the program is
# started, told HUP, and holds streams while its calls fail.
#
# A call is known by the way the program comes to it. SCALE=1 takes every way there
# is, once; less, a share of them, chosen by SEED; more, the same ways again.
# CASE=push/first takes one case, ONLY=start one part, KINDS='own arena' some kinds of
# calls. Of a request that takes more than SLOW seconds (0.25), a twentieth of them is
# enough. Below SCALE=1 and without CASE, of two cases and one as CGI: a short form.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Place qw(srcdir workdir spew wait_until reap_process);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_params);
use Rig::Token;
use Rig::Torture;
use Rig::Torture::Case;

my $SCALE = $ENV{SCALE} // 0.01;
my $SLOW = $ENV{SLOW} // 0.25;
# The short form takes the same share each time: what is new is the program then.
my $SEED = $ENV{SEED} // (defined $ENV{SCALE} ? int rand 100000 : 1);
my @SHORT = qw(push/mutator-fails transport/health);
# As CGI: a request of each kind; what they share is then known.
my @CGI = qw(push/first push/repeat push/mutator-fails push/gap pull/first
	pull/after-push pull/delete auth/jwt auth/es256 transport/health transport/cors
	transport/content-type limits/body-size poke/answered);
# Cases whose requests are refused so many times before they are done.
my %REFUSED = ('push/budget' => { refusals => 1 },
	'faults/timeout' => { refusals => 2, counted => 1 });
# How often a stream has a heartbeat, and how many of them may fail.
use constant { BEAT_MS => 50, BEATS => 4 };
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $begun = time;
my (%done, %deaths);
Rig::Place::use_program(Rig::Torture::program());
my $cluster = Rig::Cluster->start;

my @KINDS = defined $ENV{KINDS} ? split(' ', $ENV{KINDS}) : @Rig::Torture::KINDS;

sub wants { return !$ENV{ONLY} || $ENV{ONLY} eq $_[0] }

sub add
{
	my ($part, $kind, $mode, $n) = @_;
	$done{$_}{"$kind $mode"} += $n for $part, 'in all';
}

# Each way to a call of these kinds, while $try->(arming) does what there is to do:
# arms, does it, and gives what was seen and what is wrong.
sub torture
{
	my ($part, $count, $try, @without) = @_;
	my @wrong;
	for my $kind (@KINDS) {
		next if grep { $_ eq $kind } @without;
		my @way = $count->($kind);
		my %known;
		for my $mode (qw(once on)) {
			for my $variant (0 .. $Rig::Torture::VARIANTS{$kind}{$mode} - 1) {
				for my $at (1 .. @way) {
					next if $known{"$mode $variant $way[$at - 1]"} || rand() > $SCALE;
					my ($seen, @new) = $try->(kind => $kind, mode => $mode,
					    variant => $variant, at => $at);
					next unless $seen->{failed};
					$known{"$mode $variant $way[$at - 1]"} = 1;
					add($part, $kind, $mode, 1);
					push @wrong, map { "$kind $mode $at $variant ($seen->{first}): $_" } @new;
					print STDERR "TRACE $part $kind $mode $at $variant $seen->{first} @new\n" if $ENV{TRACE};
				}
			}
		}
	}
	is(join("\n", @wrong), '', "$part: nothing is wrong");
}

sub cases
{
	my ($part, $as_cgi, @files) = @_;
	my $way = Rig::Way->new($as_cgi ? 'cgi' : 'fastcgi');
	$way->prepare;
	my $case = Rig::Torture::Case->new($cluster, $way, share => $SCALE, cgi => $as_cgi,
	    kinds => \@KINDS, slow => $SLOW);
	for my $file (map { srcdir() . "/t/cases/$_" } @files) {
		my ($name) = $file =~ m{([^/]+/[^/]+)$};
		next if $ENV{CASE} && $name !~ /$ENV{CASE}/;
		my %refused = %{ $REFUSED{$name} // {} };
		subtest $name => sub { $case->run_case($file, %refused) };
	}
	$case->close_database;
	add($part, split(' '), $case->{done}{$_}) for sort keys %{ $case->{done} };
	$deaths{$_} += $case->{deaths}{$_} for keys %{ $case->{deaths} };
	note("$part: $case->{places}{$_} times $_") for sort keys %{ $case->{places} };
}

# Not what takes 75 MB each time, and is logged once a minute.
my @all = grep { $_ ne 'limits/row-size' } map { m{([^/]+/[^/]+)$} } sort glob srcdir() . '/t/cases/*/*';
cases('FastCGI', 0, $SCALE < 1 && !$ENV{CASE} ? @SHORT : @all) if wants('fastcgi');
cases('CGI', 1, $SCALE < 1 && !$ENV{CASE} ? $SHORT[1] : @CGI) if wants('cgi');

my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $owner = $cluster->session($database, 'postgres');
my $reins = Rig::Torture->new;
my $settings = workdir() . '/settings';
my $pushed = 0;
my @ann = (HTTP_AUTHORIZATION => 'Bearer ' . Rig::Token::kept('es256'));

sub settings
{
	my (%more) = @_;
	Rig::Program::write_settings($settings, REPLICACHE_DATABASE => $cluster->conninfo($database),
	    REPLICACHE_JWT_ALGORITHM => 'ES256', REPLICACHE_JWT_KEY_FILE => Rig::Token::folder() . '/es256.pem', %more);
}

sub start
{
	my (%more) = @_;
	return Rig::Program->start($reins->environment, REPLICACHE_CONFIG => $settings, REPLICACHE_AUTH => 'jwt',
	    REPLICACHE_DATABASE => $cluster->conninfo($database), %more);
}

# Does it do what it is for? Gives what is wrong.
sub check
{
	my ($program) = @_;
	my $answer = eval {
		wait_until(sub {
			my ($params, $body) = push_params('t', [ 't', $pushed + 1, 'noop', 'null' ]);
			my $got = $program->request({ %$params, @ann }, $body, seconds => 10);
			return $got->{status} == 503 ? undef : $got;
		}, 'an answer', 10);
	};
	return "a push is answered $@" if !$answer;
	return "a push is answered $answer->{status} $answer->{body}" if $answer->{status} != 200;
	$pushed++;
	return ();
}

# It starts, or tells why not. In the end it is told to stop, and does.
sub try_start
{
	my (%arm) = @_;
	$reins->arm(%arm);
	my $program = start();
	# Some workers may wait before another one can't be started, and can't be told to
	# end for as long as calls fail.
	my $decided = sub { !$program->is_alive || $program->log =~ /serving with/ };
	eval { wait_until($decided, 'it', 5) };
	my $seen = $reins->disarm;
	eval { wait_until($decided, 'it', 10) };
	my @wrong;
	if ($program->is_alive) {
		push @wrong, check($program);
		my $status = $program->stop;
		push @wrong, 'ended by ' . ($status // 'KILL') . ': ' . $program->log
		    if !defined $status || $status != 0;
	} else {
		my $status = reap_process(delete $program->{pid}, 5) // 0;
		my $death = Rig::Torture::death($seen, $status, $program->log);
		$deaths{$death}++ if $death;
		push @wrong, "ended by $status: " . $program->log
		    if !$death && ($status & 127 || $status == 0);
		push @wrong, 'says nothing' if $program->log !~ /\S/;
	}
	return ($seen, @wrong);
}

if (wants('start')) {
	settings();
	torture('start', sub {
		my ($seen, @wrong) = try_start(kind => $_[0], mode => 'count');
		is("@wrong", '', "it starts when no call fails: $seen->{count} are of kind $_[0]");
		return $reins->ways($seen->{count});
	}, \&try_start);
}

# A program that has started, and goes on until it dies.
my $program;

sub keep_program
{
	my (%more) = @_;
	return if $program && $program->is_alive;
	my $before = $reins->look->{turns};
	$program = start(REPLICACHE_LISTEN_TIMEOUT => 6000, %more);
	eval { wait_until(sub { $reins->look->{turns} > $before }, 'the start', 20) } or die "$@", $program->log;
}

# It has ended: what is wrong with that.
sub ended
{
	my ($seen) = @_;
	my $status = reap_process(delete $program->{pid}, 5) // 0;
	my $death = Rig::Torture::death($seen, $status, $program->new_log);
	$deaths{$death}++ if $death;
	return $death ? () : "it ended by $status: " . $program->log;
}

# HUP: the settings and the key are read again, or stay as they were.

sub try_hup
{
	my (%arm) = @_;
	settings(REPLICACHE_STATEMENT_TIMEOUT => 5000 + int rand 1000,
		REPLICACHE_ALLOWED_ORIGINS => 'https://' . int(rand 1000) . '.example');
	keep_program();
	$program->new_log;
	$reins->arm(%arm);
	my $turns = $reins->look->{turns};
	kill 'HUP', $program->pid;
	eval { wait_until(sub { !$program->is_alive || $reins->look->{turns} > $turns + 1 }, 'HUP', 5) };
	my $seen = $reins->disarm;
	my @wrong;
	return ($seen, ended($seen)) if !$program->is_alive;
	push @wrong, 'says nothing' if $program->new_log !~ /replicache: /;
	push @wrong, check($program) unless @wrong;
	return ($seen, @wrong);
}

if (wants('hup')) {
	settings();
	torture('HUP', sub {
		my ($seen, @wrong) = try_hup(kind => $_[0], mode => 'count');
		is("@wrong", '', "HUP when no call fails: $seen->{count} are of kind $_[0]");
		return $reins->ways($seen->{count});
	}, \&try_hup, 'fcgx');
	is($program->stop, 0, 'it ends') if $program && $program->is_alive;
}

# A stream opens, or is refused; an open one is poked, or it ends.
sub commit { $owner->query("insert into item (id, body) values ('x', '1') on conflict (id) do update set body = to_jsonb(random())") }

sub open_stream { return Rig::Stream->fastcgi($program, params => { @ann }) }

# Whether a poke comes, or the end: then a client comes back.
sub is_served
{
	my ($stream, $seconds) = @_;
	my $end = time + $seconds;
	my $poke = eval { $stream->poke($end - time) };
	return defined $poke || $stream->{ended} || $stream->{whole};
}

# The hand-over.
sub try_open
{
	my (%arm) = @_;
	keep_program();
	$reins->arm(%arm);
	my $stream = open_stream();
	$stream->read_more(0.3);
	my $seen = $reins->disarm;
	commit();
	my @wrong;
	push @wrong, 'neither a poke nor an end' unless is_served($stream, 20);
	$stream->close;
	eval { wait_until(sub { !$program->is_alive }, 'death', 2) }
	    if $stream->{ended} && $seen->{last} =~ $Rig::Torture::LIBFCGI_DIES;
	return ($seen, ended($seen)) if !$program->is_alive;
	my $next = eval { open_stream() };
	if (!$next) {
		eval { wait_until(sub { !$program->is_alive }, 'death', 5) };
		return ($seen, @wrong, ended($seen));
	}
	push @wrong, 'then, no stream' unless is_served($next, 20);
	$next->close;
	return ($seen, @wrong);
}

# The hand-over of the first one, for which the thread that LISTENs is started.
sub try_first
{
	my $status = $program && $program->is_alive ? $program->stop : 0;
	my ($seen, @wrong) = try_open(@_);
	push @wrong, 'the one before ended by ' . ($status // 'KILL') if !defined $status || $status != 0;
	return ($seen, @wrong);
}

# No call fails any more: the stream tells of the next commit, or has ended.
sub hear_on
{
	my ($stream, $seen, @wrong) = @_;
	commit();
	push @wrong, 'neither a poke nor an end' unless is_served($stream, 20);
	$stream->close;
	return ($seen, ended($seen)) if !$program->is_alive;
	return ($seen, @wrong);
}

# The connection that LISTENs is lost, and made again, while there are commits.
sub try_listen
{
	my (%arm) = @_;
	keep_program();
	my $stream = open_stream();
	my @wrong;
	push @wrong, 'no stream' unless is_served($stream, 20);
	$reins->arm(%arm);
	$owner->query(q(select pg_terminate_backend(pid) from pg_stat_activity
		where query ilike '%listen%' and pid <> pg_backend_pid() or usename = 'app' and query ~* 'replicache_version'));
	commit();
	is_served($stream, 0.4);
	my $seen = $reins->disarm;
	return hear_on($stream, $seen, @wrong);
}

# A heartbeat is due.
sub try_beat
{
	my (%arm) = @_;
	keep_program(REPLICACHE_POKE_HEARTBEAT => BEAT_MS);
	my $stream = open_stream();
	my @wrong;
	push @wrong, 'no stream' unless is_served($stream, 20);
	$reins->arm(%arm);
	$stream->read_more(BEATS * BEAT_MS / 1000);
	my $seen = $reins->disarm;
	return hear_on($stream, $seen, @wrong);
}

if (wants('streams')) {
	settings();
	for my $part ([ 'streams', \&try_open ], [ 'first stream', \&try_first ],
	    [ 'LISTEN', \&try_listen, 'fcgx' ], [ 'heartbeat', \&try_beat, 'fcgx' ]) {
		my ($name, $try, @without) = @$part;
		is($program->stop, 0, 'it ends') if $program && $program->is_alive;
		torture($name, sub {
			$try->(kind => $_[0], mode => 'count', at => 0, variant => 0);
			my ($seen, @wrong) = $try->(kind => $_[0], mode => 'count');
			is("@wrong", '', "$name when no call fails: $seen->{count} are of kind $_[0]");
			return $reins->ways($seen->{count});
		}, $try, @without);
	}
	is($program->stop, 0, 'it ends') if $program && $program->is_alive;
}

for my $part (sort keys %done) {
	note("$part: ", join ', ', map { "$_ $done{$part}{$_}" } sort keys %{ $done{$part} });
}
note("a library ended it $deaths{$_} times: $_") for sort keys %deaths;
note(sprintf 'in %d s', time - $begun);
done_testing;
