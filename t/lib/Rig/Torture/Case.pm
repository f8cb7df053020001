# SPDX-License-Identifier: Apache-2.0
#
# Cases under torture. Before a request of a case is made as it is written, it is
# made again and again while a call fails, for each call there is. Whatever then
# comes of it,
#
#	the program lives, or it was an assert of libfcgi's that ended it;
#	the answer is the right one, or says that the server can't, or is cut;
#	the database is as it was, or as it is after the request, as a whole, or a
#	    push that takes several commits has got to the end of one of them; and
#	    a request that was answered as right is done;
#	sent again when nothing fails, it is answered as it should be, and is done;
#	and no memory and no descriptor stays behind.

package Rig::Torture::Case;

use strict;
use warnings;

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use Rig::Case;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(wait_until reap_process slurp process_lives);
use Rig::Program;
use Rig::Torture;
use Rig::Way;

our @ISA = ('Rig::Case');

# A request all of whose calls fail is given so much longer than it takes while they are
# counted; then they are let go, and an answer must come soon.
use constant { UNDER_FIRE => 0.4, SOON => 5 };

# Rig::Torture::Case->new(cluster, way, share => 0.1, kinds => [],
#	slow => 0.25, cgi => 0)
sub new
{
	my ($class, $cluster, $way, %option) = @_;
	return bless { way => $way, cluster => $cluster, fresh => 0, %option,
		reins => Rig::Torture->new, done => {}, steps => 0, deaths => {},
		places => {} }, $class;
}

sub environment
{
	my ($self) = @_;
	return ($self->SUPER::environment, $self->{reins}->environment);
}

sub open_database
{
	my ($self) = @_;
	my $made = !$self->{fresh};
	$self->SUPER::open_database;
	return unless $made;
	$self->{owner}->query('create schema torture');
	$self->{owner}->query(slurp(Rig::Place::srcdir() . '/t/torture/state.sql'));
}

# A request of the case may be refused so many times, `refusals`, before it is done.
# If they are `counted` by the program, the first ones are made only as they are
# written; and another program, that came after a death, is to count them, too.
sub run_case
{
	my ($self, $file, %option) = @_;
	$self->{refusals} = $option{refusals} // 0;
	$self->{counted} = $option{counted};
	$self->{untouched} = $option{counted} ? $self->{refusals} : 0;
	$self->SUPER::run_case($file);
}

sub ask
{
	my ($self, $method, $path, $head, $body, %option) = @_;
	my ($plain, $query) = $path =~ /^([^?]*)(?:\?(.*))?\z/s;
	$plain = '' if $plain eq '-';
	my @request = ($method, $plain, query => $query, body => $body, %$head, %option);
	if ($self->{untouched} > 0) {
		$self->{untouched}--;
	} else {
		my $left = alarm 0;
		$self->torture(@request);
		alarm $left;
		$self->{owner}->query('drop schema torture_kept cascade');
		$self->settle(@request) if $self->{counted};
	}
	$self->SUPER::ask($method, $path, $head, $body, %option);
}

# Make the request until it is not refused any more.
sub settle
{
	my ($self, @request) = @_;
	my $answer;
	for (0 .. $self->{refusals}) {
		$answer = $self->request(@request);
		last unless refuses($answer);
	}
	return $answer;
}

# The state of the database. As long as no transaction has a number more, none has
# changed anything.
sub state
{
	my ($self) = @_;
	my $now = $self->{owner}->value('select pg_snapshot_xmax(pg_current_snapshot())');
	my $known = $self->{state} // [0];
	return $known->[1] if $known->[0] == $now;
	$self->{state} = [ $now, $self->{owner}->value('select torture.state()') ];
	return $self->{state}[1];
}

