/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Gather: work that is cheaper done together, without a thread of its own.
 *
 * Jobs gather while a thread works on those before them. The thread that
 * brings a job leads if nobody does: it takes all that wait, works on them, and
 * comes back for those that have gathered meanwhile. So one job alone is done
 * at once, by its own thread; under load the rounds grow by themselves.
 */
#ifndef REPLICACHE_GATHER_H
#define REPLICACHE_GATHER_H

#include <pthread.h>
#include <stdbool.h>

/* The first member of what waits. */
struct gather_job {
	struct gather_job *next;
};

struct gather_queue {
	struct gather_job *first, *last;
};

void gather_queue_add(struct gather_queue *queue, struct gather_job *job);

/* The first job, taken out, or NULL. */
struct gather_job *gather_queue_take(struct gather_queue *queue);

/* Puts the jobs of FROM behind those of TO. */
void gather_queue_append(struct gather_queue *to, struct gather_queue *from);

struct gather {
	pthread_mutex_t lock;
	struct gather_queue waiting;
	bool led;
	/* Works on a round. What it leaves in it comes first in the next. */
	void (*work)(void *context, struct gather_queue *round);
	void *context;
};

void gather_init(struct gather *gather,
    void (*work)(void *context, struct gather_queue *round), void *context);

/* Nothing may wait. */
void gather_fini(struct gather *gather);

/* Lets JOB wait. Once it does, it may be worked on and gone. */
void gather_add(struct gather *gather, struct gather_job *job);

/* True if anything waits. */
bool gather_waits(struct gather *gather);

/* Works on one round if anything waits and nobody else leads; tells if so. */
bool gather_lead(struct gather *gather);

#endif
