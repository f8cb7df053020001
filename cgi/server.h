/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Server: the worker threads of a FastCGI process, its signals and its end.
 */
#ifndef REPLICACHE_SERVER_H
#define REPLICACHE_SERVER_H

struct app;
struct error;

/*
 * Serves what comes in on the listening descriptor FD until TERM, INT, QUIT or
 * USR1 (which process managers use for "finish, then exit"); then accepts no
 * more, lets the requests under way end within drain_timeout, and returns 0. -1
 * with ERROR_CONFIG if it can't start. Sets APP's resume and server.
 */
int server_run(struct app *app, int fd, struct error *error);

/* Wakes a thread for answers that wait; the batch's relieve(). CONTEXT is the
 * app. */
void server_relieve(void *context);

#endif
