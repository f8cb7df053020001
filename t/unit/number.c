/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/number: the grammar, and doubles against strtod().
 */
#include "config.h"

#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

/* 2^1024 - 2^970, the least that rounds to infinity, in 309 digits. */
static const char threshold[] =
    "179769313486231580793728971405303415079934132710037826936173778980444968"
    "292764750946649017977587207096330286416692887910946555547851940402630657"
    "488671505820681908902000708383676273854845817711531764475730270069855571"
    "366959622842914819860834936475292719074168444365510704342711559699508093"
    "042880177904174497792";

static size_t
span(const char *text, enum number_form *form)
{
	return number_span(text, text + strlen(text), form);
}

static void
spans_end_where_the_grammar_ends(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		enum number_form form;
	} cases[] = {
	    {"0", 1, NUMBER_INTEGER},
	    {"-0", 2, NUMBER_INTEGER},
	    {"10,", 2, NUMBER_INTEGER},
	    {"01", 1, NUMBER_INTEGER},
	    {"-00", 2, NUMBER_INTEGER},
	    {"1x", 1, NUMBER_INTEGER},
	    {"1.5]", 3, NUMBER_FRACTION},
	    {"-0.0", 4, NUMBER_FRACTION},
	    {"1.5.5", 3, NUMBER_FRACTION},
	    {"1e5", 3, NUMBER_EXPONENT},
	    {"1E+05 ", 5, NUMBER_EXPONENT},
	    {"-1.25e-3", 8, NUMBER_EXPONENT},
	    {"1e2e3", 3, NUMBER_EXPONENT},
	};
	enum number_form form;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(span(cases[i].text, &form), cases[i].length);
		assert_int_equal(form, cases[i].form);
	}
}

static void
what_is_no_number_has_no_span(void **state)
{
	static const char *const texts[] = {"", "-", "+1", ".5", "-.5", "1.",
	    "1.e5", "1.x", "1e", "1e+", "1E-", "1ex", "-a", "a", "--1", " 1"};
	enum number_form form;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(span(texts[i], &form), 0);
}

static void
spans_respect_the_end(void **state)
{
	static const char text[] = "-12.5e-75";
	static const size_t expected[] = {0, 0, 2, 3, 0, 5, 0, 0, 8, 9};
	enum number_form form;

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		assert_int_equal(
		    number_span(text, text + n, &form), expected[n]);
}

static bool
is_double(const char *text)
{
	return number_is_double(text, strlen(text));
}

static void
the_threshold_is_exact(void **state)
{
	char text[1000];
	size_t last = strlen(threshold) - 1;

	(void)state;
	assert_int_equal(last, NUMBER_POWER_MAX);
	assert_false(is_double(threshold));
	snprintf(text, sizeof(text), "-%s", threshold);
	assert_false(is_double(text));
	snprintf(text, sizeof(text), "%s.000", threshold);
	assert_false(is_double(text));
	snprintf(text, sizeof(text), "%c.%se308", threshold[0], threshold + 1);
	assert_false(is_double(text));
	snprintf(text, sizeof(text), "0.000%se+312", threshold);
	assert_false(is_double(text));
	snprintf(text, sizeof(text), "%s00000e-5", threshold);
	assert_false(is_double(text));

	/* one less in the last digit, then 0.1 less, then a digit less */
	snprintf(text, sizeof(text), "%s", threshold);
	text[last]--;
	assert_true(is_double(text));
	snprintf(text + last + 1, sizeof(text) - last - 1, ".9e0");
	assert_true(is_double(text));
	snprintf(text, sizeof(text), "%s", threshold);
	text[last] = '\0';
	assert_true(is_double(text));
	snprintf(text + last, sizeof(text) - last, "e1");
	assert_true(is_double(text));
}

