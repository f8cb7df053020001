/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Arena: a list of chunks, and a mark in the last one.
 */
#include "config.h"

#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Under AddressSanitizer what was not given out can't be touched, and a gap
 * lies between any two pieces, so that overruns are found inside a chunk too.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define GAP 16
#else
#define GAP 0
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define ALIGNMENT alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of data */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

void
arena_init(struct arena *arena, size_t max)
{
	arena->first = NULL;
	arena->last = NULL;
	arena->total = 0;
	arena->max = max;
}

/* Frees CHUNK and those behind it. */
static void
free_chunks(struct arena *arena, struct arena_chunk *chunk)
{
	while (chunk != NULL) {
		struct arena_chunk *next = chunk->next;

		arena->total -= sizeof(*chunk) + chunk->size;
		ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->size);
		free(chunk);
		chunk = next;
	}
}

void
arena_fini(struct arena *arena)
{
	free_chunks(arena, arena->first);
	arena_init(arena, arena->max);
}

void
arena_reset(struct arena *arena)
{
	struct arena_chunk *first = arena->first;

	if (first == NULL)
		return;
	free_chunks(arena, first->next);
	first->next = NULL;
	first->used = 0;
	ASAN_POISON_MEMORY_REGION(first->data, first->size);
	arena->last = first;
}

/* The size of the next chunk, header included, if nothing large is needed. */
static size_t
usual_size(const struct arena *arena)
{
	size_t size;

	if (arena->last == NULL)
		return ARENA_CHUNK_FIRST;
	size = 2 * (sizeof(struct arena_chunk) + arena->last->size);
	return size < ARENA_CHUNK_MAX ? size : ARENA_CHUNK_MAX;
}

/* Appends a chunk with room for SIZE bytes. Returns 0, or -1 at the limits. */
static int
add_chunk(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk;
	size_t left = arena->max - arena->total;
	size_t whole = usual_size(arena);

	if (left < sizeof(*chunk) || size > left - sizeof(*chunk))
		return -1;
	if (whole < sizeof(*chunk) + size)
		whole = sizeof(*chunk) + size;
	if (whole > left)
		whole = left;
	if ((chunk = malloc(whole)) == NULL)
		return -1;
	chunk->next = NULL;
	chunk->size = whole - sizeof(*chunk);
	chunk->used = 0;
	ASAN_POISON_MEMORY_REGION(chunk->data, chunk->size);
	if (arena->last == NULL)
		arena->first = chunk;
	else
		arena->last->next = chunk;
	arena->last = chunk;
	arena->total += whole;
	return 0;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->last;
	size_t rounded;
	void *piece;

	if (size > SIZE_MAX - GAP - (ALIGNMENT - 1))
		return NULL;
	rounded = (size + GAP + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (chunk == NULL || chunk->size - chunk->used < rounded) {
		if (add_chunk(arena, rounded) < 0)
			return NULL;
		chunk = arena->last;
	}
	piece = chunk->data + chunk->used;
	chunk->used += rounded;
	ASAN_UNPOISON_MEMORY_REGION(piece, size);
	return piece;
}

void *
arena_calloc(struct arena *arena, size_t count, size_t size)
{
	void *piece;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	if ((piece = arena_alloc(arena, count * size)) != NULL)
		memset(piece, 0, count * size);
	return piece;
}

char *
arena_strndup(struct arena *arena, const char *text, size_t length)
{
	char *copy;

	if (length == SIZE_MAX ||
	    (copy = arena_alloc(arena, length + 1)) == NULL)
		return NULL;
	if (length > 0)
		memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *
arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}
