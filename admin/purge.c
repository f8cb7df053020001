/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * purge and new-epoch.
 */
#include "config.h"

#include <stdio.h>

#include "admin.h"
#include "db.h"
#include "error.h"
#include "progress.h"
#include "show.h"

/* Rows of one step, a transaction that holds the version lock: some 0.1 s, so
 * that pushes need not wait long. */
#define STEP_ROWS "10000"

#define DEFAULT_AGE "30 days"

/* Runs a statement that tells a number, and adds it to *SUM. */
static int
count(struct admin *admin, enum admin_statement statement, int n,
    const char *const *params, int64_t *sum, struct error *error)
{
	struct db_result *result = NULL;

	if (admin_run(admin, statement, n, params, &result, error) < 0)
		return -1;
	*sum += db_int64(result, 0, 0);
	db_result_free(result);
	return 0;
}

/* Drops what was deleted so long ago, step by step. */
static int
purge_deleted(
    struct admin *admin, const char *age, int64_t *dropped, struct error *error)
{
	const char *params[] = {age, STEP_ROWS};
	struct db_result *steps = NULL;
	struct progress progress;
	int rc = 0;

	if (count(admin, ADMIN_PURGE_FAILED, 1, params, dropped, error) < 0 ||
	    admin_run(admin, ADMIN_PURGE_STEPS, 2, params, &steps, error) < 0)
		return -1;
	progress_begin(&progress, "purge", (size_t)db_rows(steps));
	for (int row = 0; rc == 0 && row < db_rows(steps); row++) {
		const char *horizon = db_text(steps, row, 0);

		rc = count(admin, ADMIN_PURGE_TO, 1, &horizon, dropped, error);
		progress_step(&progress, 1);
	}
	progress_end(&progress);
	db_result_free(steps);
	return rc;
}

static int
forget_clients(struct admin *admin, const char *age, int64_t *forgotten,
    struct error *error)
{
	const char *params[] = {age, STEP_ROWS};
	struct progress progress;
	int64_t before, unseen = 0;
	int rc;

	if (count(admin, ADMIN_UNSEEN_CLIENTS, 1, params, &unseen, error) < 0)
		return -1;
	progress_begin(&progress, "clients", (size_t)unseen);
	do {
		before = *forgotten;
		rc = count(
		    admin, ADMIN_FORGET_CLIENTS, 2, params, forgotten, error);
		progress_step(&progress, (size_t)(*forgotten - before));
	} while (rc == 0 && *forgotten > before);
	progress_end(&progress);
	return rc;
}

int
admin_purge(struct admin *admin, struct error *error)
{
	const char *age =
	    admin->older_than == NULL ? DEFAULT_AGE : admin->older_than;
	int64_t dropped = 0, forgotten = 0;
	char question[256];
	struct show show;
	int rc;

	snprintf(question, sizeof(question),
	    "Drop what was deleted, and mutations that failed, longer than "
	    "%.40s ago%s%.40s?",
	    age,
	    admin->clients == NULL ? "" : ", and forget clients unseen for ",
	    admin->clients == NULL ? "" : admin->clients);
	rc = admin_confirm(admin, question);
	if (rc != ADMIN_DONE)
		return rc;
	if (purge_deleted(admin, age, &dropped, error) < 0 ||
	    (admin->clients != NULL &&
		forget_clients(admin, admin->clients, &forgotten, error) < 0))
		return -1;
	show_begin(&show, admin->json);
	show_number(&show, "rows_dropped", dropped);
	show_number(&show, "clients_forgotten", forgotten);
	return show_end(&show, error);
}

int
admin_new_epoch(struct admin *admin, struct error *error)
{
	int64_t version = 0;
	struct show show;
	int rc = admin_confirm(
	    admin, "Have every client start over from what is here?");

	if (rc != ADMIN_DONE)
		return rc;
	if (count(admin, ADMIN_NEW_EPOCH, 0, NULL, &version, error) < 0)
		return -1;
	show_begin(&show, admin->json);
	show_number(&show, "version", version);
	return show_end(&show, error);
}
