# SPDX-License-Identifier: Apache-2.0
#
# Windows of headless Chromium.
#
#	plan skip_all => $_ for Rig::Browser::missing();
#	my $browser = Rig::Browser->start;
#	my $window = $browser->open($site->url . '/');
#	$window->fill('#content', 'hello');	# any method of playwright's Page

package Rig::Browser;

use strict;
use warnings;

use Rig::Node;
use Rig::Place qw(find_tool);

my $count = 0;

sub missing
{
	return 'chromium is not installed' unless defined find_tool('chromium');
	return Rig::Node::missing('playwright-core');
}

sub start
{
	my ($class) = @_;
	my $node = Rig::Node->start('browser.mjs', CHROMIUM => find_tool('chromium'));
	return bless { node => $node }, $class;
}

# Open a window in a new profile, or a further one in that of an open window.
# Options: beside => window, and playwright's for a context.
sub open
{
	my ($self, $url, %option) = @_;
	my $window = 'window' . ++$count;
	my $beside = delete $option{beside};
	my $profile = $beside ? $beside->{profile} : $window;
	$self->{node}->ask(do => 'open', window => $window, profile => $profile,
	    url => $url, options => \%option);
	return bless { node => $self->{node}, window => $window,
	    profile => $profile }, 'Rig::Browser::Window';
}

# Errors in the pages since the last call.
sub problems { return @{ $_[0]{node}->ask(do => 'problems') } }

sub stop { $_[0]{node}->stop }

package Rig::Browser::Window;

# The network of the window's profile comes and goes.
sub set_offline
{
	my ($self, $offline) = @_;
	$self->{node}->ask(do => 'offline', profile => $self->{profile},
	    offline => $offline ? JSON::PP::true : JSON::PP::false);
}

# Wait until a JavaScript expression is true in the page.
sub until
{
	my ($self, $expression) = @_;
	$self->{node}->ask(do => 'until', window => $self->{window},
	    expression => $expression);
	return 1;
}

sub close { $_[0]{node}->ask(do => 'close', window => $_[0]{window}) }

our $AUTOLOAD;

# A method of playwright's Page.
sub AUTOLOAD
{
	my ($self, @args) = @_;
	my $method = $AUTOLOAD =~ s/.*:://r;
	return if $method eq 'DESTROY';
	return $self->{node}->ask(do => 'call', window => $self->{window},
	    method => $method, args => \@args);
}

1;
