/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Gate: how many threads are awake.
 *
 * A request costs far less when the thread that serves it was running anyway
 * than when another one is woken for it. So no more threads look for work than
 * there are processors; the others sleep behind the gate, and one is let
 * through only when all that were awake wait for something: the database, or a
 * slow peer.
 */
#ifndef REPLICACHE_GATE_H
#define REPLICACHE_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	long awake;  /* threads that look for work or do it */
	long most;   /* of these, that may look for more */
	long asleep; /* behind the gate */
	long let;    /* of these, let through, but not awake yet */
	bool open;   /* for all: the end */
};

/* MOST is at least 1. THREADS are awake. */
void gate_init(struct gate *gate, long most, long threads);
void gate_fini(struct gate *gate);

/* Before a thread looks for work: perhaps it should sleep. Tells if it did. */
bool gate_pass(struct gate *gate);

/* Round what a thread may wait in; may be nested. CONTEXT is the gate. */
void gate_wait_begin(void *context);
void gate_wait_end(void *context);

/* Lets everybody through, for good. */
void gate_open(struct gate *gate);

#endif
