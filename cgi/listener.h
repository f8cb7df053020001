/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Listener: accepts connections and watches them until a request lies in each.
 *
 * All threads wait in one epoll set. A connection is given to a thread only
 * when framing_judge() finds a sound request in it; until then it costs a
 * descriptor and some bytes. In the usual case the thread that accepts finds
 * the request there and goes on with it: no hand-over, no second wake-up. A
 * connection that the web server keeps comes back after its request, and waits
 * with the others.
 *
 * Several processes may share the listening socket, as spawn-fcgi and
 * systemd have it; each takes what it can serve.
 */
#ifndef REPLICACHE_LISTENER_H
#define REPLICACHE_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct listener;
struct settings;

/* Listens on FD, which it takes over. */
struct listener *listener_new(
    int fd, const struct settings *settings, struct error *error);

void listener_free(struct listener *listener);

enum listener_event {
	LISTENER_REQUEST, /* *FD_OUT has a request */
	LISTENER_SLOW,    /* the same, but its body may be waited for */
	LISTENER_WOKEN,   /* by listener_wake() */
	LISTENER_STOPPED, /* by listener_stop(): the thread should end */
};

/* Waits for the next thing to do. Any number of threads may wait; each gives
 * a SCRATCH of LISTENER_SCRATCH bytes. */
enum listener_event listener_wait(
    struct listener *listener, unsigned char *scratch, int *fd_out);

extern const size_t listener_scratch_size;

/* A connection of LISTENER_REQUEST is about to be closed. CONTEXT is the
 * listener. */
void listener_closed(void *context, int fd);

/* True if one of LISTENER_REQUEST may have a next request: this one was seen to
 * its end, with nothing behind it. */
bool listener_may_keep(void *context, int fd);

/* The request on such a one is answered: waits for the next one on it, or
 * closes it. */
void listener_answered(void *context, int fd);

/* Wakes one waiting thread. Never blocks. */
void listener_wake(struct listener *listener);

/* Closes connections that kept silent and ends reads that take too long. To be
 * called a few times a second, by one thread. */
void listener_tick(struct listener *listener);

/* Accepts no more; what was accepted is still served. */
void listener_drain(struct listener *listener);

/* Connections that are open: waiting or being served; one that is being
 * accepted may count twice. After listener_drain() 0 stays 0. */
size_t listener_open_count(struct listener *listener);

/* The same, without those that are kept for a next request. */
size_t listener_busy_count(struct listener *listener);

/* Has every waiting thread told to end. */
void listener_stop(struct listener *listener);

#endif
