/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/base64url.
 */
#include "config.h"

#include "unit.h"

#include <string.h>

#include "base64url.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 section 10, without padding, and the two odd characters. */
static void
known_texts_are_read(void **state)
{
	static const struct {
		const char *text, *bytes;
		size_t length;
	} cases[] = {{"", "", 0}, {"Zg", "f", 1}, {"Zm8", "fo", 2},
	    {"Zm9v", "foo", 3}, {"Zm9vYg", "foob", 4}, {"Zm9vYmE", "fooba", 5},
	    {"Zm9vYmFy", "foobar", 6}, {"-_8", "\xfb\xff", 2},
	    {"AAAA", "\0\0\0", 3}, {"____", "\xff\xff\xff", 3}};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		unsigned char out[16];
		size_t length;

		assert_true(base64url_decode(cases[i].text,
		    strlen(cases[i].text), out, &length));
		assert_int_equal(length, cases[i].length);
		assert_memory_equal(out, cases[i].bytes, length);
	}
}

static void
anything_else_is_refused(void **state)
{
	static const char *const bad[] = {"Z", "Zg=", "Zg==", "Zm8=", "Zm9vY",
	    "Zg ", " Zg", "Zg\n", "Z g", "Zm+v", "Zm/v", "Zm.v", "Zm9v\x80",
	    "Zh", "Zm9", "Zm9vYh", "Zm9vYmF", "=", "Zg%3D"};

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++) {
		unsigned char out[16];
		size_t length;

		if (base64url_decode(bad[i], strlen(bad[i]), out, &length))
			fail_msg("%s was read", bad[i]);
	}
}

/* Of all texts of two and of three characters, as many are read as there are
 * bytes: one for each. */
static void
there_is_one_way_to_write_bytes(void **state)
{
	size_t two = 0, three = 0;
	unsigned char out[8];
	size_t length;

	(void)state;
	for (size_t a = 0; a < 64; a++) {
		for (size_t b = 0; b < 64; b++) {
			char text[3] = {alphabet[a], alphabet[b]};

			two += base64url_decode(text, 2, out, &length);
			for (size_t c = 0; c < 64; c++) {
				text[2] = alphabet[c];
				three +=
				    base64url_decode(text, 3, out, &length);
			}
		}
	}
	assert_int_equal(two, 256);
	assert_int_equal(three, 65536);
}

/* BASE64URL_SIZE is enough, to the byte. */
static void
the_room_is_enough(void **state)
{
	char text[64];

	(void)state;
	memset(text, 'A', sizeof(text));
	for (size_t n = 0; n < sizeof(text); n++) {
		unsigned char out[64];
		size_t length;

		if (base64url_decode(text, n, out, &length))
			assert_true(length <= BASE64URL_SIZE(n));
		else
			assert_int_equal(n % 4, 1);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_texts_are_read),
	    cmocka_unit_test(anything_else_is_refused),
	    cmocka_unit_test(there_is_one_way_to_write_bytes),
	    cmocka_unit_test(the_room_is_enough),
	};

	return unit_run(tests);
}
