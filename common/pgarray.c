/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Array literals.
 */
#include "config.h"

#include "pgarray.h"

#include <inttypes.h>
#include <stdio.h>

#include "arena.h"

/* Far above the IDs of the largest batch. */
#define PGARRAY_BYTES_MAX ((size_t)64 * 1024 * 1024)

void
pgarray_init(struct pgarray *array)
{
	buffer_init(&array->text, PGARRAY_BYTES_MAX);
	buffer_append_byte(&array->text, '{');
}

void
pgarray_fini(struct pgarray *array)
{
	buffer_fini(&array->text);
}

static void
separate(struct pgarray *array)
{
	if (array->text.length > 1)
		buffer_append_byte(&array->text, ',');
}

void
pgarray_add_text(struct pgarray *array, const char *element)
{
	separate(array);
	buffer_append_byte(&array->text, '"');
	for (; *element != '\0'; element++) {
		if (*element == '"' || *element == '\\')
			buffer_append_byte(&array->text, '\\');
		buffer_append_byte(&array->text, *element);
	}
	buffer_append_byte(&array->text, '"');
}

void
pgarray_add_int64(struct pgarray *array, int64_t element)
{
	char digits[24];

	separate(array);
	snprintf(digits, sizeof(digits), "%" PRId64, element);
	buffer_append_string(&array->text, digits);
}

const char *
pgarray_end(struct pgarray *array, struct arena *arena)
{
	buffer_append_byte(&array->text, '}');
	if (array->text.failure != BUFFER_GOOD)
		return NULL;
	return arena_strndup(arena, array->text.data, array->text.length);
}
