/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Operations, as JSON.
 */
#include "config.h"

#include "patch.h"

#include <string.h>

#include "arena.h"
#include "buffer.h"
#include "db.h"
#include "jsonw.h"

enum {
	COLUMN_KEY,
	COLUMN_GONE,
	COLUMN_FIRST
};

/* A column's name, escaped: of 63 bytes at most, unless Postgres was built with
 * longer ones. */
#define HEAD_MAX ((size_t)64 * 1024)

/* What is the same in all rows of a statement. The head comes before a value:
 * its name, quoted, a colon, and a comma before all but the first. */
struct patch_column {
	const char *head;
	size_t length;
	enum db_kind kind;
};

void
patch_init(struct patch *patch, struct buffer *out)
{
	*patch = (struct patch){.out = out};
}

int
patch_columns(
    struct patch *patch, const struct db_result *rows, struct arena *arena)
{
	int count = db_columns(rows), rc = 0;
	struct buffer head;

	patch->column_count = count;
	patch->columns =
	    arena_calloc(arena, (size_t)count, sizeof(*patch->columns));
	if (patch->columns == NULL)
		return -1;
	buffer_init(&head, HEAD_MAX);
	for (int i = COLUMN_FIRST; i < count && rc == 0; i++) {
		struct patch_column *column = &patch->columns[i];
		const char *name = db_column_name(rows, i);

		buffer_reset(&head);
		if (i > COLUMN_FIRST)
			buffer_append_byte(&head, ',');
		jsonw_string(&head, name, strlen(name));
		buffer_append_byte(&head, ':');
		if (head.failure == BUFFER_GOOD)
			column->head =
			    arena_strndup(arena, head.data, head.length);
		column->length = head.length;
		column->kind = db_column_kind(rows, i);
		rc = column->head == NULL ? -1 : 0;
	}
	buffer_fini(&head);
	return rc;
}

static void
begin(struct patch *patch, const char *text)
{
	if (patch->any)
		buffer_append_byte(patch->out, ',');
	patch->any = true;
	buffer_append_string(patch->out, text);
}

void
patch_clear(struct patch *patch)
{
	begin(patch, "{\"op\":\"clear\"}");
}

void
patch_operations(struct patch *patch, const char *operations, size_t length)
{
	if (length == 0)
		return;
	begin(patch, "");
	buffer_append(patch->out, operations, length);
}

void
patch_del(struct patch *patch, const char *key, size_t length)
{
	begin(patch, "{\"op\":\"del\",\"key\":");
	jsonw_string(patch->out, key, length);
	buffer_append_byte(patch->out, '}');
}

static void
write_value(struct buffer *out, const struct db_result *rows, int row,
    int column, enum db_kind kind)
{
	const char *text = db_text(rows, row, column);
	size_t length = db_length(rows, row, column);

	if (length == 0 && db_null(rows, row, column)) {
		buffer_append_string(out, "null");
		return;
	}
	switch (kind) {
	case DB_KIND_BOOL:
		buffer_append_string(out, text[0] == 't' ? "true" : "false");
		break;
	case DB_KIND_JSON:
		jsonw_raw(out, text, length);
		break;
	case DB_KIND_TEXT:
		jsonw_string(out, text, length);
		break;
	}
}

static size_t
count_bytes(const struct patch *patch, const struct db_result *rows, int row)
{
	size_t bytes = 0;

	for (int i = COLUMN_FIRST; i < patch->column_count; i++)
		bytes += db_length(rows, row, i);
	return bytes;
}

bool
patch_row(struct patch *patch, const struct db_result *rows, int row)
{
	struct buffer *out = patch->out;
	const char *key = db_text(rows, row, COLUMN_KEY);
	size_t length = db_length(rows, row, COLUMN_KEY);
	bool gone = db_bool(rows, row, COLUMN_GONE);

	if (gone || count_bytes(patch, rows, row) > PATCH_ROW_MAX) {
		patch_del(patch, key, length);
		return gone;
	}
	begin(patch, "{\"op\":\"put\",\"key\":");
	jsonw_string(out, key, length);
	buffer_append_string(out, ",\"value\":{");
	for (int i = COLUMN_FIRST; i < patch->column_count; i++) {
		const struct patch_column *column = &patch->columns[i];

		buffer_append(out, column->head, column->length);
		write_value(out, rows, row, i, column->kind);
	}
	buffer_append_string(out, "}}");
	return true;
}
