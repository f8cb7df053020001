/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Operations, as JSON.
 */
#include "config.h"

#include "patch.h"

#include <string.h>

#include "buffer.h"
#include "db.h"
#include "jsonw.h"

enum {
	COLUMN_KEY,
	COLUMN_GONE,
	COLUMN_FIRST
};

void
patch_init(struct patch *patch, struct buffer *out)
{
	patch->out = out;
	patch->any = false;
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
write_value(
    struct buffer *out, const struct db_result *rows, int row, int column)
{
	const char *text = db_text(rows, row, column);
	size_t length = db_length(rows, row, column);

	if (db_null(rows, row, column)) {
		buffer_append_string(out, "null");
		return;
	}
	switch (db_column_kind(rows, column)) {
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

void
patch_row(struct patch *patch, const struct db_result *rows, int row)
{
	struct buffer *out = patch->out;
	const char *key = db_text(rows, row, COLUMN_KEY);
	size_t length = db_length(rows, row, COLUMN_KEY);
	int columns = db_columns(rows);

	if (db_bool(rows, row, COLUMN_GONE)) {
		patch_del(patch, key, length);
		return;
	}
	begin(patch, "{\"op\":\"put\",\"key\":");
	jsonw_string(out, key, length);
	buffer_append_string(out, ",\"value\":{");
	for (int column = COLUMN_FIRST; column < columns; column++) {
		const char *name = db_column_name(rows, column);

		if (column > COLUMN_FIRST)
			buffer_append_byte(out, ',');
		jsonw_string(out, name, strlen(name));
		buffer_append_byte(out, ':');
		write_value(out, rows, row, column);
	}
	buffer_append_string(out, "}}");
}
