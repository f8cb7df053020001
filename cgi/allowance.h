/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Allowance: how many mutations each user may have applied a second.
 *
 * Nobody is ever locked out: whoever has any allowance left may push all that
 * is waiting, however much, and then owes time. So a client that was offline
 * gets its long queue through in one piece, and one that floods waits; what is
 * refused it sends again.
 *
 * Users are kept for as long as they have used any, so memory is bounded by who
 * pushed in the last ALLOWANCE_SAVED seconds or owes time. Any thread may call.
 */
#ifndef REPLICACHE_ALLOWANCE_H
#define REPLICACHE_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance;

/* What is not used is saved for as many seconds: people work in bursts. */
#define ALLOWANCE_SAVED 10

/* NULL without memory. */
struct allowance *allowance_new(void);

/* NULL is legal. */
void allowance_free(struct allowance *allowance);

/*
 * Takes COUNT mutations out of what USER, who gets RATE a second, has at NOW
 * (clock_ms()). False if there is nothing left: then nothing was taken. Without
 * memory it is true.
 */
bool allowance_take(struct allowance *allowance, const char *user, size_t count,
    long rate, int64_t now);

/* Gives back those of them that were not applied. */
void allowance_give(struct allowance *allowance, const char *user, size_t count,
    long rate, int64_t now);

#endif
