/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the whole process shares. Made by main.c before the first thread,
 * constant afterwards: each member looks after its own threads.
 */
#ifndef REPLICACHE_APP_H
#define REPLICACHE_APP_H

#include <stdatomic.h>
#include <stdint.h>

#include "gather.h"

/* When a client came last with a version that the database never had, by
 * clock_ms(), and the epoch then; 0: never. */
struct health_lost {
	_Atomic int64_t at, epoch;
};

struct allowance;
struct auth;
struct batch;
struct exchange;
struct pool;
struct registry;
struct settings;
struct share;
struct streams;

struct app {
	const struct settings *settings;
	struct settings *reloaded; /* the same, for reload() alone */
	struct allowance *allowance;
	struct auth *auth;
	struct pool *pool;
	struct registry *registry;
	struct batch *batch;
	struct share *share;
	struct gather pulls;     /* that wait for a look; pull.h */
	int poke;                /* enum poke_kind, not POKE_AUTO */
	struct streams *streams; /* NULL as a CGI program */
	struct health_lost lost;
	_Atomic int64_t large_reported; /* a row; clock_ms(), or 0 */
	/* Has a parked exchange gone on with. */
	void (*resume)(struct app *app, struct exchange *exchange);
	void *server; /* of resume(): the worker threads, or NULL */
};

#endif
