/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/utf8.h: all code points, and all that is none.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

static bool
is_surrogate(uint32_t code)
{
	return code >= 0xd800 && code <= 0xdfff;
}

static void
every_code_point_is_taken_whole_and_not_cut(void **state)
{
	(void)state;
	for (uint32_t code = 0x80; code <= 0x10ffff; code++) {
		char text[UTF8_MAX];
		size_t length = utf8_encode(code, text);
		size_t expected = is_surrogate(code) ? 0 : length;

		if (utf8_sequence(text, text + length) != expected)
			fail_msg("U+%04X", (unsigned)code);
		for (size_t cut = 1; cut < length; cut++)
			assert_int_equal(utf8_sequence(text, text + cut), 0);
	}
}

static void
lengths_change_where_they_should(void **state)
{
	char text[UTF8_MAX];

	(void)state;
	assert_int_equal(utf8_encode(0, text), 1);
	assert_int_equal(utf8_encode(0x7f, text), 1);
	assert_int_equal(utf8_encode(0x80, text), 2);
	assert_int_equal(utf8_encode(0x7ff, text), 2);
	assert_int_equal(utf8_encode(0x800, text), 3);
	assert_int_equal(utf8_encode(0xffff, text), 3);
	assert_int_equal(utf8_encode(0x10000, text), 4);
	assert_memory_equal(text, "\xf0\x90\x80\x80", 4);
	assert_int_equal(utf8_encode(0x10ffff, text), 4);
	assert_memory_equal(text, "\xf4\x8f\xbf\xbf", 4);
}

/* The code point that LENGTH bytes spell if nobody minds how. */
static uint32_t
decode_loosely(const unsigned char *text, size_t length)
{
	static const unsigned char first_bits[] = {0, 0, 0x1f, 0x0f, 0x07};
	uint32_t code = text[0] & first_bits[length];

	for (size_t i = 1; i < length; i++)
		code = code << 6 | (text[i] & 0x3f);
	return code;
}

/* What four bytes should give, by the table of RFC 3629 section 3. */
static size_t
expected_length(const unsigned char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = text[0] >= 0xf8   ? 0
			: text[0] >= 0xf0 ? 4
			: text[0] >= 0xe0 ? 3
			: text[0] >= 0xc0 ? 2
					  : 0;
	uint32_t code;

	for (size_t i = 1; i < length; i++) {
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	}
	code = decode_loosely(text, length);
	if (code < least[length] || code > 0x10ffff || is_surrogate(code))
		return 0;
	return length;
}

static void
every_four_bytes_are_judged_right(void **state)
{
	/* both sides of all borders */
	static const unsigned char later[] = {
	    0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};

	(void)state;
	for (unsigned first = 0x80; first < 0x100; first++) {
		for (unsigned i = 0; i < 1000; i++) {
			unsigned char bytes[] = {(unsigned char)first,
			    later[i % 10], later[i / 10 % 10], later[i / 100]};
			char text[4];

			memcpy(text, bytes, 4);
			if (utf8_sequence(text, text + 4) !=
			    expected_length(bytes))
				fail_msg("%02x %02x %02x %02x", bytes[0],
				    bytes[1], bytes[2], bytes[3]);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_code_point_is_taken_whole_and_not_cut),
	    cmocka_unit_test(lengths_change_where_they_should),
	    cmocka_unit_test(every_four_bytes_are_judged_right),
	};

	return unit_run(tests);
}
