/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The second stage of a push: a plan of what to apply, its transaction, and
 * what each kind of failure means for the pushes in it (design section 3,
 * steps 3 to 7; section 7).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "arena.h"
#include "batch_stage.h"
#include "clock.h"
#include "db.h"
#include "faults.h"
#include "log.h"
#include "map.h"
#include "pool.h"
#include "protocol.h"
#include "registry.h"
#include "settings.h"

/* The first pause before a transaction is run again; it doubles. */
#define PAUSE_FIRST_MS 5

/* One attempt after another to apply a round. */
struct round {
	struct batch_context *context;
	struct gather_queue jobs; /* those still in it */
	struct db *db;
	struct apply_plan plan;
	struct batch_job **owners; /* the job of each call of the plan */
	struct map groups, clients;
	bool guarded; /* every call, since one failed */
	int tries;
};

static bool
has_room(const struct batch_context *context, size_t mutations, size_t bytes)
{
	return mutations < (size_t)context->settings->batch_mutations &&
	       bytes < (size_t)context->settings->batch_bytes;
}

static void
measure(const struct batch_job *job, size_t *mutations, size_t *bytes)
{
	const struct push *push = job->push;

	*mutations += push->mutation_count - job->from;
	for (size_t i = job->from; i < push->mutation_count; i++)
		*bytes += push->mutations[i].args_length;
}

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
fail_one(
    struct round *round, struct batch_job *failed, const struct error *error)
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

/* Suspicion: whose mutations are called guarded from the start. */
static int64_t *
suspect(struct batch_context *context, const char *group)
{
	size_t hash = 5381;

	for (; *group != '\0'; group++)
		hash = hash * 33 + (unsigned char)*group;
	return &context->suspects[hash % BATCH_SUSPECTS];
}

/* The entry of a client in the plan, made if need be; NULL without memory. */
static struct apply_client *
plan_client(struct round *round, const struct batch_job *job, size_t index)
{
	struct apply_plan *plan = &round->plan;
	size_t at = map_add(&round->clients, job->push->clients[index]);
	struct apply_client *client;

	if (at == MAP_NONE)
		return NULL;
	client = &plan->clients[at];
	if (at == plan->client_count) {
		plan->client_count++;
		client->id = job->push->clients[index];
		client->group = job->push->group;
		client->user = job->identity.user;
		client->before = job->clients[index].last_mutation_id;
		client->after = client->before;
	}
	return client;
}

/* Enters JOB's group. *YIELDS_OUT: the batch has it for another user, who came
 * first; the next look will tell this one. */
static int
plan_group(struct round *round, const struct batch_job *job, bool *yields_out)
{
	struct apply_plan *plan = &round->plan;
	size_t at = map_add(&round->groups, job->push->group);

	if (at == MAP_NONE)
		return -1;
	if (at == plan->group_count) {
		plan->group_count++;
		plan->groups[at].id = job->push->group;
		plan->groups[at].user = job->identity.user;
	}
	if (!job->group_known)
		plan->groups[at].fresh = true;
	*yields_out = strcmp(plan->groups[at].user, job->identity.user) != 0;
	return 0;
}

/*
 * Adds JOB's mutations to the plan as far as there is room. Two jobs may hold
 * the same mutation, or have been looked up at different times: what an earlier
 * one brings is skipped in the later one, and where they do not fit the later
 * one waits for the next batch.
 */
static int
plan_job(struct round *round, struct batch_job *job, size_t *bytes)
{
	const struct push *push = job->push;
	struct apply_plan *plan = &round->plan;
	bool guarded = round->guarded ||
		       *suspect(round->context, push->group) > clock_ms();
	bool yields;

	job->planned = job->from;
	if (plan_group(round, job, &yields) < 0)
		return -1;
	if (yields)
		return 0;
	for (size_t i = job->from; i < push->mutation_count; i++) {
		const struct mutation *mutation = &push->mutations[i];
		struct apply_client *client =
		    plan_client(round, job, mutation->client);

		if (client == NULL)
			return -1;
		if (mutation->id > client->after + 1 ||
		    strcmp(client->group, push->group) != 0)
			break;
		if (mutation->id == client->after + 1) {
			struct apply_call *call;

			if (!has_room(round->context, plan->call_count, *bytes))
				break;
			round->owners[plan->call_count] = job;
			call = &plan->calls[plan->call_count++];
			call->mutation = mutation;
			call->client = client->id;
			call->group = client->group;
			call->identity = &job->identity;
			call->guarded = guarded;
			client->after++;
			*bytes += mutation->args_length;
		}
		job->planned = i + 1;
	}
	return 0;
}

