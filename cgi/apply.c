/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The transaction of a push, as one pipeline.
 */
#include "config.h"

#include "apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "buffer.h"
#include "clock.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "identity.h"
#include "metrics.h"
#include "pgarray.h"
#include "protocol.h"
#include "registry.h"
#include "settings.h"

/* The digits of an int64, its sign and a NUL. */
#define NUMBER_SIZE 24

/* A transaction of ours that waits between two statements was forgotten: the
 * server ends it and gives the version lock back. */
#define IDLE_TIMEOUT "10000"

static int
send_limits(struct db *db, const struct settings *settings, struct error *error)
{
	char statement[NUMBER_SIZE], lock[NUMBER_SIZE];
	const char *const params[] = {statement, lock, IDLE_TIMEOUT};

	snprintf(
	    statement, sizeof(statement), "%ld", settings->statement_timeout);
	snprintf(lock, sizeof(lock), "%ld", settings->lock_timeout);
	return db_send_id(db, STATEMENT_SET_LIMITS, 3, params, error);
}

/* Queues the bookkeeping: new groups, and the clients, as arrays. */
static int
send_begin(struct db *db, const struct apply_plan *plan, struct arena *arena,
    struct error *error)
{
	enum {
		GROUPS,
		USERS,
		CLIENTS,
		CLIENT_GROUPS,
		CLIENT_USERS,
		BEFORE,
		AFTER,
		ARRAYS,
		REVISION = ARRAYS,
		PARAMS
	};
	struct pgarray arrays[ARRAYS];
	const char *params[PARAMS];
	char number[NUMBER_SIZE];

	for (int i = 0; i < ARRAYS; i++)
		pgarray_init(&arrays[i]);
	for (size_t i = 0; i < plan->group_count; i++) {
		if (!plan->groups[i].fresh)
			continue;
		pgarray_add_text(&arrays[GROUPS], plan->groups[i].id);
		pgarray_add_text(&arrays[USERS], plan->groups[i].user);
	}
	for (size_t i = 0; i < plan->client_count; i++) {
		const struct apply_client *client = &plan->clients[i];

		pgarray_add_text(&arrays[CLIENTS], client->id);
		pgarray_add_text(&arrays[CLIENT_GROUPS], client->group);
		pgarray_add_text(&arrays[CLIENT_USERS], client->user);
		pgarray_add_int64(&arrays[BEFORE], client->before);
		pgarray_add_int64(&arrays[AFTER], client->after);
	}
	for (int i = 0; i < ARRAYS; i++) {
		params[i] = pgarray_end(&arrays[i], arena);
		pgarray_fini(&arrays[i]);
	}
	for (int i = 0; i < ARRAYS; i++)
		if (params[i] == NULL)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
	snprintf(
	    number, sizeof(number), "%" PRId64, plan->registration->revision);
	params[REVISION] = number;
	return db_send_id(db, STATEMENT_PUSH_BEGIN, PARAMS, params, error);
}

/* The statement of CALL, or NULL: it is to be guarded. */
static const struct statement *
find_statement(
    const struct registration *registration, const struct apply_call *call)
{
	if (call->guarded || call->mutation->refused != NULL)
		return NULL;
	return registration_call(registration, call->mutation->name);
}

static int
send_call(struct db *db, const struct registration *registration,
    const struct apply_call *call, struct error *error)
{
	const struct mutation *mutation = call->mutation;
	const struct identity *identity = call->identity;
	const struct statement *statement = find_statement(registration, call);
	char id[NUMBER_SIZE];

	snprintf(id, sizeof(id), "%" PRId64, mutation->id);
	if (statement == NULL) {
		const char *const params[] = {call->client, call->group, id,
		    identity->user, mutation->name, mutation->args,
		    mutation->refused, identity->claims};

		return db_send_id(db, STATEMENT_GUARD, 8, params, error);
	}
	const char *const params[] = {call->client, call->group, id,
	    identity->user, mutation->args, identity->claims};

	return db_send(db, statement, 6, params, error);
}

/* Queues what undoes a SET, SET ROLE or temporary table that a mutator left in
 * the session. What failed is undone by ROLLBACK and needs none of it. */
static int
send_tidy(struct db *db, struct error *error)
{
	static const enum statement_id tidy[] = {
	    STATEMENT_RESET_ROLE, STATEMENT_RESET, STATEMENT_DISCARD_TEMP};

	for (size_t i = 0; i < sizeof(tidy) / sizeof(tidy[0]); i++)
		if (db_send_id(db, tidy[i], 0, NULL, error) < 0)
			return -1;
	return db_send_once(db, STATEMENT_KEEP_MEMORY, error);
}

