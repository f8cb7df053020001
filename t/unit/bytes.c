/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/bytes.h against the plainest loop that does the same. Built
 * a second time by bytes_portable.c.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

/* Longer than two blocks of 16, of 8, and a rest. */
#define LENGTH_MAX 60

static const char *
find(const char *at, const char *end, enum bytes_stop stop)
{
	switch (stop) {
	case BYTES_STOP_STRING:
		return bytes_find(at, end, BYTES_STOP_STRING);
	case BYTES_STOP_ASCII:
		return bytes_find(at, end, BYTES_STOP_ASCII);
	case BYTES_STOP_QUOTE:
		return bytes_find(at, end, BYTES_STOP_QUOTE);
	case BYTES_STOP_STRUCTURE:
		return bytes_find(at, end, BYTES_STOP_STRUCTURE);
	}
	return NULL;
}

/* The definition. */
static bool
stops(unsigned char c, enum bytes_stop stop)
{
	switch (stop) {
	case BYTES_STOP_STRING:
		return c == '"' || c == '\\' || c < 0x20;
	case BYTES_STOP_ASCII:
		return c == '"' || c == '\\' || c < 0x20 || c > 0x7f;
	case BYTES_STOP_QUOTE:
		return c == '"' || c == '\\';
	case BYTES_STOP_STRUCTURE:
		return c != 0 && strchr("\"{}[]\x02", c) != NULL;
	}
	return false;
}

/* Each byte value at each place of each length, in memory that ends there. */
static void
check_every_byte_everywhere(enum bytes_stop stop)
{
	for (size_t length = 1; length <= LENGTH_MAX; length++) {
		char *text = malloc(length);

		assert_non_null(text);
		memset(text, 'a', length);
		for (size_t i = 0; i < length; i++) {
			for (int c = 0; c < 256; c++) {
				bool stop_there = stops((unsigned char)c, stop);
				const char *found;

				text[i] = (char)c;
				found = find(text, text + length, stop);
				assert_int_equal(
				    found - text, stop_there ? i : length);
			}
			text[i] = 'a';
		}
		free(text);
	}
}

/* All mixtures of bytes near those that stop. */
static void
check_mixtures(enum bytes_stop stop)
{
	static const char near[] = "\x1f !\"#[\\]^z{|}~\x7f\x80\xa0\xdb\xff\x01"
				   "\x02\x03\xa2\xdc\xfb\xfd\x20\x21\x00";
	uint64_t seed = 1;

	for (int run = 0; run < 50000; run++) {
		char text[LENGTH_MAX];
		size_t begin = unit_random(&seed) % 16, expected = begin;
		unsigned rare = run % 7 == 0 ? 2 : 40;

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = unit_random(&seed) % rare == 0
				      ? near[unit_random(&seed) % sizeof(near)]
				      : 'a';
		while (expected < sizeof(text) &&
		       !stops((unsigned char)text[expected], stop))
			expected++;
		assert_int_equal(
		    find(text + begin, text + sizeof(text), stop) - text,
		    expected);
	}
}

static void
finds_in_nothing(void **state)
{
	const char *nothing = "\"";

	(void)state;
	assert_ptr_equal(
	    bytes_find(nothing, nothing, BYTES_STOP_QUOTE), nothing);
}

static void
stop_string(void **state)
{
	(void)state;
	check_every_byte_everywhere(BYTES_STOP_STRING);
	check_mixtures(BYTES_STOP_STRING);
}

static void
stop_ascii(void **state)
{
	(void)state;
	check_every_byte_everywhere(BYTES_STOP_ASCII);
	check_mixtures(BYTES_STOP_ASCII);
}

static void
stop_quote(void **state)
{
	(void)state;
	check_every_byte_everywhere(BYTES_STOP_QUOTE);
	check_mixtures(BYTES_STOP_QUOTE);
}

static void
stop_structure(void **state)
{
	(void)state;
	check_every_byte_everywhere(BYTES_STOP_STRUCTURE);
	check_mixtures(BYTES_STOP_STRUCTURE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_in_nothing),
	    cmocka_unit_test(stop_string),
	    cmocka_unit_test(stop_ascii),
	    cmocka_unit_test(stop_quote),
	    cmocka_unit_test(stop_structure),
	};

	return unit_run(tests);
}
