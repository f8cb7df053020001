/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a document means, in 32 bits.
 */
#include "config.h"

#include "digest.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

static void *
allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		abort();
	return memory;
}

static uint32_t
mix(uint32_t h, uint32_t k)
{
	k *= 0xcc9e2d51;
	k = k << 15 | k >> 17;
	h ^= k * 0x1b873593;
	return (h << 13 | h >> 19) * 5 + 0xe6546b64;
}

/* Of UTF-8 as UTF-16. */
static uint32_t
digest_text(uint32_t h, const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *end = at + length;

	while (at < end) {
		unsigned more = *at < 0x80   ? 0
				: *at < 0xe0 ? 1
				: *at < 0xf0 ? 2
					     : 3;
		uint32_t c = more == 0 ? *at : *at & (0x3fU >> more);

		for (at++; more > 0; more--)
			c = c << 6 | (*at++ & 0x3f);
		if (c < 0x10000) {
			h = mix(h, c);
		} else {
			h = mix(h, 0xd800 + ((c - 0x10000) >> 10));
			h = mix(h, 0xdc00 + ((c - 0x10000) & 0x3ff));
		}
	}
	return h;
}

static uint32_t
digest_string(uint32_t h, const struct scan_value *value)
{
	char some[256], *text = some;
	unsigned flags;

	if (value->length > sizeof(some))
		text = allocate(value->length);
	h = digest_text(h, text, scan_decode(value, text, &flags));
	if (text != some)
		free(text);
	return h;
}

static uint32_t
digest_number(const struct scan_value *value)
{
	char some[256], *text = some;
	double number;
	uint32_t halves[2];

	if (value->length >= sizeof(some))
		text = allocate(value->length + 1);
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	number = strtod(text, NULL);
	if (number == 0)
		number = 0; /* jsonb has no -0 */
	memcpy(halves, &number, sizeof(number));
	if (text != some)
		free(text);
	return mix(mix(4, halves[0]), halves[1]);
}

static bool
same_key(const struct scan_value *a, const struct scan_value *b)
{
	char *text = allocate(a->length);
	char *other = allocate(b->length);
	unsigned flags;
	size_t length = scan_decode(a, text, &flags);
	bool same = length == scan_decode(b, other, &flags) &&
		    memcmp(text, other, length) == 0;

	free(text);
	free(other);
	return same;
}

/* Does a member of OBJECT behind the one at AFTER have KEY? */
static bool
comes_again(const struct scan_cursor *after, const struct scan_value *key,
    bool *same_keys)
{
	struct scan_cursor cursor = *after;
	struct scan_value other, value;
	bool again = false;

	while (scan_member(&cursor, &other, &value)) {
		if (!same_key(key, &other))
			continue;
		again = true;
		*same_keys = *same_keys || scan_flags(key) != 0 ||
			     scan_flags(&other) != 0;
	}
	return again;
}

uint32_t
digest(const struct scan_value *value, bool *same_keys)
{
	struct scan_cursor cursor;
	struct scan_value key, inner;
	uint32_t h = 6, sum = 0;

	switch (value->kind) {
	case SCAN_NONE:
	case SCAN_NULL:
		return 1;
	case SCAN_TRUE:
		return 2;
	case SCAN_FALSE:
		return 3;
	case SCAN_INTEGER:
	case SCAN_DECIMAL:
		return digest_number(value);
	case SCAN_STRING:
		return digest_string(5, value);
	case SCAN_ARRAY:
		scan_open(&cursor, value);
		while (scan_element(&cursor, &inner))
			h = mix(h, digest(&inner, same_keys));
		return h;
	case SCAN_OBJECT:
		break;
	}
	scan_open(&cursor, value);
	while (scan_member(&cursor, &key, &inner))
		if (!comes_again(&cursor, &key, same_keys))
			sum += mix(
			    digest_string(8, &key), digest(&inner, same_keys));
	return mix(7, sum);
}