# Whether the case itself holds the version lock: then nothing can be changed, and
# nothing taken back.
sub holds_lock
{
	my ($self) = @_;
	return $self->{holder} && $self->{owner}->value(q(select count(*)
		from pg_locks join pg_stat_activity using (pid)
		where relation = 'replicache_version_lock'::regclass and granted and application_name = 'psql'));
}

# Take it back to what was kept.
sub back
{
	my ($self) = @_;
	return if $self->holds_lock;
	my $now = $self->{owner}->value('select pg_snapshot_xmax(pg_current_snapshot())');
	return if $now == $self->{kept};
	$self->{owner}->query('select torture.back()');
	$self->{owner}->query('vacuum') if ++$self->{backs} % 500 == 0;
	$self->{kept} = $self->{owner}->value('select pg_snapshot_xmax(pg_current_snapshot())');
	$self->{state} = [ $self->{kept}, $self->{before_all} ] if defined $self->{before_all};
}

# Make the request once. The answer has `cut` if it did not come to its end, and
# `died` if the program did.
sub request
{
	my ($self, $method, $path, %option) = @_;
	my $params = Rig::Way::parameters($method, $path, %option);
	return $self->request_cgi($method, $params, %option) if $self->{cgi};
	my $program = $self->{way}->program;
	my $peer = $program->connect // die "cannot connect: $!\n";
	my $bytes = Rig::Fastcgi::request_bytes($params, $option{body});
	$peer->send_raw($bytes,
	    $option{under_fire} ? ($option{under_fire}, sub { $self->{reins}->disarm }) : ());
	my $answer = $self->read_answer($peer, $option{under_fire});
	$answer->{head} = $method eq 'HEAD';
	$peer->close;
	return $answer;
}

