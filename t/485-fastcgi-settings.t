#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# The settings: where they come from, what is refused and by which words, and
# that all that tells of them agrees.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::More;

use Rig::Place qw(program workdir start_process reap_process slurp spew);

my $folder = workdir();
my $file = "$folder/replicache.conf";

# Runs the program to its end with the text as its file, and returns its exit
# code and output. Options: environment, arguments, command, mode.
sub run
{
	my ($text, %option) = @_;
	my $command = $option{command} // program();
	if (defined $text) {
		spew($file, $text);
		chmod $option{mode} // 0600, $file or die "$file: $!";
	}
	open my $out, '>', "$folder/out" or die "$folder/out: $!";
	my $pid = start_process(
		[ $command, @{ $option{arguments} // [ '--config', $file, '--check-config' ] } ],
		stdout => $out, stderr => $out, clean => 1,
		environment => $option{environment} // {});
	my $status = reap_process($pid, 10);
	return ($status >> 8, slurp("$folder/out"));
}

# What --dump-config tells: a hash of names, each value as it is written.
sub dumped
{
	my ($text, %option) = @_;
	my ($code, $out) = run($text, arguments => [ '--config', $file, '--dump-config' ], %option);
	is($code, 0, '--dump-config') or diag($out);
	return { map { /^(\w+) = (.*?)  # (.*)$/ ? ($1 => $2, "$1 from" => $3) : () } split /\n/, $out };
}

# t/unit/origin.c has more of them.
subtest 'what can never be met' => sub {
	for my $case ([ allowed_origins => 'https://app.example/', 'write https://app.example' ],
		[ allowed_origins => 'https://a.example https://App.example:443', 'write https://app.example' ],
		[ allowed_origins => 'https://*.app.example', 'name each one' ],
		[ allowed_origins => 'app.example', 'write https://app.example' ],
		[ jwt_issuer => 'https://login.example ', 'ends with a space' ],
		[ jwt_audience => ' todo', 'begins or ends with a space' ],
		[ jwt_subject => "sub\t", 'control character' ]) {
		my ($name, $value, $told) = @$case;
		my ($code, $out) = run(qq(auth = none\n$name = "$value"\n));
		is($code, 1, "$name = '$value'");
		like($out, qr/error \Q$file\E:2: $name: .*\Q$told\E/, 'is refused, with its line');
		($code, $out) = run("auth = none\n", environment => { 'REPLICACHE_' . uc $name => $value });
		like($out, qr/error REPLICACHE_\U$name\E: .*\Q$told\E/, 'or its variable');
	}
	is((run(qq(auth = none\nallowed_origins = "https://a.example null http://localhost:3000"\n)))[0], 0, 'what can is taken');
};

subtest 'the file is heard' => sub {
	my $got = dumped(<<'CONF');
# A comment, "with quotes and = signs
auth = none        # and one behind a value

workers = 3
  pool=4
log_level = "debug"
prepared = 'off'	# a tab
database = "host=/run/x dbname='a # b'"
allowed_origins = https://app.example
CONF
	is($got->{auth}, 'none', 'a choice');
	is($got->{workers}, 3, 'a number');
	is($got->{'workers from'}, "$file:4", 'and its line');
	is($got->{pool}, 4, 'without spaces');
	is($got->{log_level}, 'debug', 'in quotes');
	is($got->{prepared}, 'off', 'in single ones');
	is($got->{database}, q("host=/run/x dbname='a # b'"), 'a string');
	is($got->{'database from'}, "$file:8", 'and its line');
	is($got->{allowed_origins}, '"https://app.example"', 'one without quotes');
	is($got->{max_body}, 67108864, 'the default of what is not in it');
	is($got->{'max_body from'}, 'default', 'is told to be that');
	$got = dumped("workers = 3\npool = 4\n", environment => {
		REPLICACHE_WORKERS => 5, REPLICACHE_AUTH => 'none' });
	is($got->{workers}, 5, 'the environment wins');
	is($got->{'workers from'}, 'REPLICACHE_WORKERS', 'and is told');
	is($got->{pool}, 4, 'over itself only');
	is(dumped("auth = none\r\nworkers = 6\r\n")->{workers}, 6, 'the ends of lines of Windows');
	is(dumped("auth = none\nworkers = 6")->{workers}, 6, 'a last line without an end');
};

subtest 'which file' => sub {
	my $beside = "$folder/program";
	mkdir $beside or die "$beside: $!";
	copy(program(), "$beside/replicache.fcgi") or die "copy: $!";
	chmod 0755, "$beside/replicache.fcgi" or die "chmod: $!";
	symlink "$beside/replicache.fcgi", "$folder/link" or die "symlink: $!";
	spew("$beside/replicache.conf", "auth = none\nworkers = 11\n");
	my $other = spew("$folder/other.conf", "auth = none\nworkers = 12\n");
	my $workers = sub {
		my ($command, $arguments, %environment) = @_;
		my ($code, $out) = run("auth = none\nworkers = 13\n", command => $command,
			arguments => [ @$arguments, '--dump-config' ], environment => \%environment);
		return $out =~ /^workers = (\d+)/m ? $1 : $out;
	};
	is($workers->("$beside/replicache.fcgi", []), 11, 'beside the program');
	is($workers->("$folder/link", []), 11, 'beside it, where a link leads');
	is($workers->("$beside/replicache.fcgi", [], REPLICACHE_CONFIG => $other), 12,
		'the one the environment names wins');
	is($workers->("$beside/replicache.fcgi", [], REPLICACHE_CONFIG => ''), 11,
		'unless it is empty');
	is($workers->("$beside/replicache.fcgi", [ '--config', $file ], REPLICACHE_CONFIG => $other), 13,
		'the one of --config wins over both');
	for my $missing ([ [ '--config', "$folder/missing" ] ],
		[ [], REPLICACHE_CONFIG => "$folder/missing" ]) {
		like($workers->("$beside/replicache.fcgi", @$missing), qr/\Q$folder\E\/missing: can't be read: No such file/,
			'a named one must be there');
	}
	like($workers->(program(), [ '--config', $folder ]), qr/\Q$folder\E: can't be read/, 'a folder is none');
	unlink "$beside/replicache.conf";
	mkdir "$beside/replicache.conf";
	like($workers->("$beside/replicache.fcgi", []), qr/replicache.conf: can't be read/,
		'one that is there but unreadable is not passed over');
};

subtest 'what is refused, and where' => sub {
	# A line, and what must be said of it.
	my @bad = (
		'nonsense = 3' => qr/no such setting: 'nonsense'/,
		'vigil = off' => qr/no such setting: 'vigil'/,
		'Workers = 3' => qr/no such setting: 'Workers'/,
		'include("/etc/passwd")' => qr/no such setting: 'include'/,
		'workers 3' => qr/missing equal sign/,
		'workers =' => qr/ends too early/,
		'workers' => qr/ends too early/,
		'workers = 3 4' => qr/not one value.*quotes/,
		'workers = "\777"' => qr/not one value.*\\/,
		'workers = {3}' => qr/unexpected token '\{'/,
		'workers += 3' => qr/append/,
		'workers = "3' => qr/ends too early/,
		'workers = "3\\' => qr/ends too early/,
		"workers = '3" => qr/unterminated/,
		'workers = 0' => qr/workers: a whole number from 1 to 256 is needed/,
		'workers = 257' => qr/workers: a whole number from 1 to 256 is needed/,
		'workers = many' => qr/workers: a whole number/,
		'workers = " 3"' => qr/workers: a whole number/,
		'workers = ""' => qr/workers: a whole number/,
		"workers = 3\0" => qr/NUL/,
		'poke = maybe' => qr/poke: one of these is needed: auto, stream, longpoll, answer/,
		'poke = ""' => qr/poke: one of these/,
		'log_level = DEBUG' => qr/log_level: one of these is needed: error, warning, info, debug/,
		'database = host=x' => qr/unexpected token '='.*quotes/,
		'database = "databse=x"' => qr/database: invalid connection option "databse"/,
		'database = "dbname"' => qr/database: not a connection string/,
		'pool = 3' => qr/pool: is set in line 3 already/,
		'// pool = 3' => qr/a comment begins with #/,
		'/* pool = 3' => qr/a comment begins with #/,
		'}' => qr/unexpected/,
		"\xef\xbb\xbf" => qr/no such setting/,
	);
	while (my ($line, $said) = splice @bad, 0, 2) {
		my ($code, $out) = run("auth = none # x\n# comment\npool = 5\n\n$line\n\n");
		isnt($code, 0, $line =~ tr/ -~/?/cr);
		like($out, qr/^replicache: error \Q$file\E:5: .*$said/m, 'told with its line') or diag($out);
		unlike($out, qr/^(?!replicache: )/m, 'and nothing else');
	}
	my ($code, $out) = run("workers = 3\n");
	isnt($code, 0, 'no authentication said');
	like($out, qr/\Q$file\E: auth must be said/, 'it is told');
	($code, $out) = run("auth = none\nworkers = 3\n", environment => { REPLICACHE_POOL => 'x' });
	isnt($code, 0, 'a bad variable');
	like($out, qr/error REPLICACHE_POOL: a whole number/, 'it is told by its name');
	($code, $out) = run("auth = none\nworkers = x\n", environment => { REPLICACHE_WORKERS => 3 });
	isnt($code, 0, 'a bad value that the environment hides');
	like($out, qr/\Q$file\E:2: workers/, 'it is told');
	($code, $out) = run("auth = none\n", environment => { REPLICACHE_WORKER => 3, REPLICACHE_WORKERS => 3 });
	is($code, 0, 'a variable that is no setting');
	like($out, qr/warning REPLICACHE_WORKER: no such setting/, 'is warned of');
	unlike($out, qr/REPLICACHE_(WORKERS|CONFIG)/, 'no other is');
};

# What follows a quote that ends a value too early may be the rest of a password.
subtest 'what is not told of a line that is refused' => sub {
	for my $line ('database = "password=a"hushhush"', "database = 'password=a'hushhush'", 'database = "password=a" hushhush = "b"',
		'database = "password=a"="hushhush"', 'database = #password=hushhush"', "workers = 3 'hushhush'",
		'database = "password=a"}hushhush"') {
		for my $end ("\n", "\nauth = none\n") {
			my ($code, $out) = run("$line$end");
			isnt($code, 0, $line);
			like($out, qr/^replicache: error \Q$file\E:1: /, 'is refused with its place');
			unlike($out, qr/hush/, 'and not quoted');
		}
	}
};

subtest 'secrets' => sub {
	my @secret = ("database = 'dbname=x password=hushhush'",
		'listen_database = "postgresql://u:hushhush@h/x"',
		"database = 'dbname=x sslpassword=hushhush'");
	for my $line (@secret) {
		for my $mode (0644, 0604, 0666) {
			my ($code, $out) = run("auth = none\n$line\n", mode => $mode);
			isnt($code, 0, sprintf '%o: %s', $mode, $line);
			like($out, qr/\Q$file\E:2: (listen_)?database: has a secret in it, but others can read/,
				'told with its line');
			unlike($out, qr/hushhush/, 'but not itself');
		}
		for my $mode (0600, 0640, 0400) {
			my ($code, $out) = run("auth = none\n$line\n", mode => $mode);
			is($code, 0, sprintf '%o: %s', $mode, $line) or diag($out);
		}
		my ($code, $out) = run("auth = none\n$line\n",
			arguments => [ '--config', $file, '--dump-config' ]);
		unlike($out, qr/hushhush/, 'it is not dumped');
		like($out, qr/^# (listen_)?database is set, but not shown  # \Q$file\E:2$/m, 'but told to be set');
	}
	my ($code, $out) = run("auth = none\ndatabase = 'dbname=x'\n", mode => 0644);
	is($code, 0, 'who has no password may be read') or diag($out);
	for my $bad ("password=hush hush", "postgresql://u:hush\@[h/x", "dbname=x password='hush") {
		($code, $out) = run("auth = none\n", environment => { REPLICACHE_DATABASE => $bad });
		isnt($code, 0, 'a broken one');
		unlike($out, qr/hush/, 'is not told');
	}
};

# What is dumped is a file that says the same.
subtest 'the dump read again' => sub {
	my $text = <<'CONF';
auth = none
workers = 3
poke = longpoll
metrics = on
database = "host=/run/x options='-c a.b=\"\$\{c\}\\ \x09d' dbname=e"
allowed_origins = "https://a.example http://b.example:8080"
CONF
	my $dump = sub {
		my ($code, $out) = run($_[0], arguments => [ '--config', $file, '--dump-config' ]);
		is($code, 0, 'dumped') or diag($out);
		return $out;
	};
	my $first = $dump->($text);
	my $second = $dump->($first);
	s/  # .*$//mg for $first, $second;
	is($second, $first, 'the same');
	like($first, qr/^allowed_origins = "https:\/\/a.example http:\/\/b.example:8080"$/m, 'a string');
};

done_testing;
