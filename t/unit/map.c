/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/map.
 */
#include "config.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "map.h"

#define MANY 20000

static void
an_empty_map_has_nothing(void **state)
{
	struct arena arena;
	struct map map;

	(void)state;
	arena_init(&arena, 1 << 20);
	map_init(&map, &arena);
	assert_int_equal(map.count, 0);
	assert_true(map_find(&map, "") == MAP_NONE);
	assert_true(map_find(&map, "a") == MAP_NONE);
	arena_fini(&arena);
}

static void
keys_get_indexes_in_order(void **state)
{
	static const char *const keys[] = {"b", "a", "", "ab", "B", "b "};
	struct arena arena;
	struct map map;

	(void)state;
	arena_init(&arena, 1 << 20);
	map_init(&map, &arena);
	for (size_t i = 0; i < 6; i++) {
		assert_true(map_find(&map, keys[i]) == MAP_NONE);
		assert_int_equal(map_add(&map, keys[i]), i);
		assert_int_equal(map.count, i + 1);
		assert_int_equal(map_find(&map, keys[i]), i);
	}
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(map_add(&map, keys[i]), i);
		assert_ptr_equal(map.keys[i], keys[i]);
	}
	assert_int_equal(map.count, 6);
	arena_fini(&arena);
}

/* A key is what its bytes are, not where they are. */
static void
keys_compare_as_strings(void **state)
{
	char one[] = "client", other[] = "client";
	struct arena arena;
	struct map map;

	(void)state;
	arena_init(&arena, 1 << 20);
	map_init(&map, &arena);
	assert_int_equal(map_add(&map, one), 0);
	assert_int_equal(map_add(&map, other), 0);
	assert_int_equal(map_find(&map, other), 0);
	assert_ptr_equal(map.keys[0], one);
	arena_fini(&arena);
}

static void
indexes_outlive_growth(void **state)
{
	static char keys[MANY][12];
	struct arena arena;
	struct map map;

	(void)state;
	arena_init(&arena, 1 << 24);
	map_init(&map, &arena);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%zu", i);
		assert_int_equal(map_add(&map, keys[i]), i);
		assert_true(map.count * 2 <= map.size);
	}
	assert_int_equal(map.count, MANY);
	for (size_t i = 0; i < MANY; i++) {
		char absent[16];

		assert_int_equal(map_find(&map, keys[i]), i);
		assert_int_equal(map_add(&map, keys[i]), i);
		assert_ptr_equal(map.keys[i], keys[i]);
		snprintf(absent, sizeof(absent), "-%zu", i);
		assert_true(map_find(&map, absent) == MAP_NONE);
	}
	assert_int_equal(map.count, MANY);
	arena_fini(&arena);
}

/* What is in it when memory ends is still found. */
static void
without_memory_nothing_is_added(void **state)
{
	static char keys[1000][8];
	struct arena arena;
	struct map map;
	size_t n = 0;

	(void)state;
	arena_init(&arena, 4096);
	map_init(&map, &arena);
	for (; n < 1000; n++) {
		snprintf(keys[n], sizeof(keys[n]), "%zu", n);
		if (map_add(&map, keys[n]) == MAP_NONE)
			break;
	}
	assert_in_range(n, 8, 999);
	assert_int_equal(map.count, n);
	assert_true(map_find(&map, keys[n]) == MAP_NONE);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(map_find(&map, keys[i]), i);
	assert_true(map_add(&map, "again") == MAP_NONE);
	arena_fini(&arena);

	arena_init(&arena, 0);
	map_init(&map, &arena);
	assert_true(map_add(&map, "a") == MAP_NONE);
	assert_true(map_find(&map, "a") == MAP_NONE);
	arena_fini(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_map_has_nothing),
	    cmocka_unit_test(keys_get_indexes_in_order),
	    cmocka_unit_test(keys_compare_as_strings),
	    cmocka_unit_test(indexes_outlive_growth),
	    cmocka_unit_test(without_memory_nothing_is_added),
	};

	return unit_run(tests);
}
