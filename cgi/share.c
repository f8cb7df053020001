/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of history, the newest replacing the oldest.
 */
#include "config.h"

#include "share.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "patch.h"

/* Readers at once; more than any number of threads would be useless. */
#define READERS_MAX 64

struct share_piece {
	int64_t from, to;
	unsigned users; /* the ring counts as one */
	size_t length;
	char operations[];
};

/* A pull that reads what follows a version. */
struct reader {
	int64_t from;
	uint64_t age; /* of the history when it began */
};

/* Whose turn it is to read. */
enum turn {
	TURN_OWN,
	TURN_OTHERS, /* it was another's, who has ended */
};

struct share {
	pthread_mutex_t lock;
	pthread_cond_t ended;         /* a reader did */
	struct share_history history; /* of all pieces */
	uint64_t age;                 /* how often history was another */
	int64_t highest;              /* version seen */
	struct share_piece *ring[SHARE_PIECES];
	size_t next; /* where the next piece goes; the oldest is there */
	size_t bytes;
	struct reader readers[READERS_MAX];
	size_t reader_count;
};

struct share *
share_new(void)
{
	struct share *share = calloc(1, sizeof(*share));
	pthread_condattr_t monotonic;

	if (share == NULL)
		return NULL;
	pthread_mutex_init(&share->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&share->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return share;
}

/* Drops a use. Called locked. */
static void
drop(struct share_piece *piece)
{
	if (--piece->users == 0)
		free(piece);
}

/* Empties slot I of the ring. Called locked. */
static void
evict(struct share *share, size_t i)
{
	struct share_piece *piece = share->ring[i];

	if (piece == NULL)
		return;
	share->bytes -= piece->length;
	share->ring[i] = NULL;
	drop(piece);
}

void
share_free(struct share *share)
{
	if (share == NULL)
		return;
	for (size_t i = 0; i < SHARE_PIECES; i++)
		evict(share, i);
	pthread_cond_destroy(&share->ended);
	pthread_mutex_destroy(&share->lock);
	free(share);
}

int64_t
share_highest(struct share *share)
{
	int64_t highest;

	pthread_mutex_lock(&share->lock);
	highest = share->highest;
	pthread_mutex_unlock(&share->lock);
	return highest;
}

static bool
same_history(const struct share_history *a, const struct share_history *b)
{
	return a->revision == b->revision && a->epoch == b->epoch &&
	       a->started == b->started;
}

void
share_observe(struct share *share, const struct share_history *history,
    int64_t highest, int64_t version)
{
	pthread_mutex_lock(&share->lock);
	if (!same_history(&share->history, history) || version < highest) {
		for (size_t i = 0; i < SHARE_PIECES; i++)
			evict(share, i);
		share->history = *history;
		share->highest = version;
		share->age++;
	}
	if (share->highest < version)
		share->highest = version;
	pthread_mutex_unlock(&share->lock);
}

/* The piece that leads farthest from FROM, not beyond TO. Called locked. */
static struct share_piece *
longest(struct share *share, int64_t from, int64_t to)
{
	struct share_piece *best = NULL;

	for (size_t i = 0; i < SHARE_PIECES; i++) {
		struct share_piece *piece = share->ring[i];

		if (piece != NULL && piece->from == from && piece->to <= to &&
		    (best == NULL || piece->to > best->to))
			best = piece;
	}
	return best;
}

/* Called locked. */
static void
find(struct share *share, const struct share_history *history, int64_t from,
    int64_t to, struct share_chain *chain)
{
	chain->count = 0;
	chain->reached = from;
	while (same_history(&share->history, history) && chain->reached < to &&
	       chain->count < SHARE_CHAIN_MAX) {
		struct share_piece *piece = longest(share, chain->reached, to);

		if (piece == NULL)
			break;
		piece->users++;
		chain->pieces[chain->count++] = piece;
		chain->reached = piece->to;
	}
}

void
share_find(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, struct share_chain *chain)
{
	pthread_mutex_lock(&share->lock);
	find(share, history, from, to, chain);
	pthread_mutex_unlock(&share->lock);
}

void
share_write(const struct share_chain *chain, struct patch *patch)
{
	for (size_t i = 0; i < chain->count; i++)
		patch_operations(patch, chain->pieces[i]->operations,
		    chain->pieces[i]->length);
}

void
share_release(struct share *share, struct share_chain *chain)
{
	if (chain->count == 0)
		return;
	pthread_mutex_lock(&share->lock);
	for (size_t i = 0; i < chain->count; i++)
		drop(chain->pieces[i]);
	pthread_mutex_unlock(&share->lock);
	chain->count = 0;
}

/* The place of FROM among the readers, or reader_count. Called locked. */
static size_t
find_reader(const struct share *share, int64_t from)
{
	size_t i = 0;

	while (i < share->reader_count && share->readers[i].from != from)
		i++;
	return i;
}

/* Waits until nobody reads what follows FROM, or for so long that the caller
 * had better read itself. Called locked. */
static enum turn
wait_for_reader(struct share *share, int64_t from)
{
	int64_t until = clock_ms() + SHARE_WAIT_MS;
	struct timespec at = {.tv_sec = (time_t)(until / 1000),
	    .tv_nsec = (until % 1000) * 1000000};
	enum turn turn = TURN_OWN;

	while (find_reader(share, from) < share->reader_count) {
		if (pthread_cond_timedwait(&share->ended, &share->lock, &at) ==
		    ETIMEDOUT)
			return TURN_OWN;
		turn = TURN_OTHERS;
	}
	return turn;
}

bool
share_begin(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, struct share_chain *chain)
{
	bool reads = false;

	pthread_mutex_lock(&share->lock);
	find(share, history, from, to, chain);
	if (chain->reached != to)
		reads = wait_for_reader(share, chain->reached) == TURN_OWN;
	if (reads && share->reader_count < READERS_MAX)
		share->readers[share->reader_count++] =
		    (struct reader){chain->reached, share->age};
	pthread_mutex_unlock(&share->lock);
	return reads;
}

/* Makes room for one more piece of LENGTH bytes. Called locked. */
static void
make_room(struct share *share, size_t length)
{
	evict(share, share->next);
	for (size_t i = share->next; share->bytes + length > SHARE_BYTES_MAX;
	     i = (i + 1) % SHARE_PIECES)
		evict(share, i);
}

/* Called locked. */
static void
keep(struct share *share, int64_t from, int64_t to, const char *operations,
    size_t length)
{
	struct share_piece *piece = malloc(sizeof(*piece) + length);

	if (piece == NULL)
		return;
	piece->from = from;
	piece->to = to;
	piece->users = 1;
	piece->length = length;
	memcpy(piece->operations, operations, length);
	make_room(share, length);
	share->ring[share->next] = piece;
	share->next = (share->next + 1) % SHARE_PIECES;
	share->bytes += length;
}

void
share_end(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, const char *operations, size_t length)
{
	bool same = false;
	size_t reader;

	pthread_mutex_lock(&share->lock);
	reader = find_reader(share, from);
	if (reader < share->reader_count) {
		/* What was read before history changed is of the other. */
		same = share->readers[reader].age == share->age;
		share->readers[reader] = share->readers[--share->reader_count];
	}
	if (same && operations != NULL && length <= SHARE_PIECE_MAX &&
	    to > from && same_history(&share->history, history))
		keep(share, from, to, operations, length);
	pthread_cond_broadcast(&share->ended);
	pthread_mutex_unlock(&share->lock);
}
