# SPDX-License-Identifier: Apache-2.0
#
# One push or one pull of a program whose link to the database is Rig::Link's, while
# something happens to the link, and what has to hold then: a push that is sent
# again is applied exactly once, and a pull that is answered is right.
#
#	my $dialogue = Rig::Dialogue->start($cluster, messages => 1);
#	my ($seen, $wrong) = $dialogue->push_once(direction => 'up', at => 17);
#
# seen is what Rig::Link counted, wrong a text. Options of both: direction, at, stay;
# dead, the program's connections are just then.

package Rig::Dialogue;

use strict;
use warnings;

use Rig::Link;
use Rig::Place qw(workdir wait_until);
use Rig::Program;
use Rig::Sync qw(push_params);

# A program on a database of its own. Options are Rig::Link's.
sub start
{
	my ($class, $cluster, %option) = @_;
	my $database = $cluster->database('cases');
	my $direct = $cluster->conninfo($database);
	my $folder = workdir() . '/link';
	mkdir $folder or die "$folder: $!";
	my ($real) = $direct =~ /host='?([^' ]+)/;
	my ($port) = $direct =~ /port='?([^' ]+)/;
	$port //= 5432;
	my $link = Rig::Link->start("$folder/.s.PGSQL.$port", "$real/.s.PGSQL.$port", %option);
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $direct =~ s/\Q$real\E/$folder/r,
		REPLICACHE_LISTEN_DATABASE => $direct);
	my $self = bless { link => $link, program => $program, number => 0,
		session => $cluster->session($database) }, $class;
	$self->begin_view;
	return $self;
}

sub begin_view
{
	my ($self) = @_;
	$self->{view} = Rig::Sync::View->new('reader', sub { $self->ask_on(@_) });
}

sub ask
{
	my ($self, @request) = @_;
	return $self->{program}->request(@request, seconds => 60);
}

# As a client does it: again, for as long as the server is unavailable, which it
# may be for a moment after the link is there again.
sub ask_on
{
	my ($self, @request) = @_;
	my $answer;
	wait_until(sub { ($answer = $self->ask(@request))->{status} != 503 }, 'an answer', 30);
	return $answer;
}

sub notes
{
	my ($self, $client) = @_;
	return $self->{session}->value("select count(*) from journal where client = '$client'");
}

sub arm
{
	my ($self, %option) = @_;
	$self->{session}->query(q(select pg_terminate_backend(pid, 10000) from pg_stat_activity
		where datname = current_database() and application_name <> 'psql')) if $option{dead};
	$self->{link}->arm($option{direction}, $option{at}, stay => $option{stay});
}

# One new client's push of two mutations and one that fails; known: its session
# in the program knows the client already.
sub push_once
{
	my ($self, %option) = @_;
	my $client = 'k' . ++$self->{number};
	my @known = $option{known} ? ([ $client, 1, 'note', '"known"' ]) : ();
	$self->ask_on(push_params($client, @known)) if @known;
	my $first = @known + 1;
	my @push = push_params($client, [ $client, $first, 'note', '"one"' ],
	    [ $client, $first + 1, $option{fails} ? 'failHalf' : 'note', '{"id":"two"}' ],
	    [ $client, $first + 2, 'note', '"three"' ]);
	$self->arm(%option);
	my $answer = $self->ask(@push);
	my $seen = $self->{link}->disarm;
	my $status = $answer->{status};
	my @wrong;
	push @wrong, "answered $status $answer->{body}" if $status != 200 && $status != 503;
	my $good = $option{fails} ? 2 : 3;
	my $applied = $self->notes($client) - @known;
	push @wrong, "200, but $applied of $good applied" if $status == 200 && $applied != $good;
	push @wrong, "$applied of $good applied" if $applied != 0 && $applied != $good;
	my $again = $self->ask_on(@push);
	push @wrong, "sent again: $again->{status} $again->{body}" if $again->{status} != 200;
	$applied = $self->notes($client) - @known;
	push @wrong, "sent again, $applied of $good applied" if $applied != $good;
	return ($seen, join '; ', @wrong);
}

# A pull of what changed since the view was pulled last; first: of all.
sub pull_once
{
	my ($self, %option) = @_;
	my $number = ++$self->{number};
	$self->{session}->query("insert into item (id, body) values ('x', to_jsonb($number)) on conflict (id) do update set body = excluded.body");
	$self->begin_view if $option{first};
	my $view = $self->{view};
	my %before = (%$view, rows => { %{ $view->{rows} } }, ids => { %{ $view->{ids} } });
	$self->arm(%option);
	$view->{ask} = sub { $self->ask(@_) };
	my $got = eval { $view->pull };
	my $error = $@;
	my $seen = $self->{link}->disarm;
	$view->{ask} = sub { $self->ask_on(@_) };
	my @wrong;
	if (!$got) {
		# Refused, or cut in the middle, and then it does not parse: a
		# client keeps what it had.
		push @wrong, $error if $error =~ /^pull: (?!503)/;
		%$view = (%before, ask => $view->{ask});
		eval { $view->pull } or push @wrong, "again: $@";
	}
	my $body = $view->{rows}{'item/x'}{body} // 'nothing';
	push @wrong, "has $body, not $number" if $body ne $number;
	return ($seen, join '; ', @wrong);
}

# True if it goes on, and comes to an orderly end.
sub ends_well
{
	my ($self) = @_;
	my $status = $self->ask_on(push_params('end', [ 'end', 1, 'note', '"end"' ]))->{status};
	return $status == 200 && ($self->{program}->stop // 'none') eq '0';
}

1;
