/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Share: what was read once is told to many.
 *
 * A version names one state, so the operations that lead from one version to
 * another are the same for every client that may see the same rows. Pieces of
 * that history, as they were read, are kept in memory for a while: when a
 * thousand clients are poked at once, the first one's pull reads the rows, and
 * the others follow the pieces from their cookies to the present.
 *
 *	cookie -> piece -> piece -> version
 *
 * A piece may be told twice to nobody and to everybody: a row that changed in
 * two pieces is put twice, and the later one wins. Pieces are never made of
 * tables whose rows depend on the user.
 */
#ifndef REPLICACHE_SHARE_H
#define REPLICACHE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is kept at most: a storm's worth. A piece larger than SHARE_PIECE_MAX
 * is a client that catches up, not one that was poked. */
#define SHARE_PIECES 512
#define SHARE_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define SHARE_PIECE_MAX ((size_t)256 * 1024)

/* A client that is further behind reads the rows: they are fewer than all that
 * was done to them. */
#define SHARE_CHAIN_MAX 64

/* How long a pull waits for another one that reads what it needs, before it
 * reads itself. */
#define SHARE_WAIT_MS 250

struct patch;
struct share;

/* Of what history pieces are: they hold only while it is the same. */
struct share_history {
	int64_t revision; /* of what is registered */
	int64_t epoch;    /* of the versions */
	int64_t started;  /* of the server */
};
struct share_piece;

/* Pieces that follow each other. */
struct share_chain {
	struct share_piece *pieces[SHARE_CHAIN_MAX];
	size_t count;
	int64_t reached; /* the version they lead to */
};

/* NULL when out of memory. */
struct share *share_new(void);

void share_free(struct share *share);

/* The highest version that was seen so far. */
int64_t share_highest(struct share *share);

/*
 * Tells that the database was seen at VERSION of HISTORY, by a read that began
 * after share_highest() gave HIGHEST. If history is another, or has gone back
 * (a backup was restored), all pieces are forgotten.
 */
void share_observe(struct share *share, const struct share_history *history,
    int64_t highest, int64_t version);

/* Gives the pieces that lead from version FROM to version TO or, as far as
 * there are any, towards it; the caller releases the chain. */
void share_find(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, struct share_chain *chain_out);

/* Writes the operations of CHAIN. */
void share_write(const struct share_chain *chain, struct patch *patch);

void share_release(struct share *share, struct share_chain *chain);

/*
 * Finds as share_find() does and, if pieces are missing, says who reads: true
 * if the caller should read what follows CHAIN_OUT's end, and then tell by
 * share_end(). False if there is nothing to read, or if another one was at it
 * and has ended: look again. The caller releases the chain in each case.
 *
 * Finding and beginning are one step: else what was kept in between would be
 * read twice.
 */
bool share_begin(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, struct share_chain *chain_out);

/*
 * After reading: keeps the LENGTH bytes at OPERATIONS, which lead from FROM to
 * TO. OPERATIONS NULL: there is nothing to keep.
 */
void share_end(struct share *share, const struct share_history *history,
    int64_t from, int64_t to, const char *operations, size_t length);

#endif
