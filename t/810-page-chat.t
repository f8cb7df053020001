#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The chat page in Chromium: two people in two windows, without a network and
# with it again. Screenshots are left in the build folder.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Browser;
use Rig::Place qw(builddir);
use Rig::Site;

plan skip_all => $_ for Rig::Browser::missing(), Rig::Site::missing();

my $site = Rig::Site->start_chat;
my $browser = Rig::Browser->start;
my $shots = builddir() . '/screenshots';
mkdir $shots;

# A window of somebody with this name.
sub visit
{
	my ($name, @options) = @_;
	my $window = $browser->open($site->url . '/', @options,
	    viewport => { width => 960, height => 720 });
	$window->fill('#name', $name);
	$window->press('#name', 'Enter');
	return $window;
}

sub say_in
{
	my ($window, $text) = @_;
	$window->fill('#content', $text);
	$window->press('#content', 'Enter');
}

sub message { return ".message:has(.content:text-is(\"$_[0]\"))" }

sub wait_for { return $_[0]->waitForSelector(message($_[1])) }

sub wait_for_status
{
	my ($window, $text) = @_;
	$window->waitForSelector("#status:has-text(\"$text\")");
}

sub screenshot { $_[0]->screenshot({ path => "$shots/$_[1].png" }) }

# Errors, but for those of requests that were made to fail.
sub problems { return grep { !/ERR_INTERNET_DISCONNECTED|502|503/ } $browser->problems }

my $otter = visit('Quiet Otter');
my $finch = visit('Hazel Finch', colorScheme => 'dark');

subtest 'an empty chat' => sub {
	$otter->waitForSelector('#empty');
	wait_for_status($otter, 'Online, all synced');
	screenshot($otter, 'empty');
	is($otter->evaluate('document.activeElement.id'), 'content',
	    'the name given, the box is ready');
};

subtest 'a message appears in the other window' => sub {
	say_in($otter, 'Good morning! Did the boat get in last night?');
	wait_for($otter, 'Good morning! Did the boat get in last night?');
	is($otter->inputValue('#content'), '', 'the box is empty again');
	wait_for($finch, 'Good morning! Did the boat get in last night?');
	is($finch->textContent('.message .from'), 'Quiet Otter', 'with its writer');
	ok(!$otter->isVisible('#empty'), 'the chat is not empty');
	say_in($finch, 'It did, a little after ten.');
	$finch->fill('#content', 'The wind had dropped by then,');
	$finch->press('#content', 'Shift+Enter');
	$finch->press('#content', 'End');
	$finch->type('#content', 'so we rowed the last mile.');
	$finch->click('#send');
	$otter->waitForSelector('.message:nth-child(3)');
	is($otter->textContent('.message:nth-child(3) .content'),
	    "The wind had dropped by then,\nso we rowed the last mile.",
	    'shift and enter start a line');
	wait_for_status($_, 'Online, all synced') for $otter, $finch;
	is_deeply($site->session->query('select sender, ord from message order by ord'),
	    [ ['Quiet Otter', 1], ['Hazel Finch', 2], ['Hazel Finch', 3] ],
	    'the server has them, in order');
	screenshot($otter, 'light');
};

subtest 'text is text' => sub {
	my $text = '<img src=x onerror=alert(1)> & "quotes"';
	say_in($otter, $text);
	$finch->waitForSelector('.message:nth-child(4)');
	is($finch->textContent('.message:nth-child(4) .content'), $text, 'as written');
	is($finch->evaluate('document.querySelectorAll(".message img").length'), 0,
	    'and no element');
	$otter->press('#content', 'Shift+Tab');
	is($otter->evaluate('document.activeElement.ariaLabel'),
	    "Delete message from Quiet Otter: $text", 'its button says what it does');
	$otter->press(':focus', 'Enter');
	$finch->waitForSelector('.message:nth-child(4)', { state => 'detached' });
	is($otter->evaluate('document.activeElement.closest(".message") !== null'),
	    JSON::PP::true, 'deleted with keys alone; the focus stays in the list');
};

