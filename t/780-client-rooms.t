#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Private rooms (schema/rooms.sql) with the npm client, as three users: what each
# has is what each may see, whoever joins, leaves or writes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Client;
use Rig::Json;
use Rig::Node;
use Rig::Site;
use Rig::Token;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $site = Rig::Site->start_on('rooms', Rig::Token::environment());
my $session = $site->session;
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache');
my %client = map {
	$_ => Rig::Client->open($node, name => "rooms of $_",
	    auth => 'Bearer ' . Rig::Token::of_user($_))
} qw(ann bob cal);

# What a user may see, by the tables alone.
sub expected
{
	my ($user) = @_;
	my $mine = "room_id in (select room_id from room_member where user_id = '$user')";
	my $rows = $session->query(<<"SQL");
select 'room/' || id, to_json(r) from (select id, name from room where id in
  (select room_id from room_member where user_id = '$user')) as r
union all
select 'room_member/' || room_id || '/' || user_id, to_json(m)
  from (select room_id, user_id from room_member where $mine) as m
union all
select 'room_message/' || id, to_json(m)
  from (select id, room_id, sender, content, sent_at from room_message where $mine) as m
SQL
	return { map { ($_->[0] => Rig::Json::decode($_->[1])) } @$rows };
}

# Everybody has what they may see, and nothing else.
sub all_are_right
{
	my ($about, %keys) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $user (sort keys %client) {
		$client{$user}->wait_for_view(expected($user));
		is(join(' ', sort keys %{ $client{$user}->view }), $keys{$user} // '',
		    "$about: what $user has");
	}
}

# What somebody does, to the end.
sub does
{
	my ($user, @calls) = @_;
	$client{$user}->mutate(@calls)->settle;
}

does(ann => createRoom => { id => 'attic', name => 'Attic' },
    sayInRoom => { id => '1', room => 'attic', content => 'dust' });
my $attic = 'room/attic room_member/attic/ann room_message/1';
all_are_right('a room', ann => $attic);

does(bob => sayInRoom => { id => '2', room => 'attic', content => 'let me in' });
does(bob => invite => { room => 'attic', user => 'bob' });
all_are_right('bob knocks', ann => $attic);
is($session->value('select count(*) from replicache_failed_mutation'), 2, 'both are in the ledger');

does(ann => invite => { room => 'attic', user => 'bob' });
$attic = 'room/attic room_member/attic/ann room_member/attic/bob room_message/1';
all_are_right('bob is let in', ann => $attic, bob => $attic);

does(bob => sayInRoom => { id => '3', room => 'attic', content => 'thanks' });
all_are_right('bob speaks', ann => "$attic room_message/3", bob => "$attic room_message/3");

$session->query(q(update room_message set content = 'dust!' where id = '1'));
all_are_right('an edit', ann => "$attic room_message/3", bob => "$attic room_message/3");
is($client{bob}->view->{'room_message/1'}{content}, 'dust!', 'which bob has');

does(cal => createRoom => { id => 'cellar', name => 'Cellar' });
does(cal => invite => { room => 'cellar', user => 'bob' });
my $cellar = 'room/cellar room_member/cellar/bob room_member/cellar/cal';
my $both = join ' ', sort split / /, "$attic room_message/3 $cellar";
all_are_right('another room', ann => "$attic room_message/3", bob => $both, cal => $cellar);

$session->query(q(update room_message set room_id = 'cellar' where id = '3'));
all_are_right('a message that moves', ann => $attic,
    bob => $both, cal => "$cellar room_message/3");

does(bob => leaveRoom => { room => 'attic' });
all_are_right('bob leaves', ann => 'room/attic room_member/attic/ann room_message/1',
    bob => "$cellar room_message/3", cal => "$cellar room_message/3");

does(ann => leaveRoom => { room => 'attic' });
all_are_right('the last one leaves', bob => "$cellar room_message/3", cal => "$cellar room_message/3");
is($session->value(q(select count(*) from room where id = 'attic')), 0, 'and the room is gone');
is($session->value('select count(*) from replicache_tombstone'), 0, 'of which nobody else has heard');

$_->close for values %client;
done_testing;
