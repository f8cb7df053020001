/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Events and answers, written without waiting.
 */
#include "config.h"

#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "record.h"
#include "request.h"
#include "response.h"

/* The longest text of one write. */
#define TEXT_MAX (RESPONSE_HEAD_MAX + 512)

/* A write under construction: one STDOUT record, perhaps the end behind it. */
struct message {
	unsigned char bytes[RECORD_HEADER + TEXT_MAX + RECORD_END];
	size_t length; /* of the text */
};

static void append(struct message *message, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static char *
end_of(struct message *message)
{
	return (char *)message->bytes + RECORD_HEADER + message->length;
}

static void
append(struct message *message, const char *format, ...)
{
	size_t room = TEXT_MAX - message->length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(end_of(message), room, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < room)
		message->length += (size_t)n;
}

static void
append_bytes(struct message *message, const char *bytes, size_t length)
{
	if (length > TEXT_MAX - message->length)
		return;
	memcpy(end_of(message), bytes, length);
	message->length += length;
}

/* As many bytes as the socket takes; -1 if the peer is gone. */
static ssize_t
put(const struct stream *stream, const unsigned char *bytes, size_t size)
{
	ssize_t n;

	do {
		n = send(stream->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : n;
}

/* Keeps what the socket did not take. -1 without memory. */
static int
keep_rest(struct stream *stream, const unsigned char *bytes, size_t size)
{
	stream->rest = malloc(size);
	if (stream->rest == NULL)
		return -1;
	memcpy(stream->rest, bytes, size);
	stream->rest_size = size;
	return 0;
}

/* Sends SIZE bytes: all or nothing, but what was begun is kept. 1: they are on
 * their way; 0: there is no room; -1: the peer is gone. */
static int
send_all(
    struct stream *stream, const unsigned char *bytes, size_t size, int64_t now)
{
	ssize_t n;

	if (stream->blocked != 0)
		return 0;
	n = put(stream, bytes, size);
	if (n < 0)
		return -1;
	if (n > 0)
		stream->written = now;
	if ((size_t)n == size)
		return 1;
	stream->blocked = now;
	if (n == 0)
		return 0;
	return keep_rest(stream, bytes + n, size - (size_t)n) < 0 ? -1 : 1;
}

static int
send_message(struct stream *stream, struct message *message, int64_t now)
{
	record_stdout(message->bytes, stream->id, message->length);
	return send_all(
	    stream, message->bytes, RECORD_HEADER + message->length, now);
}

static void
append_poke(struct message *message, int64_t version)
{
	append(message, "event: poke\nid: %" PRId64 "\ndata: %" PRId64 "\n\n",
	    version, version);
}

bool
stream_is_behind(const struct stream *stream, int64_t version)
{
	return stream->version < version;
}

void
stream_begin(
    struct stream *stream, const struct transport_taken *taken, int64_t now)
{
	int size = STREAM_SEND_BUFFER;

	stream->fd = taken->fd;
	stream->id = taken->id;
	stream->written = now;
	/* Fails only for a kind of socket that has none. */
	setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int
stream_open(struct stream *stream, const char *head, size_t length, long retry,
    int64_t version, int64_t now)
{
	struct message message = {.length = 0};

	if (stream->kind == STREAM_POLL)
		return 0;
	append_bytes(&message, head, length);
	append(&message, "retry: %ld\n", retry);
	if (stream_is_behind(stream, version)) {
		append_poke(&message, version);
		stream->version = version;
		stream->poked = now;
	} else {
		append(&message, ":\n\n");
	}
	return send_message(stream, &message, now) > 0 ? 0 : -1;
}

int
stream_poke(struct stream *stream, int64_t version, int64_t now)
{
	struct message message = {.length = 0};
	int rc;

	append_poke(&message, version);
	rc = send_message(stream, &message, now);
	if (rc > 0) {
		stream->version = version;
		stream->poked = now;
	}
	return rc < 0 ? -1 : 0;
}

int
stream_beat(struct stream *stream, int64_t now)
{
	struct message message = {.length = 0};

	append(&message, ":\n\n");
	return send_message(stream, &message, now) < 0 ? -1 : 0;
}

int
stream_flush(struct stream *stream, int64_t now)
{
	ssize_t n = 0;

	if (stream->rest != NULL) {
		n = put(stream, stream->rest, stream->rest_size);
		if (n < 0)
			return -1;
		stream->rest_size -= (size_t)n;
		if (stream->rest_size > 0) {
			memmove(
			    stream->rest, stream->rest + n, stream->rest_size);
			if (n > 0)
				stream->blocked = now;
			return 0;
		}
		free(stream->rest);
		stream->rest = NULL;
	}
	stream->blocked = 0;
	return 0;
}

/* The whole answer to a poll. */
static void
append_answer(
    struct message *message, const struct stream *stream, int64_t version)
{
	static const struct request unnamed;
	struct response response;
	struct error error;
	char body[64];

	response_init(&response, NULL);
	response.origin = stream->origin;
	response.origin_length = stream->origin_length;
	response.vary = stream->vary;
	if (version == STREAM_VERSION_NONE) {
		error_set(&error, ERROR_UNAVAILABLE, "no version is known");
		response_error(&response, &unnamed, &error);
	} else {
		snprintf(body, sizeof(body), STREAM_ANSWER, version);
		response_json(&response, 200, body);
	}
	message->length =
	    response_head(&response, response.body.length, end_of(message));
	append_bytes(message, response.body.data, response.body.length);
	response_fini(&response);
}

void
stream_end(struct stream *stream, int64_t version, long retry)
{
	struct message message = {.length = 0};
	size_t size;

	if (stream->kind == STREAM_POLL)
		append_answer(&message, stream, version);
	else
		append(&message, "retry: %ld\n\n", retry);
	record_stdout(message.bytes, stream->id, message.length);
	size = RECORD_HEADER + message.length;
	record_end(message.bytes + size, stream->id);
	/* What does not fit now is of no use to a reader that lags so. */
	if (stream->blocked == 0)
		put(stream, message.bytes, size + RECORD_END);
}

void
stream_close(struct stream *stream)
{
	close(stream->fd);
	free(stream->rest);
	stream->rest = NULL;
}