subtest 'a message is deleted' => sub {
	my $text = 'It did, a little after ten.';
	my $row = message($text);
	$otter->hover($row);
	$otter->click("$row .delete");
	$_->waitForSelector($row, { state => 'detached' }) for $otter, $finch;
	pass('it is gone in both windows');
	wait_for_status($otter, 'Online, all synced');
	is($site->session->value('select count(*) from message where deleted'), 2,
	    'the server knows');
};

subtest 'without a network' => sub {
	$finch->set_offline(1);
	wait_for_status($finch, 'Offline');
	say_in($finch, 'No signal down in the cellar.');
	say_in($finch, 'I write all the same.');
	wait_for_status($finch, 'Offline, 2 messages waiting');
	is($finch->evaluate('document.querySelectorAll(".pending").length'), 2,
	    'both are marked');
	say_in($otter, 'Are you coming?');
	screenshot($finch, 'dark-offline');

	my $tab = $browser->open($site->url . '/', beside => $finch);
	wait_for($tab, 'I write all the same.');
	wait_for_status($tab, 'Offline, 2 messages waiting');
	pass('a new tab opens, and has them');
	$tab->close;
	$finch->reload;
	wait_for($finch, 'I write all the same.');
	is($finch->inputValue('#name'), 'Hazel Finch', 'the page may be loaded again');

	$finch->set_offline(0);
	wait_for($otter, 'I write all the same.');
	wait_for($finch, 'Are you coming?');
	wait_for_status($finch, 'Online, all synced');
	is($finch->evaluate('document.querySelectorAll(".pending").length'), 0,
	    'everything has caught up');
};

subtest 'without a server' => sub {
	$site->stop_program;
	wait_for_status($otter, 'Server unavailable, trying again');
	say_in($otter, 'Anybody there?');
	wait_for_status($otter, '1 message waiting');
	screenshot($otter, 'trouble');
	$site->start_program;
	wait_for($finch, 'Anybody there?');
	wait_for_status($otter, 'Online, all synced');
	pass('it came back');
};

subtest 'two tabs of one browser' => sub {
	my $tab = $browser->open($site->url . '/', beside => $otter);
	wait_for($tab, 'Anybody there?');
	is($tab->inputValue('#name'), 'Quiet Otter', 'the name is known');
	say_in($tab, 'From the second tab.');
	wait_for($_, 'From the second tab.') for $otter, $finch;
	$tab->fill('#name', 'Jo');
	$tab->press('#name', 'Enter');
	say_in($tab, 'Now under another name.');
	wait_for($otter, 'Now under another name.');
	ok($otter->isVisible(message('Now under another name.') . ':not(.mine)'),
	    'each tab has its own name');
	$tab->close;
};

subtest 'a phone' => sub {
	my $phone = $browser->open($site->url . '/', isMobile => JSON::PP::true,
	    hasTouch => JSON::PP::true, viewport => { width => 360, height => 640 });
	wait_for($phone, 'Now under another name.');
	say_in($phone, 'x' x 200);
	wait_for_status($phone, 'Online, all synced');
	is($phone->evaluate('document.documentElement.scrollWidth'), 360,
	    'nothing is wider than the screen');
	screenshot($phone, 'phone');
	$phone->close;
};

subtest 'many messages' => sub {
	$site->session->query(<<'SQL');
insert into message (id, sender, content, ord)
select 'many' || n, 'psql', 'number ' || n, 1000 + n from generate_series(1, 500) n
SQL
	wait_for($otter, 'number 500');
	$otter->until('document.querySelectorAll(".message").length === 200');
	$otter->click('#earlier');
	$otter->until('document.querySelectorAll(".message").length === 400');
	ok($otter->isVisible(message('number 300')), 'earlier ones on demand');
	$otter->evaluate('document.getElementById("log").scrollTop = 0');
	$site->session->query(<<'SQL');
insert into message (id, sender, content, ord) values ('last', 'psql', 'the last', 2000)
SQL
	$otter->waitForSelector('#newest');
	$otter->click('#newest');
	$otter->waitForSelector('#newest', { state => 'hidden' });
	$otter->until('(({scrollHeight, scrollTop, clientHeight}) =>'
	    . ' scrollHeight - scrollTop - clientHeight < 2)'
	    . '(document.getElementById("log"))');
	pass('the way back to the newest');
};

is_deeply([ problems() ], [], 'the pages reported no error');
note("screenshots are in $shots");
done_testing;
