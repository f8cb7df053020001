/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Connections, lent and taken back.
 */
#include "config.h"

#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "log.h"
#include "settings.h"

/* An idle connection is closed after this: a night's quiet gives all back,
 * but a client's usual minute between two pulls does not pay a connect. */
#define POOL_IDLE_MS 120000

/* The pause after a failed connect: from, doubling, to. */
#define POOL_PAUSE_MIN_MS 50
#define POOL_PAUSE_MAX_MS 2000

struct slot {
	struct db *db; /* NULL: free */
	int out;
	unsigned generation;
	int64_t used; /* clock_ms() when it came back */
};

struct pool {
	const struct settings *settings;
	pthread_mutex_t lock;
	pthread_cond_t back; /* a slot became free or idle, or a pause ended */
	struct slot *slots;
	size_t size;
	unsigned generation;
	long pause;       /* ms; 0 = the last connect was well */
	unsigned made;    /* connects that were well */
	int64_t retry_at; /* clock_ms() */
	unsigned seed;
	void (*begin)(void *), (*end)(void *); /* pool_watch() */
	void *context;
};

struct pool *
pool_new(const struct settings *settings)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t monotonic;

	if (pool == NULL)
		return NULL;
	pool->settings = settings;
	pool->size = (size_t)settings->pool;
	pool->slots = calloc(pool->size, sizeof(*pool->slots));
	if (pool->slots == NULL) {
		free(pool);
		return NULL;
	}
	pool->seed = (unsigned)clock_us();
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->back, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return pool;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->size; i++)
		db_close(pool->slots[i].db);
	pthread_cond_destroy(&pool->back);
	pthread_mutex_destroy(&pool->lock);
	free(pool->slots);
	free(pool);
}

void
pool_watch(struct pool *pool, void (*begin)(void *), void (*end)(void *),
    void *context)
{
	pool->begin = begin;
	pool->end = end;
	pool->context = context;
}

/* The idle slot used last, so that the others can age; or a free one. */
static struct slot *
choose(struct pool *pool)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < pool->size; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->out)
			continue;
		if (best == NULL || (slot->db != NULL && best->db == NULL) ||
		    (slot->db != NULL && slot->used > best->used))
			best = slot;
	}
	return best;
}

static bool
is_paused(const struct pool *pool)
{
	return pool->pause > 0 && clock_ms() < pool->retry_at;
}

/* Whether there is one that may come back, or that did while another was tried.
 */
static bool
is_one_there(const struct pool *pool)
{
	for (size_t i = 0; i < pool->size; i++)
		if (pool->slots[i].db != NULL)
			return true;
	return false;
}

/* Waits for a change until UNTIL, or a pause's end; false: UNTIL is past. */
static bool
wait_back(struct pool *pool, int64_t until, bool may_connect)
{
	int64_t now = clock_ms(), next = until;
	struct timespec at;

	if (now >= until)
		return false;
	if (may_connect)
		next =
		    is_paused(pool) ? pool->retry_at : now + POOL_PAUSE_MIN_MS;
	if (next > until)
		next = until;
	at.tv_sec = (time_t)(next / 1000);
	at.tv_nsec = (next % 1000) * 1000000;
	pthread_cond_timedwait(&pool->back, &pool->lock, &at);
	return true;
}

/*
 * After a connect that began when MADE ones had been well: opens or lengthens
 * the pause, except when a later one was well before this one was refused,
 * which shows how it was and not how it is. Called locked.
 */
static void
note_connect(struct pool *pool, const struct db *db, unsigned made,
    const struct error *error)
{
	if (db != NULL) {
		pool->made++;
		if (pool->pause > 0) {
			log_info("the database is reachable again");
			pool->pause = 0;
			pthread_cond_broadcast(&pool->back);
		}
		return;
	}
	if (pool->made != made)
		return;
	if (pool->pause == 0)
		log_warning("no connection to the database: %s: %s",
		    error->sqlstate, error->message);
	pool->pause = pool->pause == 0 ? POOL_PAUSE_MIN_MS : pool->pause * 2;
	if (pool->pause > POOL_PAUSE_MAX_MS)
		pool->pause = POOL_PAUSE_MAX_MS;
	pool->retry_at = clock_ms() + pool->pause / 2 +
			 rand_r(&pool->seed) % (pool->pause / 2 + 1);
}

