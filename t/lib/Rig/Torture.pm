# SPDX-License-Identifier: Apache-2.0
#
# The program whose calls can be made to fail (t/torture), and the test that
# holds the reins.
#
#	my $reins = Rig::Torture->new;
#	my $program = Rig::Program->start($reins->environment, ...);
#	$reins->arm(kind => 'pq', mode => 'once', at => 7);
#	... a request ...
#	my $seen = $reins->disarm;	# { count, failed, first, ... }
#
# Kinds: "own" and "library", allocations by who makes them; "pq" and "fcgx", the
# program's calls to libpq and libfcgi; "system", system calls; "arena", allocations
# from an arena. Modes: "count"; "once", the call number `at` fails; "on", all from
# that one on. `variant` says which of the ways a call can fail is taken.

package Rig::Torture;

use strict;
use warnings;

use Rig::Place qw(builddir workdir spew);

our @KINDS = qw(own library pq fcgx system arena);

# So many variants of a kind are worth a round of their own.
our %VARIANTS = (
	own => { once => 1, on => 1 }, library => { once => 1, on => 1 },
	pq => { once => 4, on => 2 }, fcgx => { once => 2, on => 1 },
	system => { once => 5, on => 2 }, arena => { once => 1, on => 1 },
);

# Libraries that end the program when they have no memory:
#
#	libfcgi 2.4.2	its Malloc() asserts; PutParam() uses what realloc() gave it
#			without a look
#	libconfuse 3.3	its scanner says so and exits, or asserts; settings are read
#			at the start and after HUP alone
our $LIBFCGI_DIES = qr/^(?:malloc|realloc) libfcgi/;
my %LIBRARY_DIES = (6 => qr/^\w*alloc (?:libfcgi|libconfuse)/, 11 => qr/^realloc libfcgi/);

my %BIT = map { $KINDS[$_] => 1 << $_ } 0 .. $#KINDS;
my %MODE = (off => 0, count => 1, once => 2, on => 3);
my $LAYOUT = 'Q4 Q2 q2 Q2 Z64 Z64 Q';
my @FIELDS = qw(mode kinds at variant count failed blocks descriptors turns waits first last unread);
my $number = 0;

# What it was, if a library that has no memory has ended the program so.
sub death
{
	my ($seen, $status, $log) = @_;
	my $who = $seen->{last};
	# The second is an assert for whose text libc has no memory.
	my ($why) = $log =~ /(\w+\.[cl]:\d+: .*?Assertion .*? failed|^Unexpected error\.$|out of dynamic memory in yy\w+)/m;
	$why //= 'signal 11' if ($status & 127) == 11;
	# libconfuse's scanner alone says this; by then other threads' calls failed, too.
	return "libconfuse: $why" if $status == 512 && defined $why && $why =~ /in yy/;
	return '' unless defined $why && $who =~ ($LIBRARY_DIES{$status} // qr/^\b$/);
	return "$who: $why";
}

# The program; it does what replicache.fcgi does.
sub program { return builddir() . '/t/torture/program' }

sub new
{
	my ($class) = @_;
	my $path = spew(workdir() . '/reins' . ++$number, "\0" x (256 + 8 * 8192));
	chmod 0666, $path;
	open my $file, '+<:raw', $path or die "$path: $!";
	return bless { path => $path, file => $file }, $class;
}

# What the program is to be started with. It is told where its user is at home, since
# glibc 2.36, whom libpq asks otherwise, dies itself of what fails in there: a null
# pointer and an assertion in nss_database.c.
sub environment { return (TORTURE => $_[0]{path}, HOME => workdir()) }

sub put
{
	my ($self, $at, $bytes) = @_;
	sysseek $self->{file}, $at, 0;
	syswrite($self->{file}, $bytes) == length $bytes or die "reins: $!";
}

sub arm
{
	my ($self, %option) = @_;
	my $kinds = 0;
	$kinds |= $BIT{$_} // die "no kind $_\n" for split ' ', $option{kind};
	$self->put(0, pack 'Q4', 0, $kinds, $option{at} // 0, $option{variant} // 0);
	$self->put(32, pack 'Q2', 0, 0);
	$self->put(80, "\0" x 136);
	$self->put(0, pack 'Q', $MODE{$option{mode}});
}

# The way of each call that was counted: calls that the program came to in the same
# way have the same.
sub ways
{
	my ($self, $count) = @_;
	$count = 8192 if $count > 8192;
	sysseek $self->{file}, 256, 0;
	sysread $self->{file}, my $bytes, 8 * $count;
	return unpack 'Q*', $bytes;
}

# No call fails any more.
sub disarm
{
	my ($self) = @_;
	$self->put(0, pack 'Q', 0);
	return $self->look;
}

sub look
{
	my ($self) = @_;
	sysseek $self->{file}, 0, 0;
	sysread $self->{file}, my $bytes, 216;
	my %seen;
	@seen{@FIELDS} = unpack $LAYOUT, $bytes;
	return \%seen;
}

1;
