/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A FastCGI request as a transport; the only module that knows libfcgi.
 *
 * libfcgi never accepts: the listener does, and hands over connections on
 * which a request lies. One request is served per connection: it is closed
 * afterwards whatever the web server asked for, so that what is left of a
 * body can't be taken for the next request, and no thread is pinned by an idle
 * connection (reliability section 1.4).
 */
#ifndef REPLICACHE_FASTCGI_H
#define REPLICACHE_FASTCGI_H

#include "transport.h"

/* Once, before the first thread: readies libfcgi. -1 if it can't be. */
int fastcgi_init(void);

/*
 * Begins the request on the connection FD, which now belongs to the
 * transport. A reader that takes nothing of a long answer for WRITE_TIMEOUT ms
 * is given up. CLOSED(CONTEXT, FD) is called before FD is closed at the end.
 * NULL, and FD closed, if no request can be read.
 */
struct transport *fastcgi_open(int fd, long write_timeout,
    void (*closed)(void *context, int fd), void *context);

#endif
