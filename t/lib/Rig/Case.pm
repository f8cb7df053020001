# SPDX-License-Identifier: Apache-2.0
#
# Runs the cases of t/cases; t/README says how one is written.
#
#	Rig::Case::run('fastcgi', 'push');	# each file of t/cases/push

package Rig::Case;

use strict;
use warnings;

use Test::More;

use Rig::Cluster;
use Rig::Json;
use Rig::Place qw(srcdir slurp wait_until);
use Rig::Sync;
use Rig::Token;
use Rig::Way;

my %is_section = map { $_ => 1 } qw(about ways env before let token hold release
    push pull request response state log pokes);

# Run every case of the folders, one after the other. With CASE=pattern in the
# environment only those whose path matches.
sub run
{
	my ($way_name, @folders) = @_;
	my $way = Rig::Way->new($way_name);
	plan skip_all => "no $way_name here" unless $way->is_possible;
	my $cluster = Rig::Cluster->start;
	$way->prepare;
	my $self = bless { way => $way, cluster => $cluster, fresh => 0 }, __PACKAGE__;
	my $only = $ENV{CASE} // '';
	my $run = 0;
	for my $folder (@folders) {
		my @file = sort glob srcdir() . "/t/cases/$folder/*";
		for my $file (grep { /$only/ } @file) {
			my ($name) = $file =~ m{([^/]+/[^/]+)$};
			subtest $name => sub { $self->run_case($file) };
			$run++;
		}
	}
	$self->close_database;
	ok($only ne '' || $run > 0, 'there are cases');
	done_testing;
}

# A case begins in an empty database, at a new epoch, and with a program that
# has served others. Where tables or mutators were made or unmade, and after a
# failure, it all is made anew.
sub open_database
{
	my ($self) = @_;
	my $cluster = $self->{cluster};
	if (!$self->{fresh}) {
		$self->close_database;
		my $database = $self->{database} = $cluster->database('cases');
		for (qw(session owner)) {
			$self->{$_} //= $cluster->session('postgres', $_ eq 'owner' ? 'postgres' : 'app');
		}
		$self->{session}->reconnect($cluster->conninfo($database));
		$self->{session}->query('listen replicache');
		$self->{owner}->reconnect($cluster->conninfo($database, 'postgres'));
		$self->{way}->begin($self->environment);
	} else {
		$self->{owner}->query('set session_replication_role = replica');
		$self->{owner}->query('select case_reset()');
		$self->{owner}->query('reset session_replication_role');
		$self->{session}->query('delete from replicache_schema_version');
		$self->{session}->query('select replicache_new_epoch()');
	}
	$self->{fresh} = 1;
}

sub close_database
{
	my ($self) = @_;
	my $database = delete $self->{database} // return;
	$self->{way}->end;
	for my $session (@$self{qw(session owner)}) {
		$session->reconnect($self->{cluster}->conninfo('postgres', 'postgres'));
	}
	$self->{cluster}->drop($database);
}

sub environment
{
	my ($self) = @_;
	# All that may be logged is: see Rig::Secrets.
	return (REPLICACHE_DATABASE => $self->{cluster}->conninfo($self->{database}),
	    REPLICACHE_LOG_LEVEL => 'debug');
}

