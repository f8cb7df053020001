/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Base64url, read strictly.
 */
#include "config.h"

#include "base64url.h"

/* The six bits that C stands for, or -1. */
static int
bits_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

bool
base64url_decode(
    const char *text, size_t length, unsigned char *out, size_t *length_out)
{
	unsigned held = 0, count = 0;
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		int bits = bits_of(text[i]);

		if (bits < 0)
			return false;
		held = held << 6 | (unsigned)bits;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[n++] = (unsigned char)(held >> count);
			held &= (1u << count) - 1;
		}
	}
	*length_out = n;
	return count < 6 && held == 0;
}
