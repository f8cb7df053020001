/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The second stage of a pull: one snapshot, in one pipeline, streamed. The last
 * brace is written only after the snapshot was read to its end: an answer that
 * was cut does not parse.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "clock.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "log.h"
#include "metrics.h"
#include "patch.h"
#include "pool.h"
#include "pull_stage.h"
#include "registry.h"
#include "route.h"
#include "settings.h"

/* How often the log says that a row is too large. */
#define LARGE_REPORTED_MS 60000

/*
 * What is needed while rows are read. A snapshot is read in this order:
 *
 * - as nobody: what is gone, and the tables that everybody sees alike, from
 *   where the chain of pieces ends. Only these rows are kept for others.
 * - as the user: what is gone for them alone, and the other tables, from the
 *   cookie. These are nobody else's.
 *
 * So a view that is taken for everybody's by mistake shows what nobody may see,
 * and never what another user may. (What is gone of a table of the second part
 * is among the first, and so before what is there.)
 */
struct reading {
	struct pulling *p;
	struct db *db;
	const struct registration *registration;
	struct share_chain chain;    /* from the cookie to where rows begin */
	char from[PULL_NUMBER_SIZE]; /* ... which is this version */
	size_t rows_at, rows_end;    /* of what is everybody's, in the body */
};

static int
send_limits(struct reading *r, struct error *error)
{
	const struct settings *settings = r->p->exchange->app->settings;
	char statement[PULL_NUMBER_SIZE], lock[PULL_NUMBER_SIZE];
	const char *const params[] = {statement, lock, statement};

	snprintf(statement, sizeof(statement), "%ld", settings->pull_timeout);
	snprintf(lock, sizeof(lock), "%ld", settings->lock_timeout);
	return db_send_id(r->db, STATEMENT_SET_LIMITS, 3, params, error);
}

/* Reads the tables that are, or are not, PER_USER; those of a delta above the
 * version SINCE. */
static int
send_tables(
    struct reading *r, bool per_user, const char *since, struct error *error)
{
	const char *const params[] = {since};

