/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The way of a push through the two stages. What happens in them is in
 * batch_look.c and batch_apply.c.
 */
#include "config.h"

#include "batch.h"

#include <stdlib.h>

#include "batch_stage.h"
#include "clock.h"
#include "protocol.h"
#include "settings.h"

struct batch {
	struct batch_context context;
	struct gather look, apply;
	void (*relieve)(void *);
	void *relieve_context;
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
	batch->context.ready = &batch->apply;
	batch->relieve = relieve;
	batch->relieve_context = context;
	arena_init(&batch->context.look_arena, BATCH_ARENA_MAX);
	arena_init(&batch->context.apply_arena, BATCH_ARENA_MAX);
	batch_hints_init(&batch->context.hints);
	gather_init(&batch->look, batch_look, &batch->context);
	gather_init(&batch->apply, batch_apply, &batch->context);
	return batch;
}

void
batch_free(struct batch *batch)
{
	if (batch == NULL)
		return;
	gather_fini(&batch->look);
	gather_fini(&batch->apply);
	batch_hints_fini(&batch->context.hints);
	arena_fini(&batch->context.look_arena);
	arena_fini(&batch->context.apply_arena);
	free(batch);
}

void
batch_submit(struct batch *batch, struct batch_job *job)
{
	job->from = 0;
	job->applied = job->skipped = 0;
	job->clients = NULL;
	job->looked = job->apart = false;
	job->deadline = clock_ms() + batch->context.settings->batch_time;
	error_reset(&job->error);
	if (batch_hints_recall(&batch->context, job))
		gather_add(&batch->apply, &job->link);
	else
		gather_add(&batch->look, &job->link);
	/* From here on JOB may be gone. */
	while (gather_lead(&batch->look) || gather_lead(&batch->apply))
		if (gather_waits(&batch->look) || gather_waits(&batch->apply))
			batch->relieve(batch->relieve_context);
}
