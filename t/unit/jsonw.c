/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/jsonw.
 */
#include "config.h"

#include "unit.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "error.h"
#include "jsonw.h"
#include "scan.h"

static void
assert_written(const char *text, size_t length, const char *expected)
{
	struct buffer buffer;

	buffer_init(&buffer, 1000);
	jsonw_string(&buffer, text, length);
	assert_int_equal(buffer.failure, BUFFER_GOOD);
	assert_int_equal(buffer.length, strlen(expected));
	assert_memory_equal(buffer.data, expected, buffer.length);
	buffer_fini(&buffer);
}

static void
strings_are_escaped_where_they_must(void **state)
{
	(void)state;
	assert_written("", 0, "\"\"");
	assert_written("abc", 3, "\"abc\"");
	assert_written("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	assert_written("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"");
	assert_written("\0\x01\x0b\x1f", 4, "\"\\u0000\\u0001\\u000b\\u001f\"");
	assert_written("/\x7f", 2, "\"/\x7f\"");
	assert_written("\xe2\x80\xa8", 3, "\"\xe2\x80\xa8\"");
	assert_written("\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"");
	assert_written("0123456789abcdef\"0123456789abcdef\"", 34,
	    "\"0123456789abcdef\\\"0123456789abcdef\\\"\"");
}

/* What was written is JSON, and reads as what it was. */
static void
assert_round_trip(const char *text, size_t length)
{
	struct scan_value value;
	struct buffer buffer;
	struct error error;
	unsigned flags;
	char back[400];

	buffer_init(&buffer, 10000);
	jsonw_string(&buffer, text, length);
	assert_int_equal(buffer.failure, BUFFER_GOOD);
	assert_int_equal(
	    scan_document(buffer.data, buffer.length, 1, &flags, &error), 0);
	scan_root(buffer.data, buffer.length, &value);
	assert_int_equal(value.kind, SCAN_STRING);
	assert_true(value.length - 1 <= sizeof(back));
	assert_int_equal(scan_decode(&value, back, &flags), length);
	assert_memory_equal(back, text, length);
	buffer_fini(&buffer);
}

static void
any_ascii_comes_back(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int run = 0; run < 20000; run++) {
		size_t length = unit_random(&seed) % 60;
		char text[60];

		for (size_t i = 0; i < length; i++)
			text[i] = (char)(1 + unit_random(&seed) % 127);
		assert_round_trip(text, length);
	}
}

static void
integers_are_exact(void **state)
{
	static const int64_t values[] = {0, 1, -1, 9, 10, -10, 123456789,
	    SCAN_INTEGER_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct buffer buffer;
		char expected[30];

		snprintf(expected, sizeof(expected), "%" PRId64, values[i]);
		buffer_init(&buffer, 30);
		jsonw_int64(&buffer, values[i]);
		assert_int_equal(buffer.length, strlen(expected));
		assert_memory_equal(buffer.data, expected, buffer.length);
		buffer_fini(&buffer);
	}
}

static void
raw_is_verbatim(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 30);
	jsonw_raw(&buffer, "[1, \"\\n\"]", 9);
	assert_int_equal(buffer.length, 9);
	assert_memory_equal(buffer.data, "[1, \"\\n\"]", 9);
	buffer_fini(&buffer);
}

/* A string that just fits is whole, one that does not fails the buffer. */
static void
the_maximum_of_the_buffer_holds(void **state)
{
	static const char text[] = "abc\n\x01\"0123456789012345678901234567";
	size_t needed = 2 + strlen(text) + 1 + 5 + 1;

	(void)state;
	for (size_t max = 1; max <= needed; max++) {
		struct buffer buffer;

		buffer_init(&buffer, max);
		jsonw_string(&buffer, text, strlen(text));
		assert_int_equal(buffer.failure,
		    max < needed ? BUFFER_TOO_LARGE : BUFFER_GOOD);
		assert_int_equal(buffer.length, max < needed ? 0 : needed);
		buffer_fini(&buffer);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strings_are_escaped_where_they_must),
	    cmocka_unit_test(any_ascii_comes_back),
	    cmocka_unit_test(integers_are_exact),
	    cmocka_unit_test(raw_is_verbatim),
	    cmocka_unit_test(the_maximum_of_the_buffer_holds),
	};

	return unit_run(tests);
}