	for (size_t i = 0; i < r->registration->table_count; i++) {
		const struct registered_table *table =
		    &r->registration->tables[i];
		int rc = 0;

		if (table->per_user != per_user)
			continue;
		if (r->p->mode == PULL_DELTA)
			rc = db_send(
			    r->db, &table->pull_since, 1, params, error);
		else
			rc = db_send(r->db, &table->pull_all, 0, NULL, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Everybody's. */
static int
send_shared(struct reading *r, struct error *error)
{
	const char *const from[] = {r->from};

	if (r->p->mode == PULL_DELTA &&
	    db_send_id(r->db, STATEMENT_PULL_TOMBSTONES, 1, from, error) < 0)
		return -1;
	return send_tables(r, false, r->from, error);
}

/* The user's own. */
static int
send_own(struct reading *r, struct error *error)
{
	const struct identity *identity = &r->p->identity;
	const char *const user[] = {identity->user, identity->claims};
	const char *const hidden[] = {r->p->since, identity->user};

	if (!r->registration->per_user)
		return 0;
	if (db_send_id(r->db, STATEMENT_SET_USER, 2, user, error) < 0)
		return -1;
	if (r->p->mode == PULL_DELTA &&
	    db_send_id(r->db, STATEMENT_PULL_HIDDEN, 2, hidden, error) < 0)
		return -1;
	return send_tables(r, true, r->p->since, error);
}

static int
send_snapshot(struct reading *r, struct error *error)
{
	static const char *const nobody[] = {"", ""};

	if (db_send_id(r->db, STATEMENT_BEGIN_PULL, 0, NULL, error) < 0 ||
	    send_limits(r, error) < 0 ||
	    db_send_id(r->db, STATEMENT_SET_USER, 2, nobody, error) < 0 ||
	    pull_send_look(r->db, &r->p, 1, error) < 0 ||
	    send_shared(r, error) < 0 || send_own(r, error) < 0 ||
	    db_send_id(r->db, STATEMENT_COMMIT, 0, NULL, error) < 0)
		return -1;
	return db_sync(r->db, error);
}

/* A row of the table with PREFIX is too large for any answer. Each pull of each
 * client meets it, so the log has it once a while. */
static void
report_large(struct app *app, const char *prefix)
{
	int64_t now = clock_ms(), before = app->large_reported;

	if ((before == 0 || now > before + LARGE_REPORTED_MS) &&
	    atomic_compare_exchange_strong(&app->large_reported, &before, now))
		log_error("rows with prefix \"%s\" are left out of pulls: they "
			  "have more than %zu MB of values",
		    prefix, PATCH_ROW_MAX >> 20);
}

/* Streams a table, or, if that is NULL, keys that are gone. */
static int
stream(struct reading *r, struct patch *patch,
    const struct registered_table *table, struct error *error)
{
	struct response *response = &r->p->exchange->response;
	struct db_result *row;
	uint64_t rows = 0;
	int rc;

	while ((rc = db_take_row(r->db, &row, error)) > 0) {
		if (rows++ == 0 &&
		    patch_columns(patch, row, &r->p->exchange->arena) < 0) {
			db_result_free(row);
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		}
		if (table == NULL)
			patch_del(
			    patch, db_text(row, 0, 0), db_length(row, 0, 0));
		else if (!patch_row(patch, row, 0))
			report_large(r->p->exchange->app, table->prefix);
		db_result_free(row);
		FAULT(ROW_WRITTEN);
		if (response_flush(response) < 0)
			return error_set(
			    error, ERROR_UNAVAILABLE, "the reader is gone");
	}
	db_result_free(row);
	metrics_count(METRICS_PULL_ROWS, rows);
	return rc;
}

static int
stream_tables(
    struct reading *r, struct patch *patch, bool per_user, struct error *error)
{
	for (size_t i = 0; i < r->registration->table_count; i++)
		if (r->registration->tables[i].per_user == per_user &&
		    stream(r, patch, &r->registration->tables[i], error) < 0)
			return -1;
	return 0;
}

static int
stream_patch(struct reading *r, struct error *error)
{
	struct buffer *body = &r->p->exchange->response.body;
	bool delta = r->p->mode == PULL_DELTA;
	struct patch patch;

	patch_init(&patch, body);
	if (r->p->mode == PULL_RESET)
		patch_clear(&patch);
	share_write(&r->chain, &patch);
	r->rows_at = body->length;
	if ((delta && stream(r, &patch, NULL, error) < 0) ||
	    stream_tables(r, &patch, false, error) < 0)
		return -1;
	r->rows_end = body->length;
	if (!r->registration->per_user)
		return 0;
	if (db_take(r->db, NULL, error) < 0) /* user */
		return -1;
	if (delta && stream(r, &patch, NULL, error) < 0)
		return -1;
	return stream_tables(r, &patch, true, error);
}

/* Takes the look of the snapshot. 1: it stands elsewhere than what the reading
 * was planned on; start over. */
static int
take_look(struct reading *r, int64_t highest, struct error *error)
{
	struct share_history planned = r->p->stand.history;
	struct db_result *row = NULL;
	enum pull_mode mode;
	int rc = -1;

	if (db_take(r->db, &row, error) == 0 && db_rows(row) == 1 &&
	    pull_read_look(r->p, row, 0, highest, error) == 0 &&
	    pull_choose_mode(r->p, &mode, error) == 0)
		rc =
		    mode != r->p->mode ||
		    r->p->stand.history.revision != r->registration->revision ||
		    memcmp(&r->p->stand.history, &planned, sizeof(planned)) !=
			0;
	db_result_free(row);
	return rc;
}

static int
read_snapshot(struct reading *r, struct error *error)
{
	int64_t highest = share_highest(r->p->exchange->app->share);
	int rc;

	if (send_snapshot(r, error) < 0)
		return -1;
	FAULT(SNAPSHOT_SENT);
	for (int i = 0; i < 3; i++) /* begin, limits, nobody */
		if (db_take(r->db, NULL, error) < 0)
			return -1;
	rc = take_look(r, highest, error);
	if (rc > 0 && db_finish(r->db, error) < 0)
		rc = -1;
	if (rc > 0)
		r->p->tries++;
	if (rc != 0)
		return rc;
	FAULT(SNAPSHOT_OPEN);
	pull_write_head(r->p);
	if (stream_patch(r, error) < 0)
		return -1;
	FAULT(ROWS_WRITTEN);
	return db_finish(r->db, error); /* commit */
}

/* Keeps for others what was read, if it is still in the body whole. */
static void
end_sharing(struct reading *r, int rc)
{
	const struct response *response = &r->p->exchange->response;
	const char *rows = NULL;
	size_t length = 0;

	if (rc == 0 && !response->started &&
	    response->body.failure == BUFFER_GOOD) {
		rows = response->body.data + r->rows_at;
		length = r->rows_end - r->rows_at;
		if (length > 0 && rows[0] == ',') {
			rows++;
			length--;
		}
	}
	share_end(r->p->exchange->app->share, &r->p->stand.history,
	    r->chain.reached, r->p->stand.version, rows, length);
	if (rows != NULL)
		FAULT(SHARE_KEPT);
}

/* Reads what others have not read yet. 1: start over. */
static int
read_delta(struct reading *r, struct error *error)
{
	struct share *share = r->p->exchange->app->share;
	struct pulling *p = r->p;
	int64_t from = p->request.cookie.version, to = p->stand.version;
	int rc = 1;
	bool keeps = share_begin(share, &p->stand.history, from, to, &r->chain);

	if (!keeps && r->registration->per_user) {
		/* Somebody was faster, or at it just now; the rest nobody has
		 * but this one. */
		share_release(share, &r->chain);
		share_find(share, &p->stand.history, from, to, &r->chain);
	}
	if (keeps || r->registration->per_user) {
		snprintf(
		    r->from, sizeof(r->from), "%" PRId64, r->chain.reached);
		rc = read_snapshot(r, error);
	} else {
		/* The look has it all. */
		p->shares++;
	}
	if (keeps)
		end_sharing(r, rc);
	share_release(share, &r->chain);
	return rc;
}

static int
read_rows(struct reading *r, struct error *error)
{
	struct app *app = r->p->exchange->app;

	r->db = pool_get(app->pool, error);
	if (r->db == NULL)
		return -1;
	r->registration = registry_current(app->registry);
	if (pull_set_viewer(r->p, r->registration, error) < 0)
		return -1;
	/* Others read what this one needs, but while the version goes on rising
	 * it may come too late each time: at last it reads for itself. */
	if (r->p->mode == PULL_DELTA && r->p->shares < PULL_SHARES_MAX)
		return read_delta(r, error);
	snprintf(r->from, sizeof(r->from), "%s", r->p->since);
	return read_snapshot(r, error);
}

/*
 * Whether the failure was the connection's: it had died, or its prepared
 * statements are of a table or view that was changed since (0A000: cached plan
 * must not change result type). Another connection will do.
 */
static bool
may_retry(const struct exchange *exchange, const struct error *error)
{
	return !exchange->response.started &&
	       exchange->pulling->tries + 1 < PULL_TRIES_MAX &&
	       error->code == ERROR_UNAVAILABLE &&
	       (strcmp(error->sqlstate, "0A000") == 0 ||
		   (error->sqlstate[0] != '\0' &&
		       db_failure(error) == DB_FAILURE_LOST));
}

enum exchange_state
pull_rows(struct exchange *exchange)
{
	struct reading reading = {.p = exchange->pulling};
	struct app *app = exchange->app;
	struct error error = {0};
	int rc = read_rows(&reading, &error);

	if (rc < 0 && may_retry(exchange, &error)) {
		pool_recycle(app->pool);
		buffer_reset(&exchange->response.body);
		exchange->pulling->tries++;
		rc = 1;
	}
	registry_put(app->registry, reading.registration);
	/* What is still under way for a reader that is gone is given up. */
	if (rc < 0 && exchange->response.started && reading.db != NULL &&
	    !db_idle(reading.db))
		db_cancel(reading.db);
	pool_put(app->pool, reading.db);
	if (rc > 0) {
		pull_submit(exchange->pulling);
		return EXCHANGE_PARKED;
	}
	if (rc == 0) {
		FAULT(PULL_BRACE);
		buffer_append_string(&exchange->response.body, "]}");
		exchange->response.status = 200;
		return EXCHANGE_ANSWERED;
	}
	if (exchange->response.started)
		return EXCHANGE_CUT;
	route_refuse(exchange, &error);
	return EXCHANGE_ANSWERED;
}
