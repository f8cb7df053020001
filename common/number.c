/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers: their grammar, and whether a double can hold them.
 */
#include "config.h"

#include "number.h"

#include <stdint.h>

/*
 * 2^1024 - 2^970 in decimal, 309 digits: halfway between the largest double
 * and the power of two behind it, hence the smallest magnitude that rounds to
 * infinity (to even, as JavaScript and Postgres do).
 */
static const char overflow[] =
    "179769313486231580793728971405303415079934132710037826936173778980444968"
    "292764750946649017977587207096330286416692887910946555547851940402630657"
    "488671505820681908902000708383676273854845817711531764475730270069855571"
    "366959622842914819860834936475292719074168444365510704342711559699508093"
    "042880177904174497792";

/* Exponents are not counted beyond this: no document has enough digits to make
 * up for it, and sums with a length do not overflow. */
#define EXPONENT_COUNTED (INT64_C(1) << 60)

static const char *
skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Skips one or more digits; NULL if there is none. */
static const char *
need_digits(const char *at, const char *end)
{
	const char *after = skip_digits(at, end);

	return after > at ? after : NULL;
}

size_t
number_span(const char *at, const char *end, enum number_form *form_out)
{
	const char *begin = at;

	*form_out = NUMBER_INTEGER;
	if (at < end && *at == '-')
		at++;
	if (at < end && *at == '0')
		at++;
	else if ((at = need_digits(at, end)) == NULL)
		return 0;
	if (at < end && *at == '.') {
		*form_out = NUMBER_FRACTION;
		if ((at = need_digits(at + 1, end)) == NULL)
			return 0;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		*form_out = NUMBER_EXPONENT;
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		if ((at = need_digits(at, end)) == NULL)
			return 0;
	}
	return (size_t)(at - begin);
}

/* The exponent written from AT, behind its `e`, to END. */
static int64_t
read_exponent(const char *at, const char *end)
{
	bool negative = *at == '-';
	int64_t exponent = 0;

	if (*at == '-' || *at == '+')
		at++;
	for (; at < end; at++) {
		if (exponent < EXPONENT_COUNTED / 10)
			exponent = exponent * 10 + (*at - '0');
	}
	return negative ? -exponent : exponent;
}

/* True if the digits from AT to END, a point among them perhaps, are below the
 * digits of `overflow`, both read as if they stood behind a point. */
static bool
below_overflow(const char *at, const char *end)
{
	const char *limit = overflow;

	for (; at < end && *limit != '\0'; at++) {
		if (*at == '.')
			continue;
		if (*at != *limit)
			return *at < *limit;
		limit++;
	}
	return *limit != '\0';
}

bool
number_is_double(const char *text, size_t length)
{
	const char *end = text + length;
	const char *at = *text == '-' ? text + 1 : text;
	const char *mantissa_end = at, *point, *first;
	int64_t exponent = 0, power;

	while (
	    mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E')
		mantissa_end++;
	if (mantissa_end < end)
		exponent = read_exponent(mantissa_end + 1, end);
	if (exponent < NUMBER_EXPONENT_MIN || exponent > NUMBER_EXPONENT_MAX)
		return false;
	point = skip_digits(at, mantissa_end);
	if (point < mantissa_end &&
	    mantissa_end - point - 1 - exponent > NUMBER_SCALE_MAX)
		return false;
	first = at;
	while (first < mantissa_end && (*first == '0' || *first == '.'))
		first++;
	if (first == mantissa_end)
		return true;
	/* The number is d.ddd times ten to this, d the first digit. */
	power = exponent + (point - first) - (first < point ? 1 : 0);
	if (power != NUMBER_POWER_MAX)
		return power < NUMBER_POWER_MAX;
	return below_overflow(first, mantissa_end);
}

size_t
number_written(const char *text, size_t length)
{
	const char *end = text + length;
	const char *at = *text == '-' ? text + 1 : text;
	const char *mantissa_end = at, *point, *first;
	int64_t exponent, whole, places;

	while (
	    mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E')
		mantissa_end++;
	if (mantissa_end == end)
		return length;
	exponent = read_exponent(mantissa_end + 1, end);
	point = skip_digits(at, mantissa_end);
	places = point < mantissa_end ? mantissa_end - point - 1 : 0;
	places = places > exponent ? places - exponent : 0;
	for (first = at; first < mantissa_end; first++)
		if (*first != '0' && *first != '.')
			break;
	/* A zero stays one digit before the point. */
	whole = first == mantissa_end ? 1 : point - at + exponent;
	if (whole < 1)
		whole = 1;
	return (size_t)(at - text) + (size_t)whole +
	       (places > 0 ? 1 + (size_t)places : 0);
}
