# SPDX-License-Identifier: Apache-2.0
#
# A script of t/client in Node: questions in, answers out.
#
#	plan skip_all => $_ for Rig::Node::missing();
#	my $node = Rig::Node->start('clients.mjs', SERVER => $url);
#	my $result = $node->ask(do => 'open', client => 'a');

package Rig::Node;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use JSON::PP;
use Time::HiRes qw(time);

use Rig::Place qw(srcdir builddir start_process stop_process find_tool);

my $json = JSON::PP->new->utf8->canonical;

# Where examples/chat/build put the page and its packages.
sub chat_build { return builddir() . '/examples/chat' }

# Why Node can't be used here; an empty list when it can.
sub missing
{
	my @package = @_;
	return 'node is not installed' unless defined find_tool('node');
	my $build = chat_build();
	for my $name ('replicache', @package) {
		return "$name is not installed: run examples/chat/build $build"
		    unless -d "$build/node_modules/$name";
	}
	return;
}

sub start
{
	my ($class, $script, %environment) = @_;
	pipe(my $child_in, my $to) or die "pipe: $!";
	pipe(my $from, my $child_out) or die "pipe: $!";
	my $pid = start_process(
		[ find_tool('node'), srcdir() . "/t/client/$script" ],
		stdin => $child_in, stdout => $child_out,
		environment => { CHAT_BUILD => chat_build(), %environment });
	close $child_in;
	close $child_out;
	$to->autoflush(1);
	return bless { pid => $pid, to => $to, from => $from, buffer => '',
	    script => $script }, $class;
}

# Ask and wait for the answer; dies when the answer is an error.
sub ask
{
	my ($self, %question) = @_;
	print { $self->{to} } $json->encode(\%question), "\n";
	my $end = time + 60;
	my $select = IO::Select->new($self->{from});
	my $length;
	while (($length = index $self->{buffer}, "\n") < 0) {
		my $left = $end - time;
		die "$self->{script} gave no answer to $question{do} in time\n"
		    if $left <= 0 || !$select->can_read($left);
		sysread $self->{from}, $self->{buffer}, 65536,
		    length $self->{buffer} or die "$self->{script} ended\n";
	}
	my $answer = $json->decode(substr $self->{buffer}, 0, $length + 1, '');
	die "$question{do}: $answer->{error}\n" if defined $answer->{error};
	return $answer->{result};
}

sub stop
{
	my ($self) = @_;
	return unless defined $self->{pid};
	close $self->{to};
	stop_process(delete $self->{pid}, 'TERM', 10);
	close $self->{from};
}

1;
