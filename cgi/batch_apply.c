/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The second stage of a push: the transaction of what batch_plan.c has planned,
 * and what each kind of failure means for the pushes in it (design section 3,
 * steps 4 to 7; section 7).
 *
 * Where mutations of several client groups failed together, nobody knows who it
 * was: a setting that one left may have been what the other failed by. So the
 * one that failed is taken out, and is judged in a transaction of its own.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "batch_plan.h"
#include "batch_stage.h"
#include "clock.h"
#include "db.h"
#include "faults.h"
#include "log.h"
#include "pool.h"
#include "protocol.h"
#include "registry.h"
#include "settings.h"

/* The first pause before a transaction is run again; it doubles. */
#define PAUSE_FIRST_MS 5

/* How often it is looked whether a function that mutators use has changed, and
 * with it whether they may share a transaction. */
#define EXAMINE_MS 1000

void
batch_fail(struct gather_queue *round, const struct error *error)
{
	struct batch_job *job;

	while ((job = batch_take(round)) != NULL) {
		job->error = *error;
		job->done(job);
	}
}

/* Ends JOB alone, taking it out of the round. */
static void
fail_one(struct batch_round *round, struct batch_job *failed,
    const struct error *error)
{
	struct gather_queue rest = {NULL, NULL};
	struct batch_job *job;

	while ((job = batch_take(&round->jobs)) != NULL)
		if (job != failed)
			gather_queue_add(&rest, &job->link);
	round->jobs = rest;
	failed->error = *error;
	failed->done(failed);
}

/* Takes the jobs of GROUP, or all (NULL), out of the round: each client group
 * is to be tried by itself. */
static void
set_apart(struct batch_round *round, const char *group)
{
	struct gather_queue rest = {NULL, NULL};
	struct batch_job *job;

	while ((job = batch_take(&round->jobs)) != NULL) {
		bool chosen =
		    group == NULL || strcmp(job->push->group, group) == 0;

		job->apart = job->apart || chosen;
		gather_queue_add(chosen ? &round->apart : &rest, &job->link);
	}
	round->jobs = rest;
	FAULT(PUSH_APART);
}

/* After COMMIT: ends the jobs that are done; the others go behind those that
 * have come meanwhile. */
static void
settle(struct batch_round *round)
{
	static const struct error late = {.code = ERROR_UNAVAILABLE,
	    .message = "out of time; what was committed stays"};
	struct batch_job *job;

	for (size_t i = 0; i < round->plan.call_count; i++)
		round->owners[i]->applied++;
	while ((job = batch_take(&round->jobs)) != NULL) {
		for (; job->from < job->planned; job->from++) {
			const struct mutation *m =
			    &job->push->mutations[job->from];
			struct batch_client *client = &job->clients[m->client];

			if (client->last_mutation_id < m->id)
				client->last_mutation_id = m->id;
		}
		batch_hints_remember(round->context, job);
		if (job->from == job->push->mutation_count) {
			error_reset(&job->error);
			job->done(job);
		} else if (clock_ms() > job->deadline) {
			job->error = late;
			job->done(job);
		} else {
			gather_add(round->context->ready, &job->link);
		}
	}
}

static void
pause_before(int tries, unsigned seed)
{
	long ms = PAUSE_FIRST_MS << tries;
	struct timespec time = {
	    .tv_nsec = (ms / 2 + rand_r(&seed) % (ms / 2 + 1)) * 1000000};

	nanosleep(&time, NULL);
}

/* Asks what is registered now. */
static void
renew_registration(struct batch_round *round)
{
	struct registry *registry = round->context->registry;

	registry_put(registry, round->registration);
	round->registration = registry_current(registry);
}

/* Looks again, after what was looked up may no longer hold. */
static int
look_again(struct batch_round *round, struct error *error)
{
	struct gather_queue ready = {NULL, NULL};
	int rc;

	FAULT(PUSH_LOOKS_AGAIN);
	if (round->jobs.first == NULL)
		return 0;
	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job))
		job->from = 0;
	rc = batch_look_through(round->context, round->db,
	    &round->context->apply_arena, &round->jobs, &ready, error);
	if (rc == 0)
		round->jobs = ready;
	renew_registration(round);
	return rc;
}

/* Another connection in place of one that is closed. */
static int
replace_connection(struct batch_round *round, struct error *error)
{
	pool_put(round->context->pool, round->db);
	round->db = pool_get(round->context->pool, error);
	return round->db == NULL ? -1 : 0;
}

/* The same after it was lost: the other ones are likely to be dead too. */
static int
renew_connection(struct batch_round *round, struct error *error)
{
	pool_recycle(round->context->pool);
	return replace_connection(round, error);
}

/* What Postgres says of an error of a mutator, or of a trigger or constraint
 * that is only checked at COMMIT, may have args in it. They are for the ledger,
 * not for the log. */
static void
withhold(const struct batch_round *round, size_t failed, struct error *error)
{
	if (failed != APPLY_NONE)
		snprintf(error->message, sizeof(error->message),
		    "the mutator of %s failed",
		    round->plan.calls[failed].mutation->name);
	else if (strcmp(error->sqlstate, "P0001") == 0 ||
		 strncmp(error->sqlstate, "23", 2) == 0)
		snprintf(error->message, sizeof(error->message),
		    "a check at COMMIT failed");
}

