/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * GET /health: 200 when push and pull would work, else 503 with the reason, for
 * load balancers and people. Not a fast path, so json-c writes it.
 *
 * A database that has lost history still serves those who never saw what was
 * lost, and whether it has is told by nothing but the cookies of the others,
 * which anybody may make up: that is `degraded`, but no 503.
 */
#include "config.h"

#include "health.h"

#include <json-c/json.h>

#include "app.h"
#include "clock.h"
#include "db.h"
#include "error.h"
#include "log.h"
#include "metrics.h"
#include "pool.h"
#include "registry.h"
#include "schema.h"

enum {
	HEALTH_VERSION,
	HEALTH_REVISION,
	HEALTH_FLOOR,
	HEALTH_IN_RECOVERY,
	HEALTH_SCHEMA_NUMBER,
	HEALTH_EPOCH
};

/* A client that is refused asks again once a minute. */
#define HEALTH_LOST_MS 300000

void
health_lost_history(struct app *app, int64_t epoch)
{
	metrics_count(METRICS_LOST_HISTORY, 1);
	atomic_store(&app->lost.epoch, epoch);
	atomic_store(&app->lost.at, clock_ms());
}

/* Whether clients were refused lately, and may still be in EPOCH. */
static bool
lost_history(struct app *app, int64_t epoch)
{
	int64_t at = atomic_load(&app->lost.at);

	return at != 0 && clock_ms() - at < HEALTH_LOST_MS &&
	       atomic_load(&app->lost.epoch) == epoch;
}

static int
ask(struct db *db, struct db_result **result, struct error *error)
{
	if (db_send_id(db, STATEMENT_HEALTH, 0, NULL, error) < 0 ||
	    db_sync(db, error) < 0 || db_take(db, result, error) < 0)
		return -1;
	if (db_finish(db, error) < 0)
		return -1;
	if (db_rows(*result) != 1)
		return error_set(error, ERROR_UNAVAILABLE,
		    "replicache_state does not have one row");
	return 0;
}

/* Adds what the database says, and the reason if it can't serve or is
 * *DEGRADED; false if it can't serve. */
static bool
examine(struct exchange *exchange, json_object *answer, bool *degraded)
{
	struct error error = {0};
	struct db *db = pool_get(exchange->app->pool, &error);
	struct db_result *result = NULL;
	const char *reason = NULL;

	if (db == NULL) {
		reason = "database unreachable";
	} else if (ask(db, &result, &error) < 0) {
		reason = db_failure(&error) == DB_FAILURE_OWN
			     ? "schema not installed"
			     : "database not answering";
	} else {
		bool standby = db_bool(result, 0, HEALTH_IN_RECOVERY);
		int64_t number = db_int64(result, 0, HEALTH_SCHEMA_NUMBER);

		if (number != SCHEMA_NUMBER)
			reason = number < SCHEMA_NUMBER ? "schema too old"
							: "schema too new";
		else
			*degraded = lost_history(
			    exchange->app, db_int64(result, 0, HEALTH_EPOCH));
		json_object_object_add(
		    answer, "schema", json_object_new_int64(number));
		json_object_object_add(answer, "version",
		    json_object_new_int64(db_int64(result, 0, HEALTH_VERSION)));
		json_object_object_add(
		    answer, "standby", json_object_new_boolean(standby));
	}
	if (reason != NULL) {
		log_debug("health: %s: %s", reason, error.message);
		json_object_object_add(
		    answer, "reason", json_object_new_string(reason));
	}
	if (*degraded)
		json_object_object_add(answer, "reason",
		    json_object_new_string("the database has lost history: "
					   "replicache_new_epoch()"));
	db_result_free(result);
	pool_put(exchange->app->pool, db);
	return reason == NULL;
}

enum exchange_state
health_handle(struct exchange *exchange)
{
	json_object *answer = json_object_new_object();
	bool degraded = false;
	bool well = examine(exchange, answer, &degraded);

	/* For replicache-admin check: web servers like to keep it. */
	json_object_object_add(answer, "authorization",
	    json_object_new_boolean(
		exchange->request.authorization[0] != '\0'));
	json_object_object_add(answer, "status",
	    json_object_new_string(degraded ? "degraded"
				   : well   ? "ok"
					    : "unavailable"));
	response_json(&exchange->response, well ? 200 : 503,
	    json_object_to_json_string_ext(
		answer, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(answer);
	return EXCHANGE_ANSWERED;
}
