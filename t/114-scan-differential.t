#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The scanner against JSON.parse and jsonb, on generated documents, half of them
# spoilt: t/fuzz/differential.c tells how, and what may differ.
#
# SCALE=1 takes 10,000,000 documents; every EVERYth batch goes to Postgres too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);

use Rig::Cluster;
use Rig::Place qw(srcdir builddir workdir find_tool slurp start_process reap_process);

plan skip_all => 'there is no node' unless defined find_tool('node');

my $SCALE = $ENV{SCALE} // 0.002;
my $SEED = $ENV{SEED} // int rand 1_000_000;
my $EVERY = $ENV{EVERY} // 1;
my $DOCUMENTS = int 10_000_000 * $SCALE;
note("SCALE=$SCALE SEED=$SEED EVERY=$EVERY");

my $cluster = Rig::Cluster->start;
my $database = $cluster->database('empty');
my $session = $cluster->session($database);

# Each by itself: what one document is guilty of does not touch the others.
$session->query(<<'SQL');
create function judge(documents bytea[], out state text, out value text)
returns setof record language plpgsql as $$
declare
  document bytea;
begin
  foreach document in array documents loop
    begin
      value := convert_from(document, 'UTF8')::jsonb::text;
      state := '';
    exception when others then
      state := sqlstate;
      value := '';
    end;
    return next;
  end loop;
end $$;
SQL

my $path = workdir() . '/said';
open my $out, '>', $path or die "$path: $!";
my $begun = time;
my $pid = start_process([ builddir() . '/t/fuzz/differential', $SEED, $DOCUMENTS,
		srcdir() . '/t/fuzz/differential.js', $EVERY, $cluster->conninfo($database) ],
	stdout => $out, stderr => $out);
my $status = reap_process($pid, 24 * 3600);
my $seconds = time - $begun;

my $said = slurp($path);
is($status, 0, 'no difference without an explanation') or diag($said);
like($said, qr/^documents $DOCUMENTS accepted [1-9]\d* postgres [1-9]\d* unexplained 0$/m,
	'on all documents');
note($said);
note(sprintf '%d documents in %.0f s', $DOCUMENTS, $seconds);
done_testing;
