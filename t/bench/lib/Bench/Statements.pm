# SPDX-License-Identifier: Apache-2.0
#
# What the program asks of Postgres for one push, as scripts for pgbench: taken
# from the server's log, so that they are always the statements it does send.
#
#	my $script = Bench::Statements->capture($ground, 'limit');
#	my $rate = $script->run('whole', 3);	# pushes a second
#
# "whole" is all of it, in as many round trips as the program takes;
# "transaction" only from BEGIN to COMMIT, in one.

package Bench::Statements;

use strict;
use warnings;

use Rig::Place qw(workdir slurp spew);

use Bench::Measure qw(load pgbench);

sub capture
{
	my ($class, $ground, $set) = @_;
	my $database = $ground->database('ours', $set);
	my $admin = $ground->cluster->admin;
	my $log = "$ground->{cluster}{folder}/server.log";
	my $before = -s $log;
	$ground->stop('ours');
	$admin->query("alter database $database set log_statement = 'all'");
	load($ground, 'ours', $set, mode => 'push', connections => 1,
	    seconds => 0.3, warmup => 0.1);
	$ground->stop('ours');
	$admin->query("alter database $database reset log_statement");
	my $self = bless { ground => $ground, set => $set }, $class;
	my @statement = last_push(entries(substr slurp($log), $before));
	$self->write(@statement);
	return $self;
}

# [statement, parameters] in the order of the log.
sub entries
{
	my ($text) = @_;
	my @entry;
	# A line that goes on begins with a tab.
	$text =~ s/\n\t/ /g;
	for my $line (split /\n/, $text) {
		if ($line =~ /^LOG:  execute \S+: (.*)/) {
			push @entry, [ $1, {} ];
		} elsif ($line =~ /^DETAIL:  parameters: (.*)/ && @entry) {
			my $list = $1;
			$entry[-1][1]{$1} = $2
			    while $list =~ /\$(\d+) = (NULL|'(?:[^']|'')*')/g;
		}
	}
	return @entry;
}

# From one COMMIT to the next is one push.
sub last_push
{
	my @entry = @_;
	my @commit = grep { $entry[$_][0] =~ /^commit\b/i } 0 .. $#entry;
	die "the log tells of no push\n" if @commit < 2;
	return @entry[$commit[-2] + 1 .. $commit[-1]];
}

sub write
{
	my ($self, @statement) = @_;
	my ($call) = grep { $_->[0] =~ /replicache_enter/ } @statement;
	my ($client, $id) = map { $call->[1]{$_} =~ s/^'|'$//gr } 1, 3;
	$self->{client} = $client;
	my @sql = map { with_parameters(@$_, $id) } @statement;
	my ($begin) = grep { $sql[$_] =~ /^begin\b/i } 0 .. $#sql;
	my @transaction = splice @sql, $begin;
	# What the push before left to tidy up was sent with its transaction.
	my @tidy = grep { /^(reset|discard)\b/i } @sql;
	my @look = grep { !/^(reset|discard)\b/i } @sql;
	$self->script(transaction => [@transaction]);
	$self->script(whole => (@look ? [@look] : ()), [ @transaction, @tidy ]);
}

# A script of some pipelines.
sub script
{
	my ($self, $name, @pipeline) = @_;
	my $text = "\\set id :id + 1\n";
	for my $pipeline (@pipeline) {
		$text .= join "\n", '\startpipeline', (map { "$_;" } @$pipeline),
		    "\\endpipeline\n";
	}
	$self->{$name} = spew(workdir() . "/$name.pgbench", $text);
}

# The statement with its parameters written out, and the mutation's ID as a
# variable.
sub with_parameters
{
	my ($sql, $parameter, $id) = @_;
	$sql =~ s/\$(\d+)/with_id($parameter->{$1}, $id)/ge;
	return $sql;
}

sub with_id
{
	my ($value, $id) = @_;
	return ':id' if $value eq "'$id'";
	return "array[:id::bigint]" if $value eq "'{$id}'";
	return "array[:id::bigint - 1]" if $value eq "'{" . ($id - 1) . "}'";
	if ($value =~ /^'\{"/) {
		$value =~ s/(?<!\d)$id(?!\d)/' || :id::text || '/g;
		return "($value)";
	}
	return $value;
}

sub run
{
	my ($self, $what, $seconds) = @_;
	my $id = $self->{ground}->session('ours', $self->{set})->value(
	    "select last_mutation_id from replicache_client where id = '$self->{client}'");
	return pgbench($self->{ground}, $self->{set}, $self->{$what}, $seconds,
	    '-D', "id=$id");
}

1;
