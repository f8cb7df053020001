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
 * and has no exponent below NUMBER_EXPONENT_MIN. Decided exactly, in time
 * proportional to LENGTH.
 */
bool number_is_double(const char *text, size_t length);

#endif
