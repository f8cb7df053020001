# SPDX-License-Identifier: Apache-2.0
#
# Joins replicache.sql and its parts into the one file that is installed:
#
#	\ir parts/tables.sql
#
# becomes what that file has below its head, since libpq, by which replicache-admin
# runs it, knows no \ir. What the part is about replicache.sql says, too.

/^\\ir / {
	folder = FILENAME
	sub(/[^\/]*$/, "", folder)
	part = folder $2
	body = 0
	while ((got = (getline line < part)) > 0) {
		if (body)
			print line
		else if (line == "")
			body = 1
	}
	close(part)
	if (!body) {
		print "join.awk: " part " can't be read, or has no body" > "/dev/stderr"
		exit 1
	}
	next
}

{ print }
