/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Documents by the grammar, half of them spoilt after it.
 */
#include "config.h"

#include "documents.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A document is not begun to be nested beyond this, unless it is a deep one. */
#define NESTED_MAX 6

/* One in so many is deep, has a number of thousands of digits. */
#define DEEP_EACH 2000
#define LONG_EACH 5000

/* Kept free at the end, for what ends a document. */
#define END_MAX 256

static const char spice[] =
    "\"\\{}[],:-+.eE0129utfn/ \n\t\r\x01\x1f\x7f\x80\xbf\xc0\xc2\xc3\xe0\xed"
    "\xef\xf0\xf4\xff";

void
documents_init(struct documents *d, uint64_t seed)
{
	memset(d, 0, sizeof(*d));
	/* Neighbouring seeds shall not look alike, and none be 0. */
	d->seed = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* A number below N; xorshift64*. */
static unsigned
below(struct documents *d, unsigned n)
{
	d->seed ^= d->seed >> 12;
	d->seed ^= d->seed << 25;
	d->seed ^= d->seed >> 27;
	return (unsigned)((d->seed * UINT64_C(2685821657736338717)) >> 33) % n;
}

static void
add_bytes(struct documents *d, const char *bytes, size_t length)
{
	if (length > sizeof(d->bytes) - d->length)
		return;
	memcpy(d->bytes + d->length, bytes, length);
	d->length += length;
}

static void
add(struct documents *d, const char *text)
{
	add_bytes(d, text, strlen(text));
}

static void addf(struct documents *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
addf(struct documents *d, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add(d, text);
}

/* One of the texts, which NULL ends. */
static const char *
pick(struct documents *d, const char *const *texts)
{
	unsigned count = 0;

	while (texts[count] != NULL)
		count++;
	return texts[below(d, count)];
}

static void
add_space(struct documents *d)
{
	static const char *const spaces[] = {
	    " ", "\n", "\t", "\r", " \n  ", NULL};

	if (below(d, 8) == 0)
		add(d, pick(d, spaces));
}

/* The UTF-8 of a code point that is no surrogate. */
static void
add_code_point(struct documents *d, unsigned c)
{
	char bytes[4];
	size_t n;

	if (c < 0x80) {
		bytes[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		bytes[0] = (char)(0xc0 | c >> 6);
		bytes[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		bytes[0] = (char)(0xe0 | c >> 12);
		bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		bytes[0] = (char)(0xf0 | c >> 18);
		bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	add_bytes(d, bytes, n);
}

static void
add_character(struct documents *d)
{
	static const char *const plain[] = {
	    "a", "Z", "0", " ", "/", "{", "]", ",", ":", "\x7f", "'", NULL};
	static const char *const escapes[] = {
	    "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", NULL};
	static const char *const marked[] = {"\\u0000", "\\u00e9", "\\u20AC",
	    "\\uFFFD", "\\ud83d\\ude00", "\\uDBFF\\uDFFF", "\\uD800\\uDC00",
	    NULL};

	switch (below(d, 12)) {
	case 0:
		add(d, pick(d, escapes));
		break;
	case 1:
		addf(d, below(d, 2) == 0 ? "\\u%04x" : "\\u%04X",
		    below(d, 0x10000));
		break;
	case 2:
		if (below(d, 4) == 0)
			addf(d, "\\u%04x", 0xd800 + below(d, 0x800));
		else
			add(d, pick(d, marked));
		break;
	case 3:
		addf(d, "\\u%04x\\u%04x", 0xd800 + below(d, 0x400),
		    0xdc00 + below(d, 0x400));
		break;
	case 4:
		add_code_point(d, 0x80 + below(d, 0x780));
		break;
	case 5:
		add_code_point(d, 0xe000 + below(d, 0x2000));
		break;
	case 6:
		add_code_point(d, 0x10000 + below(d, 0x100000));
		break;
	case 7:
		add_code_point(d, 0x800 + below(d, 0xd000));
		break;
	case 8:
		add(d, "plain text of some length");
		break;
	default:
		add(d, pick(d, plain));
	}
}

static void
add_string(struct documents *d)
{
	unsigned count = below(d, 6);

	add(d, "\"");
	for (unsigned i = 0; i < count; i++)
		add_character(d);
	add(d, "\"");
}

static void
add_digits(struct documents *d, unsigned most)
{
	unsigned count = 1 + below(d, most);

	for (unsigned i = 0; i < count; i++)
		addf(d, "%u", below(d, 10));
}

/* The integer part. */
static void
add_integer(struct documents *d)
{
	switch (below(d, 6)) {
	case 0:
		add(d, "0");
		break;
	case 1:
		/* Where a double ends: about 2^53, 2^63, 2^64. */
		addf(
		    d, "%llu", (1ULL << (53 + below(d, 11))) - 2 + below(d, 5));
		break;
	case 2:
		addf(d, "1797693134862315%u", below(d, 10));
		add_digits(d, 2);
		break;
	default:
		addf(d, "%u", 1 + below(d, 9));
		if (below(d, 2) == 0)
			add_digits(d, below(d, 20) == 0 ? 400 : 8);
	}
}

static void
add_number(struct documents *d)
{
	static const char *const signs[] = {"", "+", "-", NULL};

	if (below(d, 3) == 0)
		add(d, "-");
	add_integer(d);
	if (below(d, 3) == 0) {
		add(d, ".");
		add_digits(d, below(d, LONG_EACH) == 0 ? 20000 : 20);
	}
	if (below(d, 3) == 0) {
		add(d, below(d, 2) == 0 ? "e" : "E");
		add(d, pick(d, signs));
		if (below(d, 3) > 0)
			add_digits(d, 2);
		else
			addf(d, "%u", 280 + below(d, 900));
	}
}

static void add_value(struct documents *d);

/* Keys differ, but for few. */
static void
add_key(struct documents *d)
{
	static const char *const known[] = {"\"a\"", "\"\\u0061\"", "\"\"",
	    "\"__proto__\"", "\"0\"", "\"constructor\"", NULL};

	if (below(d, 10) == 0) {
		add(d, pick(d, known));
		return;
	}
	add_string(d);
	d->length--;
	addf(d, "%u\"", d->keys++ % 1000);
}

static void
add_member(struct documents *d)
{
	add_space(d);
	add_key(d);
	add_space(d);
	add(d, ":");
	add_space(d);
	add_value(d);
	add_space(d);
}

static void
add_container(struct documents *d, bool is_object)
{
	unsigned count = below(d, 5);

	add(d, is_object ? "{" : "[");
	d->depth++;
	add_space(d);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			add(d, ",");
		if (is_object) {
			add_member(d);
		} else {
			add_space(d);
			add_value(d);
			add_space(d);
		}
	}
	d->depth--;
	add(d, is_object ? "}" : "]");
}

static void
add_value(struct documents *d)
{
	static const char *const words[] = {"null", "true", "false", NULL};
	unsigned kind = below(d, 9);

	/* What is nested is left out where there is little room. */
	if (d->depth > NESTED_MAX || d->length > DOCUMENT_MAX / 2)
		kind %= 5;
	if (kind < 2)
		add_string(d);
	else if (kind < 4)
		add_number(d);
	else if (kind < 5)
		add(d, pick(d, words));
	else
		add_container(d, kind < 7);
}

/* Nested about as deep as is allowed. */
static void
add_deep(struct documents *d)
{
	unsigned depth = 120 + below(d, 20);
	bool is_object[140];

	for (unsigned i = 0; i < depth; i++) {
		is_object[i] = below(d, 2) == 0;
		add(d, is_object[i] ? "{\"k\":" : "[");
	}
	add(d, "1");
	while (depth-- > 0)
		add(d, is_object[depth] ? "}" : "]");
}

/* Replaces LENGTH bytes at AT by SIZE bytes of PART. */
static void
replace(struct documents *d, size_t at, size_t length, const char *part,
    size_t size)
{
	if (d->length - length + size > sizeof(d->bytes))
		return;
	memmove(d->bytes + at + size, d->bytes + at + length,
	    d->length - at - length);
	if (size > 0)
		memcpy(d->bytes + at, part, size);
	d->length = d->length - length + size;
}

/* A byte more, less or other; a piece of another document; or a cut. */
static void
spoil(struct documents *d)
{
	unsigned size = (unsigned)d->length;
	unsigned at = below(d, size + 1);
	unsigned length = at < size ? 1 : 0;
	char byte = spice[below(d, sizeof(spice) - 1)];

	if (below(d, 8) == 0)
		byte = (char)below(d, 256);
	switch (below(d, 10)) {
	case 0:
	case 1:
	case 2:
		replace(d, at, 0, &byte, 1);
		break;
	case 3:
	case 4:
	case 5:
		replace(d, at, length, NULL, 0);
		break;
	case 6:
	case 7:
		replace(d, at, length, &byte, 1);
		break;
	case 8:
		replace(d, at, 0, d->other, d->other_length);
		break;
	default:
		d->length = at;
	}
}

/* Keeps a piece for spoil(). */
static void
keep(struct documents *d)
{
	unsigned size = (unsigned)d->length;
	unsigned at = below(d, size + 1), length = 1 + below(d, 12);

	if (length > size - at)
		length = size - at;
	memcpy(d->other, d->bytes + at, length);
	d->other_length = length;
}

void
documents_next(struct documents *d)
{
	d->length = 0;
	add_space(d);
	if (below(d, DEEP_EACH) == 0)
		add_deep(d);
	else if (below(d, 4) == 0)
		add_string(d);
	else
		add_value(d);
	add_space(d);
	if (below(d, 2) == 0)
		for (unsigned n = below(d, 3) + 1; n > 0; n--)
			spoil(d);
	keep(d);
}
