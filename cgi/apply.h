/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Apply: one transaction of mutations.
 *
 * It is sent as one pipeline: begin; replicache_push_begin(), which takes the
 * version lock, checks that the clients stand where they were seen and moves
 * them on; the mutators, in order; commit. So the lock is held for the work
 * of the server alone, never across a round trip, and the happy path has
 * no savepoint.
 *
 * Knows nothing of requests: batch.c decides what goes into a plan.
 */
#ifndef REPLICACHE_APPLY_H
#define REPLICACHE_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct error;
struct identity;
struct mutation;
struct registration;
struct settings;

/*
 * A plan is either shared, with mutations of many client groups, whose mutators
 * leave nothing that the next one could meet; or it is alone, with those of one
 * client group. Then what mutators may leave in the session is undone within
 * the transaction, so that this holds behind a pooler as well.
 */

/* In place of a call's index, when no single one failed. */
#define APPLY_NONE SIZE_MAX

/* A client group that the plan touches, with the user it must belong to. */
struct apply_group {
	const char *id;
	const char *user;
	bool fresh; /* it may have to be created */
};

/* A client of the plan: from where to where its lastMutationID goes. */
struct apply_client {
	const char *id;
	const char *group;
	const char *user;
	int64_t before; /* 0 if it is not known yet */
	int64_t after;
};

struct apply_call {
	const struct mutation *mutation;
	const char *client;
	const char *group;
	const struct identity *identity;
	/* Call it inside an exception block: if it fails it is undone alone
	 * and recorded. Only where the plan is of one client group. */
	bool guarded;
};

struct apply_plan {
	const struct registration *registration; /* what is called */
	struct apply_group *groups;
	size_t group_count;
	struct apply_client *clients;
	size_t client_count;
	/* Those that are refused or that no mutator is registered for are not
	 * run, only recorded: one statement for all that stand together. */
	struct apply_call *calls;
	size_t call_count;
	bool alone;
	bool closes; /* a mutator may leave what nobody can find */
};

struct apply_result {
	int64_t version; /* 0 unless it was reached */
	int64_t waited;  /* ms, of the transaction, for the version lock */
	size_t failed;   /* the index of the call that failed, or APPLY_NONE */
	size_t recorded; /* how many went to the ledger */
	size_t unkept;   /* of these, those that it had no room for */
};

/*
 * Runs PLAN on DB. Returns 0 once the tag of COMMIT was read: it is durable, on
 * a synchronous standby too if there is one, with all versions up to
 * RESULT->version. Otherwise -1 with the error, and RESULT->failed; nothing is
 * applied, unless the connection was lost (db_failure()): then it may have
 * been, and only a new look tells; or unless the wait for a standby was given
 * up: then it was, but may yet be lost. Memory comes from ARENA. The caller
 * calls apply_end() in both cases.
 */
int apply_run(struct db *db, const struct settings *settings,
    const struct apply_plan *plan, struct arena *arena,
    struct apply_result *result, struct error *error);

/* Leaves DB as it was before: rolled back unless COMMITTED, the session reset.
 * After COMMIT nobody waits for that but who uses DB next (db_catch_up()), so
 * that the pushes are answered first. What PLAN may have left where nobody can
 * undo it goes with the session, which is closed. Returns whether it was lost
 * before that. */
bool apply_end(struct db *db, const struct apply_plan *plan, bool committed);

#endif
