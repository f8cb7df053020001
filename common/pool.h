/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bounded pool of connections, opened on demand, shared by all threads.
 *
 * A connection is out only while a request or batch uses it. One that comes
 * back with anything open or broken is closed, never reused. After a failed
 * connect none is tried for a moment that grows (with jitter) while the
 * failures last, so that a database that is down is not stormed: unless one is
 * out that may come back, the pool fails at once then.
 */
#ifndef REPLICACHE_POOL_H
#define REPLICACHE_POOL_H

#include <stddef.h>

struct db;
struct error;
struct pool;
struct settings;

/* SETTINGS must outlive the pool. NULL when out of memory. */
struct pool *pool_new(const struct settings *settings);

/*
 * Has BEGIN(CONTEXT) called before a thread may wait for the database, and
 * END(CONTEXT) after: round each loan. Before the first one.
 */
void pool_watch(struct pool *pool, void (*begin)(void *context),
    void (*end)(void *context), void *context);

/* Closes all; none may be out. NULL is legal. */
void pool_free(struct pool *pool);

/*
 * Takes a connection. When all are out, or those that are out are all that the
 * database gives, it waits up to connect_timeout for one to come back.
 * ERROR_UNAVAILABLE on failure.
 */
struct db *pool_get(struct pool *pool, struct error *error);

/* Gives it back. NULL is legal. */
void pool_put(struct pool *pool, struct db *db);

/* Closes connections that nobody used for a while; call it now and then. */
void pool_tidy(struct pool *pool);

/* Closes what is idle now, and what is out once it comes back: the names of
 * prepared statements or the server's role have changed. */
void pool_recycle(struct pool *pool);

/* How many connections are open, and how many of them are out. */
void pool_count(struct pool *pool, size_t *open_out, size_t *lent_out);

/* Cancels what runs on every connection that is out. */
void pool_cancel(struct pool *pool);

#endif
