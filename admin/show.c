/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tables of text, and JSON.
 */
#include "config.h"

#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "jsonw.h"

/* The kinds of findings stand in a column as wide as this. */
#define KIND_WIDTH 9

/* Between two columns. */
#define GAP 2

void
show_begin(struct show *show, bool json)
{
	show->json = json;
	show->begun = false;
	buffer_init(&show->out, SHOW_MAX);
	if (json)
		buffer_append_byte(&show->out, '{');
}

/* A member's name, or the end of the section before. */
static void
begin_section(struct show *show, const char *name)
{
	if (show->json) {
		if (show->begun)
			buffer_append_byte(&show->out, ',');
		jsonw_string(&show->out, name, strlen(name));
		buffer_append_byte(&show->out, ':');
	}
	show->begun = true;
}

static void
write_value(
    struct buffer *out, const struct db_result *result, int row, int column)
{
	const char *text = db_text(result, row, column);
	size_t length = db_length(result, row, column);

	if (db_null(result, row, column))
		buffer_append_string(out, "null");
	else if (db_column_kind(result, column) == DB_KIND_BOOL)
		buffer_append_string(out, *text == 't' ? "true" : "false");
	else if (db_column_kind(result, column) == DB_KIND_JSON)
		jsonw_raw(out, text, length);
	else
		jsonw_string(out, text, length);
}

static void
write_object(struct buffer *out, const struct db_result *result, int row)
{
	buffer_append_byte(out, '{');
	for (int i = 0; i < db_columns(result); i++) {
		const char *name = db_column_name(result, i);

		if (i > 0)
			buffer_append_byte(out, ',');
		jsonw_string(out, name, strlen(name));
		buffer_append_byte(out, ':');
		write_value(out, result, row, i);
	}
	buffer_append_byte(out, '}');
}

/* Places TEXT takes on a terminal, more or less: its characters. */
static size_t
width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* TEXT as it may be shown to a terminal. */
static void
write_plain(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		char escaped[8];

		if (c >= 0x20 && c != 0x7f) {
			buffer_append_byte(out, *text);
			continue;
		}
		snprintf(escaped, sizeof(escaped), "\\x%02x", c);
		buffer_append_string(out, escaped);
	}
}

static void
write_spaces(struct buffer *out, size_t n)
{
	while (n-- > 0)
		buffer_append_byte(out, ' ');
}

static void
write_label(struct buffer *out, const char *name)
{
	for (; *name != '\0'; name++) {
		char byte = ' ';

		if (*name != '_')
			byte = *name;
		buffer_append_byte(out, byte);
	}
}

static const char *
plain_value(const struct db_result *result, int row, int column)
{
	if (db_null(result, row, column))
		return "-";
	if (db_column_kind(result, column) == DB_KIND_BOOL)
		return db_bool(result, row, column) ? "yes" : "no";
	return db_text(result, row, column);
}

/* Labels of facts stand in a column as wide as this. */
#define LABEL_WIDTH 22

static void
write_fact(struct buffer *out, const char *name, const char *value)
{
	size_t n = width(name);

	write_label(out, name);
	write_spaces(out, n < LABEL_WIDTH ? LABEL_WIDTH - n : 1);
	write_plain(out, value);
	buffer_append_byte(out, '\n');
}

void
show_row(struct show *show, const char *name, const struct db_result *result)
{
	begin_section(show, name);
	if (show->json) {
		write_object(&show->out, result, 0);
		return;
	}
	for (int i = 0; i < db_columns(result); i++)
		write_fact(&show->out, db_column_name(result, i),
		    plain_value(result, 0, i));
}

void
show_text(struct show *show, const char *name, const char *text)
{
	begin_section(show, name);
	if (!show->json)
		write_fact(&show->out, name, text == NULL ? "-" : text);
	else if (text == NULL)
		buffer_append_string(&show->out, "null");
	else
		jsonw_string(&show->out, text, strlen(text));
}

void
show_number(struct show *show, const char *name, long long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", number);
	begin_section(show, name);
	if (show->json)
		buffer_append_string(&show->out, text);
	else
		write_fact(&show->out, name, text);
}