/* Fills SLOT, which is marked as out, with a new connection. */
static struct db *
connect_slot(struct pool *pool, struct slot *slot, struct error *error)
{
	unsigned made = pool->made;
	struct db *db;

	/* One tries, after a pause; the others wait for what it finds. */
	if (pool->pause > 0)
		pool->retry_at = clock_ms() + pool->pause;
	pthread_mutex_unlock(&pool->lock);
	db = db_open(pool->settings, error);
	if (db != NULL)
		FAULT(CONNECTED);
	pthread_mutex_lock(&pool->lock);
	note_connect(pool, db, made, error);
	slot->db = db;
	slot->generation = pool->generation;
	return db;
}

/* The connection of SLOT, or a new one into it; NULL: there is none now. */
static struct db *
take_slot(struct pool *pool, struct slot *slot, struct error *error)
{
	if (slot == NULL) {
		error_set(error, ERROR_UNAVAILABLE,
		    "all connections to the database are in use");
		return NULL;
	}
	if (slot->db == NULL && is_paused(pool)) {
		error_set(error, ERROR_UNAVAILABLE,
		    "the database could not be reached a moment ago");
		return NULL;
	}
	slot->out = 1;
	if (slot->db == NULL && connect_slot(pool, slot, error) == NULL) {
		slot->out = 0;
		pthread_cond_signal(&pool->back);
	}
	return slot->db;
}

/* Where no new one is to be had, but others are lent, the database may give
 * fewer than the pool would take: then one of those serves, too. */
static struct db *
take(struct pool *pool, struct error *error)
{
	int64_t until = clock_ms() + pool->settings->connect_timeout;
	struct slot *slot;
	struct db *db;

	pthread_mutex_lock(&pool->lock);
	do {
		slot = choose(pool);
		db = take_slot(pool, slot, error);
	} while (db == NULL && (slot == NULL || is_one_there(pool)) &&
		 wait_back(pool, until, slot != NULL));
	pthread_mutex_unlock(&pool->lock);
	return db;
}

/* The slot of DB is free again, with it if it is of any more use. */
static void
give_back(struct pool *pool, struct db *db)
{
	struct db *gone = NULL;

	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->size; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->db != db)
			continue;
		slot->out = 0;
		slot->used = clock_ms();
		if (!db_idle(db) || slot->generation != pool->generation) {
			gone = db;
			slot->db = NULL;
		}
		break;
	}
	pthread_cond_signal(&pool->back);
	pthread_mutex_unlock(&pool->lock);
	db_close(gone);
}

struct db *
pool_get(struct pool *pool, struct error *error)
{
	struct error ignored;
	struct db *db;

	if (pool->begin != NULL)
		pool->begin(pool->context);
	/* One whose last statements failed behind its user is not lent again.
	 */
	while (
	    (db = take(pool, error)) != NULL && db_catch_up(db, &ignored) < 0)
		give_back(pool, db);
	if (db == NULL && pool->end != NULL)
		pool->end(pool->context);
	return db;
}

void
pool_put(struct pool *pool, struct db *db)
{
	if (db == NULL)
		return;
	give_back(pool, db);
	if (pool->end != NULL)
		pool->end(pool->context);
}

/* Closes the idle connections that were last used before BEFORE. */
static void
close_idle(struct pool *pool, int64_t before)
{
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->size; i++) {
		struct slot *slot = &pool->slots[i];

		if (slot->out || slot->db == NULL || slot->used > before)
			continue;
		db_close(slot->db);
		slot->db = NULL;
	}
	pthread_mutex_unlock(&pool->lock);
}

void
pool_tidy(struct pool *pool)
{
	close_idle(pool, clock_ms() - POOL_IDLE_MS);
}

void
pool_recycle(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->generation++;
	pthread_mutex_unlock(&pool->lock);
	close_idle(pool, INT64_MAX);
}

void
pool_count(struct pool *pool, size_t *open_out, size_t *lent_out)
{
	*open_out = *lent_out = 0;
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->size; i++) {
		if (pool->slots[i].db == NULL)
			continue;
		++*open_out;
		if (pool->slots[i].out)
			++*lent_out;
	}
	pthread_mutex_unlock(&pool->lock);
}

void
pool_cancel(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < pool->size; i++)
		if (pool->slots[i].out && pool->slots[i].db != NULL)
			db_cancel(pool->slots[i].db);
	pthread_mutex_unlock(&pool->lock);
}
