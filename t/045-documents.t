#!/usr/bin/env perl
# SPDX-License-Identifier: Apache-2.0
#
# Every block of the documents works as it stands: commands, SQL and JavaScript are
# run, settings are read by the program that takes them. A block of a kind that this
# test does not know is an error, and so is a document that has fewer blocks than it
# should. Tables, and text between backquotes, name only what exists.
#
# Rig::Reader runs the blocks; it lists the few commands that are replaced. Of some
# documents only: DOCUMENT=README.md prove -v t/045-documents.t

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;

use Rig::Document;
use Rig::Fastcgi;
use Rig::Json;
use Rig::Node;
use Rig::Place qw(srcdir builddir program workdir slurp spew find_tool start_process
    reap_process wait_until);
use Rig::Program qw(params);
use Rig::Reader;
use Rig::Site;
use Rig::Sync qw(push_params pull_body);
use Rig::Token;

my $top = srcdir();

# Blocks that can't be run, and why.
my @nothing = (
	[ qr/──/, 'a drawing' ],
	[ qr/\Amax_connections >= /, 'a formula' ],
	[ qr/\Areplicache: LEVEL TEXT NAME=VALUE/, 'the form of a line of the log: t/487-fastcgi-log.t' ],
	[ qr/\A500 .*^503 .*^404 /ms, 'a list of statuses and their causes' ],
	[ qr/\A\[about\]\n/, 'a case: t/320-cgi-sync.t runs those of t/cases' ],
	[ qr/\Apush {3,}new mutations/, 'a list of the parts of the bench: see wrong_with()' ],
);

# The documents, and how many blocks of a kind there are at least. Those of
# replicache-sql.7 are run by t/296-sql-manual.t.
my @document = (
	{ path => 'README.md', quickstart => 1, shell => 1, sql => 3, page => 2, settings => 1 },
	{ path => 'SECURITY.md' },
	{ path => 'HACKING.md', shell => 1, paths => 1 },
	{ path => 'doc/protocol.md', installed => 1, json => 3 },
	{ path => 'doc/howto/install.md', shell => 6, settings => 1, nginx => 1 },
	{ path => 'doc/howto/pokes.md', installed => 1, page => 1 },
	{ path => 'debian/replicache-fcgi.README.Debian', user => 'postgres', shell => 4, settings => 1 },
	{ path => 'examples/hosting/README.in', indent => 8, installed => 1, user => 'app', shell => 1, settings => 1, page => 1 },
	{ path => 'man/replicache-admin.8.in', user => 'postgres', shell => 2 },
	{ path => 'man/replicache.conf.5.in', installed => 1, shell => 2, settings => 2 },
	{ path => 'man/replicache.fcgi.8.in', installed => 1, shell => 1 },
	{ path => 't/README', usage => 2, modules => 1 },
	{ path => 't/bench/README', usage => 1 },
);

# And all others there are.
my %listed = map { $_->{path} => 1 } @document;
push @document, map { { path => $_ } } grep { !$listed{$_} } map { s{^\Q$top\E/}{}r } sort glob("$top/doc/*.md"), glob("$top/doc/*/*.md");

my ($app) = grep { /^create table todo/ } map { $_->{text} } Rig::Document::blocks("$top/README.md");
ok(defined $app, 'README.md has an app') or BAIL_OUT('no app');
Rig::Reader::prepare();
my $reader;

# What is there to be named.
my $sql = join '', map { slurp($_) } glob("$top/schema/*.sql"), glob("$top/schema/*/*.sql");
my $makefile = slurp(builddir() . '/Makefile');
my $help = output([ program(), '--help' ]);
my %part = map { $_ => 1 } slurp("$top/t/bench/README") =~ /^    ([a-z]+) {2,}/mg;
my %long = map { $_ => 1 } slurp("$top/t/long") =~ /^([a-z]+) +(?:-|\w+=\d+) /mg;
my %target = map { $_ => 1 } map { split } $makefile =~ /^(\w[\w -]*):(?!=)/mg;
my %setting = map { $_ => 1 } $help =~ /^  REPLICACHE_\w+, (\w+)$/mg;

