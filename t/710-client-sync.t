#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client against the whole server: what it writes arrives, what others
# write comes to it, and a mutator that fails leaves no trace.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Node;
use Rig::Site;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $alice = Rig::Client->open($node, name => 'alice');
my $bob = Rig::Client->open($node, name => 'bob');

subtest 'a message goes to the server and to the others' => sub {
	$alice->mutate(createMessage =>
	    { id => 'm1', from => 'alice', content => 'hello', order => 1 });
	is_deeply($alice->view,
	    { 'message/m1' => { from => 'alice', content => 'hello', order => 1 } },
	    'the writer sees it at once');
	$alice->settle;
	is_deeply($site->expected_view, $alice->view, 'the server has it');
	$bob->wait_for_view($site->expected_view);
	pass('the other sees it');
};

subtest 'values keep their form' => sub {
	my @content = ("two\nlines\tand a tab", q{"quotes" and \\back\\slashes/},
	    "Grüße, 你好, \x{1F950}", "\x{2028}\x{FFEE}", '', '</script>', "x" x 100_000);
	my $order = 10;
	$alice->mutate(map {
		(createMessage => { id => "v$order", from => 'älice', content => $_,
		    order => $order++ })
	} @content);
	my $view = $alice->view;
	$alice->settle;
	is_deeply($alice->view, $view, 'the writer sees what it saw before');
	$bob->wait_for_view($view);
	pass('the other sees the same');
};

subtest 'a deleted message is gone, and may come back' => sub {
	$bob->mutate(deleteMessage => 'm1')->settle;
	$alice->wait_for_view($site->expected_view);
	ok(!exists $alice->view->{'message/m1'}, 'gone');
	$alice->mutate(createMessage =>
	    { id => 'm1', from => 'alice', content => 'again', order => 2 })->settle;
	$bob->wait_for_view($site->expected_view);
	is($bob->view->{'message/m1'}{content}, 'again', 'back');
};

subtest 'a mutator that fails on the server' => sub {
	for my $name (qw(failingMutator unknownMutator)) {
		$alice->mutate($name => { id => 'x', from => 'a', content => 'b' });
		ok(exists $alice->view->{'message/x'}, "$name: the writer sees it at first");
		$alice->settle;
		ok(!exists $alice->view->{'message/x'}, 'its effect is taken back');
		is($site->session->value(
		    "select count(*) from replicache_failed_mutation where name = '$name'"),
		    1, 'it is in the ledger');
	}
	$alice->mutate(createMessage => { id => 'n', content => 'no sender', order => 3 },
	    createMessage =>
	    { id => 'm2', from => 'alice', content => 'next', order => 4 })->settle;
	is($alice->view->{'message/m2'}{content}, 'next', 'the next one is not held up');
	$bob->wait_for_view($site->expected_view);
	pass('the other sees the same');
};

subtest 'what is written in psql comes too' => sub {
	$site->session->query(<<'SQL');
insert into message (id, sender, content, ord) values ('p1', 'psql', 'hi', 5);
update message set content = 'changed' where id = 'm2';
delete from message where id = 'm1';
SQL
	my $view = $site->expected_view;
	is($view->{'message/p1'}{content}, 'hi', 'written');
	$_->wait_for_view($view) for $alice, $bob;
	pass('seen');
};

subtest 'a new client starts with everything' => sub {
	my $carol = Rig::Client->open($node, name => 'carol');
	$carol->wait_for_view($site->expected_view);
	pass('the view is complete');
	is_deeply($carol->pending, [], 'nothing is pending');
};

done_testing;
