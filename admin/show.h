/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Show: rows of the database, for people or as JSON.
 *
 *	show_begin(&show, admin->json);
 *	show_row(&show, "database", row);	a column a line
 *	show_rows(&show, "tables", rows);	a table below its title
 *	return show_end(&show, error);
 *
 * is, with --json, {"database":{...},"tables":[{...},...]}. A column's name is
 * its label, "_" for a space; null is "-".
 *
 * What reaches a terminal is printable (printable.h), and what is long is cut,
 * with a mark. JSON has all of it, and is exact.
 */
#ifndef REPLICACHE_SHOW_H
#define REPLICACHE_SHOW_H

#include <stdbool.h>

#include "buffer.h"

struct db_result;
struct error;

/* The longest row: Postgres gives none above 1 GB, and six bytes may stand for
 * one in JSON. What is written to standard output in between takes no room. */
#define SHOW_ROW_MAX ((size_t)6 * 1024 * 1024 * 1024)

/* The widest cell of a table, and the longest fact, in columns; what is longer
 * is cut. A screen is 80 to 200 wide; args of some pages can still be read. */
#define SHOW_CELL_MAX 64
#define SHOW_FACT_MAX 10000

/* The widest line of an entry: terminals are 80 wide, or wider. */
#define SHOW_LINE_MAX 80

struct show {
	bool json, begun, in_list;
	int failed; /* the errno of standard output, or 0 */
	struct buffer out;
};

void show_begin(struct show *show, bool json);

/* The first row of RESULT; it must have one. */
void show_row(
    struct show *show, const char *name, const struct db_result *result);

/* All rows, below the title NAME unless that is the only thing shown. */
void show_rows(
    struct show *show, const char *name, const struct db_result *result);

/* For people only: a line of the COUNT TEXTS with a gap between, without those
 * that are NULL or "". The first WHOLE ones are facts, and the rest is cut
 * where a terminal of SHOW_LINE_MAX columns ends. INDENT spaces stand before
 * it. */
void show_line(struct show *show, size_t indent, const char *const *texts,
    size_t count, size_t whole);

/* A fact. TEXT may be NULL. */
void show_text(struct show *show, const char *name, const char *text);
void show_number(struct show *show, const char *name, long long number);

/* A list of findings: each has a kind, a word; what it is of; and advice, which
 * may be "". */
void show_list_begin(struct show *show, const char *name);
void show_finding(
    struct show *show, const char *kind, const char *what, const char *advice);
void show_list_end(struct show *show);

/* Writes what is left to standard output. -1 if that, or memory, failed; after
 * either SHOW is empty. */
int show_end(struct show *show, struct error *error);

/* Writes a MESSAGE, which may quote anything, to standard error, as
 * "replicache-admin: MESSAGE". Its further lines are indented. */
void show_error(const char *message);

#endif
