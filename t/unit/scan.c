/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/scan: limits, the walk, strings and integers. What is JSON
 * and what not is in t/corpus/json.
 */
#include "config.h"

#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
judge(const char *text, size_t max_tokens, unsigned *flags, struct error *error)
{
	return scan_document(text, strlen(text), max_tokens, flags, error);
}

/* The value that the document TEXT, which is good, is. */
static struct scan_value
root_of(const char *text)
{
	struct scan_value root;
	struct error error;
	unsigned flags;

	if (judge(text, SCAN_TOKENS_MAX, &flags, &error) < 0)
		fail_msg("%s: %s", text, error.message);
	scan_root(text, strlen(text), &root);
	return root;
}

static void
assert_value(
    const struct scan_value *value, enum scan_kind kind, const char *text)
{
	assert_int_equal(value->kind, kind);
	assert_int_equal(value->length, strlen(text));
	assert_memory_equal(value->text, text, value->length);
}

static void
kinds_and_slices(void **state)
{
	static const struct {
		const char *text;
		enum scan_kind kind;
	} cases[] = {
	    {"null", SCAN_NULL},
	    {"true", SCAN_TRUE},
	    {"false", SCAN_FALSE},
	    {"0", SCAN_INTEGER},
	    {"-12", SCAN_INTEGER},
	    {"1.0", SCAN_DECIMAL},
	    {"1e2", SCAN_DECIMAL},
	    {"\"\"", SCAN_STRING},
	    {"\"a\\\"b]\"", SCAN_STRING},
	    {"[]", SCAN_ARRAY},
	    {"[ [\"]\"] , {} ]", SCAN_ARRAY},
	    {"{}", SCAN_OBJECT},
	    {"{\"a\" : {\"}\":[]} }", SCAN_OBJECT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scan_value value;
		struct scan_cursor cursor;
		char text[100] = " \t[ ";

		value = root_of(cases[i].text);
		assert_value(&value, cases[i].kind, cases[i].text);

		strcat(strcat(text, cases[i].text), "\n, 1] ");
		value = root_of(text);
		scan_open(&cursor, &value);
		assert_true(scan_element(&cursor, &value));
		assert_value(&value, cases[i].kind, cases[i].text);
		assert_true(scan_element(&cursor, &value));
		assert_value(&value, SCAN_INTEGER, "1");
		assert_false(scan_element(&cursor, &value));
		assert_false(scan_element(&cursor, &value));
	}
}

static void
members_come_in_order_and_as_often_as_sent(void **state)
{
	struct scan_value root =
	    root_of("{\"b\":1, \"\" : [2,{}] ,\"b\":\"x\",\"\\u0061\":null}");
	struct scan_value key, value;
	struct scan_cursor cursor;

	(void)state;
	scan_open(&cursor, &root);
	assert_true(scan_member(&cursor, &key, &value));
	assert_value(&key, SCAN_STRING, "\"b\"");
	assert_value(&value, SCAN_INTEGER, "1");
	assert_true(scan_member(&cursor, &key, &value));
	assert_value(&key, SCAN_STRING, "\"\"");
	assert_value(&value, SCAN_ARRAY, "[2,{}]");
	assert_true(scan_member(&cursor, &key, &value));
	assert_value(&key, SCAN_STRING, "\"b\"");
	assert_value(&value, SCAN_STRING, "\"x\"");
	assert_true(scan_member(&cursor, &key, &value));
	assert_value(&key, SCAN_STRING, "\"\\u0061\"");
	assert_value(&value, SCAN_NULL, "null");
	assert_false(scan_member(&cursor, &key, &value));
}

static void
what_is_empty_has_no_elements(void **state)
{
	static const char *const texts[] = {
	    "[]", "{}", " [ ] ", "{\n}", "1", "\"a,b\"", "null", "-1.5"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct scan_value value = root_of(texts[i]);
		struct scan_cursor cursor;

		scan_open(&cursor, &value);
		assert_false(scan_element(&cursor, &value));
	}
}

static const char *const names[] = {"id", "name", "\xc3\xa9\"/"};

static void
fields_are_found_by_meaning(void **state)
{
	struct scan_value root = root_of(
	    "{\"Id\":0,\"i\":0,\"idx\":0,\"extra\":{\"id\":5},\"extra\":1,"
	    "\"\\u0069\\u0064\":7,\"\\u00e9\\\"\\/\":[]}");
	struct scan_value values[COUNT(names)];
	struct error error;

	(void)state;
	assert_int_equal(
	    scan_fields(&root, names, COUNT(names), values, &error), 0);
	assert_value(&values[0], SCAN_INTEGER, "7");
	assert_int_equal(values[1].kind, SCAN_NONE);
	assert_value(&values[2], SCAN_ARRAY, "[]");
}

static void
fields_come_once_and_in_an_object(void **state)
{
	static const char *const texts[] = {"{\"id\":1,\"id\":1}",
	    "{\"id\":null,\"a\":2,\"i\\u0064\":1}", "[]", "[\"id\",1]",
	    "\"id\"", "1", "null"};
	struct scan_value values[COUNT(names)];
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct scan_value root = root_of(texts[i]);

		assert_int_equal(
		    scan_fields(&root, names, COUNT(names), values, &error),
		    -1);
		assert_int_equal(error.code, ERROR_INVALID_REQUEST);
	}
}