# The sections of a case file, in order.
sub parse
{
	my ($text, $file) = @_;
	my (@section, $number);
	for my $line (split /^/, $text) {
		$number++;
		if ($line =~ /^\[([a-z]+)(?: +(.*?))?\]\s*$/ && $is_section{$1}) {
			push @section, { name => $1, argument => $2 // '', text => '',
			    line => $number, file => $file };
		} elsif (@section) {
			$section[-1]{text} .= $line;
		} elsif ($line !~ /^\s*(#.*)?$/) {
			die "$file:$number: text before the first section\n";
		}
	}
	# The blank lines between two sections belong to neither.
	s/\n\s*\z/\n/ for map { $_->{text} } @section;
	return @section;
}

sub run_case
{
	my ($self, $file) = @_;
	my $way = $self->{way};
	my @section = parse(slurp($file), $file);
	my %first = map { $_->{name} => $_ } reverse @section;
	if (my $ways = $first{ways}) {
		my %named = map { $_ => 1 } split ' ', $ways->{text};
		my $fits = grep { $named{$_} } $way->names;
		plan skip_all => "not as $way->{name}" if $named{not} ? $fits : !$fits;
	}
	plan skip_all => 'sets raw parameters'
	    if !$way->has_params && grep { needs_params($_) } @section;

	$self->open_database;
	@$self{qw(value answer)} = ({ now => time, keys => Rig::Token::folder() }, undef);
	my %environment = map { /^(\w+)=(.*)/ ? ($1, $2) : () }
	    split /\n/, $first{env} ? $self->fill($first{env}{text}) : '';
	$self->restart(%environment) if %environment;
	local $SIG{ALRM} = sub { die "out of time\n" };
	alarm 120;
	eval { $self->steps(@section); 1 } or fail("the case ran to its end: $@");
	alarm 0;
	(delete $self->{holder})->close if $self->{holder};
	ok($way->is_alive, 'the program lives');
	my $good = Test::More->builder->is_passing;
	diag($way->log) unless $good;
	$self->restart if %environment;
	$self->{fresh} = $good && !grep { makes_things($_) } @section;
	done_testing;
}

# The program anew, with these settings.
sub restart
{
	my ($self, %environment) = @_;
	$self->{way}->end;
	$self->{way}->begin($self->environment, %environment);
}

# What the rows alone can't undo.
sub makes_things
{
	my ($section) = @_;
	return $section->{name} =~ /^(before|hold)$/
	    && $section->{text} =~ /\b(create|alter|drop)\b|register/i;
}

sub needs_params
{
	my ($section) = @_;
	return $section->{name} =~ /^(request|push|pull)$/
	    && $section->{text} =~ /\A(?:[A-Za-z0-9-]+: .*\n)*[A-Z_]+=/;
}

sub steps
{
	my ($self, @section) = @_;
	$self->{value}{V} = $self->version;
	for my $i (0 .. $#section) {
		my $section = $section[$i];
		my $method = "do_$section->{name}";
		$self->$method($section) if $self->can($method);
		# A request nothing is said about succeeds.
		if ($self->{answer} && !($section[$i + 1]
		    && $section[$i + 1]{name} eq 'response')) {
			$self->do_response({ %$section, text => "200\n" });
		}
	}
}

sub version
{
	my ($self) = @_;
	return $self->{session}->value(
		'select coalesce(max(version), 0) from replicache_version');
}

# Replace ${name}, ${name+1}, ${name-1} by values.
sub fill
{
	my ($self, $text) = @_;
	my $value = $self->{value};
	$text =~ s{\$\{(\w+)([+-]\d+)?\}}{
		exists $value->{$1} or die "\${$1} has no value\n";
		ref $value->{$1} ? Rig::Json::encode($value->{$1})
		    : defined $2 ? $value->{$1} + $2 : $value->{$1} }ge;
	return $text;
}

sub title
{
	my ($section, $what) = @_;
	return "line $section->{line}: $what";
}

sub do_before
{
	my ($self, $section) = @_;
	$self->{session}->send($self->fill($section->{text}));
	my $answer = $self->{session}->wait_raw;
	die "[before] of line $section->{line}: $answer" if $answer =~ /^(ERROR|FATAL):/m;
	$self->{value}{V} = $self->version;
}

sub do_let
{
	my ($self, $section) = @_;
	$self->{value}{$section->{argument}} =
	    $self->{session}->value($self->fill($section->{text}));
}

# [token NAME]: its claims. [token NAME perl]: Perl that gives the token, for
# which there are sign(claims, header => ..., secret => ...), kept(name), and
# $now.
sub do_token
{
	my ($self, $section) = @_;
	my ($name, $perl) = split ' ', $section->{argument};
	my $text = $section->{text};
	my $token;
	if ($perl) {
		my $now = $self->{value}{now};
		$token = eval 'package Rig::Token; no strict; '
		    . "no warnings 'redefine'; $text";
		die "line $section->{line}: $@" if $@;
	} else {
		chomp($text = $self->fill($text));
		$token = Rig::Token::sign($text);
	}
	$self->{value}{$name} = $token;
}

sub do_hold
{
	my ($self, $section) = @_;
	$self->{holder} //= $self->{cluster}->session($self->{database});
	$self->{holder}->query('begin; ' . $self->fill($section->{text}));
}

sub do_release
{
	my ($self, $section) = @_;
	$self->{holder}->query($section->{argument} eq 'commit' ? 'commit' : 'rollback');
}

# [push GROUP]: "client id name args" a line.
sub do_push
{
	my ($self, $section) = @_;
	my ($head, $body) = split_head($self->fill($section->{text}));
	my @mutation = map { [ split ' ', $_, 4 ] } grep { /\S/ } split /\n/, $body;
	$self->ask('POST', '/push', $head,
	    Rig::Sync::push_body($self->fill($section->{argument}), @mutation));
}

# [pull GROUP COOKIE]
sub do_pull
{
	my ($self, $section) = @_;
	my ($head) = split_head($self->fill($section->{text}));
	my ($group, $cookie) = split ' ', $self->fill($section->{argument}), 2;
	$self->ask('POST', '/pull', $head, Rig::Sync::pull_body($group, $cookie));
}

# [request METHOD PATH [bytes|perl|chunked...]]
sub do_request
{
	my ($self, $section) = @_;
	my ($method, $path, @word) = split ' ', $section->{argument};
	my %word = map { $_ => 1 } @word;
	my $text = $section->{text};
	$text = $self->fill($text) unless $word{perl};
	my ($head, $body) = split_head($text);
	chomp $body;
	if ($word{bytes}) {
		$body =~ s/\\x([0-9a-fA-F]{2})/chr hex $1/ge;
	} elsif ($word{perl}) {
		my $value = $self->{value};
		$body = eval "package Rig::Case::Body; no strict; $body";
		die "line $section->{line}: $@" if $@;
	}
	undef $body if $method !~ /^(POST|PUT)$/ && $body eq '';
	$self->ask($method, $path, $head, $body, chunked => $word{chunked});
}

# Lines "Header: value" and "PARAMETER=value" (the value - is none at all), up
# to a blank line; without any the whole text is the body.
sub split_head
{
	my ($text) = @_;
	return ({}, $text) unless $text =~ /\A(?:[A-Za-z0-9-]+: |[A-Z_]+=)/;
	my ($head, $body) = split /\n[ \t]*\n/, $text, 2;
	my (%header, %param);
	for my $line (split /\n/, $head) {
		if ($line =~ /^([A-Za-z0-9-]+): *(.*)/) {
			$header{$1} = $2 eq '-' ? undef : $2;
		} elsif ($line =~ /^([A-Z_]+)=(.*)/) {
			$param{$1} = $2 eq '-' ? undef : $2;
		} else {
			die "neither header nor parameter: $line\n";
		}
	}
	return ({ headers => \%header, params => \%param }, $body // '');
}

sub ask
{
	my ($self, $method, $path, $head, $body, %option) = @_;
	$self->{before} = $self->fingerprint;
	$self->{session}->notifications;
	$self->{way}->new_log;
	my $query;
	($path, $query) = ($1, $2) if $path =~ /^([^?]*)\?(.*)/;
	$path = '' if $path eq '-';
	$self->{answer} = $self->{way}->request($method, $path, query => $query,
	    body => $body, %$head, %option);
	$self->{asked} = "$method $path";
	$self->{answered} = 1;
}

# One text that tells every table's rows.
sub fingerprint
{
	my ($self) = @_;
	my $rows = $self->{session}->query('select * from case_fingerprint()');
	return { map { @$_ } @$rows };
}

# Tables that differ from the fingerprint before the request.
sub changed
{
	my ($self) = @_;
	my ($before, $after) = ($self->{before}, $self->fingerprint);
	my %name = (%$before, %$after);
	return grep { ($before->{$_} // '') ne ($after->{$_} // '') } sort keys %name;
}

sub do_response
{
	my ($self, $section) = @_;
	my $answer = delete $self->{answer} // die "no request before [response]\n";
	my ($first, $rest) = $section->{text} =~ /\A *([^\n]*)\n?(.*)\z/s;
	my ($status, @word) = split ' ', $first;
	my %word = map { $_ => 1 } @word;
	my $same = delete $word{same};
	my $may_change = delete $word{changed};
	my ($code) = keys %word;
	my $asked = "$self->{asked} -> $first";

	is($answer->{status}, $status, title($section, $asked))
	    or diag(explain_answer($answer));
	if ($rest =~ /\A[A-Za-z0-9-]+: /) {
		my ($head, $body) = split /\n\n/, $rest, 2;
		$self->check_headers($section, $answer, $head);
		$rest = $body // '';
	}
	my $got = eval { Rig::Json::decode($answer->{body} // '') };
	if ($answer->{status} >= 400 && $self->{asked} !~ /^HEAD/) {
		check_error($section, $answer, $got, $code);
	} else {
		is(ref $got eq 'HASH' ? $got->{error} : undef, $code,
		    title($section, 'the error is ' . ($code // 'none')))
		    or diag(explain_answer($answer));
	}
	$self->check_form($section, $answer, $got);
	$self->check_body($section, $answer, $got, $rest) if $rest =~ /\S/;

	my $refused = $answer->{status} != 200
	    || ref $got eq 'HASH' && exists $got->{error};
	if ($same || $refused && !$may_change) {
		is_deeply([ $self->changed ], [], title($section, 'the database is the same'));
		is_deeply([ $self->{session}->notifications ], [],
		    title($section, 'no poke'));
	}
}

sub check_headers
{
	my ($self, $section, $answer, $head) = @_;
	for my $line (split /\n/, $head) {
		my ($name, $want) = $line =~ /^([A-Za-z0-9-]+): *(.*)/
		    or die "no header: $line\n";
		my $have = $answer->{headers}{lc $name};
		if ($want eq '-') {
			is($have, undef, title($section, "no header $name"));
		} elsif ($want =~ m{^/(.*)/$}) {
			like($have // '', qr/$1/i, title($section, "header $name"));
		} else {
			is($have, $self->fill($want), title($section, "header $name"));
		}
	}
}

# Every refusal has the same form and tells nothing of the inside.
sub check_error
{
	my ($section, $answer, $got, $code) = @_;
	if (ref $got ne 'HASH') {
		fail(title($section, 'the error is JSON'));
		diag(explain_answer($answer));
		return;
	}
	is(join(' ', sort keys %$got), 'error message requestID',
	    title($section, "the error's members"));
	is($got->{error}, $code, title($section, "the error is $code"))
	    if defined $code;
	my $message = $got->{message} // '';
	ok(length $message < 200 && $message !~ /\b(ERROR|select|insert|relation|PL\/pgSQL|\.c:)/,
	    title($section, 'the message is short and fixed')) or diag($message);
	my $header = $answer->{headers};
	like($header->{'content-type'} // '', qr{^application/json}, title($section, 'Content-Type'));
	is($header->{'cache-control'}, 'no-store', title($section, 'Cache-Control'));
	is($header->{'x-content-type-options'}, 'nosniff',
	    title($section, 'X-Content-Type-Options'));
	is($header->{'retry-after'}, '1', title($section, 'Retry-After'))
	    if ($code // '') eq 'unavailable';
	ok($header->{allow}, title($section, 'Allow')) if $answer->{status} == 405;
}

# What holds for every answer.
sub check_form
{
	my ($self, $section, $answer, $got) = @_;
	my $length = $answer->{headers}{'content-length'};
	is($length, length $answer->{body}, title($section, 'Content-Length'))
	    if defined $length && $self->{asked} !~ /^HEAD/;
	return if $answer->{status} != 200;
	if ($self->{asked} eq 'POST /push' && ref $got eq 'HASH' && !$got->{error}) {
		is_deeply($got, {}, title($section, 'a push is answered by {}'));
	} elsif ($self->{asked} eq 'POST /pull' && !(ref $got eq 'HASH' && $got->{error})) {
		if (ref $got ne 'HASH') {
			fail(title($section, 'a pull is answered by an object'));
			diag(explain_answer($answer));
			return;
		}
		is(join(' ', sort keys %$got), 'cookie lastMutationIDChanges patch',
		    title($section, "a pull's members"));
		like($answer->{body},
		    qr/"cookie":(?:[1-9][0-9]*|\{"order":(?:[1-9][0-9]*|"\xef\xbf\xbf[0-9]{16}"),"v":[1-9][0-9]*,"of":"(?:[0-9a-f]{24})?"\})[,}]/,
		    title($section, 'the cookie is a plain integer, or says whose it is'));
		is(Rig::Json::patch_fault($got->{patch}), '', title($section, 'the patch is sound'))
		    if ref $got->{patch} eq 'ARRAY';
	}
}

sub check_body
{
	my ($self, $section, $answer, $got, $expected) = @_;
	my $mark = '\u0001';
	$expected =~ s/\$\{(\w+)=\}/"${mark}capture $1"/g;
	$expected =~ s/\$\{any\}/"${mark}any"/g;
	my $want = eval { Rig::Json::decode($self->fill($expected)) };
	die "line $section->{line}: the expected body is no JSON: $@" if $@;
	my %captured;
	my $difference = Rig::Json::difference($got, $want, \%captured);
	is($difference, '', title($section, 'the body'))
	    or diag(explain_answer($answer));
	while (my ($name, $value) = each %captured) {
		$self->{value}{$name} = $value;
	}
}

sub explain_answer
{
	my ($answer) = @_;
	my $headers = $answer->{headers};
	return join "\n", "status $answer->{status}",
	    (map { "$_: $headers->{$_}" } sort keys %$headers),
	    substr($answer->{body} // '(cut)', 0, 2000),
	    substr($answer->{stderr} // '', -2000);
}

# SQL, "--", rows: fields joined by "|", null is "null".
sub do_state
{
	my ($self, $section) = @_;
	my ($sql, $rows) = split /^--\s*?\n/m, $section->{text}, 2;
	my @want = grep { /\S/ } split /\n/, $self->fill($rows // '');
	my @have = map { join '|', map { $_ // 'null' } @$_ }
	    @{ $self->{session}->query($self->fill($sql)) };
	is_deeply(\@have, \@want, title($section, 'the state'))
	    or diag(join "\n", 'got:', @have);
}

# The payloads of the notifications since the last request, one a line.
sub do_pokes
{
	my ($self, $section) = @_;
	my @want = grep { /\S/ } split /\n/, $self->fill($section->{text});
	my @have = map { $_->[1] } $self->{session}->notifications;
	is_deeply(\@have, \@want, title($section, 'the pokes'));
}

# Patterns the log since the last request must have; with "! ", must not.
sub do_log
{
	my ($self, $section) = @_;
	my @pattern = grep { /\S/ } split /\n/, $self->fill($section->{text});
	my $log = '';
	my @open = grep { !/^! / } @pattern;
	eval {
		wait_until(sub {
			$log .= $self->{way}->new_log;
			@open = grep { $log !~ /$_/ } @open;
			return !@open;
		}, 'the log', 5);
	};
	is_deeply(\@open, [], title($section, 'the log has it')) or diag($log);
	for my $pattern (map { /^! (.*)/ ? $1 : () } @pattern) {
		unlike($log, qr/$pattern/, title($section, "the log has no $pattern"));
	}
}

1;
