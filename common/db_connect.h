/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How a connection to Postgres comes about; a part of db.
 */
#ifndef REPLICACHE_DB_CONNECT_H
#define REPLICACHE_DB_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

struct error;
struct settings;

/*
 * Connects to where the conninfo DATABASE says. Of several hosts the first one
 * is taken that is as target_session_attrs demands; each has connect_timeout to
 * answer in, so one that is silent does not keep from the others.
 *
 * NULL on failure: ERROR_UNAVAILABLE, SQLSTATE 08001 or 53200.
 */
PGconn *db_connect(
    const struct settings *settings, const char *database, struct error *error);

/* Waits for EVENTS (of poll()) on the connection's socket; false at the
 * DEADLINE, by clock_ms(), or on an error. */
bool db_connect_wait(PGconn *conn, short events, int64_t deadline);

#endif
