/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Vigil: who waits looks for a moment before it sleeps.
 *
 * To be woken takes 40 us or more, where the processor has gone to sleep as
 * well; that is a good part of a short answer's time. So where nothing else is
 * to be done, and as long as it pays, a thread looks by itself whether what it
 * waits for is there. In vain it does so ever more seldom, at last once in
 * VIGIL_SKIP_MAX + 1 times: what it costs then is next to nothing.
 */
#ifndef REPLICACHE_VIGIL_H
#define REPLICACHE_VIGIL_H

#include <poll.h>
#include <stdbool.h>

#define VIGIL_SKIP_MAX 63

/* What one place where threads wait has learned; all 0 at first. */
struct vigil {
	int skip;    /* how often not to, between two times */
	int skipped; /* how often not, since the last time */
};

/* True if it is worth a try. To be asked once for each wait. */
bool vigil_may(struct vigil *vigil);

/* How it went: the next times are chosen by that. */
void vigil_learn(struct vigil *vigil, bool seen);

/*
 * Looks at N descriptors until something is there on one of them, as poll() has
 * it, or US microseconds have passed; who needs the processor has it meanwhile.
 * What was seen is in PFDS; nothing, if poll() fails.
 */
void vigil_keep(struct pollfd *pfds, nfds_t n, long us);

#endif
