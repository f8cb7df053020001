/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * libpq in pipeline mode, non-blocking, with a deadline on every wait.
 */
#include "config.h"

#include "db.h"

#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "db_connect.h"
#include "error.h"
#include "log.h"
#include "settings.h"
#include "statements.h"

/* How long to look for a server's last words where nothing can be sent: they
 * are there already, or on the way on a link that was whole a moment ago. */
#define LAST_WORDS_MS 100

/* What the server still owes an answer for, in order. */
enum pending_kind {
	PENDING_PREPARE,
	PENDING_QUERY,
	PENDING_SYNC,
};

struct pending {
	enum pending_kind kind;
	size_t statement; /* of a PENDING_PREPARE: the statement's index */
};

enum prepared_state {
	PREPARED_NO = 0,
	PREPARED_SENT,
	PREPARED_YES,
};

struct db {
	PGconn *conn;
	PGcancel *cancel;
	bool named;              /* statements are prepared by name */
	unsigned char *prepared; /* enum prepared_state by statement index */
	size_t prepared_size;
	struct pending *pending; /* a ring */
	size_t pending_size, pending_head, pending_count;
	size_t groups;        /* of those pending, ended by a PENDING_SYNC */
	long patience;        /* ms */
	int64_t deadline;     /* clock_ms() after which waiting fails; 0: that
				 begins with the next wait */
	bool failed;          /* a statement of the current group failed ... */
	struct error failure; /* ... with this */
	bool streaming;       /* db_take_row() is inside a result */
	bool left;            /* db_leave() */
	bool unreplicated;    /* a wait for a standby was given up */
};

/* SQLSTATE class or code -> meaning; the first match wins. */
static const struct {
	const char *prefix;
	enum db_failure failure;
} failures[] = {
    {"RP001", DB_FAILURE_MOVED},
    {"40001", DB_FAILURE_RETRY},
    {"40P01", DB_FAILURE_RETRY},
    {"57014", DB_FAILURE_TIMEOUT},
    {"55P03", DB_FAILURE_LOCK},
    {"08", DB_FAILURE_LOST},
    {"57P01", DB_FAILURE_LOST},
    {"57P02", DB_FAILURE_LOST},
    {"57P03", DB_FAILURE_LOST},
    {"25006", DB_FAILURE_SYSTEM},
    {"53100", DB_FAILURE_SYSTEM},
    {"53200", DB_FAILURE_SYSTEM},
    {"53300", DB_FAILURE_SYSTEM},
    {"53400", DB_FAILURE_SYSTEM},
    {"58030", DB_FAILURE_SYSTEM},
    {"RP002", DB_FAILURE_SYSTEM},
};

enum db_failure
db_failure(const struct error *error)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		const char *prefix = failures[i].prefix;

		if (strncmp(error->sqlstate, prefix, strlen(prefix)) == 0)
			return failures[i].failure;
	}
	return error->sqlstate[0] == '\0' ? DB_FAILURE_SYSTEM : DB_FAILURE_OWN;
}

static int
fail(struct error *error, const char *sqlstate, const char *message)
{
	error_set(error, ERROR_UNAVAILABLE, "%s", message);
	snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
	return -1;
}

/* The connection is of no more use: says why, and makes that known. */
static int
lose(struct db *db, struct error *error, const char *why)
{
	const char *message = PQerrorMessage(db->conn);

	if (!db->failed) {
		fail(&db->failure, "08006", *message != '\0' ? message : why);
		db->failed = true;
	}
	*error = db->failure;
	db->pending_count = db->groups = 0;
	PQfinish(db->conn);
	db->conn = NULL;
	return -1;
}

static int
lost(const struct db *db, struct error *error)
{
	*error = db->failure;
	return -1;
}

/*
 * What a mutator has to say may have its args in it: only that it spoke.
 *
 * A COMMIT that was cancelled while it waited for a synchronous standby
 * succeeds, and nothing but a warning says what it did not do. The text is in
 * the server's language and the SQLSTATE that of any warning, but where it
 * comes from is told.
 */
static void
take_notice(void *context, const PGresult *notice)
{
	struct db *db = context;
	const char *from = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
	const char *severity =
	    PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);

	if (from != NULL && strcmp(from, "SyncRepWaitForLSN") == 0)
		db->unreplicated = true;
	log_debug("postgres: %s %s", severity == NULL ? "" : severity,
	    sqlstate == NULL ? "" : sqlstate);
}

