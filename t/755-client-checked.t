#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The npm client, as six tabs of three users, while the program is killed by SIGKILL
# at any moment or at a point of common/faults.h: what each answer told and what each
# tab shows is checked as that of simulated clients is (Rig::History).
#
# SCALE=10 is a long run; SEED repeats its choices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::MD5 qw(md5_hex);
use Encode qw(encode_utf8);
use Test::More;

use Rig::Client;
use Rig::Faults qw(points faulty);
use Rig::History;
use Rig::Node;
use Rig::Place qw(srcdir wait_until);
use Rig::Site;
use Rig::Sync qw(cookie_order cookie_version);
use Rig::Token;

plan skip_all => $_ for Rig::Node::missing(), Rig::Site::missing();

my $SCALE = $ENV{SCALE} // 1;
my $SEED = $ENV{SEED} // int rand 100_000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

my $site = Rig::Site->start_on('core', Rig::Token::environment());
$site->{environment}{-command} = [ faulty() ];
$site->cluster->run_file($site->database, srcdir() . '/t/sql/history.sql');
my $node = Rig::Node->start('clients.mjs', SERVER => $site->url . '/replicache', HISTORY => 1);

# Two tabs of a browser are one client group.
my (@tab, %group, @wrong);
my %killed;

sub open_tab
{
	my ($user) = @_;
	my $tab = Rig::Client->open($node, name => "history of $user", pullInterval => 40,
	    auth => 'Bearer ' . Rig::Token::of_user($user, 86400));
	my $group = $group{ $tab->group } //= { user => $user, clients => [], acked => {}, pulls => [],
		state => {}, cookies => [], violation => [] };
	push @{ $group->{clients} }, $tab->id;
	push @tab, { client => $tab, group => $group, user => $user, seen => 0 };
}

sub digest
{
	my ($rows) = @_;
	return md5_hex(encode_utf8(join "\n", map { "$_=$rows->{$_}{body}" } sort keys %$rows));
}

# Takes what was answered since the last time: each pull is the state of its cookie.
sub take_answers
{
	for my $request (@{ $node->ask(do => 'requests') }) {
		my $group = $group{ $request->{clientGroupID} };
		my $acked = $request->{acked} // {};
		for my $client (keys %$acked) {
			$group->{acked}{$client} = $acked->{$client} if $acked->{$client} > ($group->{acked}{$client} // 0);
		}
		my $answer = $request->{answer} // next;
		if (defined $answer->{error}) {
			push @wrong, "a pull was answered $answer->{error}";
			next;
		}
		my $from = $group->{state}{ Rig::Json::encode($request->{cookie}) } // { rows => {}, ids => {} };
		my %rows = %{ $from->{rows} };
		for my $operation (@{ $answer->{patch} }) {
			%rows = () if $operation->{op} eq 'clear';
			$rows{ $operation->{key} } = $operation->{value} if $operation->{op} eq 'put';
			delete $rows{ $operation->{key} } if $operation->{op} eq 'del';
		}
		my $state = { rows => \%rows, ids => { %{ $from->{ids} }, %{ $answer->{lastMutationIDChanges} } } };
		$state->{digest} = digest(\%rows);
		my $cookie = $answer->{cookie};
		$group->{state}{ Rig::Json::encode($cookie) } = $state;
		push @{ $group->{cookies} }, $cookie;
		push @{ $group->{pulls} }, { about => 'answer', cookie => cookie_version($cookie),
			ids => $state->{ids}, digest => $state->{digest} };
	}
}

# What a tab shows is what some answer told its group, none before what it had shown.
sub look_at
{
	my ($tab) = @_;
	my $digest = digest($tab->{client}->view);
	take_answers();
	my $group = $tab->{group};
	my ($cookie) = sort { cookie_order($a) <=> cookie_order($b) }
	    grep { cookie_order($_) >= $tab->{seen} && $group->{state}{ Rig::Json::encode($_) }{digest} eq $digest }
	    @{ $group->{cookies} };
	if (defined $cookie) {
		$tab->{seen} = cookie_order($cookie);
		return;
	}
	# Before its first pull it shows nothing.
	push @wrong, 'P4: ' . $tab->{client}->id . ' shows what nobody told it'
	    if $tab->{seen} != 0 || $digest ne digest({});
}

sub mutate
{
	my ($tab) = @_;
	$tab->{client}->mutate(map {
		my $some = int rand 5;
		@{ (
			[ add => { list => "l$some", item => $tab->{client}->id } ],
			[ toggle => { id => "k$some" } ],
			[ own => { id => $some, body => "b$some", drop => int rand 5 } ],
			[ show => { id => $some, who => 'u' . int rand 3 } ],
			[ fail => { id => "k$some" } ],
			[ shaky => undef ],
		)[ rand 6 ] }
	} 0 .. rand 8);
}

# At once, or, if it is armed, when it comes to its point. The next one is armed, or
# not.
my $armed;

sub kill_program
{
	my ($next) = @_;
	my $cause = defined $armed && eval {
		wait_until(sub { !$site->program->is_alive }, "point $armed", 2);
	} ? $armed : 'random';
	$killed{$cause}++;
	delete $site->{environment}{REPLICACHE_FAULT};
	$site->{environment}{REPLICACHE_FAULT} = $next if defined $next;
	$armed = $next;
	$site->restart_program('KILL');
}

open_tab("u$_") for 0, 0, 1, 1, 2, 2;
my @point = grep { !/^(reloading|drain|piece|stream|listening|notified|version-told|poked|share|pull-shared)/ } points();
for my $round (1 .. 20 * $SCALE) {
	mutate($tab[ rand @tab ]) for 1 .. 3;
	look_at($tab[ rand @tab ]) for 1 .. 3;
	if (rand() < 0.1) {
		# What it had not kept yet, it takes with it.
		my ($closed) = splice @tab, rand @tab, 1;
		$closed->{client}->close;
		open_tab($closed->{user});
	}
	kill_program(rand() < 0.7 ? $point[ rand @point ] : undef);
}
kill_program(undef);
for my $tab (@tab) {
	next if eval { $tab->{client}->settle(60) };
	push @wrong, "P7: $@";
	diag($site->program->log);
	last;
}
take_answers();
# In the end all have the last version.
my $history = Rig::History->new($site->cluster, $site->database, [], result => [ values %group ]);
my $last = $history->session->value('select max(version) from replicache_version');
for my $tab (@tab) {
	$tab->{client}->pull_until(sub {
		look_at($tab);
		return @wrong || grep { cookie_version($_) == $last } @{ $tab->{group}{cookies} };
	}, 'the last version', 30);
	is_deeply($tab->{client}->events, [], 'a tab was not disturbed');
}
is(join("\n", @wrong, $history->check), '', 'all that was promised holds');
my $mutations = $history->session->value('select count(*) from done');
cmp_ok($mutations, '>', 50 * $SCALE, 'much was done');
note("$mutations mutations, ", $history->count_pulls, ' pulls; killed: ', join ', ', map { "$_ $killed{$_}" } sort keys %killed);
done_testing;