/* Two groups: nobody waits for the session to be reset (apply_end()). */
static int
send_all(struct db *db, const struct settings *settings,
    const struct apply_plan *plan, struct arena *arena, struct error *error)
{
	if (db_send_id(db, STATEMENT_BEGIN_PUSH, 0, NULL, error) < 0 ||
	    send_limits(db, settings, error) < 0 ||
	    send_begin(db, plan, arena, error) < 0)
		return -1;
	FAULT(BEGIN_SENT);
	for (size_t i = 0; i < plan->call_count; i++) {
		if (send_call(db, plan->registration, &plan->calls[i], error) <
		    0)
			return -1;
		FAULT(CALL_SENT);
	}
	FAULT(COMMIT_UNSENT);
	if (db_send_id(db, STATEMENT_COMMIT, 0, NULL, error) < 0 ||
	    db_sync(db, error) < 0)
		return -1;
	FAULT(COMMIT_SENT);
	if (send_tidy(db, error) < 0)
		return -1;
	return db_sync(db, error);
}

/* Takes the answer of a call; *RECORDED counts those that failed alone. */
static int
take_call(struct db *db, const struct registration *registration,
    const struct apply_call *call, size_t *recorded, struct error *error)
{
	struct db_result *result;

	if (find_statement(registration, call) != NULL)
		return db_take(db, NULL, error);
	if (db_take(db, &result, error) < 0)
		return -1;
	if (!db_null(result, 0, 0))
		++*recorded;
	db_result_free(result);
	return 0;
}

/* Takes the answer of COMMIT, which succeeds too when it rolled back. */
static int
take_commit(struct db *db, struct error *error)
{
	struct db_result *result;
	int rc = 0;

	if (db_take(db, &result, error) < 0)
		return -1;
	if (strcmp(db_tag(result), "COMMIT") != 0)
		rc = error_set(error, ERROR_UNAVAILABLE, "COMMIT answered %s",
		    db_tag(result));
	else if (db_unreplicated(db))
		rc = error_set(error, ERROR_UNAVAILABLE,
		    "COMMIT did not wait for the standby");
	db_result_free(result);
	return rc;
}

/* Takes the answers up to the first call. */
static int
take_begin(struct db *db, int64_t *version_out, struct error *error)
{
	struct db_result *result;

	for (int i = 0; i < 2; i++) /* begin, limits */
		if (db_take(db, NULL, error) < 0)
			return -1;
	if (db_take(db, &result, error) < 0)
		return -1;
	*version_out = db_int64(result, 0, 0);
	db_result_free(result);
	return 0;
}

int
apply_run(struct db *db, const struct settings *settings,
    const struct apply_plan *plan, struct arena *arena,
    struct apply_result *result, struct error *error)
{
	long each = settings->statement_timeout + settings->lock_timeout;
	int64_t begun = clock_us();
	size_t recorded = 0;

	*result = (struct apply_result){.failed = APPLY_NONE};
	db_set_patience(db, settings->batch_time + each);
	if (send_all(db, settings, plan, arena, error) < 0)
		return -1;
	FAULT(PIPELINE_SENT);
	if (take_begin(db, &result->version, error) < 0)
		return -1;
	FAULT(BEGIN_TAKEN);
	for (size_t i = 0; i < plan->call_count; i++) {
		if (take_call(db, plan->registration, &plan->calls[i],
			&recorded, error) < 0) {
			result->failed = i;
			return -1;
		}
		FAULT(CALL_TAKEN);
	}
	FAULT(COMMIT_UNREAD);
	if (take_commit(db, error) < 0 || db_finish(db, error) < 0)
		return -1;
	FAULT(COMMIT_TAKEN);
	metrics_observe(METRICS_LOCK_HELD, (uint64_t)(clock_us() - begun));
	metrics_observe(METRICS_BATCH_SIZE, plan->call_count);
	metrics_count(METRICS_APPLIED, plan->call_count - recorded);
	metrics_count(METRICS_FAILED, recorded);
	return 0;
}

void
apply_end(struct db *db, bool committed)
{
	struct error ignored;

	if (committed) {
		/* The session is reset while the pushes are answered. */
		db_leave(db);
		FAULT(SESSION_RESET);
		return;
	}
	/* What failed was told already; the tidying failed with it. */
	db_finish(db, &ignored);
	db_finish(db, &ignored);
	if (db_send_id(db, STATEMENT_ROLLBACK, 0, NULL, &ignored) == 0 &&
	    db_sync(db, &ignored) == 0)
		db_finish(db, &ignored);
	FAULT(ROLLED_BACK);
}
