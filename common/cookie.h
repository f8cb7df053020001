/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cookie: what a pull's answer has, and the next pull of that client brings
 * back (protocol section 5.2). It names the version that the client's view is
 * of, and whose view it is:
 *
 *	12
 *		the view that everybody has
 *	{"order":12,"v":12,"of":"0123456789abcdef01234567"}
 *		the view of those that `of` stands for (viewer.h)
 *
 * A client takes an answer only if its cookie is not below the one it has. It
 * compares orders alone: as numbers, or as text if one of them is text. So
 * whatever cookie a client brings, of another user, of other claims, of another
 * server, there is one that it takes: with an order above the one it had. Above
 * text, and above large numbers, is text that begins with U+FFFF.
 *
 * Order and version of a client stay as far apart as they once were, so that
 * two tabs that go from one cookie to one version get the same.
 */
#ifndef REPLICACHE_COOKIE_H
#define REPLICACHE_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct scan_value;

/* The digits of `of`, and a NUL. */
#define COOKIE_OF_SIZE 25

/* The highest order that is outdone by a number. Versions stay far below it, so
 * that there is room to rise below 2^53, above which numbers are not exact. */
#define COOKIE_ORDER_MAX (INT64_C(1) << 52)

enum cookie_kind {
	COOKIE_NULL,
	COOKIE_VERSION, /* a number, perhaps of another time or place */
	COOKIE_VIEW,    /* an object of ours */
	COOKIE_OTHER,   /* any other JSON: not one of ours */
};

struct cookie {
	enum cookie_kind kind;
	int64_t version; /* of a COOKIE_VERSION or COOKIE_VIEW */
	int64_t order; /* what the next one has to be above; -1 if it is none */
	bool text;     /* ... as text */
	char of[COOKIE_OF_SIZE]; /* "": everybody's */
};

/* Reads any VALUE. */
void cookie_read(const struct scan_value *value, struct cookie *cookie);

/* True if the client has a view of OF, a string for a cookie's `of`; it may
 * have another one, or none. */
bool cookie_is_of(const struct cookie *cookie, const char *of);

/* Makes the cookie of VERSION of the view of OF, for a client that has HAD and
 * is not there yet. */
void cookie_next(const struct cookie *had, int64_t version, const char *of,
    struct cookie *next);

/* Appends a COOKIE_VERSION or COOKIE_VIEW as JSON. */
void cookie_write(struct buffer *out, const struct cookie *cookie);

#endif
