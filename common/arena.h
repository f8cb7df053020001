/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arena: memory that is given out piece by piece and taken back all at once.
 *
 * All data of a request lives in one arena: nothing in it is freed singly, no
 * error path has anything to clean up, and arena_reset() ends the request.
 *
 *	chunk -> chunk -> chunk		each of malloc, the last one in use
 *	[ used ........ | free ]
 *
 * An arena serves one thread at a time.
 */
#ifndef REPLICACHE_ARENA_H
#define REPLICACHE_ARENA_H

#include <stddef.h>

/* Bytes of the first chunk, which outlives resets: an ordinary push or pull
 * needs no second one, and hundreds of parked requests cost little. */
#define ARENA_CHUNK_FIRST ((size_t)16 * 1024)

/* Each further chunk is twice its predecessor, up to this many bytes: few
 * calls of malloc, and less than this is ever left unused at the end. */
#define ARENA_CHUNK_MAX ((size_t)1024 * 1024)

struct arena_chunk;

struct arena {
	struct arena_chunk *first;
	struct arena_chunk *last; /* the one in use */
	size_t total;             /* bytes taken from malloc */
	size_t max;               /* total never passes this */
};

/*
 * Makes ARENA empty. It takes no memory until it is asked for some, and never
 * more than MAX bytes. With a MAX below ARENA_CHUNK_FIRST chunks are smaller.
 */
void arena_init(struct arena *arena, size_t max);

/* Frees everything. The arena may then be initialised again. */
void arena_fini(struct arena *arena);

/*
 * Takes back everything given out, and frees all but the first chunk. Pointers
 * into the arena are dangling afterwards.
 */
void arena_reset(struct arena *arena);

/*
 * Gives SIZE bytes, not initialised, aligned for any type, that stay valid
 * until the next reset. SIZE 0 gives a pointer that can't be read.
 * Returns NULL at the maximum or when there is no memory: the caller reports.
 */
void *arena_alloc(struct arena *arena, size_t size)
    __attribute__((malloc, alloc_size(2), warn_unused_result));

/* Like arena_alloc() for COUNT elements of SIZE bytes each, all bytes zero.
 * NULL too if the product overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size)
    __attribute__((malloc, alloc_size(2, 3), warn_unused_result));

/* A copy of the C string TEXT. NULL like arena_alloc(). */
char *arena_strdup(struct arena *arena, const char *text)
    __attribute__((malloc, warn_unused_result));

/* A copy of the LENGTH bytes at TEXT, whatever they are, and a NUL behind
 * them. NULL like arena_alloc(). */
char *arena_strndup(struct arena *arena, const char *text, size_t length)
    __attribute__((malloc, warn_unused_result));

#endif
