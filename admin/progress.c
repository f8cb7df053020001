/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The bar.
 */
#include "config.h"

#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH 40

static void
draw(const struct progress *progress)
{
	size_t total = progress->total == 0 ? 1 : progress->total;
	size_t done = progress->done > total ? total : progress->done;
	size_t filled = done * BAR_WIDTH / total;
	char bar[BAR_WIDTH + 1];

	for (size_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(
	    stderr, "\r%s [%s] %zu%%", progress->what, bar, done * 100 / total);
	fflush(stderr);
}

void
progress_begin(struct progress *progress, const char *what, size_t total)
{
	*progress = (struct progress){.what = what,
	    .total = total,
	    .shown = isatty(STDERR_FILENO) && total > 1};
	if (progress->shown)
		draw(progress);
}

void
progress_step(struct progress *progress, size_t n)
{
	progress->done += n;
	if (progress->shown)
		draw(progress);
}

void
progress_end(struct progress *progress)
{
	/* To the end of the line: it is cleared. */
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
