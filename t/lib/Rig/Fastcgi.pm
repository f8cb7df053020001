# SPDX-License-Identifier: Apache-2.0
#
# The web server's side of FastCGI, by hand, so that a test can also send
# what no web server would.
#
#	my $peer = Rig::Fastcgi->connect($path);
#	my $answer = $peer->request({ REQUEST_METHOD => 'GET', ... }, $body);
#
# An answer is a hash: status, headers (names in lower case), body, stderr,
# and end: [application status, protocol status] of END_REQUEST, or undef
# when the connection was closed without one.

package Rig::Fastcgi;

use strict;
use warnings;

use Errno;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM SHUT_WR);
use Time::HiRes qw(time);

use constant {
	TYPE_BEGIN => 1, TYPE_ABORT => 2, TYPE_END => 3, TYPE_PARAMS => 4,
	TYPE_STDIN => 5, TYPE_STDOUT => 6, TYPE_STDERR => 7, TYPE_DATA => 8,
	TYPE_GET_VALUES => 9, TYPE_GET_VALUES_RESULT => 10, TYPE_UNKNOWN => 11,
};

sub connect
{
	my ($class, $path) = @_;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path)
	    or return undef;
	return bless { socket => $socket, buffer => '' }, $class;
}

sub socket { return $_[0]{socket} }

# Arbitrary bytes, while reading what comes, which an early answer may be.
# True when all could be sent; dies when the peer takes nothing for 30 s. Before
# that, $stuck is called if it takes nothing for $seconds.
sub send_raw
{
	my ($self, $bytes, $seconds, $stuck) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $socket = $self->{socket};
	my $both = IO::Select->new($socket);
	my $at = 0;
	$socket->blocking(0);
	while ($at < length $bytes) {
		my ($readers, $writers) = IO::Select->select($both, $both, undef, $stuck ? $seconds : 30);
		if (!$writers) {
			die "the peer takes no bytes\n" unless $stuck;
			$stuck->();
			undef $stuck;
			next;
		}
		if (@$readers && !$self->{ended}) {
			my $got = sysread $socket, $self->{buffer}, 262144,
			    length $self->{buffer};
			$self->{ended} = defined $got ? $got == 0 : !$!{EAGAIN};
		}
		next unless @$writers;
		my $sent = syswrite $socket, $bytes, 262144, $at;
		last if !defined $sent && !$!{EAGAIN};
		$at += $sent // 0;
	}
	$socket->blocking(1);
	return $at == length $bytes;
}

# One record. Options: version (1), request (1), padding (0), and length,
# to lie about the content's.
sub record
{
	my ($type, $content, %option) = @_;
	my $padding = $option{padding} // 0;
	return pack('CCnnCC', $option{version} // 1, $type, $option{request} // 1,
	    $option{length} // length $content, $padding, 0)
	    . $content . "\0" x $padding;
}

sub begin
{
	my (%option) = @_;
	return record(TYPE_BEGIN, pack('nCx5', $option{role} // 1,
	    $option{keep} ? 1 : 0), %option);
}

# A stream: its content cut into records, then the empty one.
sub stream
{
	my ($type, $content, %option) = @_;
	my $size = $option{size} // 65535;
	my $records = '';
	for (my $at = 0; $at < length $content; $at += $size) {
		$records .= record($type, substr($content, $at, $size), %option);
	}
	return $records . record($type, '', %option);
}

# A name-value pair; names and values over 127 bytes have long lengths.
sub pair
{
	my ($name, $value) = @_;
	return join('', map { size(length $_) } $name, $value) . $name . $value;
}

sub size
{
	my ($length) = @_;
	return $length < 128 ? chr $length : pack 'N', $length | 0x80000000;
}

# Parameters: a hash, or a list of pairs where order or repetition matter.
sub pairs
{
	my ($params) = @_;
	return join '', map { pair(@$_) } @$params if ref $params eq 'ARRAY';
	return join '', map { pair($_, $params->{$_}) } sort keys %$params;
}

# A whole request as bytes.
sub request_bytes
{
	my ($params, $body, %option) = @_;
	return begin(%option) . stream(TYPE_PARAMS, pairs($params), %option)
	    . stream(TYPE_STDIN, $body // '', %option);
}

sub request
{
	my ($self, $params, $body, %option) = @_;
	$self->send_raw(request_bytes($params, $body, %option));
	return $self->answer($option{seconds});
}

# The next record as [type, request, content]; undef at end of file; dies
# when nothing comes for $seconds.
sub next_record
{
	my ($self, $seconds) = @_;
	my $header = $self->take(8, $seconds) // return undef;
	my (undef, $type, $request, $length, $padding) = unpack 'CCnnC', $header;
	my $content = $self->take($length + $padding, $seconds) // return undef;
	return [ $type, $request, substr $content, 0, $length ];
}

sub take
{
	my ($self, $count, $seconds) = @_;
	my $end = time + ($seconds // 60);
	my $select = IO::Select->new($self->{socket});
	while (length $self->{buffer} < $count) {
		return undef if $self->{ended};
		my $left = $end - time;
		die "no FastCGI record in time\n"
		    if $left <= 0 || !$select->can_read($left);
		my $got = sysread $self->{socket}, $self->{buffer}, 262144,
		    length $self->{buffer};
		return undef unless $got;
	}
	return substr $self->{buffer}, 0, $count, '';
}

# Read until END_REQUEST or end of file.
sub answer
{
	my ($self, $seconds) = @_;
	my ($out, $error, $end) = ('', '', undef);
	while (my $record = $self->next_record($seconds)) {
		my ($type, undef, $content) = @$record;
		$out .= $content if $type == TYPE_STDOUT;
		$error .= $content if $type == TYPE_STDERR;
		if ($type == TYPE_END) {
			$end = [ unpack 'NC', $content ];
			last;
		}
	}
	return { %{ parse_cgi($out) }, stderr => $error, end => $end };
}

# True when the peer closes the connection within $seconds.
sub is_closed
{
	my ($self, $seconds) = @_;
	my $end = time + $seconds;
	my $select = IO::Select->new($self->{socket});
	while ((my $left = $end - time) > 0) {
		return 1 if $self->{ended};
		next unless $select->can_read($left);
		my $got = sysread $self->{socket}, my $bytes, 65536;
		return 1 unless $got;
	}
	return 0;
}

sub close_write { shutdown $_[0]{socket}, SHUT_WR }

sub close { close $_[0]{socket} }

# Split a CGI answer into status, headers and body.
sub parse_cgi
{
	my ($text) = @_;
	my ($head, $body) = $text =~ /\A(.*?)\r?\n\r?\n(.*)\z/s
	    or return { status => 0, headers => {}, body => $text, text => $text };
	my %header;
	for my $line (split /\r?\n/, $head) {
		my ($name, $value) = $line =~ /^([A-Za-z0-9-]+):[ \t]*(.*?)[ \t]*$/
		    or return { status => 0, headers => {}, body => $text, text => $text };
		$name = lc $name;
		$header{$name} = defined $header{$name} ? "$header{$name}, $value" : $value;
	}
	my ($status) = ($header{status} // '200') =~ /^(\d{3})/;
	return { status => $status // 0, headers => \%header, body => $body };
}

1;
