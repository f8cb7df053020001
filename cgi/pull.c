/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * POST /pull: what changed since the client's cookie (design: pull, versions).
 *
 * One round trip looks, in one statement and so in one snapshot, where the
 * database stands and how far the group's clients are. If that is where the
 * client stands, or if other pulls have read what lies between (share.h), that
 * is the answer. Else a second one reads, in one snapshot, the same again,
 * tombstones and rows, and streams them. The last brace is written only after
 * the snapshot was read to its end: an answer that was cut does not parse.
 */
#include "config.h"

#include "pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "auth.h"
#include "db.h"
#include "error.h"
#include "jsonw.h"
#include "patch.h"
#include "pool.h"
#include "registry.h"
#include "route.h"
#include "settings.h"
#include "share.h"

/* How often a pull starts over because what it was planned on has changed. */
#define PULL_TRIES_MAX 5

#define NUMBER_SIZE 24

enum {
	LOOK_VERSION,
	LOOK_FLOOR,
	LOOK_EPOCH,
	LOOK_REVISION,
	LOOK_STARTED,
	LOOK_OWNER,
	LOOK_CLIENTS,
};

/* Where the database stands. */
struct stand {
	int64_t version, floor;
	struct share_history history;
};

/* What the client is to be told. */
enum pull_mode {
	PULL_NOTHING, /* it is up to date */
	PULL_DELTA,   /* what is above its cookie */
	PULL_FIRST,   /* everything; its view is empty */
	PULL_RESET,   /* clear, then everything */
};

struct pulling {
	struct exchange *exchange;
	struct pull request;
	const char *user;
	char since[NUMBER_SIZE]; /* the cookie as a parameter; "-1" if none */
	struct db *db;
	const struct registration *registration;
	struct stand stand;
	int64_t highest;        /* version seen before the look was sent */
	struct db_result *look; /* its row; has the clients */
	enum pull_mode mode;
	struct share_chain chain; /* from the cookie to where rows begin */
	char from[NUMBER_SIZE];   /* ... which is this, as a parameter */
	size_t rows_at;           /* where they begin in the body */
};

/* Takes the row of pull_look, and checks whose the group is. */
static int
take_look(struct pulling *p, struct error *error)
{
	db_result_free(p->look);
	if (db_take(p->db, &p->look, error) < 0)
		return -1;
	if (db_rows(p->look) != 1)
		return error_set(error, ERROR_UNAVAILABLE,
		    "replicache_state does not have one row");
	if (!db_null(p->look, 0, LOOK_OWNER) &&
	    strcmp(db_text(p->look, 0, LOOK_OWNER), p->user) != 0)
		return error_set(error, ERROR_FORBIDDEN,
		    "the client group is another user's");
	p->stand.version = db_int64(p->look, 0, LOOK_VERSION);
	p->stand.floor = db_int64(p->look, 0, LOOK_FLOOR);
	p->stand.history.revision = db_int64(p->look, 0, LOOK_REVISION);
	p->stand.history.epoch = db_int64(p->look, 0, LOOK_EPOCH);
	p->stand.history.started = db_int64(p->look, 0, LOOK_STARTED);
	share_observe(p->exchange->app->share, &p->stand.history, p->highest,
	    p->stand.version);
	return 0;
}

/*
 * What the group's clients have done since the cookie is told even to a client
 * that starts over, but nothing older: after a restored backup it could be less
 * than the client knows already, which it would refuse.
 */
static int
send_look(struct pulling *p, struct error *error)
{
	const char *const params[] = {p->request.group, p->since};

	p->highest = share_highest(p->exchange->app->share);
	return db_send_id(p->db, STATEMENT_PULL_LOOK, 2, params, error);
}

/* The cookie against where the database stands (design: versions). */
static int
choose_mode(struct pulling *p, enum pull_mode *mode_out, struct error *error)
{
	const struct pull *request = &p->request;

	switch (request->cookie_kind) {
	case COOKIE_NULL:
		*mode_out = PULL_FIRST;
		return 0;
	case COOKIE_OTHER:
		*mode_out = PULL_RESET;
		return 0;
	case COOKIE_VERSION:
		break;
	}
	if (request->cookie > p->stand.version)
		return error_set(error, ERROR_COOKIE_FROM_FUTURE,
		    "cookie %" PRId64 " is above version %" PRId64
		    ": the database has lost history; see "
		    "replicache_new_epoch()",
		    request->cookie, p->stand.version);
	if (request->cookie == p->stand.version)
		*mode_out = PULL_NOTHING;
	else if (request->cookie < p->stand.floor)
		*mode_out = PULL_RESET;
	else
		*mode_out = PULL_DELTA;
	return 0;
}

/* The first round trip. */
static int
look(struct pulling *p, struct error *error)
{
	if (send_look(p, error) < 0 || db_sync(p->db, error) < 0 ||
	    take_look(p, error) < 0)
		return -1;
	return db_finish(p->db, error);
}

