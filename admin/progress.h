/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Progress: a bar on standard error while work goes on, if that is a terminal;
 * nothing otherwise.
 */
#ifndef REPLICACHE_PROGRESS_H
#define REPLICACHE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress {
	const char *what;
	size_t done, total;
	bool shown;
};

/* TOTAL steps of WHAT, a static string, are to be done. */
void progress_begin(struct progress *progress, const char *what, size_t total);

/* N more are. */
void progress_step(struct progress *progress, size_t n);

/* Takes the bar away. */
void progress_end(struct progress *progress);

#endif