static void
values_are_counted_and_keys_are_not(void **state)
{
	static const struct {
		const char *text;
		size_t tokens;
	} cases[] = {
	    {"1", 1},
	    {"[]", 1},
	    {"[1,2]", 3},
	    {"{\"a\":1,\"b\":\"c\"}", 3},
	    {"[{},[{}],null,true]", 6},
	};
	struct error error;
	unsigned flags;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t tokens = cases[i].tokens;

		assert_int_equal(
		    judge(cases[i].text, tokens, &flags, &error), 0);
		assert_int_equal(
		    judge(cases[i].text, tokens - 1, &flags, &error), -1);
		assert_int_equal(error.code, ERROR_TOO_MANY_TOKENS);
	}
}

static void
a_million_empty_objects_are_too_many(void **state)
{
	size_t length = 3 * SCAN_TOKENS_MAX + 1;
	char *text = malloc(length);
	struct error error;
	unsigned flags;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < length; i++)
		text[i] = ",{}"[i % 3];
	text[0] = '[';
	text[length - 1] = ']';
	assert_int_equal(
	    scan_document(text, length, SCAN_TOKENS_MAX, &flags, &error), -1);
	assert_int_equal(error.code, ERROR_TOO_MANY_TOKENS);
	assert_int_equal(
	    scan_document(text, length, SCAN_TOKENS_MAX + 1, &flags, &error),
	    0);
	free(text);
}

static void
depth_ends_where_it_says(void **state)
{
	char text[2 * (SCAN_DEPTH_MAX + 1) + 1] = "";
	struct error error;
	unsigned flags;

	(void)state;
	memset(text, '[', SCAN_DEPTH_MAX);
	memset(text + SCAN_DEPTH_MAX, ']', SCAN_DEPTH_MAX);
	assert_int_equal(judge(text, SCAN_TOKENS_MAX, &flags, &error), 0);
	memset(text, '[', SCAN_DEPTH_MAX + 1);
	memset(text + SCAN_DEPTH_MAX + 1, ']', SCAN_DEPTH_MAX + 1);
	assert_int_equal(judge(text, SCAN_TOKENS_MAX, &flags, &error), -1);
	assert_int_equal(error.code, ERROR_TOO_DEEP);
}

static void
messages_name_the_byte(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"", "byte 0: no value of JSON"},
	    {"[1,}", "byte 3: no value of JSON"},
	    {"{\"a\" 1}", "byte 5: a colon is missing"},
	    {"{1", "byte 1: a key is missing"},
	    {"[1 2]", "byte 3: a comma or an end is missing"},
	    {"[\"a\\x\"]", "byte 3: no escape of JSON"},
	    {"[\"a\n\"]", "byte 3: a control character in a string"},
	    {"[\"\xc3\xa9\xff\"]", "byte 4: no UTF-8"},
	    {"[\"a", "byte 3: a string does not end"},
	    {"[nil]", "byte 1: no value of JSON"},
	    {"[] x", "byte 3: bytes behind the document"},
	};
	struct error error;
	unsigned flags;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
		    judge(cases[i].text, SCAN_TOKENS_MAX, &flags, &error), -1);
		assert_int_equal(error.code, ERROR_INVALID_JSON);
		assert_string_equal(error.message, cases[i].message);
	}
}

static void
flags_are_found_in_the_value_that_has_them(void **state)
{
	static const unsigned expected[] = {0, SCAN_NUL, SCAN_SURROGATE,
	    SCAN_NUMBER, SCAN_NUL | SCAN_NUMBER, SCAN_NUL, 0, 0};
	const char *text =
	    "[ {\"a\":\"\\\\u0000\"}, \"\\u0000\", [\"\\udead\"], -1e309,"
	    "{\"a\":[1e999,\"\\\\\\u0000\"]}, {\"\\u0000\":1},"
	    "[-1.5e300, 1e308,\"1e999\"], \"\\ud83d\\ude00\" ]";
	struct scan_value root = root_of(text), value;
	struct scan_cursor cursor;
	struct error error;
	unsigned flags;
	size_t i = 0;

	(void)state;
	judge(text, SCAN_TOKENS_MAX, &flags, &error);
	assert_int_equal(flags, SCAN_NUL | SCAN_SURROGATE | SCAN_NUMBER);
	assert_int_equal(scan_flags(&root), flags);
	scan_open(&cursor, &root);
	while (scan_element(&cursor, &value)) {
		assert_true(i < COUNT(expected));
		assert_int_equal(scan_flags(&value), expected[i++]);
	}
	assert_int_equal(i, COUNT(expected));
}