/* The same; with another connection if the first one had died idle. */
static int
look_connected(struct pulling *p, struct error *error)
{
	struct pool *pool = p->exchange->app->pool;

	for (int tries = 0;; tries++) {
		p->db = pool_get(pool, error);
		if (p->db == NULL)
			return -1;
		error_reset(error);
		if (look(p, error) == 0)
			return 0;
		if (tries > 0 || error->code != ERROR_UNAVAILABLE ||
		    db_failure(error) != DB_FAILURE_LOST)
			return -1;
		pool_put(pool, p->db);
		pool_recycle(pool);
	}
}

static int
send_limits(struct pulling *p, struct error *error)
{
	const struct settings *settings = p->exchange->app->settings;
	char statement[NUMBER_SIZE], lock[NUMBER_SIZE], idle[NUMBER_SIZE];
	const char *const params[] = {statement, lock, idle};

	snprintf(statement, sizeof(statement), "%ld", settings->pull_timeout);
	snprintf(lock, sizeof(lock), "%ld", settings->lock_timeout);
	snprintf(idle, sizeof(idle), "%ld", settings->pull_timeout);
	return db_send_id(p->db, STATEMENT_SET_LIMITS, 3, params, error);
}

/* Queues what reads the rows. */
static int
send_rows(struct pulling *p, struct error *error)
{
	const struct registration *r = p->registration;
	const char *const from[] = {p->from};

	if (p->mode == PULL_DELTA &&
	    db_send_id(p->db, STATEMENT_PULL_TOMBSTONES, 1, from, error) < 0)
		return -1;
	for (size_t i = 0; i < r->table_count; i++) {
		const struct registered_table *table = &r->tables[i];
		int rc;

		if (p->mode == PULL_DELTA)
			rc = db_send(p->db, &table->pull_since, 1, from, error);
		else
			rc = db_send(p->db, &table->pull_all, 0, NULL, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The second round trip: all of the snapshot. */
static int
send_snapshot(struct pulling *p, struct error *error)
{
	if (db_send_id(p->db, STATEMENT_BEGIN_PULL, 0, NULL, error) < 0 ||
	    send_limits(p, error) < 0 ||
	    db_send_id(p->db, STATEMENT_SET_USER, 1, &p->user, error) < 0 ||
	    send_look(p, error) < 0 || send_rows(p, error) < 0 ||
	    db_send_id(p->db, STATEMENT_COMMIT, 0, NULL, error) < 0)
		return -1;
	return db_sync(p->db, error);
}

static void
write_head(struct pulling *p)
{
	struct buffer *out = &p->exchange->response.body;

	buffer_append_string(out, "{\"cookie\":");
	jsonw_int64(out, p->stand.version);
	buffer_append_string(out, ",\"lastMutationIDChanges\":{");
	buffer_append(out, db_text(p->look, 0, LOOK_CLIENTS),
	    db_length(p->look, 0, LOOK_CLIENTS));
	buffer_append_string(out, "},\"patch\":[");
}

/* Streams the tombstones or a table. ADD writes one row. */
static int
stream(struct pulling *p, struct patch *patch,
    void (*add)(struct patch *, const struct db_result *, int),
    struct error *error)
{
	struct response *response = &p->exchange->response;
	struct db_result *row;
	int rc;

	while ((rc = db_take_row(p->db, &row, error)) > 0) {
		add(patch, row, 0);
		db_result_free(row);
		if (response_flush(response) < 0)
			return error_set(
			    error, ERROR_UNAVAILABLE, "the reader is gone");
	}
	db_result_free(row);
	return rc;
}

static void
add_tombstone(struct patch *patch, const struct db_result *rows, int row)
{
	patch_del(patch, db_text(rows, row, 0), db_length(rows, row, 0));
}

static int
stream_patch(struct pulling *p, struct error *error)
{
	struct patch patch;

	patch_init(&patch, &p->exchange->response.body);
	if (p->mode == PULL_RESET)
		patch_clear(&patch);
	share_write(&p->chain, &patch);
	p->rows_at = p->exchange->response.body.length;
	if (p->mode == PULL_DELTA &&
	    stream(p, &patch, add_tombstone, error) < 0)
		return -1;
	for (size_t i = 0; i < p->registration->table_count; i++)
		if (stream(p, &patch, patch_row, error) < 0)
			return -1;
	return 0;
}

/* Takes the answers that come before the rows. 1: the snapshot stands
 * elsewhere than the look did; start over. */
static int
take_head(struct pulling *p, struct error *error)
{
	struct share_history planned = p->stand.history;
	enum pull_mode mode;

	if (db_take(p->db, NULL, error) < 0 || /* begin */
	    db_take(p->db, NULL, error) < 0 || /* limits */
	    db_take(p->db, NULL, error) < 0 || /* user */
	    take_look(p, error) < 0 || choose_mode(p, &mode, error) < 0)
		return -1;
	if (mode != p->mode ||
	    p->stand.history.revision != p->registration->revision ||
	    memcmp(&p->stand.history, &planned, sizeof(planned)) != 0)
		return 1;
	write_head(p);
	return 0;
}

static int
read_snapshot(struct pulling *p, struct error *error)
{
	int rc;

	if (send_snapshot(p, error) < 0)
		return -1;
	rc = take_head(p, error);
	if (rc > 0)
		return db_finish(p->db, error) < 0 ? -1 : 1;
	if (rc < 0 || stream_patch(p, error) < 0)
		return -1;
	return db_finish(p->db, error); /* commit */
}

/* Keeps for others what was read, if it is still in the body whole. */
static void
end_sharing(struct pulling *p, int rc)
{
	const struct response *response = &p->exchange->response;
	const char *rows = NULL;
	size_t length = 0;

	if (rc == 0 && !response->started &&
	    response->body.failure == BUFFER_GOOD) {
		rows = response->body.data + p->rows_at;
		length = response->body.length - p->rows_at;
		if (length > 0 && p->chain.count > 0 && rows[0] == ',') {
			rows++;
			length--;
		}
	}
	share_end(p->exchange->app->share, &p->stand.history, p->chain.reached,
	    p->stand.version, rows, length);
}

/* What others have read, and from there on the database. 1: start over. */
static int
serve_delta(struct pulling *p, struct error *error)
{
	struct share *share = p->exchange->app->share;
	bool shared = !p->registration->per_user;
	int rc = 1;

	p->chain.count = 0;
	p->chain.reached = p->request.cookie;
	if (shared)
		share_find(share, &p->stand.history, p->request.cookie,
		    p->stand.version, &p->chain);
	snprintf(p->from, sizeof(p->from), "%" PRId64, p->chain.reached);
	if (p->chain.reached == p->stand.version) {
		struct patch patch;

		write_head(p);
		patch_init(&patch, &p->exchange->response.body);
		share_write(&p->chain, &patch);
		rc = 0;
	} else if (!shared) {
		rc = read_snapshot(p, error);
	} else if (share_begin(share, p->chain.reached)) {
		rc = read_snapshot(p, error);
		end_sharing(p, rc);
	}
	share_release(share, &p->chain);
	return rc;
}

/* Answers by what the look told. 1: start over. */
static int
serve(struct pulling *p, struct error *error)
{
	struct app *app = p->exchange->app;
	int rc = 0;

	registry_put(app->registry, p->registration);
	p->registration = registry_get(
	    app->registry, p->db, p->stand.history.revision, error);
	if (p->registration == NULL ||
	    registration_check_schema(
		p->registration, p->request.schema_version, error) < 0 ||
	    choose_mode(p, &p->mode, error) < 0)
		return -1;
	switch (p->mode) {
	case PULL_NOTHING:
		write_head(p);
		break;
	case PULL_DELTA:
		rc = serve_delta(p, error);
		break;
	case PULL_FIRST:
	case PULL_RESET:
		rc = read_snapshot(p, error);
		break;
	}
	if (rc == 0)
		buffer_append_string(&p->exchange->response.body, "]}");
	return rc;
}

static int
pull(struct pulling *p, struct error *error)
{
	int rc = look_connected(p, error);

	for (int tries = 0; rc == 0 && tries < PULL_TRIES_MAX; tries++) {
		rc = serve(p, error);
		if (rc <= 0)
			return rc;
		rc = look(p, error);
	}
	return rc < 0 ? -1
		      : error_set(error, ERROR_UNAVAILABLE,
			    "the database changes too fast for this pull");
}

enum exchange_state
pull_handle(struct exchange *exchange)
{
	struct pulling p = {.exchange = exchange};
	struct app *app = exchange->app;
	struct error error = {0};
	int rc;

	if (auth_user(&exchange->request, app->settings, &p.user, &error) < 0 ||
	    protocol_parse_pull(exchange->request.body,
		exchange->request.body_length,
		(size_t)app->settings->max_tokens, &exchange->arena, &p.request,
		&error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	snprintf(p.since, sizeof(p.since), "%" PRId64,
	    p.request.cookie_kind == COOKIE_VERSION ? p.request.cookie : -1);
	rc = pull(&p, &error);
	db_result_free(p.look);
	registry_put(app->registry, p.registration);
	/* What is still under way for a reader that is gone is given up. */
	if (rc < 0 && p.db != NULL && !db_idle(p.db) &&
	    exchange->response.started)
		db_cancel(p.db);
	pool_put(app->pool, p.db);
	if (rc == 0) {
		exchange->response.status = 200;
		return EXCHANGE_ANSWERED;
	}
	if (exchange->response.started)
		return EXCHANGE_CUT;
	route_refuse(exchange, &error);
	return EXCHANGE_ANSWERED;
}
