/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/printable.
 */
#include "config.h"

#include "unit.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "printable.h"
#include "utf8.h"

/* Writes TEXT as it may be shown and gives its columns. */
static size_t
show(const char *text, enum printable_form form, char *out)
{
	struct printable printable;
	size_t n, columns, width = 0;

	printable_init(&printable, text, strlen(text), form);
	while ((n = printable_next(&printable, out, &columns)) > 0) {
		assert_in_range(n, 1, PRINTABLE_MAX);
		out += n;
		width += columns;
	}
	*out = '\0';
	return width;
}

static void
what_can_be_seen_is_shown(void **state)
{
	static const struct {
		const char *text, *ascii, *utf8;
		size_t width; /* of utf8 */
	} cases[] = {
	    {"", "", "", 0},
	    {"plain \"text\" \\ ~", "plain \"text\" \\ ~",
		"plain \"text\" \\ ~", 16},
	    {"a\nb\tc\rd\x1b[31m\x7f", "a\\x0ab\\x09c\\x0dd\\x1b[31m\\x7f",
		"a\\x0ab\\x09c\\x0dd\\x1b[31m\\x7f", 28},
	    /* C1 controls: CSI, NEL. */
	    {"\xc2\x9b\xc2\x85", "\\xc2\\x9b\\xc2\\x85",
		"\\xc2\\x9b\\xc2\\x85", 16},
	    {"\xc3\xa9\xe2\x82\xac", "\\xc3\\xa9\\xe2\\x82\\xac",
		"\xc3\xa9\xe2\x82\xac", 2},
	    /* Wide, and beyond the first plane. */
	    {"\xe4\xb8\xad\xf0\x9f\x98\x80",
		"\\xe4\\xb8\\xad\\xf0\\x9f\\x98\\x80",
		"\xe4\xb8\xad\xf0\x9f\x98\x80", 4},
	    /* Turned around, and invisible. */
	    {"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf",
		"\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8b\\xef\\xbb\\xbf",
		"\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8b\\xef\\xbb\\xbf",
		48},
	    {"\xe2\x80\xa8\xf3\xa0\x81\x81", "\\xe2\\x80\\xa8\\xf3\\xa0\\x81\\x81",
		"\\xe2\\x80\\xa8\\xf3\\xa0\\x81\\x81", 28},
	    /* No UTF-8: a lone byte, one cut, an overlong one, a surrogate. */
	    {"\xff\xc3", "\\xff\\xc3", "\\xff\\xc3", 8},
	    {"\xc0\x9b\xed\xa0\x80", "\\xc0\\x9b\\xed\\xa0\\x80",
		"\\xc0\\x9b\\xed\\xa0\\x80", 20},
	    /* Four accents are shown, and no more, on each letter. */
	    {"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81o\xcc\x81",
		"e\\xcc\\x81\\xcc\\x81\\xcc\\x81\\xcc\\x81\\xcc\\x81\\xcc\\x81o"
		"\\xcc\\x81",
		"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\\xcc\\x81\\xcc\\x81o\xcc\x81",
		18},
	};
	char out[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = show(cases[i].text, PRINTABLE_ASCII, out);

		assert_string_equal(out, cases[i].ascii);
		assert_int_equal(n, strlen(out));
		n = show(cases[i].text, PRINTABLE_UTF8, out);
		assert_string_equal(out, cases[i].utf8);
		assert_int_equal(n, cases[i].width);
	}
}

/* Of whatever code point: ASCII, or UTF-8 that is not hidden. */
static void
no_code_point_gets_through_hidden(void **state)
{
	(void)state;
	for (uint32_t code = 1; code <= 0x10ffff; code++) {
		char text[UTF8_MAX + 1], out[64];
		size_t n = utf8_encode(code, text);

		text[n] = '\0';
		show(text, PRINTABLE_UTF8, out);
		if (out[0] == '\\' && code != '\\') {
			assert_int_equal(strlen(out), 4 * n);
			continue;
		}
		assert_string_equal(out, text);
		if (code >= 0x80 ? printable_is_hidden(code)
				 : code < 0x20 || code == 0x7f)
			fail_msg("U+%04X", (unsigned)code);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_can_be_seen_is_shown),
	    cmocka_unit_test(no_code_point_gets_through_hidden),
	};

	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
		puts("1..0 # SKIP there is no locale C.UTF-8");
		return 0;
	}
	return unit_run(tests);
}
