/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The inside of batch.h: its two stages. For batch*.c alone.
 */
#ifndef REPLICACHE_BATCH_STAGE_H
#define REPLICACHE_BATCH_STAGE_H

#include <stdatomic.h>

#include "batch.h"

struct db;

/* Memory of one round of a stage: arrays of IDs and the plan, not args. */
#define BATCH_ARENA_MAX ((size_t)256 * 1024 * 1024)

/* How often a round is tried again: after 40001 and 40P01 (design
 * section 7), after a lost connection, after a client moved. */
#define BATCH_TRIES_MAX 5

/* What a look told of a client of a push. */
struct batch_client {
	int64_t last_mutation_id; /* 0 if unknown */
	bool known;
};

/* Client groups whose mutators failed lately go alone and guarded at once,
 * which saves the others a replay; by hash, so a false one costs a transaction.
 * Until one goes well, or for so long: a client that is refused comes again
 * after a minute at most, and must be alone then to be held for the cause. */
#define BATCH_SUSPECTS 256
#define BATCH_SUSPECT_MS 120000

/* Where others wait, a client group has this part of a batch at most, in
 * mutations and in bytes: room for some long pushes at a time, and for short
 * ones always. */
#define BATCH_SHARE 4

/* So long may the mutations of one client group take in a batch, about, before
 * it is others' turn: a long push goes in parts, whose size follows from how
 * long the ones before took (struct batch_pace). */
#define BATCH_SHARE_MS 250

/* A group's first part: it is not known yet how slow its mutators are. */
#define BATCH_PACE_FIRST 128

/* What took longer than BATCH_SHARE_MS, but not so long, may be by chance,
 * where the machine was busy or args were large: once is passed over, if the
 * group had as many mutations done in time before. */
#define BATCH_CHANCE_MS (4 * BATCH_SHARE_MS)

/* How fast a client group is, in the place its hash has. */
struct batch_pace {
	size_t most;   /* mutations in a transaction */
	size_t held;   /* as many were done in time at once */
	bool late;     /* but the last ones were not */
	int64_t until; /* clock_ms(): forgotten then */
};

/* Hints: so many clients, each in the place its key has. */
#define BATCH_HINTS 4096

/* A push of more clients than this is a recovery, not the usual case. */
#define BATCH_HINT_CLIENTS_MAX 16

struct batch_hint {
	uint64_t key; /* of client, group and user */
	int64_t last_mutation_id;
	int64_t revision;
};

struct batch_hints {
	pthread_mutex_t lock;
	uint64_t seed;
	struct batch_hint table[BATCH_HINTS];
};

struct batch_context {
	const struct settings *settings;
	struct pool *pool;
	struct registry *registry;
	struct arena look_arena;          /* of the thread that leads look */
	struct arena apply_arena;         /* of the thread that leads apply */
	int64_t suspects[BATCH_SUSPECTS]; /* clock_ms() of suspicion's end */
	struct batch_pace paces[BATCH_SUSPECTS];
	int64_t examined; /* clock_ms() when the mutators were */
	struct batch_hints hints;
	struct gather *ready; /* where looked-up jobs wait to be applied */
	/* Versions up to here are on the synchronous standby, if there is one:
	 * the highest one whose commit waited for it before our eyes. */
	_Atomic int64_t replicated;
};

/* The first job of a round, and the one behind JOB; NULL at the end. */
static inline struct batch_job *
batch_first(const struct gather_queue *round)
{
	return (struct batch_job *)round->first;
}

static inline struct batch_job *
batch_next(const struct batch_job *job)
{
	return (struct batch_job *)job->link.next;
}

/* The first job, taken out of ROUND. */
static inline struct batch_job *
batch_take(struct gather_queue *round)
{
	return (struct batch_job *)gather_queue_take(round);
}

/* Looks up the jobs of ROUND. Those that end are done; the others go on to be
 * applied. CONTEXT is a struct batch_context. */
void batch_look(void *context, struct gather_queue *round);

/* The same through a connection at hand, without a second try: 0, or -1 with
 * ROUND as it was. */
int batch_look_through(struct batch_context *context, struct db *db,
    struct arena *arena, struct gather_queue *round, struct gather_queue *ready,
    struct error *error);

/* Ends the jobs of DONE, whose mutations were found to be done when the
 * database was at VERSION: with success if a synchronous standby has them, else
 * they are to come again. */
void batch_replicate(struct batch_context *context, struct db *db,
    struct gather_queue *done, int64_t version);

/* Applies what one transaction takes of ROUND, and leaves the rest in it. Jobs
 * of which only a part was applied go behind all that wait, those that are to
 * go alone come first. */
void batch_apply(void *context, struct gather_queue *round);

void batch_hints_init(struct batch_hints *hints);
void batch_hints_fini(struct batch_hints *hints);

/* True if the hints say of JOB all that a look would, and it is to be applied:
 * then it is filled in. */
bool batch_hints_recall(struct batch_context *context, struct batch_job *job);

/* Remembers where the clients of JOB, which was applied, stand now. */
void batch_hints_remember(
    struct batch_context *context, const struct batch_job *job);

/* Ends every job of ROUND with ERROR. */
void batch_fail(struct gather_queue *round, const struct error *error);

#endif
