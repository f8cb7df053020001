/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first stage of a pull: where the database and the client stand.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "arena.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "health.h"
#include "jsonw.h"
#include "patch.h"
#include "pgarray.h"
#include "pool.h"
#include "pull.h"
#include "pull_stage.h"
#include "registry.h"
#include "server.h"
#include "settings.h"
#include "viewer.h"

/* Pulls of one look; what is more waits for the next. */
#define ROUND_MAX 128

enum {
	LOOK_ASKED, /* which pull: 1, 2, ... */
	LOOK_VERSION,
	LOOK_FLOOR,
	LOOK_EPOCH,
	LOOK_REVISION,
	LOOK_STARTED,
	LOOK_OWNER,
	LOOK_STANDBY,
	LOOK_CLIENTS,
	LOOK_RETIRED,
	LOOK_LOST,
};

int
pull_send_look(struct db *db, struct pulling *const *pulls, size_t count,
    struct error *error)
{
	struct arena *arena = &pulls[0]->exchange->arena;
	struct pgarray groups, since, users;
	const char *params[3];

	pgarray_init(&groups);
	pgarray_init(&since);
	pgarray_init(&users);
	for (size_t i = 0; i < count; i++) {
		pgarray_add_text(&groups, pulls[i]->request.group);
		pgarray_add_text(&since, pulls[i]->since);
		pgarray_add_text(&users, pulls[i]->identity.user);
	}
	params[0] = pgarray_end(&groups, arena);
	params[1] = pgarray_end(&since, arena);
	params[2] = pgarray_end(&users, arena);
	pgarray_fini(&groups);
	pgarray_fini(&since);
	pgarray_fini(&users);
	if (params[0] == NULL || params[1] == NULL || params[2] == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	return db_send_id(db, STATEMENT_PULL_LOOK, 3, params, error);
}

int
pull_read_look(struct pulling *p, const struct db_result *rows, int row,
    int64_t highest, struct error *error)
{
	struct pull_stand *stand = &p->stand;

	if (!db_null(rows, row, LOOK_OWNER) &&
	    strcmp(db_text(rows, row, LOOK_OWNER), p->identity.user) != 0)
		return error_set(error, ERROR_CLIENT_STATE_NOT_FOUND,
		    "the client group is another user's");
	if (db_bool(rows, row, LOOK_RETIRED))
		return error_set(error, ERROR_CLIENT_STATE_NOT_FOUND,
		    "the client group is retired");
	stand->version = db_int64(rows, row, LOOK_VERSION);
	stand->floor = db_int64(rows, row, LOOK_FLOOR);
	stand->history.revision = db_int64(rows, row, LOOK_REVISION);
	stand->history.epoch = db_int64(rows, row, LOOK_EPOCH);
	stand->history.started = db_int64(rows, row, LOOK_STARTED);
	stand->standby = db_bool(rows, row, LOOK_STANDBY);
	stand->lost = db_bool(rows, row, LOOK_LOST);
	stand->clients_length = db_length(rows, row, LOOK_CLIENTS);
	stand->clients = arena_strndup(&p->exchange->arena,
	    db_text(rows, row, LOOK_CLIENTS), stand->clients_length);
	if (stand->clients == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	share_observe(
	    p->exchange->app->share, &stand->history, highest, stand->version);
	return 0;
}

int
pull_set_viewer(struct pulling *p, const struct registration *registration,
    struct error *error)
{
	struct exchange *exchange = p->exchange;

	p->of[0] = '\0';
	if (!registration->per_user)
		return 0;
	return viewer_write(&p->identity,
	    exchange->app->settings->cookie_claims, &exchange->arena, p->of,
	    error);
}

/* The cookie is of a view that P may have. */
static int
choose_going_on(
    const struct pulling *p, enum pull_mode *mode_out, struct error *error)
{
	int64_t version = p->request.cookie.version;

	if (version > p->stand.version || p->stand.lost) {
		health_lost_history(p->exchange->app, p->stand.history.epoch);
		return error_set(error, ERROR_COOKIE_FROM_FUTURE,
		    "cookie %" PRId64 " is %s version %" PRId64
		    ": the database has lost history; see "
		    "replicache_new_epoch()",
		    version,
		    p->stand.lost ? "of no state that led to" : "above",
		    p->stand.version);
	}
	if (version == p->stand.version)
		*mode_out = PULL_NOTHING;
	else if (version < p->stand.floor)
		*mode_out = PULL_RESET;
	else
		*mode_out = PULL_DELTA;
	return 0;
}

int
pull_choose_mode(
    const struct pulling *p, enum pull_mode *mode_out, struct error *error)
{
	const struct cookie *cookie = &p->request.cookie;

	switch (cookie->kind) {
	case COOKIE_NULL:
		*mode_out = PULL_FIRST;
		return 0;
	case COOKIE_OTHER:
		*mode_out = PULL_RESET;
		return 0;
	case COOKIE_VERSION:
	case COOKIE_VIEW:
		break;
	}
	if (cookie->version > p->stand.version && p->stand.standby) {
		/* It has not heard yet of what the primary told the client. */
		*mode_out = PULL_NOTHING;
		return 0;
	}
	if (cookie_is_of(cookie, p->of))
		return choose_going_on(p, mode_out, error);
	*mode_out = PULL_RESET;
	return 0;
}

void
pull_write_head(struct pulling *p)
{
	struct buffer *out = &p->exchange->response.body;
	struct cookie cookie = p->request.cookie;

	if (p->mode != PULL_NOTHING)
		cookie_next(
		    &p->request.cookie, p->stand.version, p->of, &cookie);
	buffer_append_string(out, "{\"cookie\":");
	cookie_write(out, &cookie);
	buffer_append_string(out, ",\"lastMutationIDChanges\":{");
	buffer_append(out, p->stand.clients, p->stand.clients_length);
	buffer_append_string(out, "},\"patch\":[");
}

/* Answers with what others have read, if that is all. */
static bool
answer_shared(struct pulling *p)
{
	struct share *share = p->exchange->app->share;
	struct share_chain chain;
	struct patch patch;
	bool whole;

	share_find(share, &p->stand.history, p->request.cookie.version,
	    p->stand.version, &chain);
	whole = chain.reached == p->stand.version;
	if (whole) {
		pull_write_head(p);
		patch_init(&patch, &p->exchange->response.body);
		share_write(&chain, &patch);
		FAULT(PULL_SHARED);
	}
	share_release(share, &chain);
	return whole;
}

/* What the look means for P: it is answered, or goes on to the rows. */
static void
decide(struct pulling *p, const struct registration *registration)
{
	struct exchange *exchange = p->exchange;
	struct app *app = exchange->app;
	struct error error;

	if (registration_check_pull_schema(
		registration, p->request.schema_version, &error) < 0 ||
	    pull_set_viewer(p, registration, &error) < 0 ||
	    pull_choose_mode(p, &p->mode, &error) < 0) {
		pull_refuse(p, &error);
		return;
	}
	if (p->mode == PULL_NOTHING) {
		pull_write_head(p);
	} else if (p->mode != PULL_DELTA || registration->per_user ||
		   !answer_shared(p)) {
		exchange->go_on = pull_rows;
		app->resume(app, exchange);
		/* It may take long: not in this thread alone. */
		server_relieve(app);
		return;
	}
	buffer_append_string(&exchange->response.body, "]}");
	pull_answered(p);
}

/* One round trip for all of PULLS: where each stands, and what is registered
 * then. A pull that is refused for it is gone from PULLS. */
static int
look(struct app *app, struct db *db, struct pulling **pulls, size_t count,
    const struct registration **registration_out, struct error *error)
{
	int64_t highest = share_highest(app->share);
	struct db_result *rows = NULL;
	int rc = -1;

	FAULT(PULL_LOOKS);
	if (pull_send_look(db, pulls, count, error) < 0 ||
	    db_sync(db, error) < 0 || db_take(db, &rows, error) < 0 ||
	    db_finish(db, error) < 0)
		goto out;
	FAULT(PULL_LOOKED);
	if (db_rows(rows) != (int)count) {
		error_set(error, ERROR_UNAVAILABLE,
		    "replicache_state does not have one row");
		goto out;
	}
	*registration_out = registry_get(
	    app->registry, db, db_int64(rows, 0, LOOK_REVISION), error);
	if (*registration_out == NULL)
		goto out;
	for (int row = 0; row < (int)count; row++) {
		struct pulling **p =
		    &pulls[db_int64(rows, row, LOOK_ASKED) - 1];

		assert(*p != NULL); /* each has one row */
		if (pull_read_look(*p, rows, row, highest, error) < 0) {
			pull_refuse(*p, error);
			*p = NULL;
		}
	}
	rc = 0;
out:
	db_result_free(rows);
	return rc;
}

/* The same; with another connection if the first one had died idle, which
 * shows only now. */
static int
look_connected(struct app *app, struct pulling **pulls, size_t count,
    const struct registration **registration_out, struct error *error)
{
	for (int tries = 0;; tries++) {
		struct db *db = pool_get(app->pool, error);
		int rc;

		if (db == NULL)
			return -1;
		rc = look(app, db, pulls, count, registration_out, error);
		pool_put(app->pool, db);
		if (rc == 0)
			return 0;
		if (tries > 0 || db_failure(error) != DB_FAILURE_LOST)
			return -1;
		pool_recycle(app->pool);
	}
}

void
pull_look(void *context, struct gather_queue *round)
{
	struct app *app = context;
	struct pulling *pulls[ROUND_MAX];
	const struct registration *registration;
	struct error error;
	size_t count = 0;
	int rc;

	/* A round is of one at least. */
	do
		pulls[count++] = (struct pulling *)gather_queue_take(round);
	while (count < ROUND_MAX && round->first != NULL);
	rc = look_connected(app, pulls, count, &registration, &error);
	/* The connection is back: whoever reads rows may have that one. */
	for (size_t i = 0; i < count; i++)
		if (rc < 0)
			pull_refuse(pulls[i], &error);
		else if (pulls[i] != NULL)
			decide(pulls[i], registration);
	if (rc == 0)
		registry_put(app->registry, registration);
}
