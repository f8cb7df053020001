# SPDX-License-Identifier: Apache-2.0
#
# One HTTP/1.1 request over a Unix socket or to a port of this machine, byte for
# byte as the test says.

package Rig::Http;

use strict;
use warnings;

use Errno;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);

# request($socket_path_or_port, $method, $target, headers => {}, body => ...,
# chunked => 1, seconds => 60). The answer is as Rig::Fastcgi's.
sub request
{
	my ($path, $method, $target, %option) = @_;
	my $socket = open_socket($path) or die "$path: $!\n";
	my %header = (Host => 'localhost', Connection => 'close',
	    %{ $option{headers} // {} });
	my $body = $option{body};
	if (defined $body && $option{chunked}) {
		$header{'Transfer-Encoding'} = 'chunked';
		$body = chunks($body);
	} elsif (defined $body) {
		$header{'Content-Length'} //= length $body;
	}
	my $head = "$method $target HTTP/1.1\r\n" . join '',
	    map { "$_: $header{$_}\r\n" } grep { defined $header{$_} } sort keys %header;
	return exchange($socket, "$head\r\n" . ($body // ''), $option{seconds} // 60);
}

sub open_socket
{
	my ($path) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $path)
	    if $path =~ /^\d+$/;
	return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path);
}

sub chunks
{
	my ($body) = @_;
	my $text = '';
	for (my $at = 0; $at < length $body; $at += 30000) {
		my $piece = substr $body, $at, 30000;
		$text .= sprintf "%x\r\n%s\r\n", length $piece, $piece;
	}
	return "${text}0\r\n\r\n";
}

# Write and read at once: the server may answer before it has read all.
sub exchange
{
	my ($socket, $request, $seconds) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my ($end, $at, $answer) = (time + $seconds, 0, '');
	$socket->blocking(0);
	my $readers = IO::Select->new($socket);
	while (1) {
		my $left = $end - time;
		die "no HTTP answer in time\n" if $left <= 0;
		my $writers = $at < length $request ? $readers : undef;
		my ($can_read, $can_write) =
		    IO::Select->select($readers, $writers, undef, $left);
		if ($can_write && @$can_write) {
			my $sent = syswrite $socket, $request, 65536, $at;
			$at = defined $sent ? $at + $sent : length $request
			    unless !defined $sent && $!{EAGAIN};
		}
		if ($can_read && @$can_read) {
			my $got = sysread $socket, $answer, 262144, length $answer;
			last if defined $got && $got == 0 || !defined $got && !$!{EAGAIN};
		}
	}
	return parse($answer);
}

sub parse
{
	my ($text) = @_;
	my ($status, $head, $body) =
	    $text =~ m{\AHTTP/1\.[01] (\d{3})[^\r\n]*\r\n(.*?)\r\n\r\n(.*)\z}s
	    or return { status => 0, headers => {}, body => $text };
	my %header;
	for my $line (split /\r\n/, $head) {
		my ($name, $value) = $line =~ /^([^:]+):[ \t]*(.*?)[ \t]*$/ or next;
		$name = lc $name;
		$header{$name} = defined $header{$name} ? "$header{$name}, $value" : $value;
	}
	$body = unchunk($body) if ($header{'transfer-encoding'} // '') eq 'chunked';
	return { status => $status, headers => \%header, body => $body };
}

# undef when the last chunk is missing: the answer was cut.
sub unchunk
{
	my ($text) = @_;
	my $body = '';
	while ($text =~ /\G([0-9a-fA-F]+)\r\n/gc) {
		my $size = hex $1;
		return $body if $size == 0;
		$body .= substr $text, pos($text), $size;
		pos($text) += $size + 2;
	}
	return undef;
}

1;
