# SPDX-License-Identifier: Apache-2.0
#
# A client of /poke that keeps its connection: an event stream, or a long-poll,
# over FastCGI or over HTTP.
#
#	my $stream = Rig::Stream->fastcgi($program, version => 7);
#	my $stream = Rig::Stream->http($nginx->path, id => 7);
#	my $event = $stream->event(5);	# { event, id, data }, { comment }, { retry }
#
# Options: version (the query's), id (Last-Event-ID), poll (no event stream),
# headers, params (FastCGI), method.

package Rig::Stream;

use strict;
use warnings;

use Compress::Raw::Zlib qw(Z_OK Z_STREAM_END WANT_GZIP);
use Errno;
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Time::HiRes qw(time);

use Rig::Fastcgi;
use Rig::Http;
use Rig::Program;

sub options
{
	my (%option) = @_;
	my %header = %{ $option{headers} // {} };
	$header{Accept} //= 'text/event-stream' unless $option{poll};
	$header{'Last-Event-ID'} = $option{id} if defined $option{id};
	my $query = $option{query}
	    // (defined $option{version} ? "version=$option{version}" : '');
	return ($query, \%header);
}

# Straight to the program.
sub fastcgi
{
	my ($class, $program, %option) = @_;
	my ($query, $header) = options(%option);
	my $peer = $program->connect // die "cannot connect: $!\n";
	my $params = Rig::Program::params($option{method} // 'GET', '/poke',
	    query => $query, headers => $header);
	$peer->send_raw(Rig::Fastcgi::request_bytes(
	    { %$params, %{ $option{params} // {} } }, '', %{ $option{record} // {} }));
	return bless { socket => $peer->socket, records => 1, raw => '', text => '',
		start => time }, $class;
}

# Through the web server that listens on the Unix socket, or the port, $path.
sub http
{
	my ($class, $path, %option) = @_;
	my ($query, $header) = options(%option);
	my $socket = Rig::Http::open_socket($path) or die "$path: $!\n";
	$header = { Host => 'localhost', %$header };
	my $target = '/replicache/poke' . ($query eq '' ? '' : "?$query");
	my $method = $option{method} // 'GET';
	syswrite $socket, "$method $target HTTP/1.1\r\n"
	    . join('', map { "$_: $header->{$_}\r\n" } sort keys %$header) . "\r\n";
	return bless { socket => $socket, raw => '', text => '', start => time }, $class;
}

sub socket { return $_[0]{socket} }

# Read what comes within $seconds; true if anything did, or the end.
sub read_more
{
	my ($self, $seconds) = @_;
	return 0 if $self->{ended};
	return 0 unless IO::Select->new($self->{socket})->can_read($seconds < 0 ? 0 : $seconds);
	my $got = sysread $self->{socket}, $self->{raw}, 65536, length $self->{raw};
	$self->{ended} = 1 unless $got;
	$self->{records} ? $self->take_records : $self->take_http;
	return 1;
}

sub take_records
{
	my ($self) = @_;
	while (length $self->{raw} >= 8) {
		my (undef, $type, $id, $length, $padding) = unpack 'CCnnC', $self->{raw};
		last if length $self->{raw} < 8 + $length + $padding;
		my $content = substr substr($self->{raw}, 0, 8 + $length + $padding, ''), 8, $length;
		$self->{text} .= $content if $type == Rig::Fastcgi::TYPE_STDOUT;
		$self->{request} = $id;
		$self->{end} = [ unpack 'NC', $content ] if $type == Rig::Fastcgi::TYPE_END;
		$self->{whole} = 1 if $type == Rig::Fastcgi::TYPE_END;
	}
	if (!$self->{headers} && $self->{text} =~ s/\A(.*?\r\n\r\n)//s) {
		my $head = Rig::Fastcgi::parse_cgi($1);
		@$self{qw(status headers)} = @$head{qw(status headers)};
	}
}

sub take_http
{
	my ($self) = @_;
	if (!$self->{headers} && $self->{raw} =~ s/\A(HTTP.*?\r\n\r\n)//s) {
		my $head = Rig::Http::parse($1);
		@$self{qw(status headers)} = @$head{qw(status headers)};
		$self->{chunked} = ($self->{headers}{'transfer-encoding'} // '') eq 'chunked';
	}
	return unless $self->{headers};
	if (!$self->{chunked}) {
		$self->{text} .= $self->{raw};
		$self->{raw} = '';
		my $length = $self->{headers}{'content-length'};
		$self->{whole} = 1 if defined $length && length $self->{text} >= $length;
		return;
	}
	while ($self->{raw} =~ /\A([0-9a-fA-F]+)\r\n/) {
		my ($size, $head) = (hex $1, length($1) + 2);
		last if length $self->{raw} < $head + $size + 2;
		$self->{text} .= $self->inflate(substr $self->{raw}, $head, $size);
		substr $self->{raw}, 0, $head + $size + 2, '';
		$self->{whole} = 1 if $size == 0;
	}
}

# What a web server may have compressed.
sub inflate
{
	my ($self, $bytes) = @_;
	return $bytes if ($self->{headers}{'content-encoding'} // '') ne 'gzip';
	$self->{inflater} //= Compress::Raw::Zlib::Inflate->new(-WindowBits => WANT_GZIP);
	my $status = $self->{inflater}->inflate($bytes, my $text);
	die "no gzip: $status\n" if $status != Z_OK && $status != Z_STREAM_END && $bytes ne '';
	return $text // '';
}

# The status, once the headers are there; dies when they are not in time.
sub status
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 20);
	until (defined $self->{status}) {
		$self->read_more($end - time) or die "no headers in time\n";
	}
	return $self->{status};
}

sub header { $_[0]->status; return $_[0]{headers}{$_[1]} }

# The next block of lines, as a hash of their fields; a comment's is comment.
# undef when there is none in time, or no more.
sub block
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 20);
	$self->status($seconds);
	my $at;
	while (($at = index $self->{text}, "\n\n") < 0) {
		return undef if $self->{ended} || $self->{whole};
		return undef unless $self->read_more($end - time);
	}
	my %field;
	for my $line (split /\n/, substr $self->{text}, 0, $at + 2, '') {
		my ($name, $value) = $line =~ /^([^:]*):? ?(.*)$/;
		$field{$name eq '' ? 'comment' : $name} = $value;
	}
	return \%field;
}

# The data of the next poke; undef when there is none in time, or no more.
sub poke
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 20);
	while (my $block = $self->block($end - time)) {
		$self->{retry} = $block->{retry} if defined $block->{retry};
		next unless defined $block->{event};
		die "an event that is no poke\n"
		    unless $block->{event} eq 'poke' && $block->{id} eq $block->{data};
		return $block->{data};
	}
	return undef;
}

# Read to the end; true when it was an orderly one.
sub is_over
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 20);
	until ($self->{ended} || $self->{whole}) {
		$self->read_more($end - time) or return 0;
	}
	return $self->{whole} ? 1 : 0;
}

# A poll's whole answer, as Rig::Fastcgi's.
sub answer
{
	my ($self, $seconds) = @_;
	$self->is_over($seconds) or return { status => 0, headers => {}, body => '' };
	return { status => $self->{status}, headers => $self->{headers},
		body => $self->{text} };
}

sub close { close $_[0]{socket} }

1;
