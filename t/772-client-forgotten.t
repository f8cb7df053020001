#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client after it was forgotten: nothing that it pushed is run again, it
# is told to start over, and then goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Admin;
use Rig::Client;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $admin = Rig::Admin->new($site->cluster->conninfo($site->database));

# Two years pass, for all that was done until now.
sub years_pass
{
	$site->session->query(q(select replicache_horizon('0');
		update replicache_version_time set at = at - interval '2 years'));
}

sub forget
{
	return $admin->json('--yes', 'purge', '--clients', '1 year')->{clients_forgotten};
}

sub log_text { $site->session->value("select content from message where id = 'log'") }

sub told { grep { $_ eq 'clientStateNotFound' } @{ $_[0]->events } }

Rig::Client->open($node, name => 'writer')
    ->mutate(createMessage => { id => 'log', from => 'w', content => '', order => 1 })->settle;

subtest 'a tab that never heard of what was applied' => sub {
	my $tab = Rig::Client->open($node, name => 'alice');
	# By the pull it starts with: another one might tell it what was applied.
	wait_until(sub { exists $tab->view->{'message/log'} }, 'the log');
	$tab->mutate(appendMessage => { id => 'log', text => 'a1,' });
	wait_until(sub { log_text() eq 'a1,' }, 'it to be applied');
	is(scalar @{ $tab->pending }, 1, 'the tab does not know that');
	years_pass();
	is(forget(), 2, 'it is forgotten, with the writer');
	$tab->ask('push');
	wait_until(sub { told($tab) }, 'it to be told to start over');
	is(log_text(), 'a1,', 'nothing was run again');
	$tab->close;

	# As the page does then, it is opened anew.
	my $again = Rig::Client->open($node, name => 'alice');
	isnt($again->group, $tab->group, 'it is in another group');
	$again->mutate(appendMessage => { id => 'log', text => 'a2,' });
	$again->settle;
	is(log_text(), 'a1,a2,', 'what it does is applied');
	$again->wait_for_view($site->expected_view);
	is_deeply($again->events, [], 'it is told nothing');
	$again->close;
};

subtest 'a tab that only reads' => sub {
	my $tab = Rig::Client->open($node, name => 'bob');
	wait_until(sub { exists $tab->view->{'message/log'} }, 'the log');
	$tab->mutate(appendMessage => { id => 'log', text => 'b1,' })->settle;
	years_pass();
	cmp_ok(forget(), '>=', 1, 'it is forgotten');
	$tab->ask('pull');
	wait_until(sub { told($tab) }, 'it to be told to start over, before it writes');
	is(log_text(), 'a1,a2,b1,', 'nothing was run again');
	$tab->close;
};

subtest 'a tab beside one that is in use' => sub {
	my $old = Rig::Client->open($node, name => 'carol');
	wait_until(sub { exists $old->view->{'message/log'} }, 'the log');
	$old->mutate(appendMessage => { id => 'log', text => 'c1,' });
	wait_until(sub { log_text() =~ /c1,$/ }, 'it to be applied');
	years_pass();
	my $used = Rig::Client->open($node, name => 'carol');
	is($used->group, $old->group, 'they are one group');
	$used->mutate(appendMessage => { id => 'log', text => 'c2,' })->settle;
	cmp_ok(forget(), '>=', 1, 'the old one is forgotten');
	$used->mutate(appendMessage => { id => 'log', text => 'c3,' })->settle;
	is(log_text(), 'a1,a2,b1,c1,c2,c3,', 'the other goes on');
	$used->wait_for_view($site->expected_view);
	is_deeply($used->events, [], 'and is told nothing');
	$used->close;
	$old->mutate(appendMessage => { id => 'log', text => 'c4,' });
	wait_until(sub { told($old) }, 'the old one to be told to start over');
	is(log_text(), 'a1,a2,b1,c1,c2,c3,', 'nothing was run again, nor what it did since');
};

$node->stop;
done_testing;