struct db *
db_open(const struct settings *settings, struct error *error)
{
	return db_open_at(settings, settings->database, error);
}

struct db *
db_open_at(
    const struct settings *settings, const char *database, struct error *error)
{
	struct db *db = calloc(1, sizeof(*db));

	if (db == NULL) {
		fail(error, "53200", "out of memory");
		return NULL;
	}
	db->named = settings->prepared;
	db->patience = settings->statement_timeout + settings->lock_timeout +
		       settings->connect_timeout;
	db->conn = db_connect(settings, database, error);
	if (db->conn == NULL) {
		free(db);
		return NULL;
	}
	PQsetNoticeReceiver(db->conn, take_notice, db);
	db->cancel = PQgetCancel(db->conn);
	if (PQsetnonblocking(db->conn, 1) < 0 ||
	    PQenterPipelineMode(db->conn) != 1) {
		lose(db, error, "pipeline mode is not to be had");
		db_close(db);
		return NULL;
	}
	return db;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	PQfinish(db->conn);
	PQfreeCancel(db->cancel);
	free(db->prepared);
	free(db->pending);
	free(db);
}

bool
db_idle(const struct db *db)
{
	if (db->conn == NULL || PQstatus(db->conn) != CONNECTION_OK)
		return false;
	return db->left || (db->pending_count == 0 &&
			       PQtransactionStatus(db->conn) == PQTRANS_IDLE);
}

bool
db_lost(const struct db *db)
{
	return db->conn == NULL || PQstatus(db->conn) != CONNECTION_OK;
}

void
db_cancel(struct db *db)
{
	char text[256];

	if (db->cancel != NULL && !PQcancel(db->cancel, text, sizeof(text)))
		log_warning("a query could not be cancelled: %s", text);
}

void
db_abandon(struct db *db)
{
	struct error ignored;

	if (db->conn != NULL)
		lose(db, &ignored, "abandoned");
}

void
db_set_patience(struct db *db, long ms)
{
	db->patience = ms;
	db->deadline = clock_ms() + ms;
}

static int
push_pending(struct db *db, enum pending_kind kind, size_t statement)
{
	size_t at;

	if (db->pending_count == db->pending_size) {
		size_t size = db->pending_size == 0 ? 64 : db->pending_size * 2;
		struct pending *ring = malloc(size * sizeof(*ring));

		if (ring == NULL)
			return -1;
		for (size_t i = 0; i < db->pending_count; i++)
			ring[i] = db->pending[(db->pending_head + i) %
					      db->pending_size];
		free(db->pending);
		db->pending = ring;
		db->pending_size = size;
		db->pending_head = 0;
	}
	at = (db->pending_head + db->pending_count++) % db->pending_size;
	db->pending[at].kind = kind;
	db->pending[at].statement = statement;
	if (kind == PENDING_SYNC)
		db->groups++;
	return 0;
}

static void
pop_pending(struct db *db)
{
	if (db->pending[db->pending_head].kind == PENDING_SYNC)
		db->groups--;
	db->pending_head = (db->pending_head + 1) % db->pending_size;
	db->pending_count--;
}

/* Makes room in the prepared states for statement INDEX. */
static int
reserve_prepared(struct db *db, size_t index)
{
	size_t size = index + 64;
	unsigned char *states;

	if (index < db->prepared_size)
		return 0;
	states = realloc(db->prepared, size);
	if (states == NULL)
		return -1;
	memset(
	    states + db->prepared_size, PREPARED_NO, size - db->prepared_size);
	db->prepared = states;
	db->prepared_size = size;
	return 0;
}

/* Queues the Parse of STATEMENT unless this connection has it already. */
static int
send_prepare(
    struct db *db, const struct statement *statement, struct error *error)
{
	if (reserve_prepared(db, statement->index) < 0)
		return lose(db, error, "out of memory");
	if (db->prepared[statement->index] != PREPARED_NO)
		return 0;
	if (push_pending(db, PENDING_PREPARE, statement->index) < 0)
		return lose(db, error, "out of memory");
	if (!PQsendPrepare(db->conn, statement->name, statement->sql, 0, NULL))
		return lose(db, error, "send failed");
	db->prepared[statement->index] = PREPARED_SENT;
	return 0;
}

