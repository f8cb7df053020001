# SPDX-License-Identifier: Apache-2.0
#
# What no log may have: whatever a test does, at its end all that its programs
# have logged is searched for it (Rig::Program). Tests plant it in tokens,
# passwords, bodies and args, as words that begin with "planted-".

package Rig::Secrets;

use strict;
use warnings;

my @pattern = (
	qr/planted-/i,          # by a test
	qr/swordfish/,          # what a mutator says in its error
	qr/eyJ[A-Za-z0-9_-]{8}/, # a token, in its own form
);

# The lines of the text that have a secret.
sub found
{
	my ($log) = @_;
	return grep { my $line = $_; grep { $line =~ $_ } @pattern } split /\n/, $log;
}

1;
