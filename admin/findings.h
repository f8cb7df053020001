/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Findings: what check has found, each fine, a warning or a fault, with what to
 * do about it.
 */
#ifndef REPLICACHE_FINDINGS_H
#define REPLICACHE_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

struct db_result;
struct error;

enum finding_kind {
	FINDING_FINE,
	FINDING_WARNING, /* it works, but not as well as it could */
	FINDING_FAULT,   /* it does not */
	FINDING_KINDS
};

struct finding {
	enum finding_kind kind;
	const char *what;
	const char *advice; /* "" if there is none */
	struct finding *next;
};

struct findings {
	struct arena arena;
	struct finding *first, **end;
	size_t counts[FINDING_KINDS];
	bool failed; /* for want of memory, one is missing */
};

void findings_init(struct findings *findings);
void findings_fini(struct findings *findings);

/* Adds one; the texts are copied. ADVICE may be NULL. */
void findings_add(struct findings *findings, enum finding_kind kind,
    const char *what, const char *advice);

/* The same, but fine, and without advice, if GOOD. */
void findings_judge(struct findings *findings, bool good,
    enum finding_kind otherwise, const char *what, const char *advice);

/* Adds the rows of replicache_check(). */
void findings_add_rows(struct findings *findings, const struct db_result *rows);

/* Prints them, the worst last. */
int findings_show(
    const struct findings *findings, bool json, struct error *error);

#endif
