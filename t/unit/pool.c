/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/pool where there is no database. Linked with
 * --wrap=clock_gettime, by which time passes, and --wrap=db_open, which fails.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "db.h"
#include "error.h"
#include "pool.h"
#include "settings.h"

/* The longest pause between two tries (common/pool.c). */
#define PAUSE_MAX_MS 2000

static const struct settings settings = {.pool = 2, .connect_timeout = 100};
static struct pool *pool;
static struct error error;

static long later; /* ms */
static int tried;
static bool asked_meanwhile; /* by another one, while the first one tries */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_clock_gettime(clockid_t clock, struct timespec *now);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = __real_clock_gettime(clock, now);

	now->tv_sec += later / 1000;
	now->tv_nsec += later % 1000 * 1000000;
	if (now->tv_nsec >= 1000000000) {
		now->tv_sec++;
		now->tv_nsec -= 1000000000;
	}
	return rc;
}

struct db *__wrap_db_open(const struct settings *from, struct error *why);

struct db *
__wrap_db_open(const struct settings *from, struct error *why)
{
	(void)from;
	tried++;
	if (asked_meanwhile) {
		asked_meanwhile = false;
		assert_null(pool_get(pool, why));
	}
	error_set(why, ERROR_UNAVAILABLE, "nobody is there");
	return NULL;
}

static int
begin(void **state)
{
	(void)state;
	later = 0;
	tried = 0;
	pool = pool_new(&settings);
	return pool == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* Everybody who asks at once does not try, too. */
static void
a_failure_is_followed_by_a_pause(void **state)
{
	(void)state;
	assert_null(pool_get(pool, &error));
	assert_int_equal(tried, 1);
	assert_null(pool_get(pool, &error));
	assert_int_equal(error.code, ERROR_UNAVAILABLE);
	assert_non_null(strstr(error.message, "a moment ago"));
	assert_int_equal(tried, 1);
}

/* Nor does everybody who asks when it is over. */
static void
after_a_pause_one_tries(void **state)
{
	(void)state;
	assert_null(pool_get(pool, &error));
	later += PAUSE_MAX_MS;
	asked_meanwhile = true;
	assert_null(pool_get(pool, &error));
	assert_false(asked_meanwhile);
	assert_int_equal(tried, 2);
}

static void
pauses_grow(void **state)
{
	(void)state;
	for (int i = 0; i < 600; i++) {
		assert_null(pool_get(pool, &error));
		later += 10;
	}
	/* In 6 s: at 50, 150, 350, 750, 1550 ms and so on, at most twice as
	 * often, as half of each pause is left to chance. */
	assert_in_range(tried, 6, 15);
}

/* A database that was away for long is found soon. */
static void
no_pause_is_longer_than_the_longest(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		assert_null(pool_get(pool, &error));
		assert_int_equal(tried, i + 1);
		later += PAUSE_MAX_MS;
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(a_failure_is_followed_by_a_pause),
	    TEST(after_a_pause_one_tries),
	    TEST(pauses_grow),
	    TEST(no_pause_is_longer_than_the_longest),
	};

	return unit_run(tests);
}
