/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cookies, read and written.
 */
#include "config.h"

#include "cookie.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "jsonw.h"
#include "scan.h"

/* An order that is text: U+FFFF, above which JavaScript sorts nothing, and so
 * many digits, which any number below 2^53 has. */
#define TEXT_MARK "\xef\xbf\xbf"
#define TEXT_DIGITS 16

/* The longest that JSON of such a text may be: the mark escaped, the quotes. */
#define TEXT_MAX (6 + TEXT_DIGITS + 2)

/* Longer than any number of ours, and than those that JavaScript writes. */
#define NUMBER_MAX 63

static bool
is_digits(const char *text, size_t length, const char *digits)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == '\0' || strchr(digits, text[i]) == NULL)
			return false;
	return true;
}

/* An order of text: ours, or anybody's, which any of ours is above. */
static bool
read_text(const struct scan_value *value, struct cookie *cookie)
{
	char text[TEXT_MAX];
	size_t mark = strlen(TEXT_MARK);
	unsigned flags;

	cookie->text = true;
	cookie->order = 0;
	if (value->length > TEXT_MAX ||
	    scan_decode(value, text, &flags) != mark + TEXT_DIGITS ||
	    memcmp(text, TEXT_MARK, mark) != 0 ||
	    !is_digits(text + mark, TEXT_DIGITS, "0123456789"))
		return false;
	cookie->order = strtoll(text + mark, NULL, 10);
	return cookie->order <= SCAN_INTEGER_MAX;
}

/* An order that is a number: true if it is one of ours. */
static bool
read_number(const struct scan_value *value, struct cookie *cookie)
{
	char text[NUMBER_MAX + 1];
	double number;

	if (scan_integer(value, 0, &cookie->order))
		return true;
	cookie->order = -1;
	if (value->length > NUMBER_MAX) {
		cookie->text = true;
		return false;
	}
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	number = strtod(text, NULL);
	if (number > (double)COOKIE_ORDER_MAX)
		cookie->text = true;
	else if (number >= 0)
		cookie->order = (int64_t)number;
	return false;
}

static bool
read_order(const struct scan_value *value, struct cookie *cookie)
{
	if (value->kind == SCAN_STRING)
		return read_text(value, cookie);
	return (value->kind == SCAN_INTEGER || value->kind == SCAN_DECIMAL) &&
	       read_number(value, cookie);
}

/* Only hexadecimal digits, which need no escapes. */
static bool
read_of(const struct scan_value *value, struct cookie *cookie)
{
	size_t length = value->length - 2;

	if (value->kind != SCAN_STRING || length >= COOKIE_OF_SIZE ||
	    !is_digits(value->text + 1, length, "0123456789abcdef"))
		return false;
	memcpy(cookie->of, value->text + 1, length);
	cookie->of[length] = '\0';
	return true;
}

/* True if it is one of ours: three members, each there once. */
static bool
read_view(const struct scan_value *object, struct cookie *cookie)
{
	struct scan_cursor cursor;
	struct scan_value key, value;
	int order = 0, version = 0, of = 0, more = 0;

	scan_open(&cursor, object);
	while (scan_member(&cursor, &key, &value)) {
		if (scan_equals(&key, "order"))
			order += read_order(&value, cookie) ? 1 : 2;
		else if (scan_equals(&key, "v") &&
			 scan_integer(&value, 0, &cookie->version))
			version++;
		else if (scan_equals(&key, "of") && read_of(&value, cookie))
			of++;
		else
			more++;
	}
	return order == 1 && version == 1 && of == 1 && more == 0;
}

void
cookie_read(const struct scan_value *value, struct cookie *cookie)
{
	*cookie = (struct cookie){.kind = COOKIE_OTHER, .order = -1};
	if (value->kind == SCAN_NULL) {
		cookie->kind = COOKIE_NULL;
	} else if (value->kind == SCAN_OBJECT) {
		if (read_view(value, cookie))
			cookie->kind = COOKIE_VIEW;
	} else if (read_order(value, cookie) && value->kind == SCAN_INTEGER) {
		cookie->kind = COOKIE_VERSION;
		cookie->version = cookie->order;
	}
}

bool
cookie_is_of(const struct cookie *cookie, const char *of)
{
	return (cookie->kind == COOKIE_VERSION && of[0] == '\0') ||
	       (cookie->kind == COOKIE_VIEW && strcmp(cookie->of, of) == 0);
}

void
cookie_next(const struct cookie *had, int64_t version, const char *of,
    struct cookie *next)
{
	*next = (struct cookie){
	    .version = version, .order = version, .text = had->text};
	snprintf(next->of, sizeof(next->of), "%s", of);
	if (cookie_is_of(had, of)) {
		if (had->order > had->version)
			next->order += had->order - had->version;
	} else {
		if (had->order >= version)
			next->order = had->order + 1;
		next->text |= had->order >= COOKIE_ORDER_MAX;
	}
	if (next->order > SCAN_INTEGER_MAX)
		next->order = SCAN_INTEGER_MAX;
	next->kind = of[0] == '\0' && !next->text && next->order == version
			 ? COOKIE_VERSION
			 : COOKIE_VIEW;
}

void
cookie_write(struct buffer *out, const struct cookie *cookie)
{
	char text[TEXT_DIGITS + 1];

	if (cookie->kind == COOKIE_VERSION) {
		jsonw_int64(out, cookie->version);
		return;
	}
	buffer_append_string(out, "{\"order\":");
	if (cookie->text) {
		snprintf(text, sizeof(text), "%0*" PRId64, TEXT_DIGITS,
		    cookie->order);
		buffer_append_string(out, "\"" TEXT_MARK);
		buffer_append_string(out, text);
		buffer_append_byte(out, '"');
	} else {
		jsonw_int64(out, cookie->order);
	}
	buffer_append_string(out, ",\"v\":");
	jsonw_int64(out, cookie->version);
	buffer_append_string(out, ",\"of\":\"");
	buffer_append_string(out, cookie->of);
	buffer_append_string(out, "\"}");
}