int
db_send(struct db *db, const struct statement *statement, int n,
    const char *const *params, struct error *error)
{
	int sent;

	if (db->conn == NULL)
		return lost(db, error);
	if (db->named && send_prepare(db, statement, error) < 0)
		return -1;
	if (push_pending(db, PENDING_QUERY, 0) < 0)
		return lose(db, error, "out of memory");
	if (db->named)
		sent = PQsendQueryPrepared(
		    db->conn, statement->name, n, params, NULL, NULL, 0);
	else
		sent = PQsendQueryParams(
		    db->conn, statement->sql, n, NULL, params, NULL, NULL, 0);
	return sent ? 0 : lose(db, error, "send failed");
}

int
db_send_id(struct db *db, enum statement_id id, int n,
    const char *const *params, struct error *error)
{
	return db_send(db, statement_get(id), n, params, error);
}

int
db_send_once(struct db *db, enum statement_id id, struct error *error)
{
	size_t index = statement_get(id)->index;

	if (!db->named ||
	    (index < db->prepared_size && db->prepared[index] != PREPARED_NO))
		return 0;
	return db_send_id(db, id, 0, NULL, error);
}

int
db_sync(struct db *db, struct error *error)
{
	if (db->conn == NULL)
		return lost(db, error);
	if (push_pending(db, PENDING_SYNC, 0) < 0)
		return lose(db, error, "out of memory");
	if (!PQpipelineSync(db->conn))
		return lose(db, error, "send failed");
	db->deadline = clock_ms() + db->patience;
	return 0;
}

/* libpq that had no memory for the mark that ends a group has dropped it, and
 * would wait for it for ever. */
static bool
wants_memory(const PGconn *conn)
{
	static const char complaint[] = "out of memory";

	return strncmp(
		   PQerrorMessage(conn), complaint, sizeof(complaint) - 1) == 0;
}

/* Sends and reads until a result is there; -1 when the connection is lost. */
static int
wait_result(struct db *db, struct error *error)
{
	for (;;) {
		int unsent = PQflush(db->conn);
		int64_t deadline;

		if (!PQisBusy(db->conn))
			return 0;
		if (wants_memory(db->conn))
			return lose(db, error, "out of memory");
		if (db->deadline == 0)
			db->deadline = clock_ms() + db->patience;
		/* What the server said before it went is worth reading: it ends
		 * in a closed connection. If it is there still, it may wait for
		 * what can't be sent. */
		deadline =
		    unsent < 0 ? clock_ms() + LAST_WORDS_MS : db->deadline;
		if (!db_connect_wait(db->conn,
			unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline))
			return lose(db, error,
			    unsent < 0 ? "send failed" : "no answer in time");
		if (!PQconsumeInput(db->conn))
			return lose(db, error, "connection lost");
	}
}

/* The next result, NULL at the end of a statement's. */
static int
next_result(struct db *db, PGresult **out, struct error *error)
{
	*out = NULL;
	if (db->conn == NULL)
		return lost(db, error);
	if (wait_result(db, error) < 0)
		return -1;
	*out = PQgetResult(db->conn);
	return 0;
}

/* The first result of a statement, or one of its rows. There is one, unless
 * libpq had no memory for it: then nobody knows where in its answer we are. */
static int
some_result(struct db *db, PGresult **out, struct error *error)
{
	if (next_result(db, out, error) < 0)
		return -1;
	return *out == NULL ? lose(db, error, "a result is missing") : 0;
}

/* Notes the failure in RESULT, unless an earlier one of the group made it. */
static void
note_failure(struct db *db, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message =
	    PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (db->failed)
		return;
	db->failed = true;
	if (sqlstate == NULL)
		sqlstate = "08006";
	if (message == NULL)
		message = PQresultErrorMessage(result);
	fail(&db->failure, sqlstate, message);
}

static bool
succeeded(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	       status == PGRES_SINGLE_TUPLE || status == PGRES_EMPTY_QUERY;
}

/* Drops results up to the NULL that ends a statement's. */
static int
end_statement(struct db *db, struct error *error)
{
	PGresult *result;

	do {
		if (next_result(db, &result, error) < 0)
			return -1;
		PQclear(result);
	} while (result != NULL);
	pop_pending(db);
	return 0;
}

static int
take_prepare(struct db *db, struct error *error)
{
	size_t index = db->pending[db->pending_head].statement;
	PGresult *result;

	if (some_result(db, &result, error) < 0)
		return -1;
	db->prepared[index] = succeeded(result) ? PREPARED_YES : PREPARED_NO;
	if (!succeeded(result))
		note_failure(db, result);
	PQclear(result);
	return end_statement(db, error);
}

