/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as JSON writes them (RFC 8259 section 6), read without rounding and
 * without regard to the locale.
 */
#ifndef REPLICACHE_NUMBER_H
#define REPLICACHE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* The smallest exponent that may be written: no double needs more than 1074
 * decimal places, while Postgres would write 1e-16383, and 0e-16383 too, as
 * 16 kB of zeros. */
#define NUMBER_EXPONENT_MIN (-1074)

/* The largest exponent that Postgres reads, even of 0 (numeric_in, INT_MAX /
 * 2). A finite double has need of it only behind a billion zeros. */
#define NUMBER_EXPONENT_MAX 1073741822

/* The most digits behind the point, once the exponent has moved it, that
 * Postgres can hold (numeric, NUMERIC_DSCALE_MAX): zeros count. */
#define NUMBER_SCALE_MAX 16383

/* The largest power of ten that is a finite double (DBL_MAX_10_EXP). */
#define NUMBER_POWER_MAX 308

enum number_form {
	NUMBER_INTEGER,  /* digits, perhaps a minus before them */
	NUMBER_FRACTION, /* with a point */
	NUMBER_EXPONENT, /* with an exponent, with or without a point */
};

/*
 * The length of the number that starts at AT, and its form in *FORM_OUT.
 * Returns 0 if what is there, or what it goes on with up to END, is no number:
 * +1, .5, 1., 1e, or nothing. What may follow a number is not looked at, so
 * of 01 the 0 alone is taken.
 */
size_t number_span(const char *at, const char *end, enum number_form *form_out);

/*
 * True if the number TEXT, as number_span() took it, rounds to a finite double
 * and is within the three limits above, so that Postgres can hold it, too.
 * Decided exactly, in time proportional to LENGTH.
 */
bool number_is_double(const char *text, size_t length);

/* No number becomes longer than this many times its length by number_written():
 * 1e-1074 takes 1076 bytes instead of 7. */
#define NUMBER_GROWTH_MAX 154

/*
 * The bytes that the number TEXT, which number_is_double(), takes at most when
 * jsonb writes it: without an exponent, each digit and zero written out.
 */
size_t number_written(const char *text, size_t length);

#endif
