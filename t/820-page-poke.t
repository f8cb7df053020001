#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The chat in two windows of Chromium: what one says is in the other at once,
# tabs of one browser share one connection, and whoever holds it may go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Browser;
use Rig::Place qw(wait_until);
use Rig::Site;

plan skip_all => $_ for Rig::Browser::missing(), Rig::Site::missing();

use constant MESSAGES => 20;

my $site = Rig::Site->start_chat(REPLICACHE_METRICS => 'on');
my $browser = Rig::Browser->start;

sub streams
{
	my $text = $site->get('/replicache/metrics');
	my ($count) = $text =~ /^replicache_streams\{kind="stream"\} (\d+)$/m;
	return $count // die "no streams in:\n$text";
}

sub wait_for_streams
{
	my ($count) = @_;
	wait_until(sub { streams() == $count }, "$count streams");
	return pass("$count streams");
}

# When messages appear in the page, by the clock that its writer has too.
sub watch
{
	$_[0]->evaluate(<<'JS');
window.seen = {};
new MutationObserver(() => {
	for (const content of document.querySelectorAll('.message .content'))
		window.seen[content.textContent] ??= Date.now();
}).observe(document.getElementById('messages'), {childList: true, subtree: true});
JS
}

# Says TEXT in the page; the ms until another one shows it.
sub milliseconds
{
	my ($from, $to, $text) = @_;
	my $said = $from->evaluate(<<"JS");
(() => {
	const content = document.getElementById('content');
	content.value = '$text';
	const now = Date.now();
	document.getElementById('composer').requestSubmit();
	return now;
})()
JS
	$to->until("window.seen['$text'] !== undefined");
	return $to->evaluate("window.seen['$text']") - $said;
}

my $otter = $browser->open($site->url . '/');
my $finch = $browser->open($site->url . '/');
wait_for_streams(2);
watch($_) for $otter, $finch;

my @all = map { milliseconds($otter, $finch, "message $_") } 1 .. MESSAGES;
my @ms = sort { $a <=> $b } @all;
ok(1, 'each message reached the other window');
note(sprintf 'after %d ms in the middle, %d ms at most (%s)', $ms[@ms / 2], $ms[-1], "@all");
# The page would pull after a minute by itself; a busy machine has its time.
cmp_ok($ms[@ms / 2], '<', 5000, 'by pokes');

subtest 'tabs of one browser' => sub {
	my @tab = map { $browser->open($site->url . '/', beside => $otter) } 1 .. 3;
	watch($_) for @tab;
	$_->waitForSelector('#status:has-text("Online")') for @tab;
	for my $tab (@tab) {
		my $ms = milliseconds($finch, $tab, "for tab $tab->{window}");
		cmp_ok($ms, '<', 5000, "$tab->{window} is told");
	}
	is(streams(), 2, 'share one stream');
	$otter->close;
	wait_for_streams(2);
	milliseconds($finch, $_, "after that, $_->{window}") for @tab;
	pass('the others go on without the one that held it');
	$_->close for @tab;
	wait_for_streams(1);
};

subtest 'other writers, and a restart' => sub {
	my $insert = sub {
		$site->session->query("insert into message (id, sender, content, ord) values ('$_[0]', 'psql', '$_[0]', 100)");
	};
	$insert->('by psql');
	$finch->until(q(window.seen['by psql'] !== undefined));
	pass('what psql writes appears');
	$site->stop_program;
	$insert->('while it was down');
	$site->start_program;
	$finch->until(q(window.seen['while it was down'] !== undefined));
	pass('so does what was written while the program was down');
	wait_for_streams(1);
};

subtest 'an EventSource' => sub {
	my $version = sub { $site->session->value('select max(version) from replicache_version') };
	$finch->evaluate(<<'JS');
window.source = new EventSource('/replicache/poke');
window.told = window.opened = 0;
source.onopen = () => window.opened++;
source.addEventListener('poke', ({data, lastEventId}) => {
	if (data === lastEventId) window.told = Number(data);
});
0
JS
	$finch->until('window.told === ' . $version->());
	pass('is told where the server is');
	for my $signal (qw(TERM KILL)) {
		my $opened = $finch->evaluate('window.opened');
		$site->restart_program($signal);
		$site->session->query("insert into message (id, sender, content, ord) values ('$signal', 'psql', 'x', 200)");
		$finch->until('window.told === ' . $version->());
		cmp_ok($finch->evaluate('window.opened'), '>', $opened, "comes back after $signal, and learns");
	}
	$finch->evaluate('window.source.close()');
	wait_for_streams(1);
};

is_deeply([ grep { !/502|503|ERR_/ } $browser->problems ], [], 'the pages reported no error');
done_testing;
