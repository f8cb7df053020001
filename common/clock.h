/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Time for deadlines and durations: monotonic, so that setting the clock
 * of the machine neither cuts nor stretches them.
 */
#ifndef REPLICACHE_CLOCK_H
#define REPLICACHE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some fixed moment. */
static inline int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Microseconds since the same moment. */
static inline int64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
