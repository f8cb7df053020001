/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/allowance, at times of their own. Linked with --wrap=malloc, which
 * may fail.
 */
#include "config.h"

#include "unit.h"

#include "memory.h"

#include <pthread.h>
#include <stdio.h>

#include "allowance.h"

/* A second has 1000, and there are RATE mutations in it. */
#define RATE 5
#define BURST ((size_t)RATE * ALLOWANCE_SAVED)

static struct allowance *allowance;

UNIT_WRAP_MALLOC

static bool
take(const char *user, size_t count, int64_t now)
{
	return allowance_take(allowance, user, count, RATE, now);
}

static void
what_was_saved_can_be_used_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < BURST; i++)
		assert_true(take("ann", 1, 1000));
	assert_false(take("ann", 1, 1000));
	/* A fifth of a second brings one. */
	assert_true(take("ann", 1, 1200));
	assert_false(take("ann", 1, 1200));
	assert_true(take("ann", 1, 1400));
	assert_false(take("ann", 1, 1400));
}

static void
a_long_queue_passes_and_owes_time(void **state)
{
	(void)state;
	assert_true(take("ann", 10 * BURST, 0));
	assert_false(take("ann", 1, 0));
	/* Nine bursts of ten seconds are owed. */
	assert_false(take("ann", 1, 90000));
	assert_true(take("ann", 1, 90001));
}

/* Who can't be counted is not turned away. */
static void
without_memory_nobody_is_refused(void **state)
{
	(void)state;
	no_memory = true;
	for (size_t i = 0; i < BURST + 1; i++)
		assert_true(take("ann", 1, 1000));
	allowance_give(allowance, "ann", 1, RATE, 1000);
	no_memory = false;
	assert_true(take("ann", BURST, 1000));
	assert_false(take("ann", 1, 1000));
}

static void
users_have_each_their_own(void **state)
{
	(void)state;
	assert_true(take("ann", BURST, 0));
	assert_false(take("ann", 1, 0));
	assert_true(take("bob", BURST, 0));
	assert_true(take("an", 1, 0));
	assert_true(take("", 1, 0));
	assert_false(take("bob", 1, 0));
}

static void
what_was_not_applied_comes_back(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_true(take("ann", 3 * BURST, 0));
		allowance_give(allowance, "ann", 3 * BURST, RATE, 0);
	}
	assert_true(take("ann", BURST, 0));
	assert_false(take("ann", 1, 0));
	/* More than there can be is not kept, and no stranger gets any. */
	allowance_give(allowance, "ann", 100 * BURST, RATE, 0);
	assert_true(take("ann", BURST, 0));
	assert_false(take("ann", 1, 0));
	allowance_give(allowance, "bob", BURST, RATE, 0);
	assert_true(take("bob", BURST, 0));
	assert_false(take("bob", 1, 0));
}

/* What was saved is bounded, however long nobody came. */
static void
nothing_is_saved_for_ever(void **state)
{
	(void)state;
	assert_true(take("ann", 1, 0));
	assert_true(take("ann", BURST, INT64_C(1000) * 3600 * 24 * 365));
	assert_false(take("ann", 1, INT64_C(1000) * 3600 * 24 * 365));
}

/* Users who come and go leave nothing behind (see with a leak checker), and
 * those who owe are not forgotten by it. */
static void
others_are_forgotten(void **state)
{
	char name[32];

	(void)state;
	assert_true(take("debtor", 1000 * BURST, 0));
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(take(name, 1, i));
	}
	assert_false(take("debtor", 1, 100000));
}

static void *
use(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++)
		if (take("ann", 2, 0))
			allowance_give(allowance, "ann", 2, RATE, 0);
	return NULL;
}

static void
threads_do_not_lose_any(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, use, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < BURST; i++)
		assert_true(take("ann", 1, 0));
	assert_false(take("ann", 1, 0));
}

static int
begin(void **state)
{
	(void)state;
	allowance = allowance_new();
	return allowance == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	allowance_free(allowance);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(what_was_saved_can_be_used_at_once),
	    TEST(a_long_queue_passes_and_owes_time),
	    TEST(without_memory_nobody_is_refused),
	    TEST(users_have_each_their_own),
	    TEST(what_was_not_applied_comes_back),
	    TEST(nothing_is_saved_for_ever),
	    TEST(others_are_forgotten),
	    TEST(threads_do_not_lose_any),
	};

	return unit_run(tests);
}
