# SPDX-License-Identifier: Apache-2.0
#
# Simulated clients that behave as the real one, faults meanwhile, and a checker
# of all that was answered.
#
#	my $history = Rig::History->new($cluster, $database, \@program);
#	$history->run(rounds => 60);
#	my @violation = $history->check;
#
# or, to do something meanwhile: begin(); ...; enough(); end().
#
# The database has schema/replicache.sql and t/sql/history.sql. A client group is
# a process with two tabs and a user. A tab sends again all that no pull has
# confirmed, sometimes twice at once, sometimes without waiting for the answer. It
# has two views: one that is pulled often, and one that is pulled seldom.
#
# Tabs are closed and opened: what a closed one has left, the others send. Now and
# then the page is another one, whose tabs make a new group: it takes over the
# cookie and the rows of the old one, and recovers what that has not sent yet.
#
# With users => {part => 1, ...} the database has t/sql/users.sql as well, and the
# program auth = jwt. Parts: "role", the role that a group's token names changes now and
# then; "login", somebody else logs in, who finds the cookie and the rows that were
# there; "leave", some mutators leave things in their session, which others look for;
# "wrong", mutators fail by errors that look like the server's.
#
# What is checked, of every view after every pull and of the database:
#
#	P1  exactly once: each mutation up to a client's last is in the journal
#	    once, or in the ledger once; none is beyond; each that was answered by
#	    200 is told of by every pull from then on
#	P2  a client's mutations were applied in order
#	P3  cookies and last mutation IDs never fall
#	P4  a view is what its user could see at the version of its cookie, and
#	    the last mutation IDs told are those of that version
#	P5  what a list got is there as often, and in the order of the journal
#	P6  whose last mutation ID is told, of that the effect is in the view
#	P7  in the end all views are that of the last version
#	P8  of what is somebody else's no key is told to whom it was never shown
#	P9  a stream is told of the last version, and of none before it is committed
#	P10 what is refused changes nothing
#	P11 no answer has another's secret, nor what another role may see
#	P12 no mutator meets what another group's has left
#	P13 nothing is in the ledger but what fails by itself
#	P14 who logs in after somebody else has their own view, and keeps it

package Rig::History;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Encode qw(encode_utf8);
use Time::HiRes qw(sleep time);

use Rig::Fastcgi;
use Rig::Json;
use Rig::Place qw(workdir spew wait_until);
use Rig::Program;
use Rig::Stream;
use Rig::Sync qw(push_body pull_body parallel);
use Rig::Token;

use constant { GROUPS => 6, TABS => 2, USERS => 3 };

# The mutations that fail by themselves.
my $FAILING = q('fail', 'wrong');

# Purges in a run.
use constant PURGES => 3;

# How long a stream may take to tell of the last version.
use constant POKE_SECONDS => 5;

sub new
{
	my ($class, $cluster, $database, $program, %option) = @_;
	return bless { cluster => $cluster, database => $database,
		program => $program, seed => 1, violation => [], %option }, $class;
}

# Everybody at once. Options: rounds of each group (undefined: until enough() is
# called), kills of sessions. Of new(): burst, how many mutations are made at once,
# at most; pause, the seconds before each round, at most; good, the part of mutations that certainly do not fail (those that do cost
# much); cuts, whether answers may be cut and the database be away; poke_seconds,
# how long a stream may take in the end.
sub run
{
	my ($self, %option) = @_;
	return $self->begin(rounds => 40, %option)->end;
}

