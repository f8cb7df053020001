/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes go through the scanner, and what it accepts through
 * the walk, the decoder, and the writer and back. Any contradiction aborts.
 */
#include "config.h"

#include "fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "error.h"
#include "jsonw.h"
#include "number.h"
#include "scan.h"

const struct fuzz_target fuzz_target =
    FUZZ_TARGET("json/accept json/reject fuzz/scan", FUZZ_SPICE_JSON);

/* Fewer than the default, so that this limit is met too. */
#define TOKENS_MAX 2000

/* How deep values are taken out and judged alone: the work is the length times
 * this. */
#define ALONE_DEPTH 3

/* A value out of a good document is a good document, with its own flags. */
static void
check_alone(const struct scan_value *value)
{
	struct scan_value root;
	struct error error;
	unsigned flags;

	fuzz_check(scan_document(value->text, value->length, TOKENS_MAX, &flags,
		       &error) == 0);
	fuzz_check(flags == scan_flags(value));
	scan_root(value->text, value->length, &root);
	fuzz_check(root.kind == value->kind);
	fuzz_check(root.text == value->text);
	fuzz_check(root.length == value->length);
}

/* What a string means survives being written and read again. */
static void
check_string(const struct scan_value *value)
{
	char *text = malloc(value->length - 1), *again;
	struct scan_value written;
	struct buffer buffer;
	struct error error;
	unsigned flags, flags_again;
	size_t length;

	fuzz_check(text != NULL);
	length = scan_decode(value, text, &flags);
	fuzz_check(length <= value->length - 2);
	fuzz_check(strlen(text) == length);
	fuzz_check(flags == scan_flags(value));
	fuzz_check(scan_equals(value, text) == (flags == 0));

	buffer_init(&buffer, 8 * value->length);
	jsonw_string(&buffer, text, length);
	fuzz_check(buffer.failure == BUFFER_GOOD);
	fuzz_check(scan_document(buffer.data, buffer.length, 1, &flags_again,
		       &error) == 0);
	fuzz_check(flags_again == 0);
	scan_root(buffer.data, buffer.length, &written);
	again = malloc(written.length - 1);
	fuzz_check(again != NULL);
	fuzz_check(scan_decode(&written, again, &flags_again) == length);
	fuzz_check(memcmp(text, again, length) == 0);
	free(again);
	buffer_fini(&buffer);
	free(text);
}

static void
check_number(const struct scan_value *value)
{
	char text[64];
	const char *at;
	int64_t integer;

	if (value->length >= sizeof(text))
		return;
	memcpy(text, value->text, value->length);
	text[value->length] = '\0';
	/* Finite numbers of this length are flagged only for their exponent. */
	at = strpbrk(text, "eE");
	if (!isfinite(strtod(text, NULL)))
		fuzz_check(scan_flags(value) == SCAN_NUMBER);
	else if (at == NULL || fabs(strtod(at + 1, NULL)) <= 1074)
		fuzz_check(scan_flags(value) == 0);
	if (!scan_integer(value, 0, &integer))
		return;
	fuzz_check(value->kind == SCAN_INTEGER);
	fuzz_check(integer == strtoll(text, NULL, 10));
}

static void check_value(const struct scan_value *value, int depth);

/* Elements and members lie in order inside their container. */
static void
check_inside(const struct scan_value *container, int depth)
{
	const char *after = container->text + 1;
	const char *end = container->text + container->length;
	struct scan_value key = {0}, value;
	struct scan_cursor cursor;
	bool is_object = container->kind == SCAN_OBJECT;

	scan_open(&cursor, container);
	while (is_object ? scan_member(&cursor, &key, &value)
			 : scan_element(&cursor, &value)) {
		if (is_object) {
			fuzz_check(key.kind == SCAN_STRING);
			fuzz_check(key.text >= after);
			after = key.text + key.length;
			check_value(&key, depth);
		}
		fuzz_check(value.text >= after);
		after = value.text + value.length;
		fuzz_check(after < end);
		check_value(&value, depth);
	}
}

static void
check_value(const struct scan_value *value, int depth)
{
	fuzz_check(value->kind != SCAN_NONE);
	fuzz_check(depth <= SCAN_DEPTH_MAX);
	if (depth < ALONE_DEPTH)
		check_alone(value);
	switch (value->kind) {
	case SCAN_ARRAY:
	case SCAN_OBJECT:
		check_inside(value, depth + 1);
		break;
	case SCAN_STRING:
		check_string(value);
		break;
	case SCAN_INTEGER:
	case SCAN_DECIMAL:
		check_number(value);
		break;
	case SCAN_NONE:
	case SCAN_NULL:
	case SCAN_FALSE:
	case SCAN_TRUE:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct error error = {0};
	struct scan_value root;
	unsigned flags;

	if (scan_document(bytes, size, TOKENS_MAX, &flags, &error) < 0) {
		fuzz_check(error.code == ERROR_INVALID_JSON ||
			   error.code == ERROR_TOO_DEEP ||
			   error.code == ERROR_TOO_MANY_TOKENS);
		return 0;
	}
	scan_root(bytes, size, &root);
	fuzz_check(scan_flags(&root) == flags);
	fuzz_check((flags & SCAN_NUMBER) != 0 ||
		   scan_written(&root) <= root.length * NUMBER_GROWTH_MAX);
	check_value(&root, 0);
	return 0;
}
