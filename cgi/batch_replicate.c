/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A push that was done before is answered by 200 as one that is done now: it is
 * not to be lost, even if the server is. Where a synchronous standby keeps it
 * safe it may be seen before it is there: Postgres shows it to others when the
 * wait for the standby was cancelled, and after a crash. So what this process
 * has not seen wait itself is waited for, by a commit of nothing.
 */
#include "config.h"

#include <stdio.h>

#include "batch_stage.h"
#include "db.h"
#include "error.h"
#include "settings.h"

/* Waits until the standby has all that can be seen here. Out of time, it leaves
 * the session to the next one: it can't be cancelled without a server that
 * answers. */
static int
replicate(struct db *db, const struct settings *settings, struct error *error)
{
	char ms[24];
	const char *const params[] = {ms};

	snprintf(ms, sizeof(ms), "%ld",
	    settings->statement_timeout + settings->lock_timeout);
	db_set_patience(
	    db, settings->statement_timeout + settings->lock_timeout);
	if (db_send_id(db, STATEMENT_REPLICATE_NO_MORE, 1, params, error) < 0 ||
	    db_send_id(db, STATEMENT_REPLICATE, 0, NULL, error) < 0 ||
	    db_sync(db, error) < 0 || db_take(db, NULL, error) < 0 ||
	    db_take(db, NULL, error) < 0 || db_finish(db, error) < 0)
		return -1;
	if (db_unreplicated(db))
		return error_set(error, ERROR_UNAVAILABLE,
		    "a commit did not wait for the standby");
	return 0;
}

void
batch_replicate(struct batch_context *context, struct db *db,
    struct gather_queue *done, int64_t version)
{
	struct batch_job *job;
	struct error error;

	if (done->first == NULL)
		return;
	if (replicate(db, context->settings, &error) < 0) {
		batch_fail(done, &error);
		return;
	}
	atomic_store(&context->replicated, version);
	while ((job = batch_take(done)) != NULL) {
		error_reset(&job->error);
		job->done(job);
	}
}