sub request_cgi
{
	my ($self, $method, $params, %option) = @_;
	my $answer = Rig::Program::cgi($self->{way}{environment}, $params, $option{body},
		$option{under_fire} ? (slow => $option{under_fire}, when_slow => sub { $self->{reins}->disarm }) : ());
	$answer->{head} = $method eq 'HEAD';
	$answer->{cut} = $answer->{status} == 0 || !$answer->{head}
	    && length $answer->{body} < ($answer->{headers}{'content-length'} // 0);
	$answer->{died} = 1 if !defined $answer->{exit} || $answer->{exit} & 127;
	return $answer;
}

# All that comes up to the end; under fire, for so many seconds until it ceases.
sub read_answer
{
	my ($self, $peer, $under_fire) = @_;
	my $select = IO::Select->new($peer->socket);
	my $begun = time;
	my $cease = $begun + ($under_fire // 0);
	my $all = '';
	while (1) {
		if (length $peer->{buffer} || $select->can_read(0.05)) {
			if (length $peer->{buffer}) {
				$all .= $peer->{buffer};
				$peer->{buffer} = '';
				next unless $peer->{ended};
			}
			my $got = $peer->{ended} ? 0 : sysread $peer->socket, $all, 262144, length $all;
			my $answer = parse($all);
			$answer->{took} = time - $begun;
			return $answer if $answer->{whole} || !$got;
		} elsif (!$self->{way}->program->is_alive) {
			return { status => 0, body => '', cut => 1, took => 0 };
		} elsif ($under_fire && time > $cease) {
			$self->{reins}->disarm;
			$under_fire = 0;
			$begun = time;
		} elsif (time > $begun + 30) {
			return { status => 0, body => '', cut => 1, never => 1, took => time - $begun };
		}
	}
}

# An answer from its records.
sub parse
{
	my ($raw) = @_;
	my ($out, $at, $whole) = ('', 0, 0);
	while ($at + 8 <= length $raw) {
		my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', substr $raw, $at, 8;
		last if $at + 8 + $length + $padding > length $raw;
		$out .= substr $raw, $at + 8, $length if $type == Rig::Fastcgi::TYPE_STDOUT;
		$at += 8 + $length + $padding;
		$whole = 1, last if $type == Rig::Fastcgi::TYPE_END;
	}
	my $answer = Rig::Fastcgi::parse_cgi($out);
	$answer->{whole} = $whole;
	$answer->{cut} = !$whole || $answer->{status} == 0;
	return $answer;
}

# What is told of an answer: its status and body, without what each has anew.
sub told
{
	my ($answer) = @_;
	return 'cut' if $answer->{cut};
	my $got = eval { Rig::Json::decode($answer->{body}) };
	return "$answer->{status} " . (defined $got ? Rig::Json::encode(steady($got)) : $answer->{body});
}

# Rows come in any order, and what is in the ledger has its time.
sub steady
{
	my ($got) = @_;
	return $got unless ref $got eq 'HASH' && ref $got->{patch} eq 'ARRAY';
	return { %$got, patch => [ sort { Rig::Json::encode($a) cmp Rig::Json::encode($b) } @{ $got->{patch} } ] };
}

# What the server says when it can't.
sub refuses
{
	my ($answer) = @_;
	my $got = eval { Rig::Json::decode($answer->{body}) };
	return $answer->{status} == 503 && $answer->{body} eq '' if $answer->{head};
	return 0 unless ref $got eq 'HASH';
	return $answer->{status} == 503
	    && ($got->{error} // $got->{status} // '') eq 'unavailable'
	    || $answer->{status} == 500 && ($got->{error} // '') eq 'internal';
}

# All of the torture of one request. It leaves the database as it was.
sub torture
{
	my ($self, @request) = @_;
	my $name = "$request[0] $request[1]";
	my $reins = $self->{reins};
	$self->{owner}->query('select torture.keep()');
	$self->{kept} = 0;
	my $before = $self->state;
	undef $self->{before_all};
	$self->settle(@request);
	$self->back;
	my $begun = time;
	my $first = $self->settle(@request);
	my $took = time - $begun;
	note(sprintf '%s takes %.2f s: of its calls a twentieth', $name, $took) if $took > $self->{slow};
	my $after = $self->state;
	my $second = $self->request(@request);
	my $usual = { name => $name, before => $before, after => $after, took => $took,
		answers => { map { told($_) => 1 } $first, $second },
		refused => $first->{status} != 200, holder => defined $self->{holder} };
	if ($self->state ne $after) {
		fail("$name: sent again, it changes nothing");
		$self->back;
		return;
	}
	$self->back;
	if ($self->state ne $before) {
		fail("$name: the database can be taken back");
		return;
	}
	$self->{before_all} = $before;
	$usual->{between} = { map { $_ => 1 } $self->prefixes(@request) };
	my (@wrong, %steps);
	for my $kind (@{ $self->{kinds} }) {
		next if $kind eq 'fcgx' && $self->{cgi};
		my @way = $self->ways($kind, @request);
		for my $mode (qw(once on)) {
			for my $variant (0 .. $Rig::Torture::VARIANTS{$kind}{$mode} - 1) {
				my ($steps, @new) = $self->each_way($usual, \@request, \@way,
				    kind => $kind, mode => $mode, variant => $variant);
				$self->{done}{"$kind $mode"} += $steps;
				$steps{"$kind $mode"} += $steps;
				push @wrong, @new;
			}
		}
	}
	is(join("\n", @wrong), '', "$name: " . join ', ',
	    map { "$_ $steps{$_}" } sort keys %steps);
}

# The states of the database between the commits of a push that takes several.
sub prefixes
{
	my ($self, $method, $path, %option) = @_;
	my $size = $self->{way}{environment}{REPLICACHE_BATCH_MUTATIONS} // return;
	my $push = eval { Rig::Json::decode($option{body}) };
	return if ref $push ne 'HASH' || ref $push->{mutations} ne 'ARRAY';
	my @mutation = @{ $push->{mutations} };
	my @state;
	for (my $count = $size; $count < @mutation; $count += $size) {
		my $prefix = { %$push, mutations => [ @mutation[ 0 .. $count - 1 ] ] };
		$self->settle($method, $path, %option, body => Rig::Json::encode($prefix));
		push @state, $self->state;
		$self->back;
	}
	return @state;
}

# The calls of a kind that the request takes, each as the way the program comes to
# it.
sub ways
{
	my ($self, $kind, @request) = @_;
	my $reins = $self->{reins};
	my $begun = time;
	$reins->arm(kind => $kind, mode => 'count');
	$self->request(@request);
	$self->{counted_in} = time - $begun;
	my $seen = $reins->disarm;
	$self->back;
	return $reins->ways($seen->{count});
}

# Each call fails in turn, but where the program has come in the same way before.
sub each_way
{
	my ($self, $usual, $request, $way, %arm) = @_;
	my $share = $usual->{took} > $self->{slow} ? $self->{share} / 20 : $self->{share};
	my ($steps, @wrong) = (0);
	for my $at (1 .. @$way) {
		my $known = \$self->{known}{"$arm{kind} $arm{mode} $arm{variant} $way->[$at - 1]"};
		next if rand() >= ($$known ? ($share - 1) / 10 : $share);
		my ($fired, @new) = $self->step($usual, $request, %arm, at => $at);
		next unless $fired;
		$$known = 1;
		$steps++;
		push @wrong, @new;
		last if @wrong > 20;
	}
	return ($steps, @wrong);
}

# One call fails. Returns whether there was one, and what is wrong with it.
sub step
{
	my ($self, $usual, $request, %arm) = @_;
	my ($fired, @wrong) = $self->once($usual, $request, %arm);
	return ($fired, @wrong) if !$fired || $self->{cgi};
	my $more = $self->more_than_usual($usual) or return ($fired, @wrong);
	# What stays for good, as what is kept for later, does not grow.
	my @growth = $more;
	for (1 .. 5) {
		my ($again, @new) = $self->once($usual, $request, %arm);
		push @wrong, @new;
		$more = $self->more_than_usual($usual);
		last unless $again && $more;
		push @growth, $more;
	}
	push @wrong, "$self->{at} leaves something behind each time: " . join '; ', @growth
	    if @growth > 5;
	return ($fired, @wrong);
}

# What is there that was not before; notes it.
sub more_than_usual
{
	my ($self, $usual) = @_;
	my $pid = $self->{way}->program->pid;
	my $seen = $self->{reins}->look;
	my $most = $self->{most}{$pid} //= { %$seen };
	my $done = eval {
		wait_until(sub {
			$seen = $self->{reins}->look;
			return !grep { $seen->{$_} > $most->{$_} } qw(blocks descriptors);
		}, 'memory', 0.05);
	};
	return '' if $done;
	my @more = grep { $seen->{$_} > $most->{$_} } qw(blocks descriptors);
	my $text = join ', ', map { "$_ $seen->{$_}, not $most->{$_}" } @more;
	@$most{@more} = @$seen{@more};
	return $text;
}

sub once
{
	my ($self, $usual, $request, %arm) = @_;
	my $reins = $self->{reins};
	$self->{way}->program unless $self->{cgi};
	my $mark = $self->{way}->new_log;
	$reins->arm(%arm);
	my $fire = $arm{mode} eq 'on' ? UNDER_FIRE + $self->{counted_in} : undef;
	my $answer = $self->request(@$request, under_fire => $fire);
	my $seen = $reins->disarm;
	if (!$seen->{failed}) {
		$self->back;
		return 0;
	}
	$self->{steps}++;
	print STDERR "TRACE $arm{kind} $arm{mode} $arm{at} v$arm{variant} $seen->{first} ", told($answer), sprintf(" %.3f\n", $answer->{took} // -1) if $ENV{TRACE};
	$self->{places}{"$arm{kind}: $seen->{first}"}++;
	my $at = $self->{at} = "$arm{kind} $arm{mode} $arm{at} variant $arm{variant} ($seen->{first})";
	my @wrong;
	push @wrong, $self->death($at, $seen, $answer);
	push @wrong, $self->judge($usual, $at, $seen, $answer);
	return (1, @wrong) if $usual->{holder} && @wrong;
	push @wrong, $self->again($usual, $at, $request, $seen);
	print STDERR map { "TRACE WRONG $_\n" } @wrong if $ENV{TRACE};
	return (1, @wrong);
}

# The program is dead: that was libfcgi's doing, or it is wrong.
sub death
{
	my ($self, $at, $seen, $answer) = @_;
	my $status;
	if ($self->{cgi}) {
		return () unless $answer->{died};
		return "$at: ended by signal " . ($answer->{exit} // 'KILL') . ": $answer->{stderr}";
	}
	my $program = $self->{way}{program};
	# One that has just cut the connection may be about to die.
	eval { wait_until(sub { !$program->is_alive }, 'death', 2) }
	    if $answer->{cut} && $seen->{last} =~ $Rig::Torture::LIBFCGI_DIES;
	return () if $program->is_alive;
	$status = reap_process(delete $program->{pid}, 5) // 0;
	delete $self->{way}{program};
	my $log = $self->{way}{torture_log} = $program->new_log;
	my $death = Rig::Torture::death($seen, $status, $log);
	$self->{deaths}{$death}++ if $death;
	return () if $death;
	return "$at: the program died, status $status: " . substr $log, -500;
}

sub judge
{
	my ($self, $usual, $at, $seen, $answer) = @_;
	my @wrong;
	my $told = told($answer);
	my $good = $usual->{answers}{$told};
	if ($answer->{cut}) {
		push @wrong, "$at: no answer" if $answer->{never};
		# What is all there but for the end of the request is as good.
		push @wrong, "$at: a cut answer that parses: $answer->{body}"
		    if $answer->{body} ne '' && eval { Rig::Json::decode($answer->{body}); 1 }
		    && !$usual->{answers}{told({ %$answer, cut => 0 })} && !refuses($answer);
	} elsif (!$good && !refuses($answer) && !$self->is_allowed($seen, $answer)) {
		push @wrong, "$at: answered $told";
	}
	push @wrong, sprintf '%s: answered after %.1f s', $at, $answer->{took}
	    if ($answer->{took} // 0) > SOON + $usual->{took};
	# A refusal changes nothing, so it is enough to look at the end of all.
	my $state = $self->state;
	push @wrong, "$at: half done"
	    if $state ne $usual->{before} && $state ne $usual->{after} && !$usual->{between}{$state};
	push @wrong, "$at: answered $told, but it is not done"
	    if $good && !$usual->{refused} && $state ne $usual->{after};
	return @wrong;
}

# A body whose reading fails is one that did not come whole.
sub is_allowed
{
	my ($self, $seen, $answer) = @_;
	return $answer->{status} == 400 && $answer->{body} =~ /"body_truncated"/
	    && $seen->{unread} > 0;
}

# Nothing fails any more: it is done now, if not before.
sub again
{
	my ($self, $usual, $at, $request, $seen) = @_;
	my ($answer, @wrong);
	eval {
		wait_until(sub {
			$answer = $self->request(@$request);
			push @wrong, $self->death($at, $seen, $answer);
			return !$answer->{cut} && !refuses($answer) || $usual->{answers}{told($answer)};
		}, 'an answer', 20);
	} or push @wrong, "$at: sent again, for 20 s: " . told($answer);
	push @wrong, "$at: sent again: " . told($answer)
	    if !@wrong && !$usual->{answers}{told($answer)};
	push @wrong, "$at: sent again, it is not done, or not as it should be"
	    if $self->state ne $usual->{after};
	$self->back if $usual->{before} ne $usual->{after} || @wrong;
	return @wrong;
}

1;
