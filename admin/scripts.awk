# SPDX-License-Identifier: Apache-2.0
#
# Turns files of schema/ into admin_scripts.inc, in the order in which they are
# named:
#
#	SCRIPT("upgrade/002.sql",
#	    "alter table ...\n"
#	    ...)
#
# With -v number=N, a build for a test, replicache.sql says it is of schema N.

function quoted(text)
{
	gsub(/\\/, "&&", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\\n\""
}

FNR == 1 {
	if (NR > 1)
		print ")"
	name = FILENAME
	if (!sub(/^.*\/upgrade\//, "upgrade/", name))
		sub(/^.*\//, "", name)
	printf "SCRIPT(\"%s\",", name
}

number != "" {
	sub(/^set local replicache.schema_number = [0-9]+;$/,
	    "set local replicache.schema_number = " number ";")
}

{ printf "\n    %s", quoted($0) }

END { print ")" }
