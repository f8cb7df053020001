#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Something is registered between a pull's look and its snapshot, so that it starts
# over; and the link to the database is cut after each byte that comes from there on.
# The pull is right all the same, or refused if it was a new connection that was cut.
#
# SCALE=1 takes every byte; less, every so manieth, chosen by SEED.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Cluster;
use Rig::Link;
use Rig::Fastcgi;
use Rig::Faults qw(faulty);
use Rig::Place qw(workdir wait_until slurp);
use Rig::Program;
use Rig::Sync qw(pull_params);

my $SCALE = $ENV{SCALE} // 0.01;
my $STEP = int(1 / $SCALE + 0.5) || 1;
my $SEED = $ENV{SEED} // int rand 1000;
srand $SEED;
note("SCALE=$SCALE SEED=$SEED");

# More than all that comes is.
use constant BYTES_MAX => 100_000;

Rig::Place::use_program(faulty());
my $cluster = Rig::Cluster->start;
my $database = $cluster->database('cases');
my $session = $cluster->session($database);
my $direct = $cluster->conninfo($database);
my ($real) = $direct =~ /host='?([^' ]+)/;
my $folder = workdir() . '/link';
mkdir $folder or die "$folder: $!";
my $link = Rig::Link->start("$folder/.s.PGSQL.5432", "$real/.s.PGSQL.5432");
$session->query(q(insert into item (id, body) values ('x', '1')));
my $registered = 0;

# Each makes another revision.
sub register
{
	$session->query($registered++ % 2 ? q(select replicache_unregister_mutator('spare'))
		: q(select replicache_register_mutator('spare', 'case_note')));
}

# One pull by a program of its own. Gives whether it was cut, and what is wrong.
sub pull
{
	my ($bytes) = @_;
	my $program = Rig::Program->start(REPLICACHE_DATABASE => $direct =~ s/\Q$real\E/$folder/r,
		REPLICACHE_FAULT => 'pull-looked:1:stop');
	my $peer = $program->connect // die "connect: $!";
	$peer->send_raw(Rig::Fastcgi::request_bytes(pull_params('g')));
	wait_until(sub { slurp('/proc/' . $program->pid . '/stat') =~ /\) T / }, 'the look', 20);
	register();
	$link->arm('down', $bytes);
	kill 'CONT', $program->pid;
	my $answer = $peer->answer(60);
	my $seen = $link->disarm;
	my @wrong;
	if ($answer->{status} == 503 && $program->log =~ /no connection to the database/) {
		wait_until(sub { ($answer = $program->request(pull_params('g')))->{status} != 503 }, 'an answer', 30);
	}
	push @wrong, "answered $answer->{status} $answer->{body}"
	    if $answer->{status} != 200 || $answer->{body} !~ m{"patch":\[\{"op":"put","key":"item/x",};
	my $status = $program->stop // 'none';
	push @wrong, "ended by $status" if $status ne '0';
	return ($seen->{cut}, map { "after byte $bytes: $_" } @wrong);
}

my ($cuts, @wrong) = (0);
for (my $bytes = int rand $STEP; $bytes < BYTES_MAX; $bytes += $STEP) {
	my ($cut, @new) = pull($bytes);
	push @wrong, @new;
	last if !$cut;
	$cuts++;
}
is(join("\n", @wrong), '', 'each pull is right');
cmp_ok($cuts, '>', 2, "cut $cuts times");
done_testing;
