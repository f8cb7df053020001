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

/* The mutator that CALL is to run; NULL: it is only recorded. */
static const struct registered_mutator *
find_mutator(
    const struct registration *registration, const struct apply_call *call)
{
	if (call->mutation->refused != NULL)
		return NULL;
	return registration_mutator(registration, call->mutation->name);
}

static int
send_call(struct db *db, const struct registered_mutator *mutator,
    const struct apply_call *call, struct error *error)
{
	const struct mutation *mutation = call->mutation;
	const struct identity *identity = call->identity;
	char id[NUMBER_SIZE];

	snprintf(id, sizeof(id), "%" PRId64, mutation->id);
	if (call->guarded) {
		const char *const params[] = {call->client, call->group, id,
		    identity->user, mutation->name, mutation->args, NULL,
		    identity->claims};

		return db_send_id(db, STATEMENT_GUARD, 8, params, error);
	}
	const char *const params[] = {call->client, call->group, id,
	    identity->user, mutation->args, identity->claims};

	return db_send(db, &mutator->call, 6, params, error);
}

/* How many calls from the one at FIRST on are only recorded. */
static size_t
count_recorded(const struct apply_plan *plan, size_t first)
{
	size_t end = first;

	while (end < plan->call_count &&
	       find_mutator(plan->registration, &plan->calls[end]) == NULL)
		end++;
	return end - first;
}

/* Queues the statement that records COUNT calls from CALL on. */
static int
send_recorded(struct db *db, const struct apply_call *call, size_t count,
    struct arena *arena, struct error *error)
{
	enum {
		CLIENTS,
		GROUPS,
		MUTATIONS,
		USERS,
		NAMES,
		ARGS,
		CODES,
		PARAMS
	};
	struct pgarray arrays[PARAMS];
	const char *params[PARAMS];
	bool whole = true;

	for (int i = 0; i < PARAMS; i++)
		pgarray_init(&arrays[i]);
	for (size_t i = 0; i < count; i++) {
		const struct mutation *mutation = call[i].mutation;

		pgarray_add_text(&arrays[CLIENTS], call[i].client);
		pgarray_add_text(&arrays[GROUPS], call[i].group);
		pgarray_add_int64(&arrays[MUTATIONS], mutation->id);
		pgarray_add_text(&arrays[USERS], call[i].identity->user);
		pgarray_add_text(&arrays[NAMES], mutation->name);
		pgarray_add_text(&arrays[ARGS], mutation->args);
		pgarray_add_text(&arrays[CODES], mutation->refused == NULL
						     ? "unknown_mutator"
						     : mutation->refused);
	}
	for (int i = 0; i < PARAMS; i++) {
		params[i] = pgarray_end(&arrays[i], arena);
		pgarray_fini(&arrays[i]);
		whole = whole && params[i] != NULL;
	}
	if (!whole)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	return db_send_id(db, STATEMENT_RECORD_FAILURES, PARAMS, params, error);
}

static int
send_calls(struct db *db, const struct apply_plan *plan, struct arena *arena,
    struct error *error)
{
	size_t i = 0;

	while (i < plan->call_count) {
		const struct apply_call *call = &plan->calls[i];
		size_t recorded = count_recorded(plan, i);
		int rc;

		if (recorded > 0)
			rc = send_recorded(db, call, recorded, arena, error);
		else
			rc = send_call(db,
			    find_mutator(plan->registration, call), call,
			    error);
		if (rc < 0)
			return -1;
		i += recorded > 0 ? recorded : 1;
		FAULT(CALL_SENT);
	}
	return 0;
}

static int
send_each(struct db *db, const enum statement_id *ids, size_t count,
    struct error *error)
{
	for (size_t i = 0; i < count; i++)
		if (db_send_id(db, ids[i], 0, NULL, error) < 0)
			return -1;
	return 0;
}

/* What undoes a SET, SET ROLE or temporary table that a mutator left in the
 * session. */
static const enum statement_id tidy[] = {
    STATEMENT_RESET_ROLE, STATEMENT_RESET, STATEMENT_DISCARD_TEMP};

/* What undoes, besides, all else that SQL can leave there: cursors WITH HOLD,
 * what it listens to, currval(), advisory locks and statements that were
 * prepared by SQL. A deferred trigger may do all of it, so these run first. */
static const enum statement_id tidy_alone[] = {STATEMENT_CONSTRAINTS,
    STATEMENT_RESET_ROLE, STATEMENT_RESET, STATEMENT_DISCARD_TEMP,
    STATEMENT_CLOSE_ALL, STATEMENT_UNLISTEN, STATEMENT_DISCARD_SEQUENCES,
    STATEMENT_FORGET_SESSION};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Two groups: nobody waits for the session to be reset (apply_end()). */
