/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The inside of batch.h: its two stages. For batch*.c alone.
 */
#ifndef REPLICACHE_BATCH_STAGE_H
#define REPLICACHE_BATCH_STAGE_H

#include "batch.h"

struct db;

/* Memory of one round of a stage: arrays of IDs and the plan, not args. */
#define BATCH_ARENA_MAX ((size_t)256 * 1024 * 1024)

/* How often a round is tried again: after 40001 and 40P01 (reliability
 * section 5, row 51), after a lost connection, after a client moved. */
#define BATCH_TRIES_MAX 5

/* How often a mutation may run out of time before it is recorded as failed
 * (row 52): it would block its client for ever. */
#define BATCH_TIMEOUTS_MAX 3

struct batch_queue {
	struct batch_job *first, *last;
};

/* What a look told of a client of a push. */
struct batch_client {
	int64_t last_mutation_id; /* 0 if unknown */
	bool known;
};

/* A mutation that ran out of time, and how often. */
struct batch_timeout {
	char client[72];
	int64_t id;
	int times;
};

/* Remembers this many such mutations, the newest; each costs its client at
 * least statement_timeout, so they are rare. */
#define BATCH_TIMEOUTS 64

/* Client groups whose mutators failed lately are called guarded at once, which
 * saves the others a replay; by hash, so a false one costs a savepoint. */
#define BATCH_SUSPECTS 256
#define BATCH_SUSPECT_MS 60000

struct batch_context {
	const struct settings *settings;
	struct pool *pool;
	struct registry *registry;
	struct arena look_arena;  /* of the thread that leads look */
	struct arena apply_arena; /* of the thread that leads apply */
	struct batch_timeout timeouts[BATCH_TIMEOUTS]; /* of apply */
	size_t next_timeout;
	int64_t suspects[BATCH_SUSPECTS]; /* clock_ms() of suspicion's end */
};

void batch_queue_add(struct batch_queue *queue, struct batch_job *job);

/* The first job, taken out, or NULL. */
struct batch_job *batch_queue_take(struct batch_queue *queue);

/* Looks up the jobs of ROUND. Those that end are done; the others go to READY.
 * ROUND is empty afterwards. */
void batch_look(struct batch_context *context, struct batch_queue *round,
    struct batch_queue *ready);

/* The same through a connection at hand, without a second try: 0, or -1 with
 * ROUND as it was. */
int batch_look_through(struct batch_context *context, struct db *db,
    struct arena *arena, struct batch_queue *round, struct batch_queue *ready,
    struct error *error);

/* Applies the jobs of ROUND. Those that end are done; those of which only a
 * prefix was applied go to REST. ROUND is empty afterwards. */
void batch_apply(struct batch_context *context, struct batch_queue *round,
    struct batch_queue *rest);

/* True while a batch with so much in it takes another push. */
bool batch_has_room(
    const struct batch_context *context, size_t mutations, size_t bytes);

/* Adds what JOB brings to a batch. */
void batch_measure(
    const struct batch_job *job, size_t *mutations, size_t *bytes);

/* Ends every job of ROUND with ERROR. */
void batch_fail(struct batch_queue *round, const struct error *error);

#endif
