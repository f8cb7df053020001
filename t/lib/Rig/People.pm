# SPDX-License-Identifier: Apache-2.0
#
# People with a client each (t/sql/mirror.sql), who pull through one session.
#
#	my $people = Rig::People->new($session, qw(ann bob));
#	$people->all_pull('about');	# each has what they may see

package Rig::People;

use strict;
use warnings;

use JSON::PP ();
use Test::More ();

sub new
{
	my ($class, $session, @names) = @_;
	return bless { session => $session, names => [@names],
		known => { map { $_ => {} } @names } }, $class;
}

# What this one would be told now, as {key => value or undef}.
sub patch
{
	my ($self, $name) = @_;
	my $rows = $self->{session}->query(
	    "select key, value from mirror_patch((select cookie from mirror where name = '$name'), '$name')");
	my %patch;
	$patch{ $_->[0] } = $_->[1] for @$rows;
	return \%patch;
}

sub cookie { $_[0]{session}->value("select cookie from mirror where name = '$_[1]'") }

# From now on they may know what is there for them.
sub learn
{
	my ($self, $sql) = @_;
	$self->{known}{ $_->[0] }{ $_->[1] } = 1 for @{ $self->{session}->query($sql) };
}

# Pull; '' if what there is then is right, and nothing was told that this
# one could not have known.
sub pull
{
	my ($self, $name) = @_;
	my $session = $self->{session};
	my @told = defined $self->cookie($name) ? keys %{ $self->patch($name) } : ();
	$session->query("select mirror_pull('$name', '$name')");
	my ($view, $truth) = @{ $session->query("select m.view, mirror_truth('$name') from mirror as m where m.name = '$name'")->[0] };
	my $known = $self->{known}{$name};
	$known->{$_} = 1 for keys %{ JSON::PP::decode_json($truth) };
	my @leaked = grep { !$known->{$_} } @told;
	return '' if $view eq $truth && !@leaked;
	return "$name has $view, may see $truth, was told of [@leaked]";
}

sub all_pull
{
	my ($self, $about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is(join('; ', grep { $_ } map { $self->pull($_) } @{ $self->{names} }), '', $about);
}

sub keys
{
	my ($self, $name) = @_;
	return $self->{session}->value("select string_agg(key, ' ' order by key)
		from mirror, jsonb_object_keys(view) as key where name = '$name'") // '';
}

1;