static int
send_all(struct db *db, const struct settings *settings,
    const struct apply_plan *plan, struct arena *arena, struct error *error)
{
	if (db_send_id(db, STATEMENT_BEGIN_PUSH, 0, NULL, error) < 0 ||
	    send_limits(db, settings, error) < 0 ||
	    /* currval() of what shared ones took from a sequence. */
	    (plan->alone && db_send_id(db, STATEMENT_DISCARD_SEQUENCES, 0, NULL,
				error) < 0) ||
	    send_begin(db, plan, arena, error) < 0)
		return -1;
	FAULT(BEGIN_SENT);
	if (send_calls(db, plan, arena, error) < 0)
		return -1;
	FAULT(COMMIT_UNSENT);
	if ((plan->alone &&
		send_each(db, tidy_alone, COUNT(tidy_alone), error) < 0) ||
	    db_send_id(db, STATEMENT_COMMIT, 0, NULL, error) < 0 ||
	    db_sync(db, error) < 0)
		return -1;
	FAULT(COMMIT_SENT);
	if (send_each(db, tidy, COUNT(tidy), error) < 0 ||
	    db_send_once(db, STATEMENT_KEEP_MEMORY, error) < 0)
		return -1;
	return db_sync(db, error);
}

/* Takes the answer of a call, or of the statement that records RUN of them;
 * COUNTS has those that failed. */
static int
take_call(struct db *db, const struct apply_call *call, size_t run,
    struct apply_result *counts, struct error *error)
{
	struct db_result *result;

	if (run == 0 && !call->guarded)
		return db_take(db, NULL, error);
	if (db_take(db, &result, error) < 0)
		return -1;
	if (run > 0) {
		counts->recorded += run;
		counts->unkept += (size_t)db_int64(result, 0, 0);
	} else if (!db_null(result, 0, 0)) {
		counts->recorded++;
		counts->unkept +=
		    strcmp(db_text(result, 0, 0), "not_kept") == 0;
	}
	db_result_free(result);
	return 0;
}

static int
take_calls(struct db *db, const struct apply_plan *plan,
    struct apply_result *result, struct error *error)
{
	size_t i = 0;

	while (i < plan->call_count) {
		size_t run = count_recorded(plan, i);

		if (take_call(db, &plan->calls[i], run, result, error) < 0) {
			result->failed = i;
			return -1;
		}
		i += run > 0 ? run : 1;
		FAULT(CALL_TAKEN);
	}
	for (size_t k = 0; plan->alone && k < COUNT(tidy_alone); k++)
		if (db_take(db, NULL, error) < 0)
			return -1;
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
take_begin(struct db *db, const struct apply_plan *plan,
    struct apply_result *begun, struct error *error)
{
	struct db_result *result;

	/* begin, limits, sequences */
	for (int i = 0; i < (plan->alone ? 3 : 2); i++)
		if (db_take(db, NULL, error) < 0)
			return -1;
	if (db_take(db, &result, error) < 0)
		return -1;
	begun->version = db_int64(result, 0, 0);
	begun->waited = db_int64(result, 0, 1);
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

	*result = (struct apply_result){.failed = APPLY_NONE};
	db_set_patience(db, settings->batch_time + each);
	if (send_all(db, settings, plan, arena, error) < 0)
		return -1;
	FAULT(PIPELINE_SENT);
	if (take_begin(db, plan, result, error) < 0)
		return -1;
	FAULT(BEGIN_TAKEN);
	if (take_calls(db, plan, result, error) < 0)
		return -1;
	FAULT(COMMIT_UNREAD);
	if (take_commit(db, error) < 0 || db_finish(db, error) < 0)
		return -1;
	FAULT(COMMIT_TAKEN);
	metrics_observe(METRICS_LOCK_HELD, (uint64_t)(clock_us() - begun));
	metrics_observe(METRICS_BATCH_SIZE, plan->call_count);
	metrics_count(METRICS_APPLIED, plan->call_count - result->recorded);
	metrics_count(METRICS_FAILED, result->recorded);
	return 0;
}

bool
apply_end(struct db *db, const struct apply_plan *plan, bool committed)
{
	struct error ignored;
	bool lost;

	if (committed) {
		/* The session is reset while the pushes are answered. */
		db_leave(db);
		FAULT(SESSION_RESET);
	} else {
		/* What failed was told already; the tidying failed with it.
		 * Some of what a mutator leaves, ROLLBACK does not undo. */
		db_finish(db, &ignored);
		db_finish(db, &ignored);
		if (db_send_id(db, STATEMENT_ROLLBACK, 0, NULL, &ignored) ==
			0 &&
		    send_each(db, tidy_alone + 1, COUNT(tidy_alone) - 1,
			&ignored) == 0 &&
		    db_sync(db, &ignored) == 0)
			db_finish(db, &ignored);
		FAULT(ROLLED_BACK);
	}
	lost = db_lost(db);
	if (plan->closes)
		db_abandon(db);
	return lost;
}
