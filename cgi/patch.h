/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Patch: rows of registered tables as operations on the client's view
 * (protocol section 5.4).
 */
#ifndef REPLICACHE_PATCH_H
#define REPLICACHE_PATCH_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of a row's values, as they come from the database. As JSON they
 * take up to six times as many, which an answer has room for. No mutation
 * brings as many (max_body), but jsonb may make as many of less: it writes
 * 1e-1074 out. */
#define PATCH_ROW_MAX ((size_t)64 * 1024 * 1024)

struct arena;
struct buffer;
struct db_result;
struct patch_column;

/* Writes the operations of one patch into a buffer, commas between them. */
struct patch {
	struct buffer *out;
	bool any;                     /* an operation was written */
	struct patch_column *columns; /* by patch_columns() */
	int column_count;
};

void patch_init(struct patch *patch, struct buffer *out);

/*
 * Learns from ROWS, perhaps the first row of many, what columns the rows have
 * that patch_row() gets from here on. Memory comes from ARENA, which has to
 * live as long as they come; -1 if there is none.
 */
int patch_columns(
    struct patch *patch, const struct db_result *rows, struct arena *arena);

/* Forget the whole view: what it held before this patch. */
void patch_clear(struct patch *patch);

/* Operations that were written before, with commas between them. */
void patch_operations(
    struct patch *patch, const char *operations, size_t length);

/* The key is gone. */
void patch_del(struct patch *patch, const char *key, size_t length);

/*
 * What a row of a pull statement says: its first column is the key, its second
 * whether the row is gone, the others are the members of the value. False if
 * these have more than PATCH_ROW_MAX bytes: then it is written as gone, so that
 * one row does not keep all others from whoever may see it.
 */
bool patch_row(struct patch *patch, const struct db_result *rows, int row);

#endif