/* Leaves out the clients that the plan does not move. */
static void
compact_clients(struct apply_plan *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->client_count; i++)
		if (plan->clients[i].after > plan->clients[i].before)
			plan->clients[n++] = plan->clients[i];
	plan->client_count = n;
}

/* Makes the plan from the jobs of the round. */
static int
make_plan(struct round *round)
{
	struct arena *arena = &round->context->apply_arena;
	struct apply_plan *plan = &round->plan;
	size_t jobs = 0, clients = 0, calls = 0, bytes = 0;

	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job)) {
		jobs++;
		clients += job->push->client_count;
		calls += job->push->mutation_count - job->from;
	}
	if (calls > (size_t)round->context->settings->batch_mutations)
		calls = (size_t)round->context->settings->batch_mutations;
	arena_reset(arena);
	memset(plan, 0, sizeof(*plan));
	map_init(&round->groups, arena);
	map_init(&round->clients, arena);
	plan->groups = arena_calloc(arena, jobs, sizeof(*plan->groups));
	plan->clients = arena_calloc(arena, clients, sizeof(*plan->clients));
	plan->calls = arena_calloc(arena, calls, sizeof(*plan->calls));
	/* Pointers are meant: NOLINTNEXTLINE(bugprone-sizeof-expression) */
	round->owners = arena_calloc(arena, calls, sizeof(*round->owners));
	if (plan->groups == NULL || plan->clients == NULL ||
	    plan->calls == NULL || round->owners == NULL)
		return -1;
	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job))
		if (plan_job(round, job, &bytes) < 0)
			return -1;
	compact_clients(plan);
	return 0;
}

/* After COMMIT: ends the jobs that are done, hands back the others. */
static void
settle(struct round *round, struct gather_queue *rest)
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
			gather_queue_add(rest, &job->link);
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

/* Counts a timeout of a mutation; true when it has had enough of them. */
static bool
count_timeout(struct batch_context *context, const struct apply_call *call)
{
	struct batch_timeout *timeout = NULL;

	for (size_t i = 0; i < BATCH_TIMEOUTS; i++) {
		struct batch_timeout *t = &context->timeouts[i];

		if (t->id == call->mutation->id &&
		    strcmp(t->client, call->client) == 0)
			timeout = t;
	}
	if (timeout == NULL) {
		timeout = &context->timeouts[context->next_timeout];
		context->next_timeout =
		    (context->next_timeout + 1) % BATCH_TIMEOUTS;
		snprintf(timeout->client, sizeof(timeout->client), "%s",
		    call->client);
		timeout->id = call->mutation->id;
		timeout->times = 0;
	}
	return ++timeout->times >= BATCH_TIMEOUTS_MAX;
}

/* A mutation ran out of time. For the third time, it is recorded as failed in
 * the next attempt; else its push alone is given up, for now. */
static void
handle_timeout(struct round *round, size_t failed, struct error *error)
{
	const struct apply_call *call = &round->plan.calls[failed];
	struct batch_job *job = round->owners[failed];

	if (count_timeout(round->context, call)) {
		union {
			const struct mutation *in;
			struct mutation *out;
		} owned = {.in = call->mutation};

		owned.out->refused = "timeout";
		return;
	}
	fail_one(round, job, error);
}

/* Looks again, after what was looked up may no longer hold. */
static int
look_again(struct round *round, struct error *error)
{
	struct gather_queue ready = {NULL, NULL};
	int rc;

	FAULT(PUSH_LOOKS_AGAIN);
	for (struct batch_job *job = batch_first(&round->jobs); job != NULL;
	     job = batch_next(job))
		job->from = 0;
	rc = batch_look_through(round->context, round->db,
	    &round->context->apply_arena, &round->jobs, &ready, error);
	if (rc == 0)
		round->jobs = ready;
	return rc;
}

static int
renew_connection(struct round *round, struct error *error)
{
	pool_put(round->context->pool, round->db);
	pool_recycle(round->context->pool);
	round->db = pool_get(round->context->pool, error);
	return round->db == NULL ? -1 : 0;
}

/* What Postgres says of an error of a mutator, or of a trigger or constraint
 * that is only checked at COMMIT, may have args in it. They are for the ledger,
 * not for the log. */
static void
withhold(const struct round *round, size_t failed, struct error *error)
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

