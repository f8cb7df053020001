/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Strings of JSON: their text, their escapes and what these mean.
 */
#include "config.h"

#include "quoted.h"

#include <string.h>

#include "bytes.h"
#include "scan.h"
#include "utf8.h"

/* Bytes of `\u0000`, and of two that are a surrogate pair. */
#define ESCAPE_U 6
#define ESCAPE_PAIR 12

/* Reads the four hex digits at AT; -1 if they are not. */
static int32_t
read_hex4(const char *at)
{
	int32_t code = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i], lower = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			code = code * 16 + (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			code = code * 16 + (lower - 'a' + 10);
		else
			return -1;
	}
	return code;
}

static bool
is_surrogate(uint32_t code)
{
	return code >= 0xd800 && code <= 0xdfff;
}

/*
 * Reads a `\uXXXX` at AT, or the two that are a surrogate pair. Gives the code
 * point, which is a surrogate if it came alone, and returns the length, 0 if
 * it is malformed.
 */
static size_t
read_unicode_escape(const char *at, const char *end, uint32_t *code_out)
{
	int32_t high, low;

	if (end - at < ESCAPE_U || (high = read_hex4(at + 2)) < 0)
		return 0;
	*code_out = (uint32_t)high;
	if (high < 0xd800 || high > 0xdbff || end - at < ESCAPE_PAIR ||
	    at[ESCAPE_U] != '\\' || at[ESCAPE_U + 1] != 'u')
		return ESCAPE_U;
	low = read_hex4(at + ESCAPE_U + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return ESCAPE_U;
	*code_out = 0x10000 + (((uint32_t)high & 0x3ff) << 10) +
		    ((uint32_t)low & 0x3ff);
	return ESCAPE_PAIR;
}

/* Reads the escape whose backslash is at AT: its code point and length, 0 if
 * it is malformed. */
static size_t
read_escape(const char *at, const char *end, uint32_t *code_out)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (end - at < 2 || at[1] == '\0')
		return 0;
	if (at[1] == 'u')
		return read_unicode_escape(at, end, code_out);
	if ((letter = strchr(letters, at[1])) == NULL)
		return 0;
	*code_out = (uint32_t)meanings[letter - letters];
	return 2;
}

static unsigned
escape_flags(uint32_t code)
{
	if (code == 0)
		return SCAN_NUL;
	return is_surrogate(code) ? SCAN_SURROGATE : 0;
}

/* Moves *PLACE over the bytes beyond ASCII that are there. Returns NULL, or
 * what is wrong with them. */
static const char *
take_utf8(const char **place, const char *end)
{
	while (*place < end && (unsigned char)**place >= 0x80) {
		size_t length = utf8_sequence(*place, end);

		if (length == 0)
			return "no UTF-8";
		*place += length;
	}
	return NULL;
}

/* Moves *PLACE over what bytes_find() stopped at, but a quote. Returns NULL,
 * or what is wrong with it. */
static const char *
take_special(const char **place, const char *end, unsigned *flags)
{
	uint32_t code;
	size_t length;

	if ((unsigned char)**place >= 0x80)
		return take_utf8(place, end);
	if (**place != '\\')
		return "a control character in a string";
	if ((length = read_escape(*place, end, &code)) == 0)
		return "no escape of JSON";
	*flags |= escape_flags(code);
	*place += length;
	return NULL;
}

const char *
quoted_take(const char **place, const char *end, unsigned *flags)
{
	for (++*place;;) {
		const char *wrong;

		*place = bytes_find(*place, end, BYTES_STOP_ASCII);
		if (*place == end)
			return "a string does not end";
		if (**place == '"')
			break;
		if ((wrong = take_special(place, end, flags)) != NULL)
			return wrong;
	}
	++*place;
	return NULL;
}

const char *
quoted_skip(const char *at, const char *end)
{
	at = bytes_find(at + 1, end, BYTES_STOP_QUOTE);
	while (at < end && *at == '\\')
		at = bytes_find(at + 2, end, BYTES_STOP_QUOTE);
	return at + 1;
}

unsigned
quoted_flags(const char *at, const char *end)
{
	unsigned flags = 0;
	uint32_t code = 0;

	while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
		at += read_escape(at, end, &code);
		flags |= escape_flags(code);
	}
	return flags;
}

bool
quoted_equals(const char *at, const char *end, const char *text)
{
	char utf8[UTF8_MAX];
	size_t length;
	uint32_t code = 0;

	for (at++, end--; at < end; text += length) {
		if (*at != '\\') {
			length = 1;
			if (*at++ != *text)
				return false;
			continue;
		}
		at += read_escape(at, end, &code);
		if (escape_flags(code) != 0)
			return false;
		length = utf8_encode(code, utf8);
		if (strncmp(text, utf8, length) != 0)
			return false;
	}
	return *text == '\0';
}

size_t
quoted_decode(const char *at, const char *end, char *out, unsigned *flags_out)
{
	char *to = out;
	uint32_t code = 0;

	*flags_out = 0;
	for (at++, end--; at < end;) {
		const char *plain = memchr(at, '\\', (size_t)(end - at));

		if (plain == NULL)
			plain = end;
		memcpy(to, at, (size_t)(plain - at));
		to += plain - at;
		if ((at = plain) == end)
			break;
		at += read_escape(at, end, &code);
		if (escape_flags(code) != 0) {
			*flags_out |= escape_flags(code);
			code = UTF8_REPLACEMENT;
		}
		to += utf8_encode(code, to);
	}
	*to = '\0';
	return (size_t)(to - out);
}
