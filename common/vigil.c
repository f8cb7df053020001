/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"

#include "vigil.h"

#include <sched.h>
#include <stdint.h>

#include "clock.h"

bool
vigil_may(struct vigil *vigil)
{
	return vigil->skipped++ >= vigil->skip;
}

void
vigil_learn(struct vigil *vigil, bool seen)
{
	vigil->skipped = 0;
	vigil->skip = seen ? vigil->skip / 2 : vigil->skip * 2 + 1;
	if (vigil->skip > VIGIL_SKIP_MAX)
		vigil->skip = VIGIL_SKIP_MAX;
}

void
vigil_keep(struct pollfd *pfds, nfds_t n, long us)
{
	int64_t end = clock_us() + us;

	while (poll(pfds, n, 0) == 0 && clock_us() < end)
		sched_yield();
}