/* Takes the mark that ends a group. */
static int
take_mark(struct db *db, struct error *error)
{
	PGresult *result;
	bool well;

	if (next_result(db, &result, error) < 0)
		return -1;
	well = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
	PQclear(result);
	if (!well)
		return lose(db, error, "the server lost count");
	pop_pending(db);
	return 0;
}

/* Takes the answers that stand before those of the caller's next query. */
static int
take_prepares(struct db *db, struct error *error)
{
	while (db->pending_count > 0 &&
	       db->pending[db->pending_head].kind == PENDING_PREPARE)
		if (take_prepare(db, error) < 0)
			return -1;
	return 0;
}

int
db_take(struct db *db, struct db_result **result_out, struct error *error)
{
	PGresult *result;

	if (result_out != NULL)
		*result_out = NULL;
	if (db->conn == NULL)
		return lost(db, error);
	if (take_prepares(db, error) < 0 || some_result(db, &result, error) < 0)
		return -1;
	if (!succeeded(result)) {
		note_failure(db, result);
		PQclear(result);
		if (end_statement(db, error) == 0)
			*error = db->failure;
		return -1;
	}
	if (end_statement(db, error) < 0) {
		PQclear(result);
		return -1;
	}
	if (result_out != NULL)
		*result_out = (struct db_result *)result;
	else
		PQclear(result);
	return 0;
}

int
db_take_row(struct db *db, struct db_result **result_out, struct error *error)
{
	PGresult *result;

	*result_out = NULL;
	if (db->conn == NULL)
		return lost(db, error);
	if (!db->streaming) {
		if (take_prepares(db, error) < 0)
			return -1;
		/* All rows in one result would be taken for none. */
		if (!PQsetSingleRowMode(db->conn))
			return lose(db, error, "rows can't be had singly");
		db->streaming = true;
	}
	db->deadline = 0;
	if (some_result(db, &result, error) < 0)
		return -1;
	if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
		*result_out = (struct db_result *)result;
		return 1;
	}
	db->streaming = false;
	if (!succeeded(result)) {
		note_failure(db, result);
		PQclear(result);
		if (end_statement(db, error) == 0)
			*error = db->failure;
		return -1;
	}
	if (end_statement(db, error) < 0) {
		PQclear(result);
		return -1;
	}
	*result_out = (struct db_result *)result;
	return 0;
}

int
db_finish(struct db *db, struct error *error)
{
	struct error ignored;

	if (db->conn == NULL)
		return lost(db, error);
	for (;;) {
		if (take_prepares(db, error) < 0)
			return -1;
		if (db->pending_count == 0)
			return 0;
		if (db->pending[db->pending_head].kind == PENDING_SYNC)
			break;
		/* The server keeps answers to itself up to a mark. */
		if (db->groups == 0)
			return lose(db, error, "a group was left unfinished");
		db->streaming = false;
		if (db_take(db, NULL, &ignored) < 0 && db->conn == NULL)
			return lost(db, error);
	}
	if (take_mark(db, error) < 0)
		return -1;
	/* libpq is at rest only after it has said that there is no more. */
	if (db->pending_count == 0)
		PQclear(PQgetResult(db->conn));
	if (!db->failed)
		return 0;
	db->failed = false;
	*error = db->failure;
	return -1;
}

void
db_leave(struct db *db)
{
	db->left = db->conn != NULL && db->pending_count > 0;
}

int
db_catch_up(struct db *db, struct error *error)
{
	int rc = 0;

	if (!db->left)
		return 0;
	db->left = false;
	/* The time that nobody waited does not count. */
	db->deadline = clock_ms() + db->patience;
	while (rc == 0 && db->pending_count > 0)
		rc = db_finish(db, error);
	if (rc < 0)
		db_abandon(db);
	return rc;
}

/* Notes the failure in RESULT of the script, with the line it is in. */
static void
note_script_failure(
    struct db *db, const PGresult *result, const char *name, const char *sql)
{
	const char *position =
	    PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	char message[ERROR_MESSAGE_MAX];
	long at = position == NULL ? 0 : strtol(position, NULL, 10);
	int line = 1;

