/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Transport: how one request reached the program and its answer goes back. It
 * is FastCGI (fastcgi.c) or plain CGI (oneshot.c); nothing above can tell.
 */
#ifndef REPLICACHE_TRANSPORT_H
#define REPLICACHE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct transport;

/* A connection that was taken: what its new owner needs to go on. */
struct transport_taken {
	int fd;      /* connected to the web server, and nothing to be read */
	unsigned id; /* of the FastCGI request on it */
};

struct transport_ops {
	/* A CGI variable (RFC 3875 section 4.1), or NULL; valid until the
	 * end of the transport. */
	const char *(*param)(struct transport *transport, const char *name);

	/* Reads up to SIZE bytes of the body: their number, 0 at its end, -1
	 * when the peer is gone or too slow. */
	ssize_t (*read)(struct transport *transport, char *to, size_t size);

	/* Sends all SIZE bytes of the answer; -1 when they can't be. */
	int (*write)(
	    struct transport *transport, const char *bytes, size_t size);

	/* Ends the answer and the transport, which is freed. WHOLE false cuts
	 * it, so that nobody takes it for complete. */
	void (*end)(struct transport *transport, bool whole);

	/* Takes the connection out of the transport, before anything was
	 * written, and frees the transport: its variables, too. The caller
	 * answers by FastCGI records and closes it. -1: the peer is gone, and
	 * the transport still there. NULL where there is no such connection. */
	int (*take)(
	    struct transport *transport, struct transport_taken *taken_out);
};

struct transport {
	const struct transport_ops *ops;
};

#endif
