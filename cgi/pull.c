/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * POST /pull: what changed since the client's cookie (design: pull, versions).
 *
 * One round trip looks where the database stands; if that is where the client
 * stands, that is the answer. Else a second one reads, in one snapshot, where
 * the database stands, the group's lastMutationIDs, tombstones and rows, and
 * streams them. The last brace is written only after the snapshot was read to
 * its end: an answer that was cut does not parse.
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

/* How often a pull starts over because what it was planned on has changed. */
#define PULL_TRIES_MAX 5

#define NUMBER_SIZE 24

enum { LOOK_VERSION, LOOK_FLOOR, LOOK_EPOCH, LOOK_REVISION, LOOK_OWNER };

/* Where the database stands. */
struct stand {
	int64_t version, floor, revision;
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
	struct db *db;
	const struct registration *registration;
	struct stand stand;
	enum pull_mode mode;
};

/* Reads the row of pull_look, and checks whose the group is. */
static int
read_look(struct pulling *p, const struct db_result *row, struct error *error)
{
	if (db_rows(row) != 1)
		return error_set(error, ERROR_UNAVAILABLE,
		    "replicache_state does not have one row");
	if (!db_null(row, 0, LOOK_OWNER) &&
	    strcmp(db_text(row, 0, LOOK_OWNER), p->user) != 0)
		return error_set(error, ERROR_FORBIDDEN,
		    "the client group is another user's");
	p->stand.version = db_int64(row, 0, LOOK_VERSION);
	p->stand.floor = db_int64(row, 0, LOOK_FLOOR);
	p->stand.revision = db_int64(row, 0, LOOK_REVISION);
	return 0;
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
	struct db_result *row = NULL;
	int rc = -1;

	if (db_send_id(p->db, STATEMENT_PULL_LOOK, 1, &p->request.group,
		error) == 0 &&
	    db_sync(p->db, error) == 0 && db_take(p->db, &row, error) == 0 &&
	    db_finish(p->db, error) == 0)
		rc = read_look(p, row, error);
	db_result_free(row);
	return rc;
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
send_rows(struct pulling *p, const char *since, struct error *error)
{
	const struct registration *r = p->registration;

	if (p->mode == PULL_DELTA &&
	    db_send_id(p->db, STATEMENT_PULL_TOMBSTONES, 1, &since, error) < 0)
		return -1;
	for (size_t i = 0; i < r->table_count; i++) {
		const struct registered_table *table = &r->tables[i];
		int rc;

		if (p->mode == PULL_DELTA)
			rc = db_send(
			    p->db, &table->pull_since, 1, &since, error);
		else
			rc = db_send(p->db, &table->pull_all, 0, NULL, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/*
 * The second round trip: all of the snapshot. What the group's clients have
 * done since the cookie is told even to a client that starts over, but
 * nothing older: after a restored backup it could be less than the client knows
 * already, which it would refuse.
 */
static int
send_snapshot(struct pulling *p, struct error *error)
{
	char since[NUMBER_SIZE] = "-1";
	const char *const clients[] = {p->request.group, since};

	if (p->request.cookie_kind == COOKIE_VERSION)
		snprintf(since, sizeof(since), "%" PRId64, p->request.cookie);
	if (db_send_id(p->db, STATEMENT_BEGIN_PULL, 0, NULL, error) < 0 ||
	    send_limits(p, error) < 0 ||
	    db_send_id(p->db, STATEMENT_SET_USER, 1, &p->user, error) < 0 ||
	    db_send_id(p->db, STATEMENT_PULL_LOOK, 1, &p->request.group,
		error) < 0 ||
	    db_send_id(
		p->db, STATEMENT_PULL_CLIENTS, 2, clients, error) < 0 ||
	    send_rows(p, since, error) < 0 ||
	    db_send_id(p->db, STATEMENT_COMMIT, 0, NULL, error) < 0)
		return -1;
	return db_sync(p->db, error);
}

static void
write_head(struct pulling *p, const struct db_result *clients)
{
	struct buffer *out = &p->exchange->response.body;

	buffer_append_string(out, "{\"cookie\":");
	jsonw_int64(out, p->stand.version);
	buffer_append_string(out, ",\"lastMutationIDChanges\":{");
	for (int i = 0; clients != NULL && i < db_rows(clients); i++) {
		if (i > 0)
			buffer_append_byte(out, ',');
		jsonw_string(out, db_text(clients, i, 0),
		    db_length(clients, i, 0));
		buffer_append_byte(out, ':');
		jsonw_int64(out, db_int64(clients, i, 1));
	}
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
	struct db_result *row = NULL, *clients = NULL;
	enum pull_mode mode;
	int rc = -1;

	if (db_take(p->db, NULL, error) < 0 || /* begin */
	    db_take(p->db, NULL, error) < 0 || /* limits */
	    db_take(p->db, NULL, error) < 0 || /* user */
	    db_take(p->db, &row, error) < 0 ||
	    db_take(p->db, &clients, error) < 0 ||
	    read_look(p, row, error) < 0 || choose_mode(p, &mode, error) < 0)
		goto out;
	rc = mode != p->mode ||
	    p->stand.revision != p->registration->revision;
	if (rc == 0)
		write_head(p, clients);
out:
	db_result_free(row);
	db_result_free(clients);
	return rc;
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

/* One attempt on a connection. 1: start over. */
static int
serve(struct pulling *p, struct error *error)
{
	struct app *app = p->exchange->app;
	int rc;

	registry_put(app->registry, p->registration);
	p->registration =
	    registry_get(app->registry, p->db, p->stand.revision, error);
	if (p->registration == NULL ||
	    registration_check_schema(
		p->registration, p->request.schema_version, error) < 0 ||
	    choose_mode(p, &p->mode, error) < 0)
		return -1;
	if (p->mode == PULL_NOTHING) {
		write_head(p, NULL);
		rc = 0;
	} else {
		rc = read_snapshot(p, error);
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
		rc = 0;
	}
	return rc < 0 ? -1
		      : error_set(error, ERROR_UNAVAILABLE,
			    "registrations change too fast");
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
		(size_t)app->settings->max_tokens, &exchange->arena,
		&p.request, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	rc = pull(&p, &error);
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
