/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * failed list, show, retry, discard: the ledger of mutations that failed.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "db.h"
#include "error.h"
#include "progress.h"
#include "show.h"

/* The two parameters that name a mutation: its client and its ID. */
#define NAMES 2

static int
usage(void)
{
	fputs("replicache-admin: failed list, or show, retry or discard and a "
	      "client and a mutation ID (or --all). Try --help.\n",
	    stderr);
	return ADMIN_USAGE;
}

static int
read_list(struct admin *admin, struct db_result **rows, struct error *error)
{
	return admin_run(admin, ADMIN_FAILED_LIST, 0, NULL, rows, error);
}

/* The columns of ADMIN_FAILED_LIST. */
enum {
	LIST_CLIENT,
	LIST_MUTATION,
	LIST_NAME,
	LIST_CODE,
	LIST_SQLSTATE,
	LIST_MESSAGE,
	LIST_USER,
	LIST_FAILED_AT,
};

/* What is needed to name it to show, retry and discard; below it, why. */
static void
list_one(struct show *show, const struct db_result *rows, int row)
{
	const char *name[] = {db_text(rows, row, LIST_CLIENT),
	    db_text(rows, row, LIST_MUTATION), db_text(rows, row, LIST_NAME)};
	const char *why[] = {db_text(rows, row, LIST_FAILED_AT),
	    db_text(rows, row, LIST_CODE), db_text(rows, row, LIST_SQLSTATE),
	    db_text(rows, row, LIST_USER), db_text(rows, row, LIST_MESSAGE)};

	show_line(show, 0, name, sizeof(name) / sizeof(name[0]), NAMES);
	show_line(show, 4, why, sizeof(why) / sizeof(why[0]), 3);
}

static int
list(struct admin *admin, struct error *error)
{
	struct db_result *rows = NULL;
	struct show show;

	if (read_list(admin, &rows, error) < 0)
		return -1;
	show_begin(&show, admin->json);
	if (admin->json)
		show_rows(&show, "failed_mutations", rows);
	else
		for (int row = 0; row < db_rows(rows); row++)
			list_one(&show, rows, row);
	db_result_free(rows);
	return show_end(&show, error);
}

static int
not_there(const char *const *name, struct error *error)
{
	return error_set(error, ERROR_NOT_FOUND,
	    "mutation %s of client %s is not among those that failed", name[1],
	    name[0]);
}

static int
show_one(struct admin *admin, const char *const *name, struct error *error)
{
	struct db_result *rows = NULL;
	struct show show;

	if (admin_run(admin, ADMIN_FAILED_SHOW, NAMES, name, &rows, error) < 0)
		return -1;
	if (db_rows(rows) == 0) {
		db_result_free(rows);
		return not_there(name, error);
	}
	show_begin(&show, admin->json);
	show_row(&show, "failed_mutation", rows);
	db_result_free(rows);
	return show_end(&show, error);
}

/* Does STATEMENT to the one called NAME; *LEFT counts those that are not gone
 * by it. */
static int
settle_one(struct admin *admin, enum admin_statement statement,
    const char *const *name, size_t *left, struct error *error)
{
	const char *params[] = {name[0], name[1], admin->role};
	struct db_result *rows = NULL;

	if (admin_run(admin, statement,
		statement == ADMIN_FAILED_RETRY ? NAMES + 1 : NAMES, params,
		&rows, error) < 0)
		return -1;
	if (db_rows(rows) == 0) {
		db_result_free(rows);
		return not_there(name, error);
	}
	*left += !db_null(rows, 0, 0);
	db_result_free(rows);
	return 0;
}

/* The same to all, the oldest first, as they came; who goes meanwhile, by
 * another hand, is none. */
static int
settle_all(struct admin *admin, enum admin_statement statement, size_t *count,
    size_t *left, struct error *error)
{
	struct db_result *rows = NULL;
	struct progress progress;
	int rc = 0;

	if (read_list(admin, &rows, error) < 0)
		return -1;
	*count = (size_t)db_rows(rows);
	progress_begin(&progress, "failed mutations", *count);
	for (int row = db_rows(rows) - 1; rc == 0 && row >= 0; row--) {
		const char *name[NAMES] = {
		    db_text(rows, row, 0), db_text(rows, row, 1)};

		rc = settle_one(admin, statement, name, left, error);
		if (rc < 0 && error->code == ERROR_NOT_FOUND)
			rc = 0;
		progress_step(&progress, 1);
	}
	progress_end(&progress);
	db_result_free(rows);
	return rc;
}

static int
settle(struct admin *admin, enum admin_statement statement, const char *done,
    const char *const *name, struct error *error)
{
	size_t count = 1, left = 0;
	struct show show;
	int rc = name != NULL
		     ? settle_one(admin, statement, name, &left, error)
		     : settle_all(admin, statement, &count, &left, error);

	if (rc < 0)
		return -1;
	show_begin(&show, admin->json);
	show_number(&show, done, (long long)(count - left));
	if (statement == ADMIN_FAILED_RETRY)
		show_number(&show, "failed_again", (long long)left);
	if (show_end(&show, error) < 0)
		return -1;
	return left > 0 ? ADMIN_FAULTS : ADMIN_DONE;
}

int
admin_failed(struct admin *admin, struct error *error)
{
	const char *what = admin->arguments[0];
	const char *const *name = (const char *const *)admin->arguments + 1;
	int n = admin->argument_count - 1, rc;

	if (strcmp(what, "list") == 0 && n == 0 && !admin->all)
		return list(admin, error);
	if (admin->all ? n != 0 : n != NAMES)
		return usage();
	if (strcmp(what, "show") == 0 && !admin->all)
		return show_one(admin, name, error);
	if (admin->all)
		name = NULL;
	if (strcmp(what, "retry") == 0)
		return settle(
		    admin, ADMIN_FAILED_RETRY, "applied", name, error);
	if (strcmp(what, "discard") != 0)
		return usage();
	rc = admin_confirm(admin, admin->all
				      ? "Discard all mutations that failed?"
				      : "Discard this mutation?");
	if (rc != ADMIN_DONE)
		return rc;
	return settle(admin, ADMIN_FAILED_DISCARD, "discarded", name, error);
}