/* What is known of a transaction that failed. */
struct failure {
	enum db_failure kind;
	size_t at;         /* the call, or APPLY_NONE */
	bool begun;        /* mutations may have run */
	struct error said; /* with what Postgres said */
};

/* Notes that a mutation failed by the server's errors, alone; true if so often
 * that it is the cause itself. */
static bool
note_trouble(struct batch_round *round, const struct apply_call *call,
    const struct error *said)
{
	char id[24];
	const char *const params[] = {
	    call->client, id, said->sqlstate, said->message};
	struct db_result *result;
	struct error ignored;
	bool enough;

	snprintf(id, sizeof(id), "%lld", (long long)call->mutation->id);
	if (db_send_id(round->db, STATEMENT_NOTE_TROUBLE, 4, params, &ignored) <
		0 ||
	    db_sync(round->db, &ignored) < 0 ||
	    db_take(round->db, &result, &ignored) < 0) {
		/* A server that can't write this is the cause. */
		db_finish(round->db, &ignored);
		return false;
	}
	enough = db_bool(result, 0, 0);
	db_result_free(result);
	return db_finish(round->db, &ignored) == 0 && enough;
}

/* The mutation at AT failed by the server's errors, alone. If that goes on it
 * is recorded as failed by the next attempt; else its push is given up for now.
 */
static void
blame(struct batch_round *round, size_t at, const struct failure *failure,
    const struct error *error)
{
	const struct apply_call *call = &round->plan.calls[at];
	union {
		const struct mutation *in;
		struct mutation *out;
	} owned = {.in = call->mutation};

	batch_plan_suspect(round->context, call->group);
	if (note_trouble(round, call, &failure->said))
		owned.out->refused =
		    strcmp(failure->said.sqlstate, "57014") == 0
			? "timeout"
			: "server_error";
	else
		fail_one(round, round->owners[at], error);
	round->tries = 0;
	round->most = 0;
}

static int
handle_lost(struct batch_round *round, const struct failure *failure,
    struct error *error)
{
	bool last = round->tries >= BATCH_TRIES_MAX;

	/* Perhaps it took too long: the next part is smaller. */
	batch_plan_learn(round, round->context->settings->batch_time);
	if (renew_connection(round, error) < 0)
		return -1;
	/* Twice: a mutation may be what kills the connection. */
	if (round->tries > 1 && failure->begun) {
		if (!batch_plan_is_single(round)) {
			set_apart(
			    round, failure->at == APPLY_NONE
				       ? NULL
				       : round->plan.calls[failure->at].group);
		} else if (failure->at != APPLY_NONE) {
			blame(round, failure->at, failure, error);
			last = false;
		}
		/* By a trigger that runs at COMMIT, the guard finds out. */
		round->guarded = true;
	}
	/* Perhaps COMMIT was done: the look will tell. */
	return last ? -1 : look_again(round, error);
}

/* The failure of a transaction with several client groups. */
static int
handle_shared(struct batch_round *round, const struct failure *failure,
    const struct error *error)
{
	const char *group;

	if (failure->kind == DB_FAILURE_RETRY && round->tries == 1) {
		pause_before(round->tries, (unsigned)clock_us());
		FAULT(PUSH_RETRIED);
		return 0;
	}
	round->tries = 0;
	if (failure->at == APPLY_NONE) {
		set_apart(round, NULL);
		return 0;
	}
	group = round->plan.calls[failure->at].group;
	batch_plan_suspect(round->context, group);
	/* Time was spent, or the server can't: others are not to wait for the
	 * same once more. */
	if (failure->kind == DB_FAILURE_OWN ||
	    failure->kind == DB_FAILURE_RETRY)
		set_apart(round, group);
	else
		fail_one(round, round->owners[failure->at], error);
	return 0;
}

/* That of a transaction with one. */
static int
handle_single(struct batch_round *round, const struct failure *failure,
    const struct error *error)
{
	bool guarded = round->guarded;

	batch_plan_suspect(round->context, round->plan.groups[0].id);
	/* Of a serialization failure the guard can begin the call anew, alone:
	 * see replicache_guard(). */
	if (failure->kind == DB_FAILURE_OWN || failure->at == APPLY_NONE ||
	    strcmp(failure->said.sqlstate, "40001") == 0)
		round->guarded = true;
	if (failure->kind == DB_FAILURE_RETRY &&
	    round->tries < BATCH_TRIES_MAX) {
		pause_before(round->tries, (unsigned)clock_us());
		FAULT(PUSH_RETRIED);
		return 0;
	}
	if (round->guarded && !guarded) {
		FAULT(PUSH_GUARDED);
		return 0;
	}
	/* What the guard did not catch, one before it may have left; or it says
	 * so (RP003). */
	if (round->plan.call_count > 1 &&
	    (failure->kind == DB_FAILURE_OWN || failure->at == APPLY_NONE)) {
		round->most = failure->at == APPLY_NONE || failure->at == 0
				  ? 1
				  : failure->at;
		return 0;
	}
	blame(
	    round, failure->at == APPLY_NONE ? 0 : failure->at, failure, error);
	return 0;
}

