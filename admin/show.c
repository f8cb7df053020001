/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tables of text, and JSON.
 */
#include "config.h"

#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include "db.h"
#include "error.h"
#include "jsonw.h"
#include "log.h"
#include "printable.h"

/* The kinds of findings stand in a column as wide as this. */
#define KIND_WIDTH 9

/* Between two columns. */
#define GAP 2

/* As much is kept before it is written. */
#define FLUSH_BYTES 65536

/* Behind what was cut. */
#define MARK "..."
#define MARK_WIDTH 3

void
show_begin(struct show *show, bool json)
{
	show->json = json;
	show->begun = false;
	show->failed = 0;
	buffer_init(&show->out, SHOW_ROW_MAX);
	if (json)
		buffer_append_byte(&show->out, '{');
}

/* Writes what has come together. */
static void
flush(struct show *show)
{
	struct buffer *out = &show->out;

	if (out->failure != BUFFER_GOOD || out->length == 0)
		return;
	if (show->failed == 0 &&
	    fwrite(out->data, 1, out->length, stdout) != out->length)
		show->failed = errno;
	buffer_reset(out);
}

static void
flush_much(struct show *show)
{
	if (show->out.length >= FLUSH_BYTES)
		flush(show);
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

/* What the terminal knows, by the locale. */
static enum printable_form
terminal(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? PRINTABLE_UTF8
							  : PRINTABLE_ASCII;
}

/* The columns of TEXT, which are not counted far beyond MAX. */
static size_t
measure(const char *text, size_t max)
{
	struct printable printable;
	char piece[PRINTABLE_MAX];
	size_t width = 0, columns;

	printable_init(&printable, text, strlen(text), terminal());
	while (width <= max && printable_next(&printable, piece, &columns) > 0)
		width += columns;
	return width;
}

/* Writes TEXT as a terminal may have it to OUT, unless that is NULL, and gives
 * its width. What takes more than MAX columns is cut, with a mark. */
static size_t
write_printable(struct buffer *out, const char *text, size_t max)
{
	bool cut = measure(text, max) > max;
	size_t room = cut ? max - MARK_WIDTH : max, width = 0, columns, n;
	struct printable printable;
	char piece[PRINTABLE_MAX];

	printable_init(&printable, text, strlen(text), terminal());
	while ((n = printable_next(&printable, piece, &columns)) > 0 &&
	       width + columns <= room) {
		width += columns;
		if (out != NULL)
			buffer_append(out, piece, n);
	}
	if (!cut)
		return width;
	if (out != NULL)
		buffer_append_string(out, MARK);
	return width + MARK_WIDTH;
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
	size_t n = strlen(name);

	write_label(out, name);
	write_spaces(out, n < LABEL_WIDTH ? LABEL_WIDTH - n : 1);
	write_printable(out, value, SHOW_FACT_MAX);
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
show_line(struct show *show, size_t indent, const char *const *texts,
    size_t count, size_t whole)
{
	struct buffer *out = &show->out;
	size_t used = indent;
	bool first = true;

	write_spaces(out, indent);
	for (size_t i = 0; i < count; i++) {
		size_t gap = first ? 0 : GAP, max = SHOW_FACT_MAX;

		if (texts[i] == NULL || texts[i][0] == '\0')
			continue;
		/* No room for more than a mark. */
		if (i >= whole && used + gap + MARK_WIDTH >= SHOW_LINE_MAX)
			break;
		if (i >= whole)
			max = SHOW_LINE_MAX - used - gap;
		write_spaces(out, gap);
		used += gap + write_printable(out, texts[i], max);
		first = false;
	}
	buffer_append_byte(out, '\n');
	show->begun = true;
	flush_much(show);
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
	size_t widest = strlen(db_column_name(result, column));

	for (int row = 0; row < db_rows(result); row++) {
		size_t n = write_printable(
		    NULL, plain_value(result, row, column), SHOW_CELL_MAX);

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
	size_t n = write_printable(NULL, text, SHOW_CELL_MAX);
	size_t fill = wide > n ? wide - n : 0;
	bool last = column == db_columns(result) - 1;

	if (is_number(result, column))
		write_spaces(out, fill);
	if (row < 0)
		write_label(out, text);
	else
		write_printable(out, text, SHOW_CELL_MAX);
	if (last)
		buffer_append_byte(out, '\n');
	else
		write_spaces(out, GAP + (is_number(result, column) ? 0 : fill));
}

static void
write_table(struct show *show, const struct db_result *result)
{
	size_t wide[32];
	int columns = db_columns(result);

	for (int i = 0; i < columns && i < 32; i++)
		wide[i] = column_width(result, i);
	for (int row = -1; row < db_rows(result); row++) {
		for (int i = 0; i < columns && i < 32; i++)
			write_cell(&show->out, result, row, i, wide[i]);
		flush_much(show);
	}
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
			write_table(show, result);
		return;
	}
	buffer_append_byte(&show->out, '[');
	for (int row = 0; row < db_rows(result); row++) {
		if (row > 0)
			buffer_append_byte(&show->out, ',');
		write_object(&show->out, result, row);
		flush_much(show);
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
		size_t n = strlen(kind);

		buffer_append_string(out, kind);
		write_spaces(out, n < KIND_WIDTH ? KIND_WIDTH - n : 1);
		write_printable(out, what, SHOW_FACT_MAX);
		buffer_append_byte(out, '\n');
		if (advice[0] != '\0') {
			write_spaces(out, KIND_WIDTH);
			write_printable(out, advice, SHOW_FACT_MAX);
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
	flush(show);
	if (show->failed == 0 && fflush(stdout) != 0)
		show->failed = errno;
	if (show->out.failure != BUFFER_GOOD)
		rc = error_set(error, ERROR_INTERNAL, "it is too much to show");
	else if (show->failed != 0)
		rc = error_set(error, ERROR_INTERNAL, "standard output: %s",
		    strerror(show->failed));
	buffer_fini(&show->out);
	return rc;
}

void
show_error(const char *message)
{
	struct buffer out;

	buffer_init(&out, SHOW_ROW_MAX);
	buffer_append_string(&out, log_priority(LOG_LEVEL_ERROR));
	buffer_append_string(&out, "replicache-admin: ");
	while (*message != '\0') {
		size_t n = strcspn(message, "\n");
		char line[ERROR_MESSAGE_MAX];

		snprintf(line, sizeof(line), "%.*s", (int)n, message);
		write_printable(&out, line, SHOW_FACT_MAX);
		message += n;
		message += strspn(message, "\n\t ");
		buffer_append_string(&out, *message == '\0' ? "" : "\n    ");
	}
	buffer_append_byte(&out, '\n');
	/* Standard error that can't be written has nobody to tell. */
	if (out.failure == BUFFER_GOOD)
		fwrite(out.data, 1, out.length, stderr);
	buffer_fini(&out);
}
