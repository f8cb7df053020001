#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client with tokens: one that expires, another user on the same browser
# profile, and mutations of long ago that are sent under a new token.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Site;
use Rig::Token;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat(Rig::Token::environment());
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $order = 0;

sub token { return 'Bearer ' . Rig::Token::of_user(@_) }

sub message
{
	my ($id) = @_;
	return (createMessage =>
	    { id => $id, from => 'test', content => $id, order => ++$order });
}

sub requests { return @{ $node->ask(do => 'requests') } }

sub get_auths { return scalar grep { $_ eq 'getAuth' } @{ $_[0]->events } }

sub owner { return $site->session->value("select user_id from replicache_client_group where id = '$_[0]'") }

sub stored { return $site->session->value("select count(*) from message where id = '$_[0]'") }

subtest 'a token that has expired' => sub {
	my $client = Rig::Client->open($node, name => 'expired',
	    auth => token('ann', -3600), tokens => [ token('ann') ]);
	$client->mutate(message('e1'));
	$client->settle;
	is(stored('e1'), 1, 'what waited is there');
	is(owner($client->group), 'ann', 'the group is hers');
	my $asked = get_auths($client);
	ok($asked == 1 || $asked == 2, 'after one question, or one each for push and pull');
	$client->close;
};

subtest 'no token but expired ones' => sub {
	my @old = map { token('ann', -3600 - $_) } 1 .. 3;
	requests();
	my $client = Rig::Client->open($node, name => 'stale', auth => $old[0], tokens => [@old]);
	$client->mutate(message('e2'));
	my %refused;
	wait_until(sub {
		# Of others that were closed some may still be under way.
		$refused{"$_->{path} $_->{status}"}++
		    for grep { $_->{clientGroupID} eq $client->group } requests();
		get_auths($client) > 2 && $refused{'push 401'};
	}, 'all to be refused', 30);
	is(join(' ', grep { !/401/ } keys %refused), '', 'with 401, and nothing else');
	is(stored('e2'), 0, 'nothing is stored');
	is(scalar(@{ $client->pending }), 1, 'nor lost');
	is(owner($client->group), undef, 'and there is no group');
	Rig::Client->wait_until_kept($node, 1, name => 'stale', auth => $old[0]);
	$client->close;
	my $later = Rig::Client->open($node, name => 'stale', auth => token('ann'));
	wait_until(sub { $later->ask('push'); stored('e2') }, 'it to be sent by a tab with a new one', 30);
	$later->close;
};

subtest 'another user on the same profile' => sub {
	my $ann = Rig::Client->open($node, name => 'profile', auth => token('ann'));
	$ann->mutate(message('p1'))->settle;
	my $before = $site->session->query('select id, user_id from replicache_client_group order by 1');
	requests();
	my $bob = Rig::Client->open($node, name => 'profile', auth => token('bob'), tokens => [ token('bob') ]);
	is($bob->group, $ann->group, 'the page has given both one name, so one group');
	$bob->mutate(message('p2'));
	my %answered;
	wait_until(sub {
		$bob->ask($_) for qw(push pull);
		$answered{"$_->{path} $_->{status}"}++ for grep { $_->{clientGroupID} eq $ann->group } requests();
		$answered{'pull 200'} && grep { $_ eq 'clientStateNotFound' } @{ $bob->events };
	}, 'bob to be told to load the page again', 30);
	is(join(' ', grep { !/^(?:push 403|pull 200)$/ } sort keys %answered), '', 'what he pushes for her group is refused');
	is(get_auths($bob), 0, 'no other token is asked for');
	is(stored('p2'), 0, 'nothing is stored');
	is(owner($ann->group), 'ann', 'the group stays hers');
	is_deeply($site->session->query('select id, user_id from replicache_client_group order by 1'), $before, 'nothing else has changed');
	$_->close for $bob, $ann;
	$bob = Rig::Client->open($node, name => 'profile', auth => token('bob'));
	isnt($bob->group, $ann->group, 'then he has a group of his own');
	$bob->mutate(message('p4'))->settle;
	is(owner($bob->group), 'bob', 'in his name');
	$bob->close;
	my $own = Rig::Client->open($node, name => 'profile of bob', auth => token('bob'));
	$own->mutate(message('p3'))->settle;
	is(owner($own->group), 'bob', 'under a name of his own he has a group of his own');
	$own->close;
};

subtest 'mutations of long ago, under a new token' => sub {
	my @old = (name => 'recovery', mutators => ['createMessage']);
	my $old = Rig::Client->open($node, @old, auth => token('ann'));
	$old->mutate(message('r1'))->settle;
	$site->stop_program;
	$old->mutate(message('r2'));
	Rig::Client->wait_until_kept($node, 1, @old, auth => token('ann'));
	my $group = $old->group;
	$old->close;
	$site->start_program;

	my @new = (name => 'recovery', mutators => [ 'createMessage', 'deleteMessage' ]);
	requests();
	my $bob = Rig::Client->open($node, @new, auth => token('bob'));
	isnt($bob->group, $group, 'other mutators: another group');
	wait_until(sub {
		grep { $_->{clientGroupID} eq $group && $_->{path} eq 'push' && $_->{status} == 403 } requests();
	}, "bob's page to send what is ann's, and to be refused", 30);
	is(stored('r2'), 0, 'nothing is stored');
	$bob->close;
	my $ann = Rig::Client->open($node, @new, auth => token('ann'));
	wait_until(sub { stored('r2') }, "ann's page to send it", 30);
	is(owner($group), 'ann', 'in her group');
	$ann->close;
};

subtest 'more than one may do in a second' => sub {
	$site->stop_program;
	local $site->{environment}{REPLICACHE_USER_MUTATIONS} = 10;
	$site->start_program;
	my $ann = Rig::Client->open($node, name => 'fast', auth => token('ann'));
	requests();
	# All that was saved in 10 s, and five seconds more.
	$ann->mutate(map { message("f$_") } 1 .. 150);
	wait_until(sub { stored('f150') }, 'a long queue to be taken whole', 30);
	$ann->mutate(message('f151'));
	wait_until(sub { $ann->ask('push'); grep { $_->{status} == 429 } requests() }, 'a refusal', 30);
	is(stored('f151'), 0, 'it waits');
	$ann->settle(60);
	is(stored("f$_"), 1, "f$_ is there") for 1, 150, 151;
	$ann->close;
};

done_testing;