sub begin
{
	my ($self, %option) = @_;
	unlink glob workdir() . '/over*';
	my $rounds = $option{rounds};
	$self->{owner} = $$;
	$self->{seconds} = $option{seconds} // 60 + ($rounds // 0) * 4;
	# What stood before the first version of the journal.
	my $session = $self->{cluster}->session($self->{database});
	$self->{initial} = { map { @$_ } @{ $session->query('select * from jsonb_each_text(history_digests())') } };
	$session->close;
	my @other = (
		sub { $self->write_outside },
		sub { $self->kill_sessions($option{kills} // 0) },
		map { my $program = $_; sub { $self->watch($program) } } @{ $self->{program} },
	);
	$self->{children} = Rig::Sync::background(GROUPS + @other, sub {
		my ($number) = @_;
		srand $self->{seed} * 1000 + $number;
		return $other[ $number - GROUPS ]->() if $number >= GROUPS;
		my $result = eval { Rig::History::Group->new($self, $number)->live($rounds) };
		spew(workdir() . "/over$number", '');
		return $result // die $@;
	});
	return $self;
}

# The groups are to come to their end.
sub enough { spew(workdir() . '/over', '') }

sub end
{
	my ($self) = @_;
	my @result = Rig::Sync::collect(delete $self->{children}, $self->{seconds});
	$self->{result} = [ map { @$_ } @result[ 0 .. GROUPS - 1 ] ];
	push @{ $self->{violation} },
	    map { @{ $_->{violation} } } @{ $self->{result} }, grep { ref } @result[ GROUPS .. $#result ];
	return $self;
}

# What a request needs to be this user's.
sub identity
{
	my ($self, $user, $role) = @_;
	return { REMOTE_USER => $user } if !$self->{users};
	$self->{token}{"$user/$role"} //= Rig::Token::sign(Rig::Json::encode(
		{ sub => $user, exp => int(time) + 86400, $role eq '' ? () : (role => $role) }));
	return { HTTP_AUTHORIZATION => 'Bearer ' . $self->{token}{"$user/$role"} };
}

# Whether this part of t/sql/users.sql is wanted.
sub has { return $_[0]{users} && $_[0]{users}{ $_[1] } }

sub count_pulls { return scalar map { @{ $_->{pulls} } } @{ $_[0]{result} } }

sub close
{
	my ($self) = @_;
	(delete $self->{session})->close if $self->{session};
}

sub session { return $_[0]{session} //= $_[0]{cluster}->session($_[0]{database}) }

# Whether the test has ended meanwhile, which ends everything.
sub is_alone { return getppid() != $_[0]{owner} }

sub is_over { return $_[0]->is_alone || !grep { !-e workdir() . "/over$_" } 0 .. GROUPS - 1 }

# Somebody else's program, and now and then a purge.
sub write_outside
{
	my ($self) = @_;
	my $session;
	my $purges = 0;
	until ($self->is_over) {
		my $end = rand() < 0.7 ? 'commit' : 'rollback';
		my $id = int rand 4;
		$session //= $self->open_session // next;
		eval { $session->error("begin; insert into shared values ('x$id', 'psql') on conflict (id) do update set body = shared.body || '+';
			delete from kept where id = 'k$id'; select journal('psql'); $end");
			$session->error("begin; @{[ $self->outside ]} select journal('psql'); $end") if $self->{users};
			# Everybody starts over then, which hides much.
			$session->error(q(select replicache_purge('0'))) if rand() < 0.03 && $purges++ < PURGES;
			1;
		} or $session = $self->lose_session($session);
		sleep rand 0.1;
	}
	$session->close if $session;
	spew(workdir() . '/over-outside', '');
	return 0;
}

# What a person does in psql: to lists and their members, and for so long that pushes
# wait and then are done together.
sub outside
{
	my ($self) = @_;
	my $sql = sprintf "select change_list('l%d', '%s', 'u%d');", rand 4,
	    (qw(make give drop join leave join leave move))[ rand 8 ], rand USERS;
	$sql .= sprintf "update pay set amount = 'salary %d' where id = 'p%d';", rand 1000, rand 4 if rand() < 0.3;
	$sql .= 'select replicache_next_version(); select pg_sleep(0.03);' if rand() < 0.3;
	return $sql;
}

# A session of one's own; undef while the database is away, which it may be.
sub open_session
{
	my ($self) = @_;
	my $session = eval { $self->{cluster}->session($self->{database}) };
	die $@ if !$session && !$self->{cuts};
	sleep 0.05 if !$session;
	return $session;
}

sub lose_session
{
	my ($self, $session) = @_;
	die $@ if !$self->{cuts};
	$session->close;
	return undef;
}

sub kill_sessions
{
	my ($self, $kills) = @_;
	# The database may be away, as it is cut or crashes.
	return 0 if $kills == 0;
	my $admin = $self->{cluster}->session($self->{database}, 'postgres');
	while ($kills-- > 0 && !$self->is_over) {
		sleep rand 0.3;
		# All, any one, or one that is in the middle of something.
		my $some = (q(), 'order by random() limit 1', q(and state = 'active' limit 1),
		    q(and state = 'active' limit 1))[ rand 4 ];
		my $killed = 0;
		for (1 .. 50) {
			$killed = $admin->value("select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity
				where datname = current_database() and application_name <> 'psql' $some) as a");
			last if $killed;
		}
	}
	$admin->close;
	return 0;
}

# Listens to a program until all is over, and then to the last version. A stream
# that ends is opened again, as a page would.
sub watch
{
	my ($self, $program) = @_;
	my ($stream, $session, $told, $last, $end) = (undef, undef, 0);
	my ($opened, $heard) = (0, 0);
	for (;;) {
		return 0 if $self->is_alone;
		if (!$stream) {
			$stream = Rig::Stream->fastcgi($program, params => $self->identity('u0', ''));
			$opened = time;
		}
		my $poke = eval { $stream->poke(0.2) };
		die $@ if $@ && $@ !~ /no headers in time/;
		$told = $poke // $told;
		if (defined $poke) {
			$heard = time;
			# It was not told too early: who pulls now gets it.
			$session //= $self->open_session;
			my $now = eval { $session->value('select max(version) from replicache_version') };
			$session = $self->lose_session($session) if $session && !defined $now;
			return { violation => ["P9: a stream was told of $poke at $now"] } if defined $now && $poke > $now;
		}
		undef $stream if $stream->{ended} || $stream->{whole} || ($stream->{status} // 200) != 200;
		if (!defined $last && -e workdir() . '/over-outside') {
			$last = $self->session->value('select max(version) from replicache_version');
			$end = time + ($self->{poke_seconds} // POKE_SECONDS);
		}
		return 0 if defined $last && $told >= $last;
		return { violation => [sprintf 'P9: a stream was told of %s, not of %s: it was opened %.1f s ago, has status %s, and told it %.1f s ago',
			$told, $last, time - $opened, $stream->{status} // 'none', time - $heard] } if defined $end && time > $end;
	}
}

# Violations, as text.
sub check
{
	my ($self) = @_;
	my $session = $self->session;
	my @wrong = @{ $self->{violation} };
	my $ask = sub { return map { $_->[0] } @{ $session->query($_[0]) } };

	# One row a mutation, applied or failed.
	$session->query(q(create temporary table done as
		select client, mutation, version, n from journal where client is not null
		union all select client, mutation, version, null from failed));
	push @wrong, map { "P1: $_" } $ask->(q(select client || ' ' || mutation || ' is there ' || count(*) || ' times'
		from done group by client, mutation having count(*) > 1));
	push @wrong, map { "P1: $_" } $ask->(q(select id || ' has the last mutation ID ' || last_mutation_id || ', but '
			|| count(mutation) || ' are there, to ' || coalesce(max(mutation), 0)
		from replicache_client left join (select distinct client, mutation from done) as d on client = id
		group by id, last_mutation_id
		having count(mutation) <> last_mutation_id or max(mutation) <> last_mutation_id));
	push @wrong, map { "P1: $_" } $ask->(q(select client || ' is in no group' from done
		where client not in (select id from replicache_client)));
	push @wrong, map { "P13: $_" } $ask->("select name || ' of ' || client || ' ' || mutation || ' was recorded as failed: ' || message
		from failed where name not in ($FAILING)");
	push @wrong, map { "P12: $_" } $ask->(q(select who || ' met a ' || what from met limit 20)) if $self->{users};
	for my $result (@{ $self->{result} }) {
		for my $client (keys %{ $result->{acked} }) {
			my $last = $session->value("select last_mutation_id from replicache_client where id = '$client'") // 0;
			push @wrong, "P1: $client was answered 200 for $result->{acked}{$client}, and is at $last"
			    if $last < $result->{acked}{$client};
		}
	}
	push @wrong, map { "P2: $_" } $ask->(q(select client || ' ' || mutation || ' was applied behind ' || before
		from (select client, mutation, lag(mutation) over (partition by client order by n) as before from done where n is not null) as d
		where mutation < before));

	# A version's last IDs: of each client, the highest mutation up to it.
	for my $result (@{ $self->{result} }) {
		for my $pull (@{ $result->{pulls} }) {
			push @wrong, $self->check_pull($result, $pull);
			last if @wrong > 20;
		}
	}
	push @wrong, map { "P5: $_" } $ask->(q(select 'n-' || client || ' is ' || coalesce(body, 'none') || ' after ' || count
		from (select client, count(*) from journal where client is not null and name <> 'psql' group by client) as j
		left join shared on id = 'n-' || client where body::bigint is distinct from count));
	return @wrong;
}

sub audit
{
	my ($self) = @_;
	return $self->{audit} //= do {
		my $session = $self->session;
		my %digest = map { $_->[0] => Rig::Json::decode($_->[1]) }
		    @{ $session->query('select version, digests from audit') };
		my %done;
		# In the order of versions, the highest mutation up to each.
		for (@{ $session->query('select client, mutation, version from done order by version, mutation') }) {
			my $steps = $done{ $_->[0] } //= [];
			my $before = @$steps ? $steps->[-1][0] : 0;
			push @$steps, [ $_->[1] > $before ? $_->[1] : $before, $_->[2] ];
		}
		{ digest => \%digest, versions => [ sort { $a <=> $b } keys %digest ], done => \%done,
			# Whoever did not begin here began with nothing.
			empty => $self->{initial} // { map { ("u$_" => md5_hex('')) } 0 .. USERS - 1 } };
	};
}

# How many of a sorted list are not above a version; $get gives an entry's.
sub up_to
{
	my ($list, $version, $get) = @_;
	my ($low, $high) = (0, scalar @$list);
	while ($low < $high) {
		my $middle = int(($low + $high) / 2);
		$get->($list->[$middle]) <= $version ? ($low = $middle + 1) : ($high = $middle);
	}
	return $low;
}

# A client's last mutation ID at a version.
sub last_at
{
	my ($steps, $version) = @_;
	my $n = up_to($steps, $version, sub { $_[0][1] });
	return $n == 0 ? 0 : $steps->[ $n - 1 ][0];
}

# What stood at a version.
sub at
{
	my ($self, $version) = @_;
	my $audit = $self->audit;
	my $n = up_to($audit->{versions}, $version, sub { $_[0] });
	return $n == 0 ? $audit->{empty} : $audit->{digest}{ $audit->{versions}[ $n - 1 ] };
}

sub check_pull
{
	my ($self, $result, $pull) = @_;
	my ($user, $done) = ($pull->{who} // $result->{user}, $self->audit->{done});
	my @wrong;
	push @wrong, "$pull->{rule}: at $pull->{cookie} $user should not see what they do ($pull->{about})"
	    if $self->at($pull->{cookie})->{$user} ne $pull->{digest};
	for my $client (@{ $result->{clients} }) {
		my $last = last_at($done->{$client} // [], $pull->{cookie});
		my $told = $pull->{ids}{$client} // 0;
		push @wrong, "P4: at $pull->{cookie} $client was at $last, and $told is told ($pull->{about})" if $told != $last;
	}
	return @wrong;
}

package Rig::History::Group;

use Digest::MD5 qw(md5_hex);
use Encode qw(encode_utf8);
use Time::HiRes qw(sleep time);

use Rig::Sync qw(push_body pull_body cookie_version);

# How often, of a hundred rounds, a tab is closed and another one opened, and the
# page is another one, or another user's.
use constant { NEW_TAB => 2, NEW_PAGE => 1, NEW_USER => 4 };

# So many that wait to be confirmed are enough.
use constant QUEUE_MAX => 200;

sub new
{
	my ($class, $history, $number, %option) = @_;
	my $self = bless {
		history => $history, number => $number, group => "g$number", tab => 0,
		user => 'u' . $number % Rig::History::USERS, role => '', told => {}, %option,
		clients => [], tabs => [], queue => [], made => {}, acked => {},
		pulls => [], violation => [],
	}, $class;
	$self->open_tab for 1 .. Rig::History::TABS;
	$self->{$_} = Rig::Sync::View->new($self->{group}, sub { $self->ask_on(@_) })
	    for qw(often seldom);
	return $self;
}

sub open_tab
{
	my ($self) = @_;
	my $client = "c$self->{number}" . $self->{tab}++;
	push @{ $self->{$_} }, $client for qw(clients tabs);
}

# What the other tabs see is a new client.
sub replace_tab
{
	my ($self) = @_;
	splice @{ $self->{tabs} }, rand @{ $self->{tabs} }, 1;
	$self->open_tab;
}

# A new group, which goes on from where this one is.
sub fork_group
{
	my ($self, %option) = @_;
	my $new = ref($self)->new($self->{history}, $self->{number},
		group => "g$self->{number}-$self->{tab}", tab => $self->{tab}, told => $self->{told},
		user => $self->{user}, role => $self->{role}, %option);
	for my $about (qw(often seldom)) {
		my $view = $self->{$about};
		$new->{$about}{cookie} = $view->{cookie};
		$new->{$about}{rows} = { %{ $view->{rows} } };
	}
	return $new;
}

# Somebody else logs in: what they find is what there was, often the group, too. What
# the other one has not sent by then is left lying.
sub switch_user
{
	my ($self) = @_;
	my @other = grep { $_ ne $self->{user} } map { "u$_" } 0 .. Rig::History::USERS - 1;
	$self->close_page;
	return $self->fork_group(user => $other[ rand @other ], role => $self->{history}->has('role') && rand() < 0.3 ? 'admin' : '', told => {},
		foreign => { often => 1, seldom => 1 }, rand() < 0.6 ? (group => $self->{group}) : ());
}

# The server no longer knows the group, or never let this one in: a page that is
# loaded again has a new one, and nothing.
sub start_over
{
	my ($self) = @_;
	$self->close_page;
	my $new = $self->fork_group;
	@{ $new->{$_} }{qw(cookie rows)} = (undef, {}) for qw(often seldom);
	return $new;
}

sub close_page
{
	my ($self) = @_;
	$self->{queue} = [];
	$self->{closed} = 1;
}

sub program
{
	my ($self) = @_;
	my $programs = $self->{history}{program};
	return $programs->[ rand @$programs ];
}

sub ask
{
	my ($self, $params, $body) = @_;
	my $answer = $self->program->request({ %$params, $self->identity }, $body, seconds => 60);
	$self->search($answer->{body});
	return $answer;
}

sub identity { return %{ $_[0]{history}->identity(@{ $_[0] }{qw(user role)}) } }

# For what is not for this one to see.
sub search
{
	my ($self, $body) = @_;
	while ($body =~ /(secret of (u\d+) [\w.-]*)/g) {
		$self->violate("P11: $self->{user} was sent the $1") if $2 ne $self->{user};
	}
	$self->violate("P11: $self->{user}, whose role is \"$self->{role}\", was sent a $1")
	    if $self->{role} ne 'admin' && $body =~ /(salary \d+)/;
}

# Whether there is a whole answer, or, if it was cut, one that looks whole.
sub is_answer
{
	my ($self, $answer) = @_;
	return 0 if $answer->{status} == 503 || $answer->{status} == 0;
	return 1 if $answer->{end} || !$self->{history}{cuts};
	return defined eval { Rig::Json::decode($answer->{body}) };
}

# Again, while the server can't.
sub ask_on
{
	my ($self, @request) = @_;
	my $answer;
	for my $try (1 .. 200) {
		$answer = $self->ask(@request);
		return $answer if $self->is_answer($answer);
		sleep 0.02 * ($try < 10 ? $try : 10);
	}
	return $answer;
}

sub violate { push @{ $_[0]{violation} }, $_[1] if @{ $_[0]{violation} } < 20 }

# What a person does in a tab.
sub mutate
{
	my ($self, $client) = @_;
	my $id = ++$self->{made}{$client};
	my $some = int rand 5;
	my ($name, $args) = @{ $self->{history}{users} && rand() < 0.6 ? $self->some_of_users : (
		[ add => qq({"list":"l$some","item":"$client.$id"}) ],
		[ toggle => qq({"id":"k$some"}) ], [ toggle => qq({"id":"k$some"}) ],
		[ own => qq({"id":"$some","body":"$client.$id","drop":"@{[ ($some + 1 + int rand 4) % 5 ]}"}) ],
		[ own => qq({"id":"$some","body":"$client.$id"}) ],
		[ show => qq({"id":$id,"who":"u@{[ int rand Rig::History::USERS ]}"}) ],
		[ fail => qq({"id":"k$some"}) ],
		[ shaky => 'null' ],
	)[ rand(rand() < ($self->{history}{good} // 0) ? 6 : 8) ] };
	push @{ $self->{queue} }, [ $client, $id, $name, $args ];
}

# Groups of odd numbers leave things behind, the others look for such.
sub some_of_users
{
	my ($self) = @_;
	my ($some, $list, $who) = (int rand 5, 'l' . int rand 4, 'u' . int rand Rig::History::USERS);
	my $what = (qw(make make give drop join leave))[ rand 6 ];
	my $left = (qw(local setting path zone timeout role table statement cursor lock listen sequence), 'kept table')[ rand 13 ];
	my $drop = ($some + 1 + int rand 4) % 5;
	my $code = (qw(22012 P0001 55000 XX000))[ rand($self->{history}->has('wrong') ? 4 : 2) ];
	my $leave = $self->{history}->has('leave');
	return (
		[ keep => qq({"id":$some,"drop":$drop}) ],
		[ pay => qq({"id":"p@{[ int rand 4 ]}"}) ],
		[ list => qq({"id":"$list","what":"$what","who":"$who"}) ],
		[ list => qq({"id":"$list","what":"$what","who":"$self->{user}"}) ],
		[ item => qq({"id":$some,"list":"$list","drop":$drop}) ],
		[ item => qq({"id":$some,"list":"$list","drop":$drop}) ],
		[ wrong => qq({"code":"$code"}) ],
		$self->{number} % 2 ? [ leave => qq({"id":$some,"what":"$left"}) ] : [ look => 'null' ],
	)[ rand($leave ? 8 : 7) ];
}

# All that no pull has confirmed.
sub push_all
{
	my ($self) = @_;
	my $ids = $self->{often}{ids};
	my @push = grep { $_->[1] > ($ids->{ $_->[0] } // 0) } @{ $self->{queue} };
	$self->{queue} = [@push];
	return unless @push;
	my $body = push_body($self->{group}, @push);
	my $params = Rig::Program::params('POST', '/push', body => $body);
	my $way = rand;
	if ($way < 0.15) {
		# Nobody waits for the answer.
		my $peer = $self->program->connect or return;
		$peer->send_raw(Rig::Fastcgi::request_bytes({ %$params, $self->identity }, $body));
		return $peer->close;
	} elsif ($way < 0.3) {
		# Two tabs send the same.
		my @peer = grep { defined } map { $self->program->connect } 1 .. 2;
		$_->send_raw(Rig::Fastcgi::request_bytes({ %$params, $self->identity }, $body)) for @peer;
		$self->take_answer($_->answer(60), @push) for @peer;
		return;
	}
	$self->take_answer($self->ask($params, $body), @push);
}

sub take_answer
{
	my ($self, $answer, @push) = @_;
	my $cuts = $self->{history}{cuts};
	$self->search($answer->{body});
	if ($answer->{status} == 200 && $answer->{body} =~ /ClientStateNotFound/ && $self->{history}{users}) {
		$self->{lost} = 1;
	} elsif ($answer->{status} == 403 && $self->{foreign}) {
		# It is another's; a pull will show.
	} elsif ($answer->{status} == 200 && ($answer->{body} eq '{}' || $cuts && $answer->{body} =~ /^\{?$/)) {
		for my $mutation (@push) {
			my ($client, $id) = @$mutation;
			$self->{acked}{$client} = $id if $id > ($self->{acked}{$client} // 0);
		}
	} elsif ($answer->{status} != 503 && !($cuts && $answer->{status} == 0)) {
		$self->violate("P10: a push was answered $answer->{status} $answer->{body}");
	}
}

# Somebody else's group is none of ours.
sub trespass
{
	my ($self) = @_;
	my $other = ($self->{number} + 1) % Rig::History::GROUPS;
	my $body = push_body("g$other", [ "c${other}0", 1_000_000, 'add', '{"list":"x","item":"y"}' ]);
	my $answer = $self->ask_on(Rig::Program::params('POST', '/push', body => $body), $body);
	# Until its owner has pushed, it is nobody's, and its clients unknown.
	$self->violate("P10: a push to the group of another was answered $answer->{status} $answer->{body}")
	    if $answer->{status} != 403 && $answer->{body} !~ /ClientStateNotFound/ && $answer->{status} != 500;
	$body = pull_body("g$other", undef);
	$answer = $self->ask_on(Rig::Program::params('POST', '/pull', body => $body), $body);
	$self->violate("P10: a pull for the group of another was answered $answer->{status} $answer->{body}")
	    if $answer->{body} !~ /"lastMutationIDChanges":\{\}|ClientStateNotFound/;
}

sub pull
{
	my ($self, $about) = @_;
	my $view = $self->{$about};
	my $got = eval { $view->pull };
	if (!$got && $self->{history}{users} && $@ =~ /ClientStateNotFound/) {
		$self->{lost} = 1;
		return;
	}
	return $self->violate(($self->{foreign} && $@ =~ /pull: 403/ ? 'P14' : 'P3') . ": $@") if !$got;
	for my $operation (@{ $got->{patch} }) {
		if ($self->{history}{users}) {
			$self->{told}{ $operation->{key} } = 1 if ($operation->{key} // 'shared/') !~ m{^(?:shared|kept)/};
			next;
		}
		my ($owner) = ($operation->{key} // '') =~ m{^mine/(u\d+)/} or next;
		next if $owner eq $self->{user};
		$self->{told}{$owner} = $operation->{key};
	}
	my $rows = $view->{rows};
	for my $client (@{ $self->{clients} }) {
		my $row = $rows->{"shared/n-$client"};
		my $count = $row ? $row->{body} : 0;
		my $told = $view->{ids}{$client} // 0;
		$self->violate("P6: $client is told $told, and has $count effects") if $count > $told;
		my $acked = $self->{acked}{$client} // 0;
		$self->violate("P1: $client was answered 200 for $acked, and then told $told") if $told < $acked;
	}
	push @{ $self->{pulls} }, {
		about => $about, cookie => cookie_version($view->{cookie}), ids => { %{ $view->{ids} } },
		who => join('/', grep { $_ ne '' } @$self{qw(user role)}), rule => $self->{foreign}{$about} ? 'P14' : 'P4',
		digest => md5_hex(encode_utf8(join "\n", map { "$_=" . ($rows->{$_}{body} // '') } sort keys %$rows)),
	};
}

sub round
{
	my ($self) = @_;
	sleep rand $self->{history}{pause} if $self->{history}{pause};
	if (@{ $self->{queue} } < QUEUE_MAX) {
		$self->mutate($self->{tabs}[ rand @{ $self->{tabs} } ]) for 0 .. rand($self->{history}{burst} // 3);
	}
	$self->push_all;
	$self->pull('often') if rand() < 0.6;
	$self->pull('seldom') if rand() < 0.08;
	$self->trespass if rand() < 0.03 && !$self->{history}{users};
	$self->{role} = $self->{role} eq '' ? 'admin' : '' if $self->{history}->has('role') && rand() < 0.06;
	$self->replace_tab if rand() * 100 < NEW_TAB;
}

# Sends what is left, and hears of it. True when nothing is.
sub settle
{
	my ($self) = @_;
	return 1 if !@{ $self->{queue} } || $self->{lost};
	$self->push_all;
	$self->pull('often');
	my $ids = $self->{often}{ids};
	$self->{queue} = [ grep { $_->[1] > ($ids->{ $_->[0] } // 0) } @{ $self->{queue} } ];
	return !@{ $self->{queue} };
}

sub result
{
	my ($self) = @_;
	return { map { $_ => $self->{$_} } qw(user clients acked pulls violation) };
}

# The life of a browser: rounds of them, or until there were enough. Returns what
# became of each of its groups.
sub live
{
	my ($self, $rounds) = @_;
	my ($group, @old) = ($self);
	for (my $round = 0; defined $rounds ? $round < $rounds : !-e Rig::Place::workdir() . '/over'; $round++) {
		POSIX::_exit(1) if $self->{history}->is_alone;
		if (rand() * 100 < NEW_PAGE) {
			push @old, $group;
			$group = $group->fork_group;
		}
		if ($group->{lost} || $self->{history}->has('login') && rand() * 100 < NEW_USER) {
			push @old, $group;
			$group = $group->{lost} ? $group->start_over : $group->switch_user;
		}
		$group->round;
		$_->settle for @old;
	}
	my $end = time + 60;
	for my $one ($group, grep { !$_->{closed} } @old) {
		1 until $one->settle || time > $end || @{ $one->{violation} };
		$one->violate('P7: ' . @{ $one->{queue} } . ' mutations are never confirmed') if @{ $one->{queue} } && !$one->{lost};
		$one->pull($_) for qw(often seldom);
	}
	my $session = $self->{history}{cluster}->session($self->{history}{database});
	for my $one ($self->{history}{users} ? ($group, @old) : ()) {
		my $keys = join ',', map { "'$_'" } keys %{ $one->{told} };
		next if $keys eq '';
		# Of a table with policies all may hear that a key is gone: its audience is everybody.
		$one->violate("P8: $one->{user} was told of $_->[0]") for @{ $session->query("select key from unnest(array[$keys]) as key
			where not exists (select from was_seen as w where w.who = '$one->{user}' and w.key = key.key) and key !~ '^(paper|doc)/'") };
	}
	for my $owner ($self->{history}{users} ? () : keys %{ $self->{told} }) {
		$self->violate("P8: $self->{user} was told of $self->{told}{$owner}")
		    if !$session->value("select count(*) from was_pal where owner = '$owner' and who = '$self->{user}'");
	}
	return [ map { $_->result } $group, @old ];
}

1;
