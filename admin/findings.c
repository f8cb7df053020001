/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What check has found.
 */
#include "config.h"

#include "findings.h"

#include <string.h>

#include "db.h"
#include "error.h"
#include "jsonw.h"
#include "show.h"

/* Thousands of tables and mutators. */
#define FINDINGS_BYTES_MAX ((size_t)16 * 1024 * 1024)

static const char *const names[FINDING_KINDS] = {
    [FINDING_FINE] = "fine",
    [FINDING_WARNING] = "warning",
    [FINDING_FAULT] = "fault",
};

void
findings_init(struct findings *findings)
{
	*findings = (struct findings){.first = NULL};
	arena_init(&findings->arena, FINDINGS_BYTES_MAX);
	findings->end = &findings->first;
}

void
findings_fini(struct findings *findings)
{
	arena_fini(&findings->arena);
}

void
findings_add(struct findings *findings, enum finding_kind kind,
    const char *what, const char *advice)
{
	struct finding *one = arena_calloc(&findings->arena, 1, sizeof(*one));
	char *texts[] = {arena_strdup(&findings->arena, what),
	    arena_strdup(&findings->arena, advice == NULL ? "" : advice)};

	if (one == NULL || texts[0] == NULL || texts[1] == NULL) {
		findings->failed = true;
		return;
	}
	one->kind = kind;
	one->what = texts[0];
	one->advice = texts[1];
	*findings->end = one;
	findings->end = &one->next;
	findings->counts[kind]++;
}

void
findings_judge(struct findings *findings, bool good,
    enum finding_kind otherwise, const char *what, const char *advice)
{
	findings_add(findings, good ? FINDING_FINE : otherwise, what,
	    good ? NULL : advice);
}

void
findings_add_rows(struct findings *findings, const struct db_result *rows)
{
	for (int row = 0; row < db_rows(rows); row++) {
		enum finding_kind kind = FINDING_FAULT;

		for (int i = 0; i < FINDING_KINDS; i++)
			if (strcmp(names[i], db_text(rows, row, 0)) == 0)
				kind = (enum finding_kind)i;
		findings_add(findings, kind, db_text(rows, row, 1),
		    db_text(rows, row, 2));
	}
}

int
findings_show(const struct findings *findings, bool json, struct error *error)
{
	struct show show;

	if (findings->failed)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	show_begin(&show, json);
	show_list_begin(&show, "findings");
	for (int kind = 0; kind < FINDING_KINDS; kind++)
		for (const struct finding *f = findings->first; f != NULL;
		     f = f->next)
			if (f->kind == (enum finding_kind)kind)
				show_finding(
				    &show, names[kind], f->what, f->advice);
	show_list_end(&show);
	show_number(
	    &show, "faults", (long long)findings->counts[FINDING_FAULT]);
	show_number(
	    &show, "warnings", (long long)findings->counts[FINDING_WARNING]);
	return show_end(&show, error);
}
