/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Printable: the one rule for text of others on its way to a terminal or the
 * log.
 *
 * What clients, tokens, the database and the web server send may hold what
 * drives a terminal (escape sequences, C1 controls), what turns a line around
 * (U+202E), what can't be seen (zero-width and other format characters) or
 * what climbs over other lines (a hundred accents on one letter). Each byte of
 * those, and of what is no UTF-8, is written as \xNN. The rest is written as
 * it is, or, for a reader that may not know UTF-8, is written as \xNN as well
 * where it is not ASCII.
 *
 *	printable_init(&printable, text, strlen(text), PRINTABLE_UTF8);
 *	while ((n = printable_next(&printable, piece, &columns)) > 0)
 *		...
 */
#ifndef REPLICACHE_PRINTABLE_H
#define REPLICACHE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest piece: four escaped bytes. */
#define PRINTABLE_MAX 16

/* The most marks that may stand on a letter: Vietnamese has 2, Hebrew and
 * transcriptions have up to 4. */
#define PRINTABLE_MARKS_MAX 4

enum printable_form {
	PRINTABLE_ASCII, /* nothing but ASCII */
	PRINTABLE_UTF8,  /* what wcwidth(3) knows in the locale, which must be
			  * one of UTF-8 */
};

struct printable {
	const char *at, *end;
	enum printable_form form;
	unsigned marks; /* on the last letter */
};

/* TEXT, of LENGTH bytes, must outlive PRINTABLE. */
void printable_init(struct printable *printable, const char *text,
    size_t length, enum printable_form form);

/* Writes the next character, or its escape, to PIECE and the columns that it
 * takes to *COLUMNS. Returns its bytes, or 0 at the end. */
size_t printable_next(
    struct printable *printable, char piece[PRINTABLE_MAX], size_t *columns);

/* True if CODE, from U+0080 on, can't be seen or does more than be seen:
 * controls, format characters and all that a reader may leave out
 * (Default_Ignorable_Code_Point), line and paragraph separators, surrogates,
 * private use and noncharacters, by Unicode 14. */
bool printable_is_hidden(uint32_t code);

#endif
