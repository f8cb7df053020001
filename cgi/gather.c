/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Queues and leadership.
 */
#include "config.h"

#include "gather.h"

#include <stddef.h>

void
gather_queue_add(struct gather_queue *queue, struct gather_job *job)
{
	job->next = NULL;
	if (queue->last == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
}

struct gather_job *
gather_queue_take(struct gather_queue *queue)
{
	struct gather_job *job = queue->first;

	if (job == NULL)
		return NULL;
	queue->first = job->next;
	if (queue->first == NULL)
		queue->last = NULL;
	job->next = NULL;
	return job;
}

void
gather_queue_append(struct gather_queue *to, struct gather_queue *from)
{
	if (from->first == NULL)
		return;
	if (to->last == NULL)
		to->first = from->first;
	else
		to->last->next = from->first;
	to->last = from->last;
	*from = (struct gather_queue){NULL, NULL};
}

void
gather_init(struct gather *gather,
    void (*work)(void *context, struct gather_queue *round), void *context)
{
	pthread_mutex_init(&gather->lock, NULL);
	gather->waiting = (struct gather_queue){NULL, NULL};
	gather->led = false;
	gather->work = work;
	gather->context = context;
}

void
gather_fini(struct gather *gather)
{
	pthread_mutex_destroy(&gather->lock);
}

void
gather_add(struct gather *gather, struct gather_job *job)
{
	pthread_mutex_lock(&gather->lock);
	gather_queue_add(&gather->waiting, job);
	pthread_mutex_unlock(&gather->lock);
}

bool
gather_waits(struct gather *gather)
{
	bool waits;

	pthread_mutex_lock(&gather->lock);
	waits = gather->waiting.first != NULL;
	pthread_mutex_unlock(&gather->lock);
	return waits;
}

bool
gather_lead(struct gather *gather)
{
	struct gather_queue round;

	pthread_mutex_lock(&gather->lock);
	if (gather->led || gather->waiting.first == NULL) {
		pthread_mutex_unlock(&gather->lock);
		return false;
	}
	gather->led = true;
	round = gather->waiting;
	gather->waiting = (struct gather_queue){NULL, NULL};
	pthread_mutex_unlock(&gather->lock);

	gather->work(gather->context, &round);

	pthread_mutex_lock(&gather->lock);
	gather->led = false;
	gather_queue_append(&round, &gather->waiting);
	gather->waiting = round;
	pthread_mutex_unlock(&gather->lock);
	return true;
}
