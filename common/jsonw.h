/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * JSON text, written straight into a buffer.
 *
 * The writer knows values, not documents: braces, commas and fixed keys are
 * appended by the caller with buffer_append_string(). Failure is the
 * buffer's sticky one; look at it once at the end.
 */
#ifndef REPLICACHE_JSONW_H
#define REPLICACHE_JSONW_H

#include <stddef.h>
#include <stdint.h>

struct buffer;

/*
 * Appends the LENGTH bytes at TEXT as a JSON string, quotes included. TEXT is
 * valid UTF-8, as all text from Postgres is, or the document will not be; it
 * may hold any control character, NUL too. Escaped are `"`, `\` and what is
 * below U+0020, as RFC 8259 section 7 demands, nothing else: the text is
 * never pasted into a script, so U+2028, U+2029 and `/` go as they are.
 */
void jsonw_string(struct buffer *buffer, const char *text, size_t length);

/* Appends VALUE in decimal. Above 2^53 a JavaScript reader rounds it. */
void jsonw_int64(struct buffer *buffer, int64_t value);

/* Appends LENGTH bytes that are a JSON value already: a number or a jsonb of
 * Postgres, a slice of a scanned document. */
void jsonw_raw(struct buffer *buffer, const char *json, size_t length);

#endif