/*
 * Decides what a failed transaction means. Returns 0 if the round is to be
 * tried again with the jobs that are still in it, -1 if it ends for all of
 * them with ERROR.
 */
static int
handle_failure(struct round *round, size_t failed, struct error *error)
{
	enum db_failure failure = db_failure(error);
	bool last = ++round->tries >= BATCH_TRIES_MAX;

	withhold(round, failed, error);
	log_debug("a batch of %zu mutations failed at %zd: %s: %s",
	    round->plan.call_count, (ssize_t)failed, error->sqlstate,
	    error->message);
	switch (failure) {
	case DB_FAILURE_LOST:
		/* Twice at a call: it may be what kills the connection. */
		if (failed != APPLY_NONE && round->tries > 1)
			fail_one(round, round->owners[failed], error);
		/* Perhaps COMMIT was done: the look will tell. */
		return last || renew_connection(round, error) < 0
			   ? -1
			   : look_again(round, error);
	case DB_FAILURE_MOVED:
		return last ? -1 : look_again(round, error);
	case DB_FAILURE_OWN:
		if (failed != APPLY_NONE)
			*suspect(
			    round->context, round->plan.calls[failed].group) =
			    clock_ms() + BATCH_SUSPECT_MS;
		if (!round->guarded) {
			round->guarded = true;
			FAULT(PUSH_GUARDED);
			return 0;
		}
		break;
	case DB_FAILURE_RETRY:
		/* Of a serialization failure the guard can begin the call
		 * anew, alone: see replicache_guard(). */
		if (strcmp(error->sqlstate, "40001") == 0)
			round->guarded = true;
		if (!last) {
			pause_before(round->tries, (unsigned)clock_us());
			FAULT(PUSH_RETRIED);
			return 0;
		}
		break;
	case DB_FAILURE_TIMEOUT:
		if (failed != APPLY_NONE) {
			handle_timeout(round, failed, error);
			return 0;
		}
		break;
	case DB_FAILURE_LOCK:
	case DB_FAILURE_SYSTEM:
		break;
	}
	/* The server can't, now. Whose call it was leaves; the others go on. */
	if (failed == APPLY_NONE)
		return -1;
	fail_one(round, round->owners[failed], error);
	round->tries = 0;
	return 0;
}

/* Runs the plan. 0: committed. */
static int
run_plan(struct round *round, size_t *failed, struct error *error)
{
	struct batch_context *context = round->context;
	struct apply_plan *plan = &round->plan;
	struct apply_result result;
	int rc;

	*failed = APPLY_NONE;
	plan->registration = registry_current(context->registry);
	rc = apply_run(round->db, context->settings, plan,
	    &context->apply_arena, &result, error);
	*failed = result.failed;
	if (rc == 0)
		atomic_store(&context->replicated, result.version);
	registry_put(context->registry, plan->registration);
	return rc;
}

/* Attempts until the jobs are done, cut, or failed for good. */
static int
attempt(struct round *round, struct gather_queue *rest, struct error *error)
{
	while (round->jobs.first != NULL) {
		size_t failed;
		int rc;

		if (make_plan(round) < 0)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		if (round->plan.call_count == 0) {
			settle(round, rest);
			return 0;
		}
		FAULT(BATCH_PLANNED);
		rc = run_plan(round, &failed, error);
		if (rc == 0) {
			settle(round, rest);
			FAULT(PUSH_SETTLED);
		}
		apply_end(round->db, rc == 0);
		if (rc < 0 && handle_failure(round, failed, error) < 0)
			return -1;
	}
	return 0;
}

/* Takes out of WAITING what one transaction has room for. */
static void
take_round(struct round *round, struct gather_queue *waiting)
{
	size_t mutations = 0, bytes = 0;

	while (batch_first(waiting) != NULL &&
	       has_room(round->context, mutations, bytes)) {
		struct batch_job *job = batch_take(waiting);

		measure(job, &mutations, &bytes);
		gather_queue_add(&round->jobs, &job->link);
	}
}

void
batch_apply(void *context, struct gather_queue *waiting)
{
	struct round round = {.context = context};
	struct gather_queue rest = {NULL, NULL};
	struct error error;

	take_round(&round, waiting);
	FAULT(BATCH_TAKEN);
	round.db = pool_get(round.context->pool, &error);
	if (round.db == NULL || attempt(&round, &rest, &error) < 0)
		batch_fail(&round.jobs, &error);
	pool_put(round.context->pool, round.db);
	gather_queue_append(&rest, waiting);
	*waiting = rest;
}
