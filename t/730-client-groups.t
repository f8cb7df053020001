#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Client groups of the npm client: tabs that share what is pending, a page
# whose code has changed, a schema version that is not accepted, and a database
# that was made anew.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $order = 0;

sub message
{
	my ($id) = @_;
	return (createMessage =>
	    { id => $id, from => 'test', content => $id, order => ++$order });
}

sub pulls
{
	my ($group) = @_;
	return grep { $_->{path} eq 'pull' && $_->{clientGroupID} eq $group }
	    @{ $node->ask(do => 'requests') };
}

subtest 'a tab is closed with mutations pending' => sub {
	my $first = Rig::Client->open($node, name => 'tabs');
	my $second = Rig::Client->open($node, name => 'tabs');
	is($first->group, $second->group, 'both are of one group');
	$_->settle for $first, $second;
	$site->stop_program;
	$first->mutate(message('t1'), message('t2'));
	$second->mutate(message('t3'));
	Rig::Client->wait_until_kept($node, 3, name => 'tabs');
	$first->close;
	$site->start_program;
	my $third = Rig::Client->open($node, name => 'tabs');
	$third->settle;
	$second->wait_for_view($site->expected_view);
	$third->wait_for_view($site->expected_view);
	is(join(' ', sort keys %{ $second->view }),
	    'message/t1 message/t2 message/t3', 'the other tabs sent them');
	$_->close for $second, $third;
};

subtest 'the code of the page changes' => sub {
	my @old = (name => 'code', mutators => ['createMessage']);
	my $old = Rig::Client->open($node, @old);
	$old->settle;
	$old->wait_for_view($site->expected_view);
	$site->stop_program;
	$old->mutate(message('c1'));
	Rig::Client->wait_until_kept($node, 1, @old);
	my $group = $old->group;
	$old->close;
	$site->start_program;
	$node->ask(do => 'requests');

	my $new = Rig::Client->open($node, name => 'code',
	    mutators => [qw(createMessage deleteMessage)]);
	isnt($new->group, $group, 'it is another group');
	ok(exists $new->view->{'message/t1'}, 'the data is inherited');
	$new->pull_until(sub { exists $new->view->{'message/c1'} },
	    'the old mutation to be recovered');
	$new->wait_for_view($site->expected_view);
	ok(!(grep { !defined $_->{cookie} } pulls($new->group)),
	    'nothing was loaded anew');
	$new->close;
};

subtest 'a schema version that is not accepted' => sub {
	my $session = $site->session;
	$session->query("insert into replicache_schema_version values ('2')");
	my $old = Rig::Client->open($node, name => 'schema', schemaVersion => '1');
	$old->mutate(message('s1'));
	$old->pull_until(sub { @{ $old->events } >= 2 }, 'both to be told');
	my %told = map { $_ => 1 } @{ $old->events };
	is_deeply(\%told, { 'updateNeeded VersionNotSupported schema' => 1 },
	    'an update is needed');
	is(scalar @{ $old->pending }, 1, 'the mutation is kept');
	my $new = Rig::Client->open($node, name => 'schema', schemaVersion => '2');
	$new->wait_for_view($site->expected_view);
	is_deeply($new->events, [], 'the new version goes on');
	$session->query('delete from replicache_schema_version');
	$old->ask('push');
	$old->settle;
	ok(exists $old->view->{'message/s1'}, 'accepted again, it is applied');
	$_->close for $old, $new;
};

subtest 'a schema version that is retired' => sub {
	my $session = $site->session;
	my $old = Rig::Client->open($node, name => 'retired', schemaVersion => '1');
	$old->settle;
	$old->mutate(message('r1'));
	$session->query("insert into replicache_schema_version values ('1', true, false), ('2', true, true)");
	$old->pull_until(sub { @{ $old->events } }, 'to be told');
	my %told = map { $_ => 1 } @{ $old->events };
	is_deeply(\%told, { 'updateNeeded VersionNotSupported schema' => 1 }, 'an update is needed');
	$old->ask('push');
	wait_until(sub { exists $site->expected_view->{'message/r1'} }, 'what it did', 10);
	my $new = Rig::Client->open($node, name => 'retired', schemaVersion => '2');
	$new->wait_for_view($site->expected_view);
	ok(exists $new->view->{'message/r1'}, 'nothing is lost');
	is_deeply($new->events, [], 'the new version goes on');
	$session->query('delete from replicache_schema_version');
	$_->close for $old, $new;
};

subtest 'the database is made anew' => sub {
	my $reader = Rig::Client->open($node, name => 'reader');
	my $writer = Rig::Client->open($node, name => 'writer');
	$_->wait_for_view($site->expected_view) for $reader, $writer;
	$writer->mutate(message('w1'), message('w2'))->settle;
	$site->recreate_database;

	$reader->wait_for_view({});
	pass('who only reads sees the new, empty one');
	is_deeply($reader->events, [], 'and was not disturbed');

	$writer->mutate(message('w3'));
	$writer->pull_until(sub { @{ $writer->events } }, 'the writer to be told');
	is_deeply($writer->events, ['clientStateNotFound'],
	    'who had written is told to start again');
	# What the page does then: it loads again.
	$writer->close;
	$writer = Rig::Client->open($node, name => 'writer');
	$writer->wait_for_view({});
	$writer->mutate(message('w4'))->settle;
	$reader->wait_for_view($site->expected_view);
	is(join(' ', keys %{ $reader->view }), 'message/w4', 'both go on');
	is_deeply($reader->view, $writer->view, 'with the same view');
};

done_testing;
