#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client whose view changes because of who it is: another user logs in on the
# same browser profile, a role in the token changes, and a cookie that an earlier
# server gave. The page gives all of a profile one name, as it should not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Json;
use Rig::Node;
use Rig::Place qw(wait_until);
use Rig::Site;
use Rig::Token;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat(Rig::Token::environment());
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my $session = $site->session;
my $order = 0;

$session->query(q(
	create table diary (id text primary key, owner text not null, body text);
	create view diary_audience as select id, owner as viewer from diary;
	create table pay (id text primary key, name text, salary int);
	create view pay_seen as select id, name, case when replicache_claim('role') = 'admin' then salary end as salary from pay;
	insert into diary values ('1', 'ann', 'of ann'), ('2', 'bob', 'of bob');
	insert into pay values ('p', 'cal', 100);
	do $$ begin
		perform replicache_register_table('diary', audience => 'diary_audience');
		perform replicache_register_table('pay', view => 'pay_seen', per_user => true);
	end $$;
));

sub token
{
	my ($user, $role) = @_;
	return 'Bearer ' . Rig::Token::sign(Rig::Json::encode({ sub => $user, exp => time() + 3600, iat => ++$order,
		$role ? (role => $role) : () }));
}

sub open_page
{
	my ($profile, $user, $role) = @_;
	return Rig::Client->open($node, name => $profile, auth => token($user, $role));
}

sub message
{
	my ($id) = @_;
	return (createMessage => { id => $id, from => 'test', content => $id, order => ++$order });
}

sub requests { return @{ $node->ask(do => 'requests') } }

sub stored { return $session->value("select count(*) from message where id = '$_[0]'") }