static void
strings_are_decoded(void **state)
{
	static const struct {
		const char *text, *meaning;
		unsigned flags;
	} cases[] = {
	    {"\"\"", "", 0},
	    {"\"abc\"", "abc", 0},
	    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 0},
	    {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 0},
	    {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 0},
	    {"\"\\ud836\\udc00\"", "\xf0\x9d\xa0\x80", 0},
	    {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 0},
	    {"\"\xc3\xa9\\n\xf0\x9f\x98\x80\"", "\xc3\xa9\n\xf0\x9f\x98\x80",
		0},
	    {"\"a\\u0000b\"", "a\xef\xbf\xbd\x62", SCAN_NUL},
	    {"\"\\ud800\"", "\xef\xbf\xbd", SCAN_SURROGATE},
	    {"\"\\udc00x\"", "\xef\xbf\xbdx", SCAN_SURROGATE},
	    {"\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80",
		SCAN_SURROGATE},
	    {"\"\\udc00\\u0000\"", "\xef\xbf\xbd\xef\xbf\xbd",
		SCAN_SURROGATE | SCAN_NUL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scan_value value = root_of(cases[i].text);
		char *out = malloc(value.length - 1);
		unsigned flags = 99;

		assert_int_equal(
		    scan_decode(&value, out, &flags), strlen(cases[i].meaning));
		assert_string_equal(out, cases[i].meaning);
		assert_int_equal(flags, cases[i].flags);
		assert_int_equal(
		    scan_equals(&value, cases[i].meaning), flags == 0);
		free(out);
	}
}

static void
strings_equal_what_they_mean_and_nothing_else(void **state)
{
	static const struct {
		const char *text, *other;
	} cases[] = {
	    {"\"abc\"", ""},
	    {"\"abc\"", "ab"},
	    {"\"abc\"", "abcd"},
	    {"\"abc\"", "abd"},
	    {"\"abc\"", "ABC"},
	    {"\"\"", "a"},
	    {"\"a\\u0062\"", "a"},
	    {"\"a\\u0062\"", "abc"},
	    {"\"a\\u00e9\"", "a\xc3"},
	    {"\"a\\u0000\"", "a"},
	    {"\"a\\u0000b\"", "a"},
	    {"\"\\ud800\"", "\xed\xa0\x80"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scan_value value = root_of(cases[i].text);

		assert_false(scan_equals(&value, cases[i].other));
	}
}

static void
integers_are_plain_digits(void **state)
{
	static const struct {
		const char *text;
		int64_t number;
	} good[] = {
	    {"0", 0},
	    {"1", 1},
	    {"10", 10},
	    {"9007199254740991", SCAN_INTEGER_MAX},
	};
	static const char *const bad[] = {"-1", "-0", "1.5", "1.0", "1e2",
	    "1E0", "0e0", "1e308", "1e400", "9007199254740992",
	    "9223372036854775807", "9223372036854775808",
	    "18446744073709551616", "18446744073709551617",
	    "12345678901234567890123456", "\"1\"", "true", "null", "[]", "[1]",
	    "{}"};
	int64_t number;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct scan_value value = root_of(good[i].text);

		number = -1;
		assert_true(scan_integer(&value, 0, &number));
		assert_int_equal(number, good[i].number);
		assert_true(scan_integer(&value, good[i].number, &number));
		assert_false(scan_integer(&value, good[i].number + 1, &number));
	}
	number = -7;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct scan_value value = root_of(bad[i]);

		assert_false(scan_integer(&value, 0, &number));
		assert_int_equal(number, -7);
	}
	assert_false(scan_integer(&(struct scan_value){0}, 0, &number));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kinds_and_slices),
	    cmocka_unit_test(members_come_in_order_and_as_often_as_sent),
	    cmocka_unit_test(what_is_empty_has_no_elements),
	    cmocka_unit_test(fields_are_found_by_meaning),
	    cmocka_unit_test(fields_come_once_and_in_an_object),
	    cmocka_unit_test(values_are_counted_and_keys_are_not),
	    cmocka_unit_test(a_million_empty_objects_are_too_many),
	    cmocka_unit_test(depth_ends_where_it_says),
	    cmocka_unit_test(messages_name_the_byte),
	    cmocka_unit_test(flags_are_found_in_the_value_that_has_them),
	    cmocka_unit_test(strings_are_decoded),
	    cmocka_unit_test(strings_equal_what_they_mean_and_nothing_else),
	    cmocka_unit_test(integers_are_plain_digits),
	};

	return unit_run(tests);
}
