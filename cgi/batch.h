/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Batch: concurrent pushes, combined into one transaction.
 *
 * A push goes through two stages, each run by one thread at a time for all
 * pushes that wait for it then (gather.h):
 *
 *	look	one read tells what each push's groups and clients are. Pushes
 *		that are done already, forbidden or impossible end here: an
 *		all-duplicate push costs this one read, takes no lock and
 *		raises no version.
 *	apply	the rest goes into one transaction: one version, one commit.
 *		What has mutators that may leave something behind, as a setting,
 *		goes into one of its client group alone.
 *
 * A push that goes on where this process left its client skips the look. While
 * one batch is applied the next is looked up.
 *
 * A push that fails never harms those beside it: it is taken out, the others go
 * on, and it is tried again in a transaction of its own. Only what fails there
 * is recorded as failed. Nobody waits for somebody else's backlog: a batch
 *takes a share of each client group's mutations, and the rest of a long push
 *goes behind those that wait by then.
 *
 * Knows nothing of HTTP.
 */
#ifndef REPLICACHE_BATCH_H
#define REPLICACHE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "gather.h"
#include "identity.h"

struct batch;
struct batch_client;
struct pool;
struct push;
struct registry;
struct settings;

/* A push that waits. It belongs to the batch until done() is called. */
struct batch_job {
	struct gather_job link; /* the first member */
	/* From the caller: */
	const struct push *push;
	struct identity identity;
	struct arena *arena; /* of the request */
	/* Called once, in any thread, perhaps before batch_submit() returns.
	 * ERROR tells the result; ERROR_NONE: every mutation of the push is
	 * at or below its client's stored lastMutationID. */
	void (*done)(struct batch_job *job);
	struct error error;
	size_t applied, skipped; /* mutations, for the log */

	/* The batch's own: */
	struct batch_client *clients; /* as push->clients */
	bool group_known;             /* it need not be created */
	size_t from;                  /* mutations before it are done */
	size_t planned;               /* mutations before it are in the plan */
	int64_t revision;
	int64_t deadline; /* clock_ms() */
	bool looked;
	bool apart; /* it goes alone, since a batch with it has failed */
};

/*
 * RELIEVE(CONTEXT) is called when a thread that led has pushes done but must go
 * on leading: somebody else should answer them.
 */
struct batch *batch_new(const struct settings *settings, struct pool *pool,
    struct registry *registry, void (*relieve)(void *context), void *context);

/* Nothing may wait in it. NULL is legal. */
void batch_free(struct batch *batch);

/* Hands in JOB and perhaps leads. */
void batch_submit(struct batch *batch, struct batch_job *job);

#endif
