/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who sleeps.
 */
#include "config.h"

#include "gate.h"

void
gate_init(struct gate *gate, long most, long threads)
{
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->opened, NULL);
	gate->awake = threads;
	gate->most = most;
	gate->asleep = 0;
	gate->let = 0;
	gate->open = false;
}

void
gate_fini(struct gate *gate)
{
	pthread_cond_destroy(&gate->opened);
	pthread_mutex_destroy(&gate->lock);
}

/* The caller goes away; one that sleeps takes its place if nobody is left.
 * Called locked. */
static void
leave(struct gate *gate)
{
	gate->awake--;
	if (gate->awake > 0 || gate->asleep == gate->let)
		return;
	/* It counts as awake from now on: nobody else is to be woken for the
	 * same reason. */
	gate->let++;
	gate->awake++;
	pthread_cond_signal(&gate->opened);
}

bool
gate_pass(struct gate *gate)
{
	bool sleeps;

	pthread_mutex_lock(&gate->lock);
	sleeps = gate->awake > gate->most && !gate->open;
	if (sleeps) {
		leave(gate);
		gate->asleep++;
		while (gate->let == 0 && !gate->open)
			pthread_cond_wait(&gate->opened, &gate->lock);
		gate->asleep--;
		if (gate->let > 0)
			gate->let--;
		else
			gate->awake++;
	}
	pthread_mutex_unlock(&gate->lock);
	return sleeps;
}

/* How deep this thread is in waits. */
static _Thread_local int waits;

void
gate_wait_begin(void *context)
{
	struct gate *gate = context;

	if (waits++ > 0)
		return;
	pthread_mutex_lock(&gate->lock);
	leave(gate);
	pthread_mutex_unlock(&gate->lock);
}

void
gate_wait_end(void *context)
{
	struct gate *gate = context;

	if (--waits > 0)
		return;
	pthread_mutex_lock(&gate->lock);
	gate->awake++;
	pthread_mutex_unlock(&gate->lock);
}

void
gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}
