/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The statements of schema/statements.sql.
 */
#include "config.h"

#include "statements.h"

static const struct statement statements[] = {
#define STATEMENT(id, name, sql) {name, sql, STATEMENT_##id},
    STATEMENT(BEGIN_PUSH, "begin_push", "begin isolation level read committed")
	STATEMENT(BEGIN_PULL, "begin_pull",
	    "begin isolation level repeatable read read only") STATEMENT(COMMIT,
	    "commit", "commit") STATEMENT(ROLLBACK, "rollback", "rollback")
	    STATEMENT(RESET, "reset", "reset all") STATEMENT(
		RESET_ROLE, "reset_role", "reset session authorization")
		STATEMENT(DISCARD_TEMP, "discard_temp", "discard temp")
		    STATEMENT(DISCARD_SEQUENCES, "discard_sequences",
			"discard sequences") STATEMENT(CLOSE_ALL, "close_all",
			"close all") STATEMENT(UNLISTEN, "unlisten",
			"unlisten *") STATEMENT(CONSTRAINTS, "constraints",
			"set constraints all immediate")
			STATEMENT(LISTEN, "listen", "listen replicache")
#include "statements.inc"
#undef STATEMENT
};

const struct statement *
statement_get(enum statement_id id)
{
	return &statements[id];
}
