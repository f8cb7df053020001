/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * check: the database, by replicache_check(), then LISTEN, then the web server.
 */
#include "config.h"

#include <stdio.h>

#include "admin.h"
#include "check.h"
#include "db.h"
#include "error.h"
#include "findings.h"

/* How long a notification may take through whatever lies between. */
#define NOTIFY_MS 3000

static int
check_database(
    struct admin *admin, struct findings *findings, struct error *error)
{
	const char *params[] = {admin->role};
	struct db_result *rows = NULL;

	if (admin_run(admin, ADMIN_CHECK, 1, params, &rows, error) < 0)
		return -1;
	findings_add_rows(findings, rows);
	db_result_free(rows);
	return 0;
}

/* Where replicache.fcgi would listen. */
static const char *
listen_database(const struct admin *admin)
{
	if (admin->settings.listen_database[0] != '\0')
		return admin->settings.listen_database;
	return admin->database != NULL ? admin->database
				       : admin->settings.database;
}

static int
run_listen(struct db *db, struct error *error)
{
	if (db_send(db, admin_statement(ADMIN_CHECK_LISTEN), 0, NULL, error) <
		0 ||
	    db_sync(db, error) < 0 || db_take(db, NULL, error) < 0)
		return -1;
	return db_finish(db, error);
}

/* Whether a notification comes through: 1 it does, 0 it does not, -1 with the
 * reason if that could not be tried. */
static int
try_listen(struct admin *admin, struct error *error)
{
	struct db *db =
	    db_open_at(&admin->settings, listen_database(admin), error);
	int rc = -1;

	if (db != NULL && run_listen(db, error) == 0 &&
	    admin_run(admin, ADMIN_CHECK_NOTIFY, 0, NULL, NULL, error) == 0)
		rc = db_wait_notified(db, -1, NOTIFY_MS, error);
	db_close(db);
	return rc;
}

static void
check_listen(struct admin *admin, struct findings *findings)
{
	struct error error = {0};
	char what[ERROR_MESSAGE_MAX + 64];
	int rc = try_listen(admin, &error);

	if (rc < 0)
		snprintf(what, sizeof(what), "LISTEN: %s", error.message);
	else
		snprintf(what, sizeof(what),
		    rc > 0 ? "LISTEN" : "LISTEN: no notification comes");
	findings_judge(findings, rc > 0, FINDING_FAULT, what,
	    "Without it nobody is told of changes. Set listen_database to the "
	    "primary itself: LISTEN does not work on a standby, nor through a "
	    "pooler that pools transactions.");
}

int
admin_check(struct admin *admin, struct error *error)
{
	struct findings findings;
	int rc;

	findings_init(&findings);
	rc = check_database(admin, &findings, error);
	if (rc == 0) {
		check_listen(admin, &findings);
		if (admin->url != NULL)
			rc = check_url(admin, &findings, error);
	}
	if (rc == 0)
		rc = findings_show(&findings, admin->json, error);
	if (rc == 0 && findings.counts[FINDING_FAULT] > 0)
		rc = ADMIN_FAULTS;
	findings_fini(&findings);
	return rc;
}
