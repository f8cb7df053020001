/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP request as a struct. The environment is read here once; nothing
 * later asks for it.
 */
#ifndef REPLICACHE_REQUEST_H
#define REPLICACHE_REQUEST_H

#include <stddef.h>

struct arena;
struct error;
struct settings;
struct transport;

/* The longest request ID that is given back. Real ones have about 30. */
#define REQUEST_ID_MAX 128

/* Bit by bit, so that a route can name several. */
enum request_method {
	METHOD_GET = 1,
	METHOD_HEAD = 2,
	METHOD_POST = 4,
	METHOD_OPTIONS = 8,
	METHOD_OTHER = 16,
};

struct request {
	enum request_method method;
	const char *path; /* "/push": below where the web server put us */
	/* X-Replicache-RequestID, "" unless it is of [A-Za-z0-9_.:-]: it
	 * goes into answers and logs. Never unique (protocol section 1). */
	char id[REQUEST_ID_MAX + 1];
	const char *origin; /* of the page that asks, "" if it is not said */
	const char *requested_headers; /* of a preflight, likewise */
	const char *site;              /* Sec-Fetch-Site, likewise */
	const char *host;              /* Host */
	const char *authorization; /* Authorization, or what stands for it */
	const char *cookie;        /* all of them */
	const char *user; /* that the web server has verified, or not */
	const char *accept;
	const char *query;         /* behind the "?", not decoded */
	const char *last_event_id; /* of an event stream that was cut */
	const char *content_type;
	const char *content_encoding;
	const char *content_length;
	char *body; /* may be written to */
	size_t body_length;
};

/* Reads all but the body. Strings are borrowed from TRANSPORT. */
void request_read_head(struct request *request, struct transport *transport,
    const struct settings *settings);

/*
 * Reads the body to its end, into memory from ARENA.
 * ERROR_UNSUPPORTED_MEDIA_TYPE unless it is plain JSON in UTF-8;
 * ERROR_BAD_CONTENT_LENGTH, _BODY_TRUNCATED, _BODY_MISMATCH: CONTENT_LENGTH is
 * no number or not the body's;
 * ERROR_BODY_TOO_LARGE: above max_body, having read no more than that.
 */
int request_read_body(struct request *request, struct transport *transport,
    const struct settings *settings, struct arena *arena, struct error *error);

#endif