static void
exponents_of_any_length_are_understood(void **state)
{
	static const char *const doubles[] = {"0e1073741822", "1e308",
	    "1e+0000000000000000000000308", "0.0001e312", "-1e-1074", "0e-1074",
	    "123456e-1074", "1e-0000000000000001074"};
	static const char *const others[] = {"1e309", "1e131071",
	    "1e99999999999999999999999", "-1e18446744073709551616",
	    "1e4294967296", "1e-1075", "0e-1075", "0.0e-16383", "0e1073741823",
	    "-0.0e+99999999999999999999", "1e-18446744073709551616",
	    "1e-99999999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++)
		assert_true(is_double(doubles[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(is_double(others[i]));
}

/* What Postgres can hold: see number.h. */
static void
digits_behind_the_point_are_counted(void **state)
{
	static char text[NUMBER_SCALE_MAX + 100];
	const size_t most = 2 + NUMBER_SCALE_MAX;

	(void)state;
	memset(text, '0', sizeof(text));
	text[1] = '.';
	assert_true(number_is_double(text, most));
	assert_false(number_is_double(text, most + 1));
	text[2] = '7';
	assert_true(number_is_double(text, most));
	assert_false(number_is_double(text, most + 1));
	memcpy(text + most, "e-1", 3);
	assert_false(number_is_double(text, most + 3));
	memcpy(text + most - 1, "e-1", 3);
	assert_true(number_is_double(text, most + 2));
	text[most - 1] = '0';
	memcpy(text + most, "0e1", 3);
	assert_true(number_is_double(text, most + 3));
	memcpy(text + most + 1, "0e1", 3);
	assert_false(number_is_double(text, most + 4));
}

static void
agrees_with_strtod(void **state)
{
	uint64_t seed = 7;
	unsigned infinite = 0;

	(void)state;
	for (int run = 0; run < 100000; run++) {
		/* leading digits of the threshold, then others; a point and an
		 * exponent that bring it near 10^308 */
		char text[400];
		size_t same = unit_random(&seed) % 20;
		size_t digits = same + unit_random(&seed) % 20 + 1;
		size_t point = 1 + unit_random(&seed) % digits;
		int exponent, n = 0;

		for (size_t i = 0; i < digits; i++) {
			if (i == point)
				text[n++] = '.';
			text[n++] = i < same
					? threshold[i]
					: (char)('0' + unit_random(&seed) % 10);
		}
		exponent = 309 - (int)point + (run % 17 == 0 ? 1 : 0) -
			   (run % 19 == 0 ? 1 : 0);
		snprintf(text + n, sizeof(text) - (size_t)n, "e%d", exponent);
		assert_int_equal(is_double(text), isfinite(strtod(text, NULL)));
		infinite += is_double(text) ? 0 : 1;
	}
	assert_in_range(infinite, 20000, 80000);
}

static void
what_is_written_out_is_counted(void **state)
{
	/* By Postgres: length(('TEXT'::jsonb)::text). */
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {{"1", 1}, {"-1.50", 5}, {"1e0", 1}, {"1e2", 3},
	    {"-1E+2", 4}, {"1.5e2", 3}, {"1.555e2", 5}, {"1e-2", 4},
	    {"-1e-2", 5}, {"12e-2", 4}, {"123.4e-2", 5}, {"1e308", 309},
	    {"1.0e308", 309}, {"1e-1074", 1076}, {"-1e-1074", 1077}, {"0e0", 1},
	    {"0e300", 1}, {"0e-300", 302}, {"0.0e300", 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].text);

		if (number_written(cases[i].text, length) != cases[i].length)
			fail_msg("%s: %zu", cases[i].text,
			    number_written(cases[i].text, length));
		assert_true(cases[i].length <= length * NUMBER_GROWTH_MAX);
	}
	/* Zeros in front are not written, and counted all the same. */
	assert_int_equal(number_written("0.001e3", 7), 4);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(spans_end_where_the_grammar_ends),
	    cmocka_unit_test(what_is_no_number_has_no_span),
	    cmocka_unit_test(spans_respect_the_end),
	    cmocka_unit_test(the_threshold_is_exact),
	    cmocka_unit_test(exponents_of_any_length_are_understood),
	    cmocka_unit_test(digits_behind_the_point_are_counted),
	    cmocka_unit_test(agrees_with_strtod),
	    cmocka_unit_test(what_is_written_out_is_counted),
	};

	return unit_run(tests);
}
