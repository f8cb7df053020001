/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Changes: learns of every version as soon as it is committed, whoever did it:
 * another process, psql, a cron job.
 *
 * A thread LISTENs on a connection of its own. A notification only says that
 * something happened: what the version is, is read after it, so that nobody who
 * may NOTIFY can tell lies, and so that a burst of commits is one change. The
 * version is also read after LISTEN has begun, so none is missed in between,
 * and when it was silent for long, which finds a connection that died without a
 * word (listen_timeout).
 */
#ifndef REPLICACHE_CHANGES_H
#define REPLICACHE_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

struct changes;
struct settings;

/* Whoever wants to know. Both are called from the thread. */
struct changes_reader {
	/* The version is VERSION now. AGAIN: the connection was lost in
	 * between, so that anything may have happened. */
	void (*tell)(void *context, int64_t version, bool again);

	/* Whether anybody is interested at present. */
	bool (*needed)(void *context);
	void *context;
};

/* NULL without memory or descriptors. The thread is not started yet. */
struct changes *changes_new(
    const struct settings *settings, const struct changes_reader *reader);

/* Begins to listen, unless it does: somebody is interested now. From any
 * thread. Once nobody is for a while, the connection is closed. -1 if there can
 * be no thread. */
int changes_start(struct changes *changes);

/* Ends the thread. NULL is legal. */
void changes_free(struct changes *changes);

#endif
