/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * JSON: first the judge of a whole document, a loop with a small stack of
 * its own; then the walk over a document that was accepted, which relies on
 * its being valid and looks at no more than it must.
 */
#include "config.h"

#include "scan.h"

#include <string.h>

#include "bytes.h"
#include "error.h"
#include "number.h"
#include "quoted.h"

struct scanner {
	const char *begin, *at, *end;
	size_t tokens_left;
	unsigned flags;
	size_t depth, max_depth;
	bool in_object[SCAN_DEPTH_MAX]; /* per level, the outermost first */
	struct error *error;
};

/* Space between tokens: the four characters of RFC 8259 section 2. */
static const char *
skip_space(const char *at, const char *end)
{
	while (at < end &&
	       (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

static int
fail(struct scanner *s, const char *what)
{
	return error_set(s->error, ERROR_INVALID_JSON, "byte %zu: %s",
	    (size_t)(s->at - s->begin), what);
}

/* The next byte, or 0, which no token starts with, at the end. */
static char
peek(const struct scanner *s)
{
	if (s->at == s->end)
		return '\0';
	return *s->at;
}

/* Takes a string, its quote being the next byte. */
static int
take_string(struct scanner *s)
{
	const char *wrong = quoted_take(&s->at, s->end, &s->flags);

	return wrong == NULL ? 0 : fail(s, wrong);
}

/* SCAN_NUMBER if the number TEXT of that form is no finite double. One without
 * an exponent that is not longer than the largest needs no closer look. */
static unsigned
number_flags(const char *text, size_t length, enum number_form form)
{
	if (form != NUMBER_EXPONENT && length <= NUMBER_POWER_MAX)
		return 0;
	return number_is_double(text, length) ? 0 : SCAN_NUMBER;
}

static int
take_number(struct scanner *s)
{
	enum number_form form;
	size_t length = number_span(s->at, s->end, &form);

	if (length == 0)
		return fail(s, "no value of JSON");
	s->flags |= number_flags(s->at, length, form);
	s->at += length;
	return 0;
}

/* Takes the literal WORD. What follows it is looked at as what follows any
 * value. */
static int
take_word(struct scanner *s, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(s->end - s->at) < length ||
	    memcmp(s->at, word, length) != 0)
		return fail(s, "no value of JSON");
	s->at += length;
	return 0;
}

/* Takes the key of a member and its colon. */
static int
take_key(struct scanner *s)
{
	s->at = skip_space(s->at, s->end);
	if (peek(s) != '"')
		return fail(s, "a key is missing");
	if (take_string(s) < 0)
		return -1;
	s->at = skip_space(s->at, s->end);
	if (peek(s) != ':')
		return fail(s, "a colon is missing");
	s->at++;
	return 0;
}

/*
 * Takes the bracket that opens an array or object. If that is empty, its end
 * too; else up to where the first value is expected, and sets *INSIDE_OUT.
 */
static int
take_open(struct scanner *s, bool is_object, bool *inside_out)
{
	if (s->depth >= s->max_depth)
		return error_set(s->error, ERROR_TOO_DEEP,
		    "byte %zu: more than %zu levels",
		    (size_t)(s->at - s->begin), s->max_depth);
	s->at = skip_space(s->at + 1, s->end);
	if (peek(s) == (is_object ? '}' : ']')) {
		s->at++;
		return 0;
	}
	s->in_object[s->depth++] = is_object;
	*inside_out = true;
	return is_object ? take_key(s) : 0;
}

/* Takes a scalar, an empty container, or the start of another one: then
 * *INSIDE_OUT becomes true, and its first value is expected next. */
static int
take_value(struct scanner *s, bool *inside_out)
{
	*inside_out = false;
	if (s->tokens_left == 0)
		return error_set(s->error, ERROR_TOO_MANY_TOKENS,
		    "byte %zu: too many values", (size_t)(s->at - s->begin));
	s->tokens_left--;
	switch (peek(s)) {
	case '{':
		return take_open(s, true, inside_out);
	case '[':
		return take_open(s, false, inside_out);
	case '"':
		return take_string(s);
	case 't':
		return take_word(s, "true");
	case 'f':
		return take_word(s, "false");
	case 'n':
		return take_word(s, "null");
	default:
		return take_number(s);
	}
}

/* After a value: takes the ends of the containers that end with it, then the
 * comma. At depth 0 the document is over. */
static int
take_ends(struct scanner *s)
{
	while (s->depth > 0) {
		bool in_object = s->in_object[s->depth - 1];

		s->at = skip_space(s->at, s->end);
		if (peek(s) == ',') {
			s->at++;
			return in_object ? take_key(s) : 0;
		}
		if (peek(s) != (in_object ? '}' : ']'))
			return fail(s, "a comma or an end is missing");
		s->at++;
		s->depth--;
	}
	return 0;
}

int
scan_document_within(const char *bytes, size_t length,
    const struct scan_limits *limits, unsigned *flags_out, struct error *error)
{
	struct scanner s;
	bool inside;

	s.begin = s.at = bytes;
	s.end = bytes + length;
	s.tokens_left = limits->tokens;
	s.max_depth =
	    limits->depth < SCAN_DEPTH_MAX ? limits->depth : SCAN_DEPTH_MAX;
	s.flags = 0;
	s.depth = 0;
	s.error = error;
	do {
		s.at = skip_space(s.at, s.end);
		if (take_value(&s, &inside) < 0)
			return -1;
		if (!inside && take_ends(&s) < 0)
			return -1;
	} while (s.depth > 0);
	s.at = skip_space(s.at, s.end);
	if (s.at < s.end)
		return fail(&s, "bytes behind the document");
	*flags_out = s.flags;
	return 0;
}

/* The next quote or bracket, which there is. Between two strings, only a colon
 * or comma is passed: not worth a look at 16 bytes. */
static const char *
find_structure(const char *at, const char *end)
{
	while (*at == ',' || *at == ':')
		at++;
	if (bytes_stops((unsigned char)*at, BYTES_STOP_STRUCTURE))
		return at;
	return bytes_find(at, end, BYTES_STOP_STRUCTURE);
}

/* Behind the array or object of a valid document that opens at AT. */
static const char *
skip_container(const char *at, const char *end)
{
	size_t depth = 0;

	do {
		at = find_structure(at, end);
		if (*at == '"') {
			at = quoted_skip(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else
			depth--;
		at++;
	} while (depth > 0);
	return at;
}

/* Reads the value of a valid document that starts at AT, and returns what is
 * behind it. */
static const char *
read_value(const char *at, const char *end, struct scan_value *value_out)
{
	enum number_form form;
	const char *after;

	switch (*at) {
	case '{':
		value_out->kind = SCAN_OBJECT;
		after = skip_container(at, end);
		break;
	case '[':
		value_out->kind = SCAN_ARRAY;
		after = skip_container(at, end);
		break;
	case '"':
		value_out->kind = SCAN_STRING;
		after = quoted_skip(at, end);
		break;
	case 't':
		value_out->kind = SCAN_TRUE;
		after = at + 4;
		break;
	case 'f':
		value_out->kind = SCAN_FALSE;
		after = at + 5;
		break;
	case 'n':
		value_out->kind = SCAN_NULL;
		after = at + 4;
		break;
	default:
		after = at + number_span(at, end, &form);
		value_out->kind =
		    form == NUMBER_INTEGER ? SCAN_INTEGER : SCAN_DECIMAL;
	}
	value_out->text = at;
	value_out->length = (size_t)(after - at);
	return after;
}

void
scan_root(const char *bytes, size_t length, struct scan_value *value_out)
{
	const char *end = bytes + length;

	read_value(skip_space(bytes, end), end, value_out);
}

void
scan_open(struct scan_cursor *cursor, const struct scan_value *container)
{
	bool has_inside =
	    container->kind == SCAN_ARRAY || container->kind == SCAN_OBJECT;

	cursor->at = container->text + (has_inside ? 1 : 0);
	cursor->end =
	    container->text + (has_inside ? container->length - 1 : 0);
}

/* Moves over space and, between members or elements, a comma or colon. */
static bool
move_to_next(struct scan_cursor *cursor)
{
	cursor->at = skip_space(cursor->at, cursor->end);
	if (cursor->at < cursor->end &&
	    (*cursor->at == ',' || *cursor->at == ':'))
		cursor->at = skip_space(cursor->at + 1, cursor->end);
	return cursor->at < cursor->end;
}

bool
scan_element(struct scan_cursor *cursor, struct scan_value *value_out)
{
	if (!move_to_next(cursor))
		return false;
	cursor->at = read_value(cursor->at, cursor->end, value_out);
	return true;
}

bool
scan_member(struct scan_cursor *cursor, struct scan_value *key_out,
    struct scan_value *value_out)
{
	return scan_element(cursor, key_out) && scan_element(cursor, value_out);
}

int
scan_fields(const struct scan_value *object, const char *const *names,
    size_t count, struct scan_value *values_out, struct error *error)
{
	struct scan_cursor cursor;
	struct scan_value key, value;

	memset(values_out, 0, count * sizeof(*values_out));
	if (object->kind != SCAN_OBJECT)
		return error_set(
		    error, ERROR_INVALID_REQUEST, "an object is missing");
	scan_open(&cursor, object);
	while (scan_member(&cursor, &key, &value)) {
		size_t i = 0;

		while (i < count && !scan_equals(&key, names[i]))
			i++;
		if (i == count)
			continue;
		if (values_out[i].kind != SCAN_NONE)
			return error_set(error, ERROR_INVALID_REQUEST,
			    "%s is there twice", names[i]);
		values_out[i] = value;
	}
	return 0;
}

unsigned
scan_flags(const struct scan_value *value)
{
	const char *at = value->text, *end = at + value->length, *after;
	enum number_form form;
	unsigned flags = 0;
	size_t length;

	while (at < end) {
		if (*at == '"') {
			after = quoted_skip(at, end);
			flags |= quoted_flags(at, after);
			at = after;
		} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
			length = number_span(at, end, &form);
			flags |= number_flags(at, length, form);
			at += length;
		} else {
			at++;
		}
	}
	return flags;
}

size_t
scan_written(const struct scan_value *value)
{
	const char *at = value->text, *end = at + value->length;
	enum number_form form;
	size_t written = value->length, length;

	while (at < end) {
		if (*at == '"') {
			at = quoted_skip(at, end);
		} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
			length = number_span(at, end, &form);
			if (form == NUMBER_EXPONENT)
				written += number_written(at, length) - length;
			at += length;
		} else {
			at++;
		}
	}
	return written;
}

bool
scan_equals(const struct scan_value *value, const char *text)
{
	return quoted_equals(value->text, value->text + value->length, text);
}

size_t
scan_decode(const struct scan_value *value, char *out, unsigned *flags_out)
{
	return quoted_decode(
	    value->text, value->text + value->length, out, flags_out);
}

bool
scan_integer(const struct scan_value *value, int64_t min, int64_t *out)
{
	int64_t number = 0;

	if (value->kind != SCAN_INTEGER || value->text[0] == '-')
		return false;
	for (size_t i = 0; i < value->length; i++) {
		number = number * 10 + (value->text[i] - '0');
		if (number > SCAN_INTEGER_MAX)
			return false;
	}
	if (number < min)
		return false;
	*out = number;
	return true;
}
