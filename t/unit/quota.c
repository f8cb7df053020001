/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/quota. Linked with --wrap=malloc and --wrap=free, so that memory
 * can run out, and what is kept is known.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "quota.h"

/* More than there are lists. */
#define USERS (3 * QUOTA_LISTS)

static bool out_of_memory;
static long kept;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

void *
__wrap_malloc(size_t size)
{
	kept += !out_of_memory;
	return out_of_memory ? NULL : __real_malloc(size);
}

void
__wrap_free(void *memory)
{
	kept -= memory != NULL;
	__real_free(memory);
}

static void
each_user_has_a_number(void **state)
{
	static struct quota quota;
	struct quota_user *ann, *bob;
	bool full;

	(void)state;
	for (int round = 0; round < 3; round++) {
		ann = quota_take(&quota, "ann", 2, &full);
		assert_non_null(ann);
		assert_ptr_equal(quota_take(&quota, "ann", 2, &full), ann);
		assert_null(quota_take(&quota, "ann", 2, &full));
		bob = quota_take(&quota, "bob", 2, &full);
		assert_non_null(bob);
		assert_ptr_not_equal(bob, ann);
		assert_false(full);
		/* A limit may be changed meanwhile. */
		assert_null(quota_take(&quota, "bob", 1, &full));
		assert_ptr_equal(quota_take(&quota, "ann", 3, &full), ann);
		quota_give(&quota, ann);
		assert_null(quota_take(&quota, "ann", 2, &full));
		quota_give(&quota, ann);
		assert_ptr_equal(quota_take(&quota, "ann", 2, &full), ann);
		quota_give(&quota, ann);
		quota_give(&quota, ann);
		quota_give(&quota, bob);
		quota_give(&quota, NULL);
	}
}

static void
names_are_told_apart(void **state)
{
	bool full;
	static const char *const names[] = {
	    "", "a", "A", "aa", "a ", "\xc3\xa4"};
	static struct quota quota;
	struct quota_user *users[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_non_null(users[i] = quota_take(&quota, names[i], 1, &full));
	for (int i = 0; i < 6; i++)
		assert_null(quota_take(&quota, names[i], 1, &full));
	for (int i = 0; i < 6; i++)
		quota_give(&quota, users[i]);
}

/* Many in each list; they go in another order than they came. */
static void
only_users_that_have_any_are_kept(void **state)
{
	bool full;
	static struct quota quota;
	static struct quota_user *users[USERS];
	long before = kept;
	char name[32];

	(void)state;
	for (int i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), "user %d", i);
		users[i] = quota_take(&quota, name, 1, &full);
		assert_non_null(users[i]);
	}
	assert_int_equal(kept, before + USERS);
	for (int i = 0; i < USERS; i++) {
		/* 7 and USERS have no common divisor. */
		int at = i * 7 % USERS;

		snprintf(name, sizeof(name), "user %d", at);
		assert_null(quota_take(&quota, name, 1, &full));
		quota_give(&quota, users[at]);
		assert_int_equal(kept, before + USERS - i - 1);
	}
	for (int i = 0; i < QUOTA_LISTS; i++)
		assert_null(quota.lists[i]);
}

static void
without_memory_there_is_none(void **state)
{
	bool full;
	static struct quota quota;
	struct quota_user *ann = quota_take(&quota, "ann", 2, &full);

	(void)state;
	out_of_memory = true;
	assert_null(quota_take(&quota, "bob", 2, &full));
	assert_ptr_equal(quota_take(&quota, "ann", 2, &full), ann);
	out_of_memory = false;
	quota_give(&quota, ann);
	quota_give(&quota, ann);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_user_has_a_number),
	    cmocka_unit_test(names_are_told_apart),
	    cmocka_unit_test(only_users_that_have_any_are_kept),
	    cmocka_unit_test(without_memory_there_is_none),
	};

	return unit_run(tests);
}
