/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who leads what: the two queues of waiting pushes. What happens to them is in
 * batch_look.c and batch_apply.c.
 */
#include "config.h"

#include "batch.h"

#include <pthread.h>
#include <stdlib.h>

#include "batch_stage.h"
#include "clock.h"
#include "protocol.h"
#include "settings.h"

struct batch {
	struct batch_context context;
	void (*relieve)(void *);
	void *relieve_context;
	pthread_mutex_t lock;
	struct batch_queue looking, applying; /* what waits */
	bool look_led, apply_led;             /* a thread is at it */
};

struct batch *
batch_new(const struct settings *settings, struct pool *pool,
    struct registry *registry, void (*relieve)(void *), void *context)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return NULL;
	batch->context.settings = settings;
	batch->context.pool = pool;
	batch->context.registry = registry;
	batch->relieve = relieve;
	batch->relieve_context = context;
	arena_init(&batch->context.look_arena, BATCH_ARENA_MAX);
	arena_init(&batch->context.apply_arena, BATCH_ARENA_MAX);
	pthread_mutex_init(&batch->lock, NULL);
	return batch;
}

void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	arena_fini(&batch->context.look_arena);
	arena_fini(&batch->context.apply_arena);
	pthread_mutex_destroy(&batch->lock);
	free(batch);
}

void
batch_queue_add(struct batch_queue *queue, struct batch_job *job)
{
	job->next = NULL;
	if (queue->last == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
}

struct batch_job *
batch_queue_take(struct batch_queue *queue)
{
	struct batch_job *job = queue->first;

	if (job == NULL)
		return NULL;
	queue->first = job->next;
	if (queue->first == NULL)
		queue->last = NULL;
	job->next = NULL;
	return job;
}

/* Puts the jobs of FROM behind those of TO. */
static void
append(struct batch_queue *to, struct batch_queue *from)
{
	struct batch_job *job;

	while ((job = batch_queue_take(from)) != NULL)
		batch_queue_add(to, job);
}

/* Looks up all that waits. Called locked. */
static void
lead_look(struct batch *batch)
{
	struct batch_queue round = batch->looking;
	struct batch_queue ready = {NULL, NULL};

	batch->looking = (struct batch_queue){NULL, NULL};
	batch->look_led = true;
	pthread_mutex_unlock(&batch->lock);
	batch_look(&batch->context, &round, &ready);
	pthread_mutex_lock(&batch->lock);
	batch->look_led = false;
	append(&batch->applying, &ready);
}

/* Applies as much of what waits as one transaction takes. Called locked. */
static void
lead_apply(struct batch *batch)
{
	struct batch_queue round = {NULL, NULL}, rest = {NULL, NULL};
	size_t mutations = 0, bytes = 0;
	struct batch_job *job;

	while ((job = batch->applying.first) != NULL &&
	       batch_has_room(&batch->context, mutations, bytes)) {
		batch_queue_take(&batch->applying);
		batch_measure(job, &mutations, &bytes);
		batch_queue_add(&round, job);
	}
	batch->apply_led = true;
	pthread_mutex_unlock(&batch->lock);
	batch_apply(&batch->context, &round, &rest);
	pthread_mutex_lock(&batch->lock);
	batch->apply_led = false;
	/* What was cut is first in the next batch. */
	append(&rest, &batch->applying);
	batch->applying = rest;
}

static bool
lead_one(struct batch *batch)
{
	if (batch->looking.first != NULL && !batch->look_led) {
		lead_look(batch);
		return true;
	}
	if (batch->applying.first != NULL && !batch->apply_led) {
		lead_apply(batch);
		return true;
	}
	return false;
}

void
batch_submit(struct batch *batch, struct batch_job *job)
{
	job->from = 0;
	job->applied = job->skipped = 0;
	job->clients = NULL;
	job->looked = false;
	job->deadline = clock_ms() + batch->context.settings->batch_time;
	error_reset(&job->error);
	pthread_mutex_lock(&batch->lock);
	batch_queue_add(&batch->looking, job);
	/* From here on JOB may be gone. */
	while (lead_one(batch))
		if (batch->looking.first != NULL ||
		    batch->applying.first != NULL)
			batch->relieve(batch->relieve_context);
	pthread_mutex_unlock(&batch->lock);
}