# The kind of a block, by how it begins.
my @kind = (
	[ nothing => sub { my ($text) = @_; grep { $text =~ $_->[0] } @nothing } ],
	[ nginx => qr/\A(?:upstream|location) / ],
	[ json => qr/\A\{"/ ],
	[ usage => qr/\A(?:(?:make|\.\/configure) .* {3,}\w|(?:\w+=\S+ )*prove )/ ],
	[ modules => qr/\ARig::/ ],
	[ sql => qr/\A(?:create|select|insert|update|delete|alter|grant|begin)\b/ ],
	[ page => qr/\A(?:import \{|(?:const|let) \w+ = |poke\(|new Replicache\(|await )/ ],
	[ postgres => qr/\Asynchronous_/ ],
	[ settings => qr/\A\w+ = / ],
	[ paths => qr{\A(?:[\w.]+/)+[\w.]* {2,}\w} ],
	[ shell => qr{\A(?:[A-Z]+=\S+ )*(?:git|\./\w+|dpkg-buildpackage|apt|useradd|su|make|psql|createdb|createuser|chmod|systemctl
		|spawn-fcgi|replicache-admin|replicache\.fcgi|/usr/share/\S+)\ }x ],
);

sub kind_of
{
	my ($text) = @_;
	for (@kind) {
		my ($kind, $rule) = @$_;
		return $kind if ref $rule eq 'CODE' ? $rule->($text) : $text =~ $rule;
	}
	return;
}

# Waits for a query to have a result.
sub comes
{
	my ($sql, $what) = @_;
	my $session = $reader->session;
	ok(eval { wait_until(sub { $session->value($sql) }, $what, 30) }, $what);
	$session->close;
}

my %run = (
	nothing => sub { return '' },

	sql => sub { return $reader->sql($_[0]{text}) },

	# A push or a pull is taken, and a pull is answered in this form.
	json => sub {
		my ($block) = @_;
		my $sent = eval { Rig::Json::decode($block->{text}) } // return $@;
		my $path = $sent->{patch} ? '' : $sent->{mutations} ? '/push' : '/pull';
		my $body = $path eq '' ? pull_body('form') : $block->{text};
		my $answer = Rig::Program::cgi({ REPLICACHE_DATABASE => $reader->conninfo },
			params('POST', $path || '/pull', body => $body), $body);
		return "$answer->{status} $answer->{body}" if $answer->{status} != 200;
		return '' if $path ne '';
		my $got = Rig::Json::decode($answer->{body});
		my ($has, $said) = map { join ' ', sort keys %$_ } $got, $sent;
		return $has eq $said ? '' : "it has $has";
	},

	# The first column are paths, perhaps with the mode of the file.
	paths => sub {
		my @missing = grep { !-e "$top/$_" && !-e "$top/" . s{^replicache/\.}{examples/apache/}r } $_[0]{text} =~ m{^(\S+/\S*)}mg;
		return join ' ', map { "no $_" } grep { !m{^(?:replicache|licences)/|^poke\.js} } @missing;
	},

	shell => sub {
		my ($block) = @_;
		my $text = $block->{text};
		return 'skipped: no autoconf here' if $text =~ /bootstrap/ && !defined find_tool('autoreconf');
		if ($text =~ /spawn-fcgi/) {
			return 'skipped: no spawn-fcgi here' unless defined find_tool('spawn-fcgi');
			return 'skipped: nothing is installed' if grep { m{^/} && !-e } $reader->here($text) =~ m{(\S+/replicache\.fcgi)}g;
			return served($text);
		}
		spew("$reader->{cwd}/app.sql", $app) if $text =~ /app\.sql/;
		spew("$reader->{cwd}/replicache.conf", "auth = none\n") if $text =~ /replicache\.conf$/;
		if ($text =~ m{https://app\.example/}) {
			my ($missing) = Rig::Site::missing();
			return "skipped: $missing" if defined $missing;
			$text =~ s{https://app\.example/}{$reader->site('postgres') . '/'}e;
		}
		return $reader->shell($text);
	},

	settings => sub {
		my ($block) = @_;
		my $text = $reader->here($block->{text});
		my %more = $text =~ /^auth = jwt$/m && $text !~ /^jwt_/m ? Rig::Token::environment() : ();
		my $file = spew("$reader->{folder}/check.conf", $text);
		chmod 0600, $file or die "chmod: $!";
		# A document that names the file has it written.
		if ($block->{before} =~ m{`(/\S+\.conf)`}) {
			my $path = $reader->here($1);
			make_path(dirname($path));
			spew($path, $text);
		}
		return command([ program(), '--config', $file, '--check-config' ], REPLICACHE_CONFIG => '',
			$text =~ /^auth = /m ? () : (REPLICACHE_AUTH => 'none'), %more);
	},

	# A command a line, perhaps with what it does: these are not run.
	usage => sub {
		my ($block) = @_;
		my @command = map { s/ {3,}.*//r } grep { /^(?:\w+=\S+ )*(?:make|prove|\.\/configure)\b/ } split /\n/, $block->{text};
		my @test = map { / (t\/\S+)/ ? $1 : () } grep { /\bprove / } @command;
		my @case = map { /^CASE=(\S+)/ ? "t/cases/$1" : () } @command;
		return join ', ', (map { wrong_with($_) } map { split /&& / } @command),
		    map { "no $_" } grep { !(my @found = glob "$top/$_") } @test, @case;
	},

	modules => sub {
		return join ' ', map { "no $_" } grep { !-e "$top/t/lib/" . s{::}{/}gr . '.pm' } $_[0]{text} =~ /^(Rig::\w+)/mg;
	},

	postgres => sub {
		my ($block) = @_;
		my $admin = $reader->{cluster}->admin;
		for ($block->{text} =~ /^(.*\S)$/mg) {
			my ($name, $value) = /^(\w+) = (.*)$/ or return "what is: $_";
			$admin->query("alter system set $name = $value");
			my $wrong = $admin->value("select error from pg_file_settings where name = '$name' and error is not null");
			$admin->query("alter system reset $name");
			return $wrong if defined $wrong;
		}
		return '';
	},

	nginx => sub {
		my ($block) = @_;
		my $nginx = find_tool('nginx') // return 'skipped: no nginx here';
		my $folder = $reader->{folder};
		my $example = slurp("$top/examples/nginx/replicache.conf");
		my $text = $reader->here($block->{text});
		my $is_upstream = $text =~ /\Aupstream/;
		$example =~ s/\}\s*\z/$text}\n/ unless $is_upstream;
		my $http = join "\n", (map { "${_}_temp_path $folder/$_;" } qw(client_body proxy fastcgi uwsgi scgi)),
		    $is_upstream ? $text : 'upstream replicache { server unix:/nowhere; }', 'upstream readers { server unix:/nowhere; }';
		my $conf = spew("$folder/nginx.conf", "pid $folder/pid; events {}\nhttp {\n$http\naccess_log off;\n"
		    . "server { listen unix:$folder/nginx.sock;\n$example\n}\n}\n");
		return command([ $nginx, '-t', '-q', '-p', $folder, '-c', $conf, '-e', "$folder/nginx.log" ]);
	},

	page => sub {
		my ($block) = @_;
		my ($missing) = (Rig::Node::missing(), Rig::Site::missing());
		return "skipped: $missing" if defined $missing;
		my $page = $reader->{page} // page_with_login();
		# With a token the requests go to the server that asks for one.
		my $server = $block->{text} =~ /auth: / ? $reader->{tokens} : '';
		$page->ask(do => 'run', text => '', values => { map { ("${_}URL" => "$server/replicache/$_") } qw(push pull) });
		return $@ unless eval { $page->ask(do => 'run', text => $block->{text}); 1 };
		return shown($page, $block->{text});
	},
);

# A page, and what blocks take for granted: a user, mutators, a token (which has expired),
# a function that fetches a new one, and the addresses of a server.
sub page_with_login
{
	my $page = $reader->page($reader->site($reader->{owner}));
	$reader->{tokens} = $reader->site($reader->{owner}, Rig::Token::environment());
	$page->ask(do => 'run', text => 'globalThis.asked = 0; globalThis.newToken = () => { asked++; return fresh; };',
		values => { userID => 'ann', mutators => {}, token => Rig::Token::of_user('ann', -600), fresh => Rig::Token::of_user('ann') });
	return $page;
}

# What pages do, seen from elsewhere.
sub shown
{
	my ($page, $text) = @_;
	my $value = sub { $page->ask(do => 'value', text => $_[0]) };
	if ($text =~ /rep\.mutate\.(\w+)\(.*text: '(.*?)'/) {
		comes("select count(*) from todo where text = '$2'", "$1 is applied");
	}
	if ($text =~ /^poke\(/m) {
		# README.md lets only members see a todo later on: the chat's table is for all.
		my $session = $reader->session;
		my $key = $session->value('select to_regclass($$message$$)') // 'todo';
		my $id = '00000000-0000-4000-8000-000000000002';
		# poke.js would do without a stream, too.
		ok(eval { wait_until(sub { ($value->('pokeState') // '') eq 'stream' }, 'it', 30) }, 'a stream flows');
		$session->query($key eq 'todo' ? "insert into todo values ('$id', 'poked', false)"
			: "insert into message (id, sender, content, ord) values ('$id', 'psql', 'poked', 1)");
		$session->close;
		ok(eval { wait_until(sub { $value->("(await rep.query((tx) => tx.has('$key/$id')))") }, 'it', 30) },
			'what somebody inserts comes to the page');
	}
	if ($text =~ /getAuth/) {
		ok(eval { wait_until(sub { $value->('asked') }, 'it', 30) }, 'getAuth is called');
		$page->ask(do => 'run', text => 'await rep.close();');
	}
	return '';
}

# A server that was started by hand: a push goes through its socket.
sub served
{
	my ($text) = @_;
	my $trouble = $reader->shell($text);
	return $trouble if $trouble ne '';
	my $peer = Rig::Fastcgi->connect($reader->socket) // return "no connection: $!";
	my $answer = $peer->request(push_params('by-hand', [ 'c', 1, 'createTodo',
		'{"id":"00000000-0000-4000-8000-000000000001","text":"by hand"}' ]), seconds => 30);
	$peer->close;
	return "a push: $answer->{status} $answer->{body}\n" . $reader->log if $answer->{status} != 200;
	return $reader->applied(q(select 1 from todo where text = 'by hand')) ? '' : 'the push is not applied';
}

# What a command says if it fails, else ''.
sub command
{
	my ($command, %environment) = @_;
	open my $out, '>', workdir() . '/out' or die "out: $!";
	my $pid = start_process($command, stdout => $out, stderr => $out, clean => 1, environment => \%environment);
	my $status = reap_process($pid, 60);
	return defined $status && $status == 0 ? '' : slurp(workdir() . '/out');
}

for my $document (@document) {
	my $path = $document->{path};
	next if defined $ENV{DOCUMENT} && $path !~ /$ENV{DOCUMENT}/;
	my @block = Rig::Document::blocks("$top/$path", $document->{indent});
	next unless @block || grep { !/^path$/ } keys %$document;
	subtest $path => sub {
		$reader = Rig::Reader->new($path, user => $document->{user}, quickstart => $document->{quickstart},
			installed => $document->{installed} ? $app : undef);
		is($reader->shell("git clone here tree && cd tree\n"), '', 'a tree') if $path eq 'HACKING.md';
		my %done;
		for my $block (@block) {
			my $kind = kind_of($block->{text});
			ok(defined $kind, "$path:$block->{line}: it is known what to do with it") or diag($block->{text}), next;
			my $trouble = $run{$kind}->($block);
			$done{$kind}++;
			SKIP: {
				skip "$path:$block->{line}: $1", 1 if $trouble =~ /^skipped: (.*)/;
				is($trouble, '', "$path:$block->{line}: $kind") or diag($block->{text});
			}
		}
		for my $kind (sort grep { exists $run{$_} } keys %$document) {
			cmp_ok($done{$kind} // 0, '>=', $document->{$kind}, "$kind is there");
		}
		$reader->leave;
	};
}

# What stands between backquotes, or in a table, and is of a known form.

sub output
{
	my ($command) = @_;
	command($command);
	return slurp(workdir() . '/out');
}


# The parameters of a function of ours, as text; undef if there is none of the name.
sub parameters
{
	my ($name) = @_;
	my @found = $sql =~ /^create (?:or replace )?function $name\((.*?)\)\s*returns/msg;
	return @found ? join ' ', @found : undef;
}

# What is wrong with a word or a command; nothing of the others.
sub wrong_with
{
	my ($text) = @_;
	my @wrong;
	if ($text =~ m{^(?:transport|auth|push|pull|json|limits|poke|faults)/[\w-]+$}) {
		push @wrong, "no case $text" if !-e "$top/t/cases/$text";
	}
	if ($text =~ m{^(?:t|cgi|common|admin|schema|examples|doc|man|debian)/[\w./-]+$}) {
		push @wrong, "no $text" if !grep { -e } glob "$top/" . $text =~ s/NNN/???/r . '*';
	}
	push @wrong, map { "no make $_" } grep { !$target{$_} } $text =~ /^make ([\w-]+)/, $text =~ /^(check-[\w-]+)$/;
	push @wrong, map { "no part $_" } grep { !$long{$_} } map { split } $text =~ /^(?:make check-long )?PART='?([a-z ]+)/;
	for my $call ($text =~ /\b(replicache_\w+\([^()]*\))/g) {
		my ($name, $given) = $call =~ /^(\w+)\((.*)\)$/s;
		my $takes = parameters($name);
		push @wrong, "no function $name" if !defined $takes;
		push @wrong, map { "$name has no $_" } grep { defined $takes && $takes !~ /\b$_\b/ } $given =~ /(\w+) ?=>/g;
	}
	push @wrong, map { "no part $_" } grep { !$part{$_} } map { split } $text =~ /\bBENCH='?([a-z ]+)/g;
	push @wrong, map { "no setting $_" } grep { !$setting{lc s/^REPLICACHE_//r} && $_ ne 'REPLICACHE_CONFIG' }
	    $text =~ /\b(REPLICACHE_[A-Z_]+)/g;
	push @wrong, "no setting $1" if $text =~ /^(\w+) = / && !$setting{$1} && $1 !~ /^(?:synchronous_\w+|autovacuum)$/;
	return @wrong;
}

subtest 'names' => sub {
	unlike(slurp("$top/NEWS"), qr/^(?:<{7}|={7}$|>{7})/m, 'NEWS: no marks of a conflict');
	for my $path (map { $_->{path} } grep { $_->{path} =~ /\.md$/ } @document) {
		my @word = (Rig::Document::quoted("$top/$path"),
			map { "BENCH=$_" } map { /`([a-z]+)` \|$/mg } slurp("$top/$path") =~ /^\|.*part of `make bench` \|\n((?:\|.*\n)+)/mg);
		my @link = grep { !/^https?:/ } slurp("$top/$path") =~ /\]\(([^)#]+)/g;
		unlike(slurp("$top/$path"), qr/^(?:<{7}|={7}$|>{7})/m, "$path: no marks of a conflict");
		is(join(', ', (map { wrong_with(s/\s+/ /gr) } @word),
			map { "no $_" } grep { !-e dirname("$top/$path") . "/$_" } @link), '', $path);
	}
	like(join(' ', wrong_with($_)), qr/^no /, "$_ would be found") for qw(t/999-none.t push/nothing check-nothing BENCH=nothing PART=nothing
		replicache_nothing() REPLICACHE_NOTHING), 'nothing = 1';
	is(join(' ', wrong_with('replicache_purge(nothing => 1)')), 'replicache_purge has no nothing', 'so would a parameter');
};

# Comments cite "protocol section 4" and "design section 3, step 5", pages of doc/.
subtest 'sections that comments cite' => sub {
	my %has;
	for my $page (qw(protocol design)) {
		my $at;
		for (split /\n/, slurp("$top/doc/$page.md")) {
			$has{"$page section " . ($at = $1)} = 1 if /^##+ ([\d.]+\d|\d)\.? /;
			$has{"$page section $at, step $1"} = $has{"$page section $at.$1"} = 1 if defined $at && /^(\d+)\. /;
		}
	}
	my ($cited, @wrong) = 0;
	my @file = grep { -f } map { glob "$top/$_" } map { ("$_/*.[chlt]", "$_/*.sql", "$_/*/*.[chlt]", "$_/*/*.sql", "$_/*/*/*.[ch]", "$_/*/*/*.pm") }
	    qw(cgi common schema admin t man);
	for my $file (@file) {
		# Comments as they are read: without what begins their lines.
		my $text = slurp($file) =~ s{\n[ \t]*(?:\*(?!/)|--|#|//)?[ \t]*}{ }gr;
		while ($text =~ /\b((?:protocol|design) section)s? ([\d.]*\d)(?: and ([\d.]*\d))?(?:, steps? (\d)(?: (?:and|to) (\d))?)?/g) {
			my ($page, @section) = ($1, grep { defined } $2, $3);
			my @step = grep { defined } $4, $5;
			$cited++;
			push @wrong, map { "$file: $_" } grep { !$has{$_} } (map { "$page $_" } @section), map { "$page $section[0], step $_" } @step;
		}
		push @wrong, map { "$file: $_" } $text =~ /(\(?\b(?:reliability sections? [\d.]+|(?:design|protocol|reliability): (?:push|pull|versions|step|section)\b.{0,20}))/g;
	}
	cmp_ok($cited, '>', 15, 'there are some');
	is(join("\n", grep { !m{/t/045-documents} } @wrong), '', 'all are there');
};

subtest 'options of Replicache' => sub {
	my ($missing) = Rig::Node::missing();
	plan skip_all => $missing if defined $missing;
	my $node = Rig::Node->start('document.mjs', PAGE => 'http://localhost/');
	my %option = map { $_ => 1 } @{ $node->ask(do => 'options') };
	$node->stop;
	ok($option{pushURL} && !$option{getAuth}, 'are known');
	for my $path (map { $_->{path} } @document) {
		my @unknown = grep { !$option{$_} } map { /(?:^|, ?|\{ ?)(\w+)(?=[:,}]|$)/g }
		    slurp("$top/$path") =~ /^(?!    ).*new Replicache\(\{(.*?)\}\)/mg;
		is("@unknown", '', $path);
	}
};

subtest 'paths' => sub {
	my $install = "$top/doc/howto/install.md";
	my @path = Rig::Document::column($install, 'path', 'method', 'answer');
	cmp_ok(@path, '>', 4, 'paths');
	my %method = slurp($install) =~ m{^\| (/\w+) \| (\w+) \|}mg;
	for my $path (@path) {
		my $answer = Rig::Program::cgi({ REPLICACHE_METRICS => 'on', REPLICACHE_DATABASE => 'host=/nowhere' },
			params($method{$path}, $path, body => '{'), '{');
		unlike($answer->{status}, qr/^40[45]/, "$method{$path} $path");
	}
};

done_testing;
