/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Strings of JSON (RFC 8259 section 7), keys among them: from quote to quote.
 *
 * The inside of scan, which see; others use that. AT is where the opening
 * quote is. Flags are SCAN_NUL and SCAN_SURROGATE of scan.h.
 */
#ifndef REPLICACHE_QUOTED_H
#define REPLICACHE_QUOTED_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Judges the string that starts at *PLACE, in bytes that go on to END, adds
 * its flags to *FLAGS, and moves *PLACE behind it. Returns NULL, or if it is
 * no string, what is wrong with it as a static text; *PLACE is where, then.
 */
const char *quoted_take(const char **place, const char *end, unsigned *flags);

/* What follows takes only strings that were judged good. */

/* Returns the byte behind the string. */
const char *quoted_skip(const char *at, const char *end);

/* The flags of the string; END is behind it. */
unsigned quoted_flags(const char *at, const char *end);

/* True if the string means exactly the C string TEXT; END is behind it. */
bool quoted_equals(const char *at, const char *end, const char *text);

/* See scan_decode(); END is behind the string. */
size_t quoted_decode(
    const char *at, const char *end, char *out, unsigned *flags_out);

#endif
