# SPDX-License-Identifier: Apache-2.0
#
# The points at which the program can be killed or stopped (common/faults.h).

package Rig::Faults;

use strict;
use warnings;

use Exporter qw(import);

use Rig::Place qw(srcdir builddir slurp);

our @EXPORT_OK = qw(points faulty);

# Their names, in order.
sub points
{
	my @name = slurp(srcdir() . '/common/faults.h') =~ /^\tPOINT\(\w+, "([a-z-]+)"\)/mg;
	return @name;
}

# The program that has them.
sub faulty { return builddir() . '/t/faulty/replicache.fcgi' }

1;
