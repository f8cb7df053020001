/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A FastCGI request as a transport; the only module that knows libfcgi.
 *
 * libfcgi never accepts: the listener does, and hands over connections on
 * which a request lies. After the answer a connection goes back to it, so that
 * no thread is pinned by one that is idle, and only when the request was read
 * to its end, so that nothing of a body can be taken for the next request.
 */
#ifndef REPLICACHE_FASTCGI_H
#define REPLICACHE_FASTCGI_H

#include "transport.h"

/* Once, before the first thread: readies libfcgi. -1 if it can't be. */
int fastcgi_init(void);

/* Whom a connection goes back to. */
struct fastcgi_owner {
	/* FD is about to be closed, or is somebody else's from now on. */
	void (*closed)(void *context, int fd);
	/* Whether FD may be kept for a next request: all of this one is there,
	 * so that reading its end does not wait. */
	bool (*may_keep)(void *context, int fd);
	/* The request on FD is answered; it may be kept, and the web server
	 * wants it to be (FCGI_KEEP_CONN): FD is the owner's again. */
	void (*answered)(void *context, int fd);
	void *context;
};

/*
 * Begins the request on the connection FD, which now belongs to the
 * transport. A reader that takes nothing of a long answer for WRITE_TIMEOUT ms
 * is given up. OWNER is copied.
 * NULL, and FD closed, if no request can be read.
 */
struct transport *fastcgi_open(
    int fd, long write_timeout, const struct fastcgi_owner *owner);

#endif