static bool
is_number(const struct db_result *result, int column)
{
	return db_column_kind(result, column) == DB_KIND_JSON;
}

/* The width of a column: that of its longest value. */
static size_t
column_width(const struct db_result *result, int column)
{
	size_t widest = width(db_column_name(result, column));

	for (int row = 0; row < db_rows(result); row++) {
		size_t n = width(plain_value(result, row, column));

		if (n > widest)
			widest = n;
	}
	return widest;
}

/* A cell. Numbers stand at the right, and the last column is not filled up. */
static void
write_cell(struct buffer *out, const struct db_result *result, int row,
    int column, size_t wide)
{
	const char *text = row < 0 ? db_column_name(result, column)
				   : plain_value(result, row, column);
	size_t n = width(text), fill = wide > n ? wide - n : 0;
	bool last = column == db_columns(result) - 1;

	if (is_number(result, column))
		write_spaces(out, fill);
	if (row < 0)
		write_label(out, text);
	else
		write_plain(out, text);
	if (last)
		buffer_append_byte(out, '\n');
	else
		write_spaces(out, GAP + (is_number(result, column) ? 0 : fill));
}

static void
write_table(struct buffer *out, const struct db_result *result)
{
	size_t wide[32];
	int columns = db_columns(result);

	for (int i = 0; i < columns && i < 32; i++)
		wide[i] = column_width(result, i);
	for (int row = -1; row < db_rows(result); row++)
		for (int i = 0; i < columns && i < 32; i++)
			write_cell(out, result, row, i, wide[i]);
}

void
show_rows(struct show *show, const char *name, const struct db_result *result)
{
	bool first = !show->begun;

	begin_section(show, name);
	if (!show->json) {
		if (!first) {
			buffer_append_byte(&show->out, '\n');
			write_label(&show->out, name);
			buffer_append_string(&show->out,
			    db_rows(result) == 0 ? ": none\n" : "\n");
		}
		if (db_rows(result) > 0)
			write_table(&show->out, result);
		return;
	}
	buffer_append_byte(&show->out, '[');
	for (int row = 0; row < db_rows(result); row++) {
		if (row > 0)
			buffer_append_byte(&show->out, ',');
		write_object(&show->out, result, row);
	}
	buffer_append_byte(&show->out, ']');
}

void
show_list_begin(struct show *show, const char *name)
{
	begin_section(show, name);
	show->in_list = false;
	if (show->json)
		buffer_append_byte(&show->out, '[');
}

static void
write_member(struct show *show, const char *before, const char *text)
{
	buffer_append_string(&show->out, before);
	jsonw_string(&show->out, text, strlen(text));
}

void
show_finding(
    struct show *show, const char *kind, const char *what, const char *advice)
{
	struct buffer *out = &show->out;

	if (show->json) {
		write_member(show,
		    show->in_list ? ",{\"result\":" : "{\"result\":", kind);
		write_member(show, ",\"what\":", what);
		write_member(show, ",\"advice\":", advice);
		buffer_append_byte(out, '}');
	} else {
		size_t n = width(kind);

		write_plain(out, kind);
		write_spaces(out, n < KIND_WIDTH ? KIND_WIDTH - n : 1);
		write_plain(out, what);
		buffer_append_byte(out, '\n');
		if (advice[0] != '\0') {
			write_spaces(out, KIND_WIDTH);
			write_plain(out, advice);
			buffer_append_byte(out, '\n');
		}
	}
	show->in_list = true;
}

void
show_list_end(struct show *show)
{
	buffer_append_byte(&show->out, show->json ? ']' : '\n');
}

int
show_end(struct show *show, struct error *error)
{
	int rc = 0;

	if (show->json)
		buffer_append_string(&show->out, "}\n");
	if (show->out.failure != BUFFER_GOOD)
		rc = error_set(error, ERROR_INTERNAL, "it is too much to show");
	else if (fwrite(show->out.data, 1, show->out.length, stdout) !=
		     show->out.length ||
		 fflush(stdout) != 0)
		rc = error_set(error, ERROR_INTERNAL, "standard output: %s",
		    strerror(errno));
	buffer_fini(&show->out);
	return rc;
}
