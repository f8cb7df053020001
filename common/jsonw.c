/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * JSON text: strings with their escapes, and numbers.
 */
#include "config.h"

#include "jsonw.h"

#include "buffer.h"
#include "bytes.h"

/* Digits of the longest int64_t, and its minus. */
#define INT64_DIGITS 20

/* Appends the escape for C, a quote, backslash or control character. */
static void
append_escape(struct buffer *buffer, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[0x20] = {['\b'] = 'b',
	    ['\t'] = 't',
	    ['\n'] = 'n',
	    ['\f'] = 'f',
	    ['\r'] = 'r'};
	char text[6] = {'\\', (char)c, '0', '0', 0, 0};

	if (c < 0x20 && letters[c] == 0) {
		text[1] = 'u';
		text[4] = hex[c >> 4];
		text[5] = hex[c & 15];
		buffer_append(buffer, text, 6);
		return;
	}
	if (c < 0x20)
		text[1] = letters[c];
	buffer_append(buffer, text, 2);
}

void
jsonw_string(struct buffer *buffer, const char *text, size_t length)
{
	const char *at = text, *end = text + length;
	const char *plain = bytes_find(at, end, BYTES_STOP_STRING);
	char *to;

	if (plain == end) { /* most are, and go in one piece */
		to = buffer_reserve(buffer, length + 2);
		if (to == NULL)
			return;
		to[0] = '"';
		memcpy(to + 1, text, length);
		to[length + 1] = '"';
		buffer_commit(buffer, length + 2);
		return;
	}
	buffer_append_byte(buffer, '"');
	while (at < end) {
		buffer_append(buffer, at, (size_t)(plain - at));
		at = plain;
		if (at < end)
			append_escape(buffer, (unsigned char)*at++);
		plain = bytes_find(at, end, BYTES_STOP_STRING);
	}
	buffer_append_byte(buffer, '"');
}

void
jsonw_int64(struct buffer *buffer, int64_t value)
{
	char digits[INT64_DIGITS];
	size_t at = sizeof(digits);
	uint64_t rest = (uint64_t)value;

	if (value < 0)
		rest = 0 - rest;
	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		digits[--at] = '-';
	buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void
jsonw_raw(struct buffer *buffer, const char *json, size_t length)
{
	buffer_append(buffer, json, length);
}
