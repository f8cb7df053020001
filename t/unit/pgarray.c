/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/pgarray. Linked with --wrap=realloc, so that memory can run
 * out.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "pgarray.h"

static bool out_of_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *
__wrap_realloc(void *old, size_t size)
{
	return out_of_memory ? NULL : __real_realloc(old, size);
}

static void
assert_ends(struct pgarray *array, const char *literal)
{
	struct arena arena;

	arena_init(&arena, 1 << 20);
	assert_string_equal(pgarray_end(array, &arena), literal);
	arena_fini(&arena);
	pgarray_fini(array);
}

static void
none_is_the_empty_array(void **state)
{
	struct pgarray array;

	(void)state;
	pgarray_init(&array);
	assert_ends(&array, "{}");
}

/* The manual, 8.15.6: quoted, empty is no NULL and NULL is no null. */
static void
texts_are_quoted(void **state)
{
	static const struct {
		const char *text, *literal;
	} cases[] = {
	    {"a", "{\"a\"}"},
	    {"", "{\"\"}"},
	    {"NULL", "{\"NULL\"}"},
	    {" a ", "{\" a \"}"},
	    {"a,b", "{\"a,b\"}"},
	    {"{}", "{\"{}\"}"},
	    {"\"", "{\"\\\"\"}"},
	    {"\\", "{\"\\\\\"}"},
	    {"\\\"", "{\"\\\\\\\"\"}"},
	    {"\"},{\"", "{\"\\\"},{\\\"\"}"},
	    {"'", "{\"'\"}"},
	    {"\t\n\x01\x7f", "{\"\t\n\x01\x7f\"}"},
	    {"\xc3\xa9\xf0\x9f\x98\x80", "{\"\xc3\xa9\xf0\x9f\x98\x80\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pgarray array;

		pgarray_init(&array);
		pgarray_add_text(&array, cases[i].text);
		assert_ends(&array, cases[i].literal);
	}
}

static void
elements_are_parted_by_commas(void **state)
{
	struct pgarray array;

	(void)state;
	pgarray_init(&array);
	pgarray_add_text(&array, "");
	pgarray_add_text(&array, "");
	pgarray_add_text(&array, "c");
	assert_ends(&array, "{\"\",\"\",\"c\"}");
}

static void
integers_are_written_whole(void **state)
{
	struct pgarray array;

	(void)state;
	pgarray_init(&array);
	pgarray_add_int64(&array, 0);
	pgarray_add_int64(&array, -1);
	pgarray_add_int64(&array, INT64_MAX);
	pgarray_add_int64(&array, INT64_MIN);
	assert_ends(&array,
	    "{0,-1,9223372036854775807,-9223372036854775808}");
}

/* Failure anywhere shows at the end. */
static void
without_memory_there_is_no_literal(void **state)
{
	struct pgarray array;
	struct arena arena;
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	arena_init(&arena, 1 << 20);
	pgarray_init(&array);
	pgarray_add_text(&array, "a");
	out_of_memory = true;
	pgarray_add_text(&array, text);
	out_of_memory = false;
	pgarray_add_text(&array, "b");
	assert_null(pgarray_end(&array, &arena));
	pgarray_fini(&array);

	out_of_memory = true;
	pgarray_init(&array);
	out_of_memory = false;
	pgarray_add_int64(&array, 1);
	assert_null(pgarray_end(&array, &arena));
	pgarray_fini(&array);
	arena_fini(&arena);

	arena_init(&arena, 0);
	pgarray_init(&array);
	assert_null(pgarray_end(&array, &arena));
	pgarray_fini(&array);
	arena_fini(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(none_is_the_empty_array),
	    cmocka_unit_test(texts_are_quoted),
	    cmocka_unit_test(elements_are_parted_by_commas),
	    cmocka_unit_test(integers_are_written_whole),
	    cmocka_unit_test(without_memory_there_is_no_literal),
	};

	return unit_run(tests);
}
