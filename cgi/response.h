/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP answer, and the one table that turns an error into it.
 *
 * An answer is written into a buffer. A small one is sent at its end, with its
 * length; a large one is sent in pieces while it is made, so that memory does
 * not grow with it. Until the first piece is sent an error can still replace
 * it; afterwards it can only be cut.
 */
#ifndef REPLICACHE_RESPONSE_H
#define REPLICACHE_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct error;
struct request;
struct transport;

/* A piece: large enough that the system calls do not count, small enough that
 * the first one comes soon. */
#define RESPONSE_PIECE 65536

/* The longest head, and the length of a body that is not known. */
#define RESPONSE_HEAD_MAX 2048
#define RESPONSE_UNSIZED SIZE_MAX

struct response {
	struct transport *transport;
	struct buffer body;
	int status;         /* 0 until the answer is known */
	const char *type;   /* Content-Type */
	const char *cache;  /* Cache-Control */
	const char *header; /* one more header line with CRLF, or "" */
	const char *origin; /* that may read the answer, not terminated ... */
	int origin_length;  /* ... 0: none is named */
	bool vary;          /* answers differ by origin */
	bool credentials;   /* the origin may have cookies sent */
	bool head_only;     /* HEAD: no body is sent */
	bool started;       /* headers are out */
	bool broken;        /* the peer is gone */
	uint64_t sent;      /* bytes of the body */
};

void response_init(struct response *response, struct transport *transport);

void response_fini(struct response *response);

/* Answers with the JSON text BODY. */
void response_json(struct response *response, int status, const char *body);

/* Answers 204 or the like, without a body, with one more HEADER line. */
void response_empty(struct response *response, int status, const char *header);

/* Answers with what ERROR is to the client of REQUEST. */
void response_error(struct response *response, const struct request *request,
    const struct error *error);

/*
 * Writes the status line and headers of RESPONSE, with an empty line at their
 * end, to TO, which has room for RESPONSE_HEAD_MAX bytes, and gives their
 * length. BODY is the body's, or RESPONSE_UNSIZED.
 */
size_t response_head(const struct response *response, size_t body, char *to);

/*
 * Sends what is in the body if it is a piece, as part of a 200. Returns -1
 * once the peer is gone: the rest need not be made.
 */
int response_flush(struct response *response);

/* Sends what is left, or, if there was no memory for it, that the service is
 * unavailable. Returns true if all of the answer is out. */
bool response_end(struct response *response);

#endif
