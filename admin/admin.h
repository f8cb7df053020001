/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * replicache-admin: what its verbs share.
 *
 * A verb is a row of the table in main.c: a function that takes the struct
 * admin, with the options read and, unless it says otherwise, a connection
 * to a database that replicache is installed in, of the schema that this
 * program knows. It returns an exit code, or -1 with the error, which main()
 * prints.
 *
 * Its statements are in schema/admin.sql, of which the build makes an enum, as
 * of the other program's; the scripts it runs are the files of schema/.
 */
#ifndef REPLICACHE_ADMIN_H
#define REPLICACHE_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

struct db;
struct db_result;
struct error;
struct statement;

/* The exit codes; they are promised in replicache-admin(8). */
enum admin_exit {
	ADMIN_DONE = 0,
	ADMIN_FAILED = 1, /* what was asked for could not be done */
	ADMIN_USAGE = 2,  /* it was not understood */
	ADMIN_FAULTS = 3, /* check found some; retry left some */
	ADMIN_SCHEMA = 4, /* not installed, or of another number */
	ADMIN_UNSURE = 5, /* it was not confirmed */
};

enum admin_statement {
#define STATEMENT(id, name, sql) ADMIN_##id,
#include "admin_statements.inc"
#undef STATEMENT
	ADMIN_STATEMENTS
};

struct admin {
	struct settings settings;
	struct db *db;
	/* What --option says, or NULL. */
	const char *config, *database, *role, *older_than, *clients;
	const char *url, *token_file;
	bool json, yes, all;
	char **arguments; /* behind the verb */
	int argument_count;
};

/* As of the database: see admin_look(). */
struct admin_schema {
	bool installed;
	int number;
	char name[64 * 4]; /* of the schema it is, or would be, in */
};

/* Where the database stands; does not fail for want of an installation. */
int admin_look(
    struct admin *admin, struct admin_schema *schema, struct error *error);

/* The statement of ID; lives for ever. */
const struct statement *admin_statement(enum admin_statement id);

/*
 * Runs one statement, with N text parameters, in a transaction of its own:
 * 0 and *RESULT_OUT, which the caller frees; or -1. NULL drops the result.
 */
int admin_run(struct admin *admin, enum admin_statement id, int n,
    const char *const *params, struct db_result **result_out,
    struct error *error);

/*
 * Asks QUESTION on the terminal, unless --yes was said. ADMIN_DONE if it is
 * confirmed, else ADMIN_UNSURE, having said why on standard error.
 */
int admin_confirm(const struct admin *admin, const char *question);

/* The verbs. */
int admin_install(struct admin *admin, struct error *error);
int admin_upgrade(struct admin *admin, struct error *error);
int admin_grant(struct admin *admin, struct error *error);
int admin_status(struct admin *admin, struct error *error);
int admin_check(struct admin *admin, struct error *error);
int admin_failed(struct admin *admin, struct error *error);
int admin_purge(struct admin *admin, struct error *error);
int admin_new_epoch(struct admin *admin, struct error *error);

#endif
