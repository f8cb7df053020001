/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/cookie.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "cookie.h"
#include "error.h"
#include "scan.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define ANN "0123456789abcdef01234567"
#define BOB "89abcdef0123456789abcdef"

static struct cookie
read_cookie(const char *text)
{
	struct scan_value value;
	struct cookie cookie;
	struct error error;
	unsigned flags;

	assert_int_equal(
	    scan_document(text, strlen(text), SCAN_TOKENS_MAX, &flags, &error),
	    0);
	scan_root(text, strlen(text), &value);
	cookie_read(&value, &cookie);
	return cookie;
}

static void
assert_written(const struct cookie *cookie, const char *expected)
{
	struct buffer out;

	buffer_init(&out, 200);
	cookie_write(&out, cookie);
	buffer_append_byte(&out, '\0');
	assert_int_equal(out.failure, BUFFER_GOOD);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

static void
what_is_ours_is_known(void **state)
{
	static const struct {
		const char *text;
		enum cookie_kind kind;
		int64_t version, order;
	} cases[] = {
	    {"null", COOKIE_NULL, 0, -1},
	    {"0", COOKIE_VERSION, 0, 0},
	    {"9007199254740991", COOKIE_VERSION, SCAN_INTEGER_MAX,
		SCAN_INTEGER_MAX},
	    {"{\"order\":7,\"v\":6,\"of\":\"\"}", COOKIE_VIEW, 6, 7},
	    {"{\"of\":\"" ANN "\",\"v\":6,\"order\":5}", COOKIE_VIEW, 6, 5},
	    {"{\"order\":\"\\uffff0000000000000012\",\"v\":6,\"of\":\"\"}",
		COOKIE_VIEW, 6, 12},
	    {"{\"order\":\"\xef\xbf\xbf"
	     "9007199254740991\",\"v\":6,\"of\":\"\"}",
		COOKIE_VIEW, 6, SCAN_INTEGER_MAX},
	    /* Others'. */
	    {"9007199254740992", COOKIE_OTHER, 0, -1},
	    {"-1", COOKIE_OTHER, 0, -1},
	    {"1.5", COOKIE_OTHER, 0, 1},
	    {"1e2", COOKIE_OTHER, 0, 100},
	    {"1e308", COOKIE_OTHER, 0, -1},
	    {"\"8\"", COOKIE_OTHER, 0, 0},
	    {"\"\\uffff0000000000000012\"", COOKIE_OTHER, 0, 12},
	    {"true", COOKIE_OTHER, 0, -1},
	    {"[1]", COOKIE_OTHER, 0, -1},
	    {"{}", COOKIE_OTHER, 0, -1},
	    {"{\"order\":3}", COOKIE_OTHER, 0, 3},
	    {"{\"order\":null,\"v\":6,\"of\":\"\"}", COOKIE_OTHER, 0, -1},
	    {"{\"order\":7,\"v\":6,\"of\":\"\",\"x\":1}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":7,\"order\":8,\"v\":6,\"of\":\"\"}", COOKIE_OTHER, 0,
		8},
	    {"{\"order\":7,\"v\":6.5,\"of\":\"\"}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":7,\"v\":6,\"of\":\"" ANN "0\"}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":7,\"v\":6,\"of\":\"ANN\"}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":7,\"v\":6,\"of\":\"\\u0061\"}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":7,\"v\":6,\"of\":1}", COOKIE_OTHER, 0, 7},
	    {"{\"order\":\"\\uffff9999999999999999\",\"v\":6,\"of\":\"\"}",
		COOKIE_OTHER, 0, INT64_C(9999999999999999)},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct cookie cookie = read_cookie(cases[i].text);

		assert_int_equal(cookie.kind, cases[i].kind);
		assert_true(cookie.order == cases[i].order);
		if (cookie.kind == COOKIE_VERSION || cookie.kind == COOKIE_VIEW)
			assert_true(cookie.version == cases[i].version);
	}
}

static void
what_is_read_is_written(void **state)
{
	static const char *const cases[] = {"12",
	    "{\"order\":7,\"v\":6,\"of\":\"" ANN "\"}",
	    "{\"order\":9007199254740991,\"v\":6,\"of\":\"\"}",
	    "{\"order\":\"\xef\xbf\xbf"
	    "0000000000000007\",\"v\":6,\"of\":\"" ANN "\"}"};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct cookie cookie = read_cookie(cases[i]);

		assert_written(&cookie, cases[i]);
	}
}

