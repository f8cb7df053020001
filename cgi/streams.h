/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Streams: all clients that wait for changes, held by one thread.
 *
 * A worker admits a stream, takes its connection out of libfcgi and hands it
 * over; from then on it costs a descriptor and a struct stream, and is none of
 * the requests that the server waits for at its end.
 *
 *	worker ── streams_admit, streams_add ──┐
 *	changes ── the version ────────────────┴─ thread ── pokes
 */
#ifndef REPLICACHE_STREAMS_H
#define REPLICACHE_STREAMS_H

#include <stddef.h>
#include <stdint.h>

#include "stream.h"

struct error;
struct settings;
struct streams;
struct transport_taken;

/* Starts the thread, which holds MOST streams at a time. NULL on failure.
 * Signals must be blocked. */
struct streams *streams_new(
    const struct settings *settings, size_t most, struct error *error);

/* Ends what is still open, and the thread. NULL is legal. */
void streams_free(struct streams *streams);

/* The version as far as it is known, or STREAM_VERSION_NONE. */
int64_t streams_version(struct streams *streams);

/*
 * Makes a stream of KIND for a client of USER that knows of VERSION, if there
 * may be one more: else NULL with ERROR_POKE_FULL, _POKE_USER_FULL or
 * _UNAVAILABLE. USER NULL: not counted by user.
 */
struct stream *streams_admit(struct streams *streams, enum stream_kind kind,
    int64_t version, const char *user, struct error *error);

/* Takes a stream back that was not added. */
void streams_dismiss(struct streams *streams, struct stream *stream);

/* Hands STREAM over, with its connection; HEAD is what goes before the first
 * event of an event stream, LENGTH bytes. It is the caller's no more. */
void streams_add(struct streams *streams, struct stream *stream,
    const struct transport_taken *taken, const char *head, size_t length);

/* Begins to end all streams in order, those too that are added later. */
void streams_drain(struct streams *streams);

/* Those that were admitted and have not ended. */
size_t streams_count(struct streams *streams);

#endif
