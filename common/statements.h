/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The closed set of SQL statements the programs run.
 *
 * They are written in schema/statements.sql, where psql can run them; the
 * build turns each `prepare NAME as ...` into a row of statements[] and
 * an enum constant STATEMENT_NAME. The only other SQL ever sent is what
 * registration stored in the database: the pull statements of registered
 * tables and the calls of registered mutators. Nothing is built from input.
 */
#ifndef REPLICACHE_STATEMENTS_H
#define REPLICACHE_STATEMENTS_H

#include <stddef.h>

enum statement_id {
	/* Transaction control, which psql can't prepare. */
	STATEMENT_BEGIN_PUSH,
	STATEMENT_BEGIN_PULL,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	/* These undo what a mutator may have left in the session. */
	STATEMENT_RESET,
	STATEMENT_RESET_ROLE,
	STATEMENT_DISCARD_TEMP,
	STATEMENT_DISCARD_SEQUENCES,
	STATEMENT_CLOSE_ALL,
	STATEMENT_UNLISTEN,
	/* Has deferred constraints and triggers checked and run now. */
	STATEMENT_CONSTRAINTS,
	/* Has versions told as they are committed. */
	STATEMENT_LISTEN,
#define STATEMENT(id, name, sql) STATEMENT_##id,
#include "statements.inc"
#undef STATEMENT
	STATEMENT_MAX
};

struct statement {
	const char *name; /* of the prepared statement */
	const char *sql;
	size_t index; /* below STATEMENT_MAX: static; else a registered one */
};

/* The statement of ID; lives for ever. */
const struct statement *statement_get(enum statement_id id);

#endif
