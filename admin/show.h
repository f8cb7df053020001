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
 * its label, "_" for a space; null is "-". Of what clients sent, no control
 * character reaches a terminal.
 */
#ifndef REPLICACHE_SHOW_H
#define REPLICACHE_SHOW_H

#include <stdbool.h>

#include "buffer.h"

struct db_result;
struct error;

/* All that one run shows; a ledger of 100,000 mutations fits. */
#define SHOW_MAX ((size_t)256 * 1024 * 1024)

struct show {
	bool json, begun, in_list;
	struct buffer out;
};

void show_begin(struct show *show, bool json);

/* The first row of RESULT; it must have one. */
void show_row(
    struct show *show, const char *name, const struct db_result *result);

/* All rows, below the title NAME unless that is the only thing shown. */
void show_rows(
    struct show *show, const char *name, const struct db_result *result);

/* A fact. TEXT may be NULL. */
void show_text(struct show *show, const char *name, const char *text);
void show_number(struct show *show, const char *name, long long number);

/* A list of findings: each has a kind, a word; what it is of; and advice, which
 * may be "". */
void show_list_begin(struct show *show, const char *name);
void show_finding(
    struct show *show, const char *kind, const char *what, const char *advice);
void show_list_end(struct show *show);

/* Writes it all to standard output. -1 if that, or memory, failed; after either
 * SHOW is empty. */
int show_end(struct show *show, struct error *error);

#endif
