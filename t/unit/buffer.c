/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/buffer. Linked with --wrap=realloc, so that memory can run
 * out.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "buffer.h"

static bool out_of_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *
__wrap_realloc(void *old, size_t size)
{
	return out_of_memory ? NULL : __real_realloc(old, size);
}

static void
assert_holds(const struct buffer *buffer, const char *text)
{
	assert_int_equal(buffer->failure, BUFFER_GOOD);
	assert_int_equal(buffer->length, strlen(text));
	assert_memory_equal(buffer->data, text, buffer->length);
}

static void
appends_add_up(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 1000);
	assert_null(buffer.data);
	buffer_append(&buffer, NULL, 0);
	assert_int_equal(buffer.length, 0);
	assert_int_equal(buffer.failure, BUFFER_GOOD);
	buffer_append(&buffer, "abcdef", 3);
	buffer_append_byte(&buffer, '-');
	buffer_append_string(&buffer, "ghi");
	buffer_append_string(&buffer, "");
	assert_holds(&buffer, "abc-ghi");
	buffer_fini(&buffer);
	assert_null(buffer.data);
	buffer_append_string(&buffer, "again");
	assert_holds(&buffer, "again");
	buffer_fini(&buffer);
}

static void
reserved_bytes_count_when_committed(void **state)
{
	struct buffer buffer;
	char *to;

	(void)state;
	buffer_init(&buffer, 1000);
	buffer_append_string(&buffer, "a");
	assert_non_null((to = buffer_reserve(&buffer, 600)));
	memset(to, 'b', 600);
	assert_int_equal(buffer.length, 1);
	buffer_commit(&buffer, 2);
	assert_holds(&buffer, "abb");
	buffer_fini(&buffer);
}

static void
grows_by_doubling(void **state)
{
	struct buffer buffer;
	size_t grown = 0, capacity = 0;

	(void)state;
	buffer_init(&buffer, 1 << 24);
	for (int i = 0; i < 1 << 20; i++) {
		buffer_append_byte(&buffer, (char)i);
		grown += buffer.capacity != capacity ? 1 : 0;
		capacity = buffer.capacity;
	}
	assert_int_equal(buffer.length, 1 << 20);
	assert_true(grown < 15);
	for (int i = 0; i < 1 << 20; i++)
		assert_int_equal(buffer.data[i], (char)i);
	buffer_fini(&buffer);
}

static void
the_maximum_can_be_reached_not_passed(void **state)
{
	static const size_t maxima[] = {1, 2, 511, 512, 513, 1000, 1025, 5000};

	(void)state;
	for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
		struct buffer buffer;

		buffer_init(&buffer, maxima[i]);
		for (size_t n = 0; n < maxima[i]; n++)
			buffer_append_byte(&buffer, 'x');
		assert_int_equal(buffer.failure, BUFFER_GOOD);
		assert_int_equal(buffer.length, maxima[i]);
		assert_int_equal(buffer.capacity, maxima[i]);
		buffer_append_byte(&buffer, 'x');
		assert_int_equal(buffer.failure, BUFFER_TOO_LARGE);
		buffer_fini(&buffer);
	}
}

static void
failure_is_sticky_and_leaves_nothing(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 10);
	buffer_append_string(&buffer, "123456789");
	buffer_append_string(&buffer, "ab");
	assert_int_equal(buffer.failure, BUFFER_TOO_LARGE);
	assert_int_equal(buffer.length, 0);
	assert_null(buffer.data);
	buffer_append_byte(&buffer, 'c');
	buffer_append_string(&buffer, "");
	assert_null(buffer_reserve(&buffer, 0));
	assert_int_equal(buffer.length, 0);
	assert_int_equal(buffer.failure, BUFFER_TOO_LARGE);
	buffer_reset(&buffer);
	buffer_append_string(&buffer, "1234567890");
	assert_holds(&buffer, "1234567890");
	buffer_fini(&buffer);
	assert_int_equal(buffer.failure, BUFFER_GOOD);
}

static void
sizes_can_not_overflow(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 1000);
	buffer_append_string(&buffer, "abc");
	assert_null(buffer_reserve(&buffer, SIZE_MAX));
	assert_int_equal(buffer.failure, BUFFER_TOO_LARGE);
	buffer_reset(&buffer);
	buffer_append_string(&buffer, "abc");
	assert_null(buffer_reserve(&buffer, SIZE_MAX - 2));
	assert_int_equal(buffer.failure, BUFFER_TOO_LARGE);
	buffer_fini(&buffer);
}

static void
without_memory_it_fails(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, SIZE_MAX);
	buffer_append_string(&buffer, "abc");
	out_of_memory = true;
	assert_null(buffer_reserve(&buffer, 100000));
	out_of_memory = false;
	assert_int_equal(buffer.failure, BUFFER_NO_MEMORY);
	buffer_append_string(&buffer, "abc");
	assert_int_equal(buffer.length, 0);
	buffer_fini(&buffer);
}

static void
reset_keeps_the_memory(void **state)
{
	struct buffer buffer;
	char *data;

	(void)state;
	buffer_init(&buffer, 1000);
	buffer_append_string(&buffer, "abc");
	data = buffer.data;
	buffer_reset(&buffer);
	assert_int_equal(buffer.length, 0);
	buffer_append_string(&buffer, "de");
	assert_ptr_equal(buffer.data, data);
	assert_holds(&buffer, "de");
	buffer_fini(&buffer);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(appends_add_up),
	    cmocka_unit_test(reserved_bytes_count_when_committed),
	    cmocka_unit_test(grows_by_doubling),
	    cmocka_unit_test(the_maximum_can_be_reached_not_passed),
	    cmocka_unit_test(failure_is_sticky_and_leaves_nothing),
	    cmocka_unit_test(sizes_can_not_overflow),
	    cmocka_unit_test(without_memory_it_fails),
	    cmocka_unit_test(reset_keeps_the_memory),
	};

	return unit_run(tests);
}