static void
whose_it_is(void **state)
{
	struct cookie number = read_cookie("12"), none = read_cookie("null"),
		      other = read_cookie("\"12\""),
		      ann = read_cookie(
			  "{\"order\":7,\"v\":6,\"of\":\"" ANN "\"}"),
		      all = read_cookie("{\"order\":7,\"v\":6,\"of\":\"\"}");

	(void)state;
	assert_true(cookie_is_of(&number, ""));
	assert_false(cookie_is_of(&number, ANN));
	assert_true(cookie_is_of(&ann, ANN));
	assert_false(cookie_is_of(&ann, BOB));
	assert_false(cookie_is_of(&ann, ""));
	assert_true(cookie_is_of(&all, ""));
	assert_false(cookie_is_of(&none, ""));
	assert_false(cookie_is_of(&other, ""));
}

static void
the_next_one_is_above(void **state)
{
	static const struct {
		const char *had, *of, *next; /* at version 20 */
	} cases[] = {
	    {"null", "", "20"},
	    {"null", ANN, "{\"order\":20,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"12", "", "20"},
	    {"12", ANN, "{\"order\":20,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"20", ANN, "{\"order\":21,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"2000", ANN, "{\"order\":2001,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":15,\"v\":15,\"of\":\"" ANN "\"}", ANN,
		"{\"order\":20,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":18,\"v\":15,\"of\":\"" ANN "\"}", ANN,
		"{\"order\":23,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":3,\"v\":15,\"of\":\"" ANN "\"}", ANN,
		"{\"order\":20,\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":15,\"v\":15,\"of\":\"" ANN "\"}", BOB,
		"{\"order\":20,\"v\":20,\"of\":\"" BOB "\"}"},
	    {"{\"order\":20,\"v\":20,\"of\":\"" ANN "\"}", BOB,
		"{\"order\":21,\"v\":20,\"of\":\"" BOB "\"}"},
	    {"{\"order\":25,\"v\":20,\"of\":\"" ANN "\"}", "",
		"{\"order\":26,\"v\":20,\"of\":\"\"}"},
	    {"{\"order\":26,\"v\":19,\"of\":\"\"}", "",
		"{\"order\":27,\"v\":20,\"of\":\"\"}"},
	    {"{\"order\":15,\"v\":15,\"of\":\"" ANN "\"}", "", "20"},
	    {"30.5", "", "{\"order\":31,\"v\":20,\"of\":\"\"}"},
	    {"{\"order\":99,\"cvrID\":\"x\"}", "",
		"{\"order\":100,\"v\":20,\"of\":\"\"}"},
	    {"true", "", "20"},
	    /* What only text is above. */
	    {"\"8\"", "",
		"{\"order\":\"\xef\xbf\xbf"
		"0000000000000020\",\"v\":20,\"of\":\"\"}"},
	    {"1e300", ANN,
		"{\"order\":\"\xef\xbf\xbf"
		"0000000000000020\",\"v\":20,\"of\":\"" ANN "\"}"},
	    {"9007199254740991", ANN,
		"{\"order\":\"\xef\xbf\xbf"
		"9007199254740991\",\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":\"\xef\xbf\xbf"
	     "0000000000000020\",\"v\":19,\"of\":\"" ANN "\"}",
		ANN,
		"{\"order\":\"\xef\xbf\xbf"
		"0000000000000021\",\"v\":20,\"of\":\"" ANN "\"}"},
	    {"{\"order\":\"\xef\xbf\xbf"
	     "0000000000000020\",\"v\":20,\"of\":\"" ANN "\"}",
		BOB,
		"{\"order\":\"\xef\xbf\xbf"
		"0000000000000021\",\"v\":20,\"of\":\"" BOB "\"}"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct cookie had = read_cookie(cases[i].had), next;

		cookie_next(&had, 20, cases[i].of, &next);
		assert_written(&next, cases[i].next);
	}
}

/* Two tabs that start from the same cookie meet again, whatever they saw
 * between. */
static void
the_way_does_not_matter(void **state)
{
	struct cookie had = read_cookie(
			  "{\"order\":18,\"v\":15,\"of\":\"" ANN "\"}"),
		      step, far, straight;

	(void)state;
	cookie_next(&had, 17, ANN, &step);
	cookie_next(&step, 30, ANN, &far);
	cookie_next(&had, 30, ANN, &straight);
	assert_written(&far, "{\"order\":33,\"v\":30,\"of\":\"" ANN "\"}");
	assert_written(&straight, "{\"order\":33,\"v\":30,\"of\":\"" ANN "\"}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_ours_is_known),
	    cmocka_unit_test(what_is_read_is_written),
	    cmocka_unit_test(whose_it_is),
	    cmocka_unit_test(the_next_one_is_above),
	    cmocka_unit_test(the_way_does_not_matter),
	};

	return unit_run(tests);
}
