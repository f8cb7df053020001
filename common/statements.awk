# SPDX-License-Identifier: Apache-2.0
#
# Turns schema/statements.sql into common/statements.inc:
#
#	prepare look as
#	select ...;			->	STATEMENT(LOOK, "look", "select ...")
#
# A statement runs from `prepare NAME as` at the start of a line to the first
# line that ends in a semicolon. Comments stay out.

function quoted(text)
{
	gsub(/\\/, "&&", text)
	gsub(/"/, "\\\"", text)
	return "\"" text "\\n\""
}

{ sub(/[ \t]*--.*$/, "") }

/^prepare / {
	name = $2
	sub(/^prepare [a-z_]+ as[ \t]*/, "")
	printf "STATEMENT(%s, \"%s\",", toupper(name), name
}

name != "" && !/^[ \t]*$/ {
	last = sub(/;[ \t]*$/, "")
	printf "\n    %s", quoted($0)
	if (last) {
		print ")"
		name = ""
	}
}

END {
	if (name != "") {
		print "statements.awk: " name " does not end" > "/dev/stderr"
		exit 1
	}
}
