/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Buffer: bytes that grow at their end, up to a maximum set at birth.
 *
 * Failure is sticky: once the maximum or the end of memory is reached, the
 * buffer is empty, has given its memory back, and every further append does
 * nothing. So a sequence of appends is written without checks, and one look
 * at `failure` at the end tells whether all of it is there. What was cut is
 * never to be seen.
 *
 * The bytes are not NUL-terminated. A buffer serves one thread at a time.
 */
#ifndef REPLICACHE_BUFFER_H
#define REPLICACHE_BUFFER_H

#include <stddef.h>
#include <string.h>

enum buffer_failure {
	BUFFER_GOOD,      /* everything appended is there */
	BUFFER_TOO_LARGE, /* the maximum was passed */
	BUFFER_NO_MEMORY,
};

struct buffer {
	char *data;      /* NULL while nothing was appended */
	size_t length;   /* bytes in use */
	size_t capacity; /* bytes allocated */
	size_t max;      /* length never passes this */
	enum buffer_failure failure;
};

/* Makes BUFFER empty. It takes no memory yet, and never holds more than MAX
 * bytes, MAX > 0. */
void buffer_init(struct buffer *buffer, size_t max);

/* Frees the memory. The buffer is then as after buffer_init(). */
void buffer_fini(struct buffer *buffer);

/* Empties BUFFER, forgets a failure, keeps the memory. */
void buffer_reset(struct buffer *buffer);

/* The slow path of buffer_reserve(); call that. */
char *buffer_grow(struct buffer *buffer, size_t size);

/*
 * Makes room for SIZE more bytes and returns where they are to be written;
 * buffer_commit() then makes them part of the buffer. The pointer is valid
 * until the next call with this buffer. Returns NULL, having failed the
 * buffer, if there is no room.
 */
static inline char *
buffer_reserve(struct buffer *buffer, size_t size)
{
	if (buffer->capacity - buffer->length >= size && buffer->data != NULL)
		return buffer->data + buffer->length;
	return buffer_grow(buffer, size);
}

/* Adds the first SIZE bytes of those reserved last. */
static inline void
buffer_commit(struct buffer *buffer, size_t size)
{
	buffer->length += size;
}

/* Appends SIZE bytes. BYTES may be NULL if SIZE is 0, and must not point into
 * the buffer. */
static inline void
buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
	char *to = buffer_reserve(buffer, size);

	if (to == NULL || size == 0)
		return;
	memcpy(to, bytes, size);
	buffer->length += size;
}

/* Appends the C string TEXT without its NUL. */
static inline void
buffer_append_string(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

/* Appends one byte. */
static inline void
buffer_append_byte(struct buffer *buffer, char byte)
{
	char *to = buffer_reserve(buffer, 1);

	if (to == NULL)
		return;
	*to = byte;
	buffer->length++;
}

#endif
