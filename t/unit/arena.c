/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/arena. Linked with --wrap=malloc, so that memory can run
 * out.
 */
#include "config.h"

#include "unit.h"

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#include "arena.h"

#define MAX ((size_t)1024 * 1024)

static bool out_of_memory;

/* Volatile, as compilers know such sizes to be wrong. */
static volatile size_t huge = SIZE_MAX;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *
__wrap_malloc(size_t size)
{
	return out_of_memory ? NULL : __real_malloc(size);
}

static void
takes_no_memory_until_asked(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, MAX);
	assert_int_equal(arena.total, 0);
	arena_reset(&arena);
	assert_int_equal(arena.total, 0);
	assert_non_null(arena_alloc(&arena, 1));
	assert_int_equal(arena.total, ARENA_CHUNK_FIRST);
	arena_fini(&arena);
	assert_int_equal(arena.total, 0);
	arena_fini(&arena);
}

static void
pieces_are_aligned_and_apart(void **state)
{
	unsigned char *pieces[500];
	struct arena arena;

	(void)state;
	arena_init(&arena, MAX);
	for (size_t i = 0; i < 500; i++) {
		pieces[i] = arena_alloc(&arena, i);
		assert_non_null(pieces[i]);
		assert_int_equal(
		    (uintptr_t)pieces[i] % alignof(max_align_t), 0);
		memset(pieces[i], (int)(i & 0xff), i);
	}
	for (size_t i = 0; i < 500; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal(pieces[i][j], i & 0xff);
	}
	arena_fini(&arena);
}

static void
chunks_double_up_to_a_limit(void **state)
{
	struct arena arena;
	size_t calls = 0, total = 0;

	(void)state;
	arena_init(&arena, 64 * MAX);
	for (size_t i = 0; i < 10000; i++) {
		assert_non_null(arena_alloc(&arena, 1000));
		calls += arena.total != total ? 1 : 0;
		assert_true(arena.total - total <= ARENA_CHUNK_MAX);
		total = arena.total;
	}
	assert_true(calls < 20);
	assert_true(total < 12 * MAX);
	arena_fini(&arena);
}

static void
a_large_piece_gets_a_chunk_of_its_size(void **state)
{
	struct arena arena;
	char *piece;

	(void)state;
	arena_init(&arena, 64 * MAX);
	assert_non_null(arena_alloc(&arena, 10));
	assert_non_null((piece = arena_alloc(&arena, 20 * MAX)));
	memset(piece, 1, 20 * MAX);
	assert_true(arena.total < 21 * MAX);
	arena_fini(&arena);
}

static void
reset_keeps_the_first_chunk_alone(void **state)
{
	struct arena arena;
	void *first;

	(void)state;
	arena_init(&arena, MAX);
	first = arena_alloc(&arena, 100);
	for (int i = 0; i < 50; i++)
		assert_non_null(arena_alloc(&arena, 1000));
	assert_true(arena.total > ARENA_CHUNK_FIRST);
	arena_reset(&arena);
	assert_int_equal(arena.total, ARENA_CHUNK_FIRST);
	assert_ptr_equal(arena_alloc(&arena, 100), first);
	arena_fini(&arena);
}

static void
the_maximum_holds_and_can_be_used_up(void **state)
{
	struct arena arena;
	size_t got = 0;

	(void)state;
	arena_init(&arena, MAX);
	assert_null(arena_alloc(&arena, MAX));
	assert_null(arena_alloc(&arena, huge));
	assert_null(arena_alloc(&arena, huge - 20));
	while (arena_alloc(&arena, 1000) != NULL)
		got += 1000;
	assert_true(arena.total <= MAX);
	assert_true(got > MAX * 9 / 10);
	arena_reset(&arena);
	assert_non_null(arena_alloc(&arena, MAX / 2));
	arena_fini(&arena);
}

static void
a_small_maximum_makes_a_small_chunk(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 200);
	assert_non_null(arena_alloc(&arena, 100));
	assert_true(arena.total <= 200);
	assert_null(arena_alloc(&arena, 100));
	arena_fini(&arena);
	arena_init(&arena, 10);
	assert_null(arena_alloc(&arena, 1));
	arena_fini(&arena);
}

static void
without_memory_it_gives_null_and_stays_usable(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, MAX);
	out_of_memory = true;
	assert_null(arena_alloc(&arena, 1));
	assert_null(arena_strdup(&arena, "x"));
	assert_null(arena_calloc(&arena, 1, 1));
	out_of_memory = false;
	assert_non_null(arena_alloc(&arena, 1));
	out_of_memory = true;
	assert_non_null(arena_alloc(&arena, 1));
	assert_null(arena_alloc(&arena, 2 * ARENA_CHUNK_FIRST));
	out_of_memory = false;
	assert_non_null(arena_alloc(&arena, 2 * ARENA_CHUNK_FIRST));
	arena_fini(&arena);
}

static void
calloc_zeroes_used_memory_and_refuses_overflow(void **state)
{
	static const char zeros[300];
	struct arena arena;
	void *piece;

	(void)state;
	arena_init(&arena, MAX);
	memset(arena_alloc(&arena, 300), 0xff, 300);
	arena_reset(&arena);
	assert_non_null((piece = arena_calloc(&arena, 100, 3)));
	assert_memory_equal(piece, zeros, 300);
	/* these products wrap round to 4 */
	assert_null(arena_calloc(&arena, huge / 4 + 2, 4));
	assert_null(arena_calloc(&arena, 4, huge / 4 + 2));
	assert_non_null(arena_calloc(&arena, 0, 8));
	assert_non_null(arena_calloc(&arena, 8, 0));
	arena_fini(&arena);
}

static void
copies_are_terminated(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, MAX);
	assert_string_equal(arena_strdup(&arena, ""), "");
	assert_string_equal(arena_strdup(&arena, "abc"), "abc");
	assert_string_equal(arena_strndup(&arena, "abc", 2), "ab");
	assert_string_equal(arena_strndup(&arena, NULL, 0), "");
	assert_memory_equal(arena_strndup(&arena, "a\0b", 3), "a\0b", 4);
	assert_null(arena_strndup(&arena, "", huge));
	arena_fini(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_no_memory_until_asked),
	    cmocka_unit_test(pieces_are_aligned_and_apart),
	    cmocka_unit_test(chunks_double_up_to_a_limit),
	    cmocka_unit_test(a_large_piece_gets_a_chunk_of_its_size),
	    cmocka_unit_test(reset_keeps_the_first_chunk_alone),
	    cmocka_unit_test(the_maximum_holds_and_can_be_used_up),
	    cmocka_unit_test(a_small_maximum_makes_a_small_chunk),
	    cmocka_unit_test(without_memory_it_gives_null_and_stays_usable),
	    cmocka_unit_test(calloc_zeroes_used_memory_and_refuses_overflow),
	    cmocka_unit_test(copies_are_terminated),
	};

	return unit_run(tests);
}
