/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What goes into a transaction of pushes: which of those that wait, and how
 * much of each. For batch_apply.c.
 *
 * The push that waits longest decides the kind: either it is shared, with all
 * others whose next mutations leave nothing to who comes after them, or it is
 * of that push's client group alone.
 */
#ifndef REPLICACHE_BATCH_PLAN_H
#define REPLICACHE_BATCH_PLAN_H

#include "apply.h"
#include "batch_stage.h"
#include "map.h"

/* What a plan has of a client group. */
struct batch_load {
	size_t mutations, bytes;
};

/* One attempt after another to apply some jobs. */
struct batch_round {
	struct batch_context *context;
	const struct registration *registration;
	struct gather_queue jobs;  /* those still in it */
	struct gather_queue apart; /* taken out of it, to be tried alone */
	struct db *db;
	struct apply_plan plan;
	struct batch_job **owners; /* the job of each call of the plan */
	struct batch_load *loads;  /* by index of plan.groups */
	struct map groups, clients;
	bool alone;   /* of one client group, whatever its mutators leave */
	bool crowded; /* others wait, too: each has a share */
	bool guarded; /* every call, since one failed */
	size_t most;  /* calls in the plan; 0: no such bound */
	int tries;
};

/* Takes what the next transaction is made from out of WAITING. */
void batch_plan_take(struct batch_round *round, struct gather_queue *waiting);

/* Makes the plan from the jobs of ROUND; -1 without memory. */
int batch_plan_make(struct batch_round *round);

/* Whether the plan has mutations of one client group only. */
bool batch_plan_is_single(const struct batch_round *round);

/* Lets GROUP go alone for a while, as its mutators fail. */
void batch_plan_suspect(struct batch_context *context, const char *group);

/* Does not any more: they did well alone. */
void batch_plan_trust(struct batch_context *context, const char *group);

/* After the mutations took MS, without the wait for the version lock, which is
 * none of theirs: how much of the same client group is to go into the next
 * transaction. */
void batch_plan_learn(struct batch_round *round, int64_t ms);

#endif
