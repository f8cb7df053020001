/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Buffer: its growth and its end. What is called often is in the header.
 */
#include "config.h"

#include "buffer.h"

#include <stdlib.h>

/* The first allocation: the answer to most pushes and pulls fits. */
#define CAPACITY_FIRST 512

void
buffer_init(struct buffer *buffer, size_t max)
{
	buffer->data = NULL;
	buffer->length = 0;
	buffer->capacity = 0;
	buffer->max = max;
	buffer->failure = BUFFER_GOOD;
}

void
buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer, buffer->max);
}

void
buffer_reset(struct buffer *buffer)
{
	buffer->length = 0;
	buffer->failure = BUFFER_GOOD;
}

/* Gives the memory back; without any, all further appends come here again. */
static char *
fail(struct buffer *buffer, enum buffer_failure failure)
{
	buffer_fini(buffer);
	buffer->failure = failure;
	return NULL;
}

char *
buffer_grow(struct buffer *buffer, size_t size)
{
	size_t needed, capacity;
	char *data;

	if (buffer->failure != BUFFER_GOOD)
		return NULL;
	if (size > buffer->max - buffer->length)
		return fail(buffer, BUFFER_TOO_LARGE);
	needed = buffer->length + size;
	capacity = buffer->capacity > 0 ? buffer->capacity : CAPACITY_FIRST;
	while (capacity < needed && capacity <= buffer->max / 2)
		capacity *= 2;
	if (capacity < needed || capacity > buffer->max)
		capacity = buffer->max;
	if ((data = realloc(buffer->data, capacity)) == NULL)
		return fail(buffer, BUFFER_NO_MEMORY);
	buffer->data = data;
	buffer->capacity = capacity;
	return data + buffer->length;
}
