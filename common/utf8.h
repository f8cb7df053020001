/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 * What passes here, Postgres takes as text too.
 */
#ifndef REPLICACHE_UTF8_H
#define REPLICACHE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands for what can't be represented: U+FFFD. */
#define UTF8_REPLACEMENT 0xfffdu

/* The longest sequence. */
#define UTF8_MAX 4

/* True if C is a byte after the first of a sequence. */
static inline bool
utf8_follows(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/*
 * The length, 2 to 4, of the well-formed sequence that starts with the byte
 * at AT, which is 0x80 or more and before END. Returns 0 if there is none.
 */
static inline size_t
utf8_sequence(const char *at, const char *end)
{
	const unsigned char *s = (const unsigned char *)at;
	size_t left = (size_t)(end - at);

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	if (s[0] < 0xe0)
		return left >= 2 && utf8_follows(s[1]) ? 2 : 0;
	if (left < 3 || !utf8_follows(s[1]) || !utf8_follows(s[2]))
		return 0;
	if (s[0] < 0xf0) {
		bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
		bool surrogate = s[0] == 0xed && s[1] >= 0xa0;

		return overlong || surrogate ? 0 : 3;
	}
	if (left < 4 || !utf8_follows(s[3]))
		return 0;
	if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return 4;
}

/* The code point of the N bytes at AT, a well-formed sequence of 2 to 4. */
static inline uint32_t
utf8_decode(const char *at, size_t n)
{
	static const unsigned char first[UTF8_MAX + 1] = {
	    0, 0, 0x1f, 0x0f, 0x07};
	uint32_t code = (unsigned char)at[0] & first[n];

	for (size_t i = 1; i < n; i++)
		code = (code << 6) | ((unsigned char)at[i] & 0x3f);
	return code;
}

/* Writes the code point CODE, no surrogate, to OUT and returns the number of
 * bytes, 1 to UTF8_MAX. */
static inline size_t
utf8_encode(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | (code >> 6));
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | (code >> 12));
		out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (code >> 18));
	out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
	out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

#endif