	note_failure(db, result);
	for (const char *c = sql; *c != '\0' && --at > 0; c++)
		line += *c == '\n';
	if (name[0] == '\0')
		return;
	snprintf(message, sizeof(message), "%.100s%s%.*d: %.380s", name,
	    position == NULL ? "" : ":", position == NULL ? 0 : 1,
	    position == NULL ? 0 : line, db->failure.message);
	snprintf(
	    db->failure.message, sizeof(db->failure.message), "%s", message);
}

int
db_script(struct db *db, const char *name, const char *sql, struct error *error)
{
	PGresult *result;

	if (db->conn == NULL)
		return lost(db, error);
	if (PQexitPipelineMode(db->conn) != 1 || !PQsendQuery(db->conn, sql))
		return lose(db, error, "send failed");
	db->deadline = clock_ms() + db->patience;
	for (;;) {
		if (next_result(db, &result, error) < 0)
			return -1;
		if (result == NULL)
			break;
		if (!succeeded(result))
			note_script_failure(db, result, name, sql);
		PQclear(result);
	}
	if (PQenterPipelineMode(db->conn) != 1)
		return lose(db, error, "pipeline mode is not to be had");
	if (!db->failed)
		return 0;
	*error = db->failure;
	db->failed = false;
	if (PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
		struct error ignored;

		(void)db_script(db, "", "rollback", &ignored);
	}
	return -1;
}

/* Drops the notifications that are there; true if there were any. */
static bool
take_notified(struct db *db)
{
	PGnotify *notify;
	bool any = false;

	while ((notify = PQnotifies(db->conn)) != NULL) {
		any = true;
		PQfreemem(notify);
	}
	return any;
}

int
db_wait_notified(struct db *db, int wake, long ms, struct error *error)
{
	int64_t end = clock_ms() + ms;

	if (db->conn == NULL)
		return lost(db, error);
	while (!take_notified(db)) {
		struct pollfd pfds[] = {
		    {.fd = PQsocket(db->conn), .events = POLLIN},
		    {.fd = wake, .events = POLLIN}};
		int64_t left = end - clock_ms();

		if (left <= 0 ||
		    (poll(pfds, 2, left > INT_MAX ? INT_MAX : (int)left) < 0 &&
			errno != EINTR) ||
		    pfds[1].revents != 0)
			return 0;
		if (pfds[0].revents != 0 && !PQconsumeInput(db->conn))
			return lose(db, error, "connection lost");
	}
	return 1;
}

void
db_result_free(struct db_result *result)
{
	PQclear((PGresult *)result);
}

bool
db_unreplicated(struct db *db)
{
	bool unreplicated = db->unreplicated;

	db->unreplicated = false;
	return unreplicated;
}

int
db_rows(const struct db_result *result)
{
	return PQntuples((const PGresult *)result);
}

int
db_columns(const struct db_result *result)
{
	return PQnfields((const PGresult *)result);
}

const char *
db_tag(const struct db_result *result)
{
	/* PQcmdStatus() is not const, but only reads. */
	union {
		const struct db_result *in;
		PGresult *out;
	} cast = {.in = result};

	return PQcmdStatus(cast.out);
}

const char *
db_column_name(const struct db_result *result, int column)
{
	return PQfname((const PGresult *)result, column);
}

enum db_kind
db_column_kind(const struct db_result *result, int column)
{
	/* The OIDs of pg_type that never change. */
	switch (PQftype((const PGresult *)result, column)) {
	case 16: /* boolean */
		return DB_KIND_BOOL;
	case 20:   /* bigint */
	case 21:   /* smallint */
	case 23:   /* integer */
	case 114:  /* json */
	case 3802: /* jsonb */
		return DB_KIND_JSON;
	default:
		return DB_KIND_TEXT;
	}
}

const char *
db_text(const struct db_result *result, int row, int column)
{
	return PQgetvalue((const PGresult *)result, row, column);
}

size_t
db_length(const struct db_result *result, int row, int column)
{
	return (size_t)PQgetlength((const PGresult *)result, row, column);
}

bool
db_null(const struct db_result *result, int row, int column)
{
	return PQgetisnull((const PGresult *)result, row, column) != 0;
}

int64_t
db_int64(const struct db_result *result, int row, int column)
{
	return strtoll(db_text(result, row, column), NULL, 10);
}

bool
db_bool(const struct db_result *result, int row, int column)
{
	return db_text(result, row, column)[0] == 't';
}
