/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test includes first: cmocka with the headers it needs
 * before it, and the way to run one group of tests as one TAP program.
 */
#ifndef REPLICACHE_UNIT_H
#define REPLICACHE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs TESTS, an array of struct CMUnitTest, and gives main()'s result. A
 * program has one group, as its output can have one TAP plan. */
#define unit_run(tests)                                                        \
	(cmocka_set_message_output(CM_OUTPUT_TAP),                             \
	    cmocka_run_group_tests(tests, NULL, NULL))

/* Numbers that look random and are the same in each run (xorshift64*). */
static inline uint64_t
unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

#endif