/* What the error of a transaction is: to whom the connection is lost it does
 * not matter what was said last, and a mutator can raise any code. */
static enum db_failure
classify(
    const struct apply_result *result, bool lost, const struct error *error)
{
	enum db_failure kind = db_failure(error);

	if (lost)
		return DB_FAILURE_LOST;
	if (kind == DB_FAILURE_LOST)
		return DB_FAILURE_SYSTEM;
	if (kind == DB_FAILURE_MOVED && result->version != 0)
		return DB_FAILURE_OWN;
	return kind;
}

/*
 * Decides what a failed transaction means, whose connection was LOST or not.
 * Returns 0 if the round is to be tried again with the jobs that are still in
 * it, -1 if it ends for all of them with ERROR.
 */
static int
handle_failure(struct batch_round *round, const struct apply_result *result,
    bool lost, struct error *error)
{
	struct failure failure = {.kind = classify(result, lost, error),
	    .at = result->failed,
	    .begun = result->version != 0,
	    .said = *error};
	bool last = ++round->tries >= BATCH_TRIES_MAX;

	withhold(round, failure.at, error);
	log_debug("a batch of %zu mutations failed at %zd: %s: %s",
	    round->plan.call_count, (ssize_t)failure.at, error->sqlstate,
	    error->message);
	if (failure.kind == DB_FAILURE_LOST)
		return handle_lost(round, &failure, error);
	if (failure.kind == DB_FAILURE_MOVED)
		return last ? -1 : look_again(round, error);
	if (failure.begun)
		return batch_plan_is_single(round)
			   ? handle_single(round, &failure, error)
			   : handle_shared(round, &failure, error);
	/* Nothing of anybody's has run: the server can't, now. */
	if (failure.kind != DB_FAILURE_RETRY || last)
		return -1;
	pause_before(round->tries, (unsigned)clock_us());
	FAULT(PUSH_RETRIED);
	return 0;
}

/* Runs the plan. 0: committed. */
static int
run_plan(
    struct batch_round *round, struct apply_result *result, struct error *error)
{
	struct batch_context *context = round->context;
	int64_t begun = clock_ms();
	int rc;

	rc = apply_run(round->db, context->settings, &round->plan,
	    &context->apply_arena, result, error);
	if (rc < 0)
		return rc;
	atomic_store(&context->replicated, result->version);
	batch_plan_learn(round, clock_ms() - begun - result->waited);
	if (round->guarded && result->recorded == 0)
		batch_plan_trust(context, round->plan.groups[0].id);
	if (result->unkept > 0)
		log_warning("%zu failed mutations are counted and not kept: "
			    "the ledger is full for their client group",
		    result->unkept);
	return rc;
}

/* Attempts until the jobs are done, cut, or failed for good. */
static int
attempt(struct batch_round *round, struct error *error)
{
	while (round->jobs.first != NULL) {
		struct apply_result result;
		struct error other;
		bool lost;
		int rc;

		if (batch_plan_make(round) < 0)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		if (round->plan.call_count == 0) {
			settle(round);
			return 0;
		}
		FAULT(BATCH_PLANNED);
		rc = run_plan(round, &result, error);
		if (rc == 0) {
			settle(round);
			FAULT(PUSH_SETTLED);
		}
		lost = apply_end(round->db, &round->plan, rc == 0);
		if (rc == 0)
			return 0;
		if (!lost && db_lost(round->db) &&
		    replace_connection(round, &other) < 0)
			return -1;
		if (handle_failure(round, &result, lost, error) < 0)
			return -1;
	}
	return 0;
}

/* Now and then, has the database look whether what mutators use has changed. If
 * it did, the transaction finds that something else is registered. */
static void
examine(struct batch_round *round)
{
	struct batch_context *context = round->context;
	struct error error;

	if (clock_ms() - context->examined < EXAMINE_MS)
		return;
	context->examined = clock_ms();
	if (db_send_id(round->db, STATEMENT_EXAMINE, 0, NULL, &error) < 0 ||
	    db_sync(round->db, &error) < 0 || db_finish(round->db, &error) < 0)
		log_debug("the mutators could not be examined: %s: %s",
		    error.sqlstate, error.message);
}

void
batch_apply(void *argument, struct gather_queue *waiting)
{
	struct batch_context *context = argument;
	struct batch_round round = {.context = context};
	struct error error;

	round.registration = registry_current(context->registry);
	batch_plan_take(&round, waiting);
	FAULT(BATCH_TAKEN);
	round.db = pool_get(context->pool, &error);
	if (round.db != NULL)
		examine(&round);
	if (round.db == NULL || attempt(&round, &error) < 0)
		batch_fail(&round.jobs, &error);
	pool_put(context->pool, round.db);
	registry_put(context->registry, round.registration);
	gather_queue_append(&round.apart, waiting);
	*waiting = round.apart;
}
