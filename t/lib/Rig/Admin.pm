# SPDX-License-Identifier: Apache-2.0
#
# replicache-admin, run to its end.
#
#	my $admin = Rig::Admin->new($cluster->conninfo($database));
#	my $run = $admin->run('status');	# {exit, out, error}
#	my $data = $admin->json('status');	# what --json says
#
# On a terminal: $admin->typing("yes\n", 'new-epoch').

package Rig::Admin;

use strict;
use warnings;

use Rig::Json;
use Rig::Place qw(builddir workdir start_process reap_process slurp spew
    find_tool);

my $count = 0;

# Options: program, environment, user.
sub new
{
	my ($class, $conninfo, %option) = @_;
	return bless {
		conninfo => $conninfo,
		program => $option{program} // builddir() . '/admin/replicache-admin',
		user => $option{user},
		environment => { REPLICACHE_CONFIG => '/dev/null',
			%{ $option{environment} // {} } },
	}, $class;
}

sub command
{
	my ($self, @arguments) = @_;
	my @database = defined $self->{conninfo} ? ('--database', $self->{conninfo}) : ();
	return ($self->{program}, @database, @arguments);
}

# Run a command; standard input is the text, else /dev/null.
sub start
{
	my ($self, $input, @command) = @_;
	my $base = workdir() . "/admin$$." . ++$count;
	open my $out, '>', "$base.out" or die "$base.out: $!";
	open my $error, '>', "$base.err" or die "$base.err: $!";
	my %option = (user => $self->{user});
	if (defined $input) {
		spew("$base.in", $input);
		open $option{stdin}, '<', "$base.in" or die "$base.in: $!";
	}
	my $pid = start_process(\@command, %option, stdout => $out,
	    stderr => $error, clean => 1, environment => $self->{environment});
	my $status = reap_process($pid, 120) // die "@command does not end\n";
	return { exit => $status >> 8, out => slurp("$base.out"),
		error => slurp("$base.err") };
}

sub run
{
	my ($self, @arguments) = @_;
	return $self->start(undef, $self->command(@arguments));
}

# What it says in JSON; dies unless it exits as expected, by 0.
sub json
{
	my ($self, @arguments) = @_;
	my $exit = @arguments && $arguments[0] =~ /^\d$/ ? shift @arguments : 0;
	my $run = $self->run('--json', @arguments);
	die "@arguments: exit $run->{exit}: $run->{error}\n" if $run->{exit} != $exit;
	return Rig::Json::decode($run->{out});
}

# Run on a terminal, where the text is typed. All it writes is in {out}.
sub typing
{
	my ($self, $text, @arguments) = @_;
	my $line = join ' ', map { "'" . s/'/'\\''/gr . "'" } $self->command(@arguments);
	return $self->start($text, find_tool('script'), '-qec', $line, '/dev/null');
}

1;