# The view without messages, as "key=value" of what matters.
sub shown
{
	my ($page) = @_;
	my $view = $page->view;
	return join ' ', map { "$_=" . ($view->{$_}{body} // $view->{$_}{salary} // 'null') } grep { !/^message/ } sort keys %$view;
}

sub shows
{
	my ($page, $expected, $about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	eval { $page->pull_until(sub { shown($page) eq $expected }, $about) };
	is(shown($page), $expected, $about);
}

# Until the next page of the profile begins with what this one has.
sub wait_until_kept
{
	my ($profile, @who) = @_;
	wait_until(sub {
		my $probe = open_page($profile, @who);
		my $view = $probe->view;
		$probe->close;
		return exists $view->{'pay/p'};
	}, 'the page to be kept', 30);
}

sub events { return join ' ', @{ $_[0]->events } }

# As the page does at onClientStateNotFound.
sub reload_until
{
	my ($profile, $user, $expected, $about) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $page = open_page($profile, $user);
	wait_until(sub { events($page) ne '' }, 'the page to be told to load again', 30);
	is(events($page), 'clientStateNotFound', "$about: the page is loaded again");
	my $group = $page->group;
	$page->close;
	$page = open_page($profile, $user);
	isnt($page->group, $group, "$about: with a group of its own");
	shows($page, $expected, "$about: what is theirs");
	is(events($page), '', "$about: and that is all");
	return $page;
}

subtest 'somebody who only read' => sub {
	my $ann = open_page('reader', 'ann');
	shows($ann, 'diary/1=of ann pay/p=null', 'ann has hers');
	wait_until_kept('reader', 'ann');
	$ann->close;
	requests();
	my $bob = open_page('reader', 'bob');
	shows($bob, 'diary/2=of bob pay/p=null', 'bob has his, and nothing of hers');
	my ($first) = grep { $_->{path} eq 'pull' && defined $_->{cookie} } requests();
	ok(ref $first->{cookie}, 'though he came with her cookie');
	is(events($bob), '', 'and was not disturbed');
	$session->query(q(insert into diary values ('3', 'ann', 'more of ann'), ('4', 'bob', 'more of bob')));
	shows($bob, 'diary/2=of bob diary/4=more of bob pay/p=null', 'he goes on');
	wait_until_kept('reader', 'bob');
	$bob->close;
	$ann = open_page('reader', 'ann');
	shows($ann, 'diary/1=of ann diary/3=more of ann pay/p=null', 'and so does she when she is back');
	$ann->close;
	$session->query(q(delete from diary where id in ('3', '4')));
};

subtest 'somebody who wrote' => sub {
	my $ann = open_page('writer', 'ann');
	$ann->mutate(message('w1'))->settle;
	shows($ann, 'diary/1=of ann pay/p=null', 'ann has hers');
	wait_until_kept('writer', 'ann');
	$ann->close;
	my $bob = reload_until('writer', 'bob', 'diary/2=of bob pay/p=null', 'bob');
	$bob->mutate(message('w2'))->settle;
	is(stored('w2'), 1, 'he writes');
	is($session->value("select user_id from replicache_client_group where id = '@{[ $bob->group ]}'"), 'bob', 'in his name');
	wait_until_kept('writer', 'bob');
	$bob->close;
	$ann = reload_until('writer', 'ann', 'diary/1=of ann pay/p=null', 'ann again');
	$ann->mutate(message('w3'))->settle;
	is(stored('w3'), 1, 'she writes, too');
	$ann->close;
};

# What one has not sent is never done in another's name. It is lost where the page gives
# both one name: Replicache recovers nothing of a group that it was told to leave.
subtest 'somebody who has not sent all' => sub {
	my $ann = open_page('offline', 'ann');
	$ann->mutate(message('o1'))->settle;
	wait_until_kept('offline', 'ann');
	$site->stop_program;
	$ann->mutate(message('o2'));
	Rig::Client->wait_until_kept($node, 1, name => 'offline', auth => token('ann'));
	$ann->close;
	$site->start_program;
	my $bob = reload_until('offline', 'bob', 'diary/2=of bob pay/p=null', 'bob');
	$bob->mutate(message('o3'))->settle;
	is(stored('o2'), 0, 'what was left is not done');
	is($session->value("select user_id from replicache_client_group where id = '@{[ $bob->group ]}'"), 'bob', 'and bob writes in his own name');
	$bob->close;
	# With a name for each user nothing is lost.
	my $own = open_page('offline of ann', 'ann');
	$own->mutate(message('o4'))->settle;
	$site->stop_program;
	$own->mutate(message('o5'));
	Rig::Client->wait_until_kept($node, 1, name => 'offline of ann', auth => token('ann'));
	$own->close;
	$site->start_program;
	my $other = open_page('offline of bob', 'bob');
	shows($other, 'diary/2=of bob pay/p=null', 'by names of their own');
	$other->close;
	$own = open_page('offline of ann', 'ann');
	$own->settle;
	is(stored('o5'), 1, 'each sends their own');
	$own->close;
};

subtest 'a role that changes' => sub {
	my $page = open_page('role', 'ann');
	shows($page, 'diary/1=of ann pay/p=null', 'without it');
	$page->mutate(message('r1'))->settle;
	wait_until_kept('role', 'ann');
	$page->close;
	$page = open_page('role', 'ann', 'admin');
	shows($page, 'diary/1=of ann pay/p=100', 'who is promoted gets the salary');
	is(events($page), '', 'and is not disturbed');
	$page->mutate(message('r2'))->settle;
	$session->query('update pay set salary = 200');
	shows($page, 'diary/1=of ann pay/p=200', 'and what comes of it');
	wait_until(sub {
		my $probe = open_page('role', 'ann', 'admin');
		my $view = shown($probe);
		$probe->close;
		return $view =~ /=200/;
	}, 'it to be kept', 30);
	$page->close;
	$page = open_page('role', 'ann', 'user');
	shows($page, 'diary/1=of ann pay/p=null', 'who is demoted loses it');
	$page->mutate(message('r3'))->settle;
	is(stored('r3'), 1, 'and goes on writing');
	$page->close;
};

subtest 'a cookie of an earlier server' => sub {
	my $n = 0;
	for my $cookie (7, '"8"', '{"order":"zebra"}', '{"order":1e15,"cvrID":"x"}', '{"order":9007199254740991}', 1e300, '9007199254740991') {
		my $name = 'earlier ' . $n++;
		$node->ask(do => 'plan', answer => { cookie => Rig::Json::decode($cookie), lastMutationIDChanges => {},
			patch => [ { op => 'put', key => 'pay/old', value => { salary => 1 } } ] });
		my $page = open_page($name, 'ann');
		shows($page, 'diary/1=of ann pay/p=null', "$cookie is outdone");
		is(events($page), '', "$cookie: without a word");
		$session->query("insert into diary values ('e', 'ann', 'new')");
		shows($page, 'diary/1=of ann diary/e=new pay/p=null', "$cookie: and it goes on");
		$page->mutate(message("e$n"))->settle;
		$session->query("delete from diary where id = 'e'");
		shows($page, 'diary/1=of ann pay/p=null', "$cookie: and on");
		$page->close;
	}
};

subtest 'tables that become per user' => sub {
	$session->query(q(do $$ begin perform replicache_unregister_table('diary'); perform replicache_unregister_table('pay'); end $$));
	my $page = open_page('before', 'ann');
	$page->mutate(message('b1'))->settle;
	requests();
	$page->pull_until(sub { grep { $_->{path} eq 'pull' && defined $_->{cookie} && !ref $_->{cookie} } requests() }, 'a cookie that is a number');
	$session->query(q(do $$ begin perform replicache_register_table('diary', audience => 'diary_audience'); end $$));
	shows($page, 'diary/1=of ann', 'they come');
	$page->pull_until(sub { grep { $_->{path} eq 'pull' && ref $_->{cookie} } requests() }, 'a cookie that says whose it is');
	$session->query(q(do $$ begin perform replicache_unregister_table('diary'); end $$));
	shows($page, '', 'and go');
	$session->query(q(insert into message (id, sender, content, ord) values ('b2', 'test', 'b2', 1)));
	$page->pull_until(sub { exists $page->view->{'message/b2'} }, 'it goes on');
	is(events($page), '', 'without a word');
	$page->close;
};

done_testing;
