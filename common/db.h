/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A connection to Postgres; the only module that knows libpq.
 *
 * A connection is always in pipeline mode: a caller queues statements with
 * db_send(), ends the group with db_sync(), then takes the results one by
 * one, in order, and ends with db_finish(). One group is one round trip. After
 * a statement fails, the rest of its group is skipped by the server.
 *
 * Every wait has a deadline, so a dead server or network can't hold a thread.
 *
 * A connection is used by one thread at a time; only db_cancel() may be called
 * from another.
 *
 * Errors: ERROR_UNAVAILABLE or ERROR_INTERNAL, with the SQLSTATE (08006 when
 * the connection is gone) and Postgres's primary message, for the log; what to
 * do about it is said by db_failure().
 */
#ifndef REPLICACHE_DB_H
#define REPLICACHE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "statements.h"

struct db;
struct db_result;
struct error;
struct settings;

/* What a failed statement means (design section 7). */
enum db_failure {
	DB_FAILURE_OWN,     /* the statement's own: data, constraint, raise */
	DB_FAILURE_MOVED,   /* RP001: what was looked up has changed */
	DB_FAILURE_RETRY,   /* 40001, 40P01: run the transaction again */
	DB_FAILURE_TIMEOUT, /* 57014: cancelled or out of time */
	DB_FAILURE_LOCK,    /* 55P03: a stranger holds a lock */
	DB_FAILURE_LOST,    /* 08, 57P01 to 57P03: the connection is gone */
	DB_FAILURE_SYSTEM,  /* 53100, 53200, 53300, 53400, 58030, 25006, RP002:
			     * the server can't, now */
};

/* The meaning of an error that a function here gave. The list is short: what
 * is not on it, as an internal error that an extension raises for bad input, is
 * the statement's own. replicache_guard() has the same one. */
enum db_failure db_failure(const struct error *error);

/*
 * Connects by SETTINGS (database, connect_timeout, statement and lock
 * timeouts). NULL on failure.
 */
struct db *db_open(const struct settings *settings, struct error *error);

/* The same, to where the conninfo DATABASE says. */
struct db *db_open_at(
    const struct settings *settings, const char *database, struct error *error);

/* Closes; NULL is legal. Work under way on the server is not awaited. */
void db_close(struct db *db);

/* True when the connection stands and no transaction or result is open, but for
 * what was left (db_leave()). */
bool db_idle(const struct db *db);

/* True when the connection is gone, whatever the last error said. */
bool db_lost(const struct db *db);

/* Gives up what runs on the server now; from any thread. */
void db_cancel(struct db *db);

/* Closes the session, which nobody is to use again; DB stays the caller's. */
void db_abandon(struct db *db);

/*
 * Sets the time, ms from now, after which waiting for this connection fails and
 * closes it. Each db_sync() starts it anew.
 */
void db_set_patience(struct db *db, long ms);

/*
 * Queues STATEMENT with N text parameters (NULL is SQL null; the strings are
 * copied). It is prepared under its name on its first use on this
 * connection, in the same round trip.
 */
int db_send(struct db *db, const struct statement *statement, int n,
    const char *const *params, struct error *error);

/* Queues the fixed statement ID, likewise. */
int db_send_id(struct db *db, enum statement_id id, int n,
    const char *const *params, struct error *error);

/* Queues the fixed statement ID, which has no parameters, unless this
 * connection had it before. Where statements are not prepared by name, sessions
 * come and go behind a connection (`prepared` in the settings): then never. */
int db_send_once(struct db *db, enum statement_id id, struct error *error);

/* Ends the group and sends it. */
int db_sync(struct db *db, struct error *error);

/*
 * Runs SQL, any number of statements, as psql would run the file NAME, which
 * errors mention ("" if it is none); their results are dropped. No group may be
 * open. Without BEGIN, all of it is one transaction; after a failure, what it
 * began is rolled back.
 */
int db_script(
    struct db *db, const char *name, const char *sql, struct error *error);

/*
 * Takes the next statement's result: 0, and *RESULT_OUT (the caller frees it;
 * NULL may be passed to drop it); or -1 with the statement's error, or with
 * that of the statement that made the server skip it.
 */
int db_take(struct db *db, struct db_result **result_out, struct error *error);

/*
 * Takes the next statement's rows one at a time, so that memory does not grow
 * with the result: 1 and a result of one row; 0 after the last row, with an
 * empty result that still has the columns; -1 on error.
 * After 0 or -1 the statement is done with.
 */
int db_take_row(
    struct db *db, struct db_result **result_out, struct error *error);

/* Drops all results up to the end of the group; 0 if none of them failed,
 * else -1 with the first failure. */
int db_finish(struct db *db, struct error *error);

/*
 * Leaves the answers of the groups that are open to whoever uses the connection
 * next: they come while nobody waits for them. For statements that end as they
 * began, outside of a transaction.
 */
void db_leave(struct db *db);

/* Takes what was left, if anything was; 0 if none of it failed, else -1: the
 * connection is closed then, as nobody knows what state it is in. */
int db_catch_up(struct db *db, struct error *error);

/*
 * Waits up to MS for a notification of a channel that this connection listens
 * on: 1 when there is one, and any others that came with it are dropped; they
 * say no more than that something happened, for any role may send them. 0 when
 * the time is over, or WAKE, an eventfd, is signalled. -1 when the connection
 * is lost. No group may be open.
 */
int db_wait_notified(struct db *db, int wake, long ms, struct error *error);

void db_result_free(struct db_result *result);

int db_rows(const struct db_result *result);
int db_columns(const struct db_result *result);

/* Whether, since it was asked last, a commit stopped waiting for a synchronous
 * standby: it is done here, and lost if this server is. */
bool db_unreplicated(struct db *db);

/* "INSERT 0 1", "COMMIT", ...: what the statement says it did. */
const char *db_tag(const struct db_result *result);

/* How a column's text is to be written as JSON. */
enum db_kind {
	DB_KIND_TEXT, /* escaped, in quotes */
	DB_KIND_BOOL, /* t or f */
	DB_KIND_JSON, /* as it is: numbers, json, jsonb */
};

const char *db_column_name(const struct db_result *result, int column);
enum db_kind db_column_kind(const struct db_result *result, int column);

/* A value's text, "" for null; borrowed from the result. */
const char *db_text(const struct db_result *result, int row, int column);
size_t db_length(const struct db_result *result, int row, int column);
bool db_null(const struct db_result *result, int row, int column);
int64_t db_int64(const struct db_result *result, int row, int column);
bool db_bool(const struct db_result *result, int row, int column);

#endif
