/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Framing: is what a peer has sent so far a FastCGI request that libfcgi
 * should see?
 *
 * libfcgi reads blocking, a byte at a time if need be, and dies of some
 * records (CVE-2025-23016 among them). So the listener looks at what
 * lies in the socket first: a connection reaches a thread and libfcgi only
 * when a sound request is there, and a peer that is silent, slow or hostile
 * costs no thread.
 */
#ifndef REPLICACHE_FRAMING_H
#define REPLICACHE_FRAMING_H

#include <stddef.h>

/* The most that parameters may take, and how many there may be: what web
 * servers let through is far below (nginx 4 x 8 kB). */
#define FRAMING_PARAMS_BYTES_MAX 65536
#define FRAMING_PARAMS_MAX 200

/* What is looked at: all parameters, in records of any size a web server uses,
 * and a body as usual. A body that goes on beyond is begun on trust. */
#define FRAMING_WINDOW (FRAMING_PARAMS_BYTES_MAX + 32768)

enum framing {
	FRAMING_MORE,  /* not decided yet: wait for more bytes */
	FRAMING_BODY,  /* sound so far, and only the body's end is missing */
	FRAMING_READY, /* a request, and nothing behind it */
	FRAMING_LONG,  /* a request whose end, or what is behind it, is not seen
			*/
	FRAMING_BAD,   /* none, or one with too many parameters: close */
};

/*
 * Judges the first LENGTH bytes of a connection: one BEGIN_REQUEST (role
 * responder), parameters, then the body, all of one request ID (FastCGI
 * specification, sections 3, 5 and 8). SCRATCH has room for
 * FRAMING_PARAMS_BYTES_MAX bytes.
 * LONG when the window is full, or when more than the request is there, which
 * no web server sends before it has the answer.
 */
enum framing framing_judge(
    const unsigned char *bytes, size_t length, unsigned char *scratch);

#endif
