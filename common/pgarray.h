/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Array literals of Postgres, for statements that take many rows at once
 * (PostgreSQL manual, 8.15.6 Array Input and Output Syntax).
 */
#ifndef REPLICACHE_PGARRAY_H
#define REPLICACHE_PGARRAY_H

#include <stdint.h>

#include "buffer.h"

struct arena;

struct pgarray {
	struct buffer text;
};

void pgarray_init(struct pgarray *array);
void pgarray_fini(struct pgarray *array);

/* Append an element. Failure shows in pgarray_end(). */
void pgarray_add_text(struct pgarray *array, const char *element);
void pgarray_add_int64(struct pgarray *array, int64_t element);

/* The literal, `{"a","b"}`, as a C string from ARENA; NULL if memory ran out
 * anywhere. Nothing may be added afterwards. */
const char *pgarray_end(struct pgarray *array, struct arena *arena);

#endif
