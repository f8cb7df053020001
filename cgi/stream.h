/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stream: one client that waits for changes: an event stream, or a long-poll,
 * which is a stream of one event.
 *
 * Nothing here blocks. What does not fit into the socket is not written: a
 * stream that is behind owes its client a poke, but only the newest one.
 */
#ifndef REPLICACHE_STREAM_H
#define REPLICACHE_STREAM_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "transport.h"

struct quota_user;
struct response;

/* No version is known yet. */
#define STREAM_VERSION_NONE (-1)

/* The answer to a poll, a format for its version. */
#define STREAM_ANSWER "{\"version\":%" PRId64 "}"

/* A stream is poked not more often: clients pull once for a burst. */
#define STREAM_PAUSE_MS 50

/* What is kept in the kernel for a reader that does not read: some 10 pokes.
 * More would only be old news. */
#define STREAM_SEND_BUFFER 8192

enum stream_kind {
	STREAM_EVENTS, /* text/event-stream */
	STREAM_POLL,   /* one answer in JSON */
};

struct stream {
	struct stream *next, *previous;
	struct quota_user *user;
	unsigned char *rest; /* of what the socket took only a part of */
	size_t rest_size;
	const char *origin; /* as in struct response; of a poll */
	int64_t version;    /* what the client knows of */
	int64_t poked;      /* clock_ms() */
	int64_t written;    /* clock_ms() */
	int64_t blocked;    /* clock_ms() since it takes nothing, or 0 */
	int64_t ends;       /* clock_ms() when it is over */
	int fd;
	unsigned id; /* of the FastCGI request */
	int origin_length;
	enum stream_kind kind;
	bool vary;
	bool armed; /* its being writable is watched */
};

/* Begins on the connection TAKEN, which now belongs to it. */
void stream_begin(
    struct stream *stream, const struct transport_taken *taken, int64_t now);

/*
 * Greets the client of an event stream: by its HEAD, RETRY (ms), and a poke if
 * VERSION is above the stream's own, else a comment, so that it sees the stream
 * flow. -1 if the peer is gone. For a poll it does nothing.
 */
int stream_open(struct stream *stream, const char *head, size_t length,
    long retry, int64_t version, int64_t now);

/* True if the client does not know of VERSION. */
bool stream_is_behind(const struct stream *stream, int64_t version);

/* These write; -1 if the peer is gone. Not for a poll. */
int stream_poke(struct stream *stream, int64_t version, int64_t now);
int stream_beat(struct stream *stream, int64_t now);

/* Writes what is left over, now that there is room. */
int stream_flush(struct stream *stream, int64_t now);

/* Says goodbye as far as there is room: an event stream that its client should
 * come back after RETRY ms, a poll the VERSION. Its connection is not closed
 * yet. */
void stream_end(struct stream *stream, int64_t version, long retry);

/* Closes the connection. */
void stream_close(struct stream *stream);

#endif
