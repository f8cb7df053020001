# SPDX-License-Identifier: Apache-2.0
#
# What a Replicache client does, as far as a server can see it: the bodies of
# pushes and pulls, and a view kept by applying patches.
#
#	my $view = Rig::Sync::View->new('group', sub { ask the server });
#	$view->pull;
#	$view->{rows}{'item/x'};

package Rig::Sync;

use strict;
use warnings;

use Exporter qw(import);

use Rig::Json;
use Rig::Place qw(adopt_process forget_process);
use Rig::Program;

our @EXPORT_OK = qw(push_body pull_body push_params pull_params cookie_order
    cookie_version parallel background collect);

# A mutation is [client, id, name, args as JSON (undef: none)].
sub push_body
{
	my ($group, @mutation) = @_;
	my $list = join ',', map {
		my ($client, $id, $name, $args) = @$_;
		qq({"id":$id,"clientID":"$client","name":"$name",)
		    . (defined $args ? qq("args":$args,) : '') . '"timestamp":1.5}'
	} @mutation;
	return qq({"profileID":"p","clientGroupID":"$group","mutations":[$list],)
	    . '"pushVersion":1,"schemaVersion":""}';
}

sub pull_body
{
	my ($group, $cookie) = @_;
	$cookie = ref $cookie ? Rig::Json::encode($cookie) : $cookie // 'null';
	return qq({"profileID":"p","clientGroupID":"$group","cookie":$cookie,)
	    . '"pullVersion":1,"schemaVersion":""}';
}

# A cookie is a number, or an object: by its order the client compares, and its v is
# the version. Both are -1 for no cookie, which is less than any.
sub cookie_order
{
	my ($cookie) = @_;
	return (ref $cookie ? $cookie->{order} : $cookie) // -1;
}

sub cookie_version
{
	my ($cookie) = @_;
	return (ref $cookie ? $cookie->{v} : $cookie) // -1;
}

# The FastCGI parameters and body of a push, of a pull.
sub push_params
{
	my $body = push_body(@_);
	return (Rig::Program::params('POST', '/push', body => $body), $body);
}

sub pull_params
{
	my $body = pull_body(@_);
	return (Rig::Program::params('POST', '/pull', body => $body), $body);
}

# Run count processes of $work->(number) at once; returns what each returned
# (plain data), in order. One that dies makes this die.
sub parallel
{
	my ($count, $work, $seconds) = @_;
	return collect(background($count, $work), $seconds);
}

# Start them; what is returned is for collect().
sub background
{
	my ($count, $work) = @_;
	my @child;
	for my $number (0 .. $count - 1) {
		pipe(my $read, my $write) or die "pipe: $!";
		my $pid = fork // die "fork: $!";
		if ($pid == 0) {
			close $read;
			my $result = eval { Rig::Json::encode({ result => $work->($number) }) }
			    // Rig::Json::encode({ error => "$@" });
			binmode $write;
			print $write $result;
			close $write;
			POSIX::_exit(0);
		}
		close $write;
		push @child, { pid => adopt_process($pid), read => $read };
	}
	return \@child;
}

# Wait for their ends, as parallel().
sub collect
{
	my ($started, $seconds) = @_;
	my @child = @$started;
	local $SIG{ALRM} = sub {
		kill 'KILL', map { $_->{pid} } @child;
		die "parallel work took too long\n";
	};
	alarm($seconds // 120);
	my @result;
	for my $child (@child) {
		local $/;
		my $read = $child->{read};
		my $text = <$read> // '';
		waitpid $child->{pid}, 0;
		forget_process($child->{pid});
		my $data = eval { Rig::Json::decode($text) } // { error => 'no result' };
		$data->{error} and $child->{error} = $data->{error};
		push @result, $data->{result};
	}
	alarm 0;
	my @error = map { $_->{error} // () } @child;
	die "in parallel: $error[0]\n" if @error;
	return @result;
}

package Rig::Sync::View;

# $ask->($params, $body) gives an answer.
sub new
{
	my ($class, $group, $ask) = @_;
	return bless {
		group => $group, ask => $ask, cookie => undef, rows => {}, ids => {},
	}, $class;
}

# Pull once and apply, with all checks a client makes. Dies on what a client
# would not take.
sub pull
{
	my ($self) = @_;
	my $answer = $self->{ask}->(Rig::Sync::pull_params($self->{group}, $self->{cookie}));
	die "pull: $answer->{status} $answer->{body}\n" if $answer->{status} != 200;
	my $got = Rig::Json::decode($answer->{body});
	die "pull: $answer->{body}\n" if exists $got->{error};
	my $fault = Rig::Json::patch_fault($got->{patch});
	die "pull: patch: $fault\n" if $fault;
	my $cookie = $got->{cookie};
	if (defined $self->{cookie}) {
		my ($before, $after) = map { Rig::Sync::cookie_order($_) } $self->{cookie}, $cookie;
		die "pull: cookie went from $before to $after\n" if $after < $before;
		die "pull: the same cookie, but $answer->{body}\n" if $after == $before
		    && (@{ $got->{patch} } || %{ $got->{lastMutationIDChanges} }
			|| Rig::Json::encode($cookie) ne Rig::Json::encode($self->{cookie}));
	}
	while (my ($client, $id) = each %{ $got->{lastMutationIDChanges} }) {
		die "pull: the last mutation ID of $client fell to $id\n"
		    if $id < ($self->{ids}{$client} // 0);
		$self->{ids}{$client} = $id;
	}
	for my $entry (@{ $got->{patch} }) {
		if ($entry->{op} eq 'clear') {
			$self->{rows} = {};
		} elsif ($entry->{op} eq 'put') {
			$self->{rows}{$entry->{key}} = $entry->{value};
		} else {
			delete $self->{rows}{$entry->{key}};
		}
	}
	$self->{cookie} = $cookie;
	return $got;
}

1;
