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
#include <string.h>

#include "app.h"
#include "buffer.h"
#include "clock.h"
#include "db.h"
#include "error.h"
#include "jsonw.h"
#include "log.h"
#include "metrics.h"
#include "pool.h"
#include "registry.h"
#include "route.h"
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

/* Adds VALUE, which it takes over. Without memory there is no answer any more.
 */
static void
add(json_object **answer, const char *name, json_object *value)
{
	if (*answer != NULL && value != NULL &&
	    json_object_object_add(*answer, name, value) == 0)
		return;
	json_object_put(value);
	json_object_put(*answer);
	*answer = NULL;
}

/* Adds what the database says, and the reason if it can't serve or is
 * *DEGRADED; false if it can't serve. */
static bool
examine(struct exchange *exchange, json_object **answer, bool *degraded)
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
		int64_t version = db_int64(result, 0, HEALTH_VERSION);

		if (number != SCHEMA_NUMBER)
			reason = number < SCHEMA_NUMBER ? "schema too old"
							: "schema too new";
		else
			*degraded = lost_history(
			    exchange->app, db_int64(result, 0, HEALTH_EPOCH));
		add(answer, "schema", json_object_new_int64(number));
		add(answer, "version", json_object_new_int64(version));
		add(answer, "standby", json_object_new_boolean(standby));
	}
	if (reason != NULL) {
		log_debug("health: %s: %s", reason, error.message);
		add(answer, "reason", json_object_new_string(reason));
	}
	if (*degraded)
		add(answer, "reason",
		    json_object_new_string("the database has lost history: "
					   "replicache_new_epoch()"));
	db_result_free(result);
	pool_put(exchange->app->pool, db);
	return reason == NULL;
}

/* json-c's own writer leaves out what it has no memory for, and does not say
 * so. */
static void
write_answer(struct buffer *out, json_object *answer)
{
	const char *separator = "{";

	json_object_object_foreach(answer, name, value)
	{
		buffer_append_string(out, separator);
		jsonw_string(out, name, strlen(name));
		buffer_append_byte(out, ':');
		if (json_object_is_type(value, json_type_boolean))
			buffer_append_string(out,
			    json_object_get_boolean(value) ? "true" : "false");
		else if (json_object_is_type(value, json_type_int))
			jsonw_int64(out, json_object_get_int64(value));
		else
			jsonw_string(out, json_object_get_string(value),
			    (size_t)json_object_get_string_len(value));
		separator = ",";
	}
	buffer_append_byte(out, '}');
}

enum exchange_state
health_handle(struct exchange *exchange)
{
	bool authorized = exchange->request.authorization[0] != '\0';
	json_object *answer = json_object_new_object();
	bool degraded = false;
	bool well = examine(exchange, &answer, &degraded);

	/* For replicache-admin check: web servers like to keep it. */
	add(&answer, "authorization", json_object_new_boolean(authorized));
	add(&answer, "status",
	    json_object_new_string(degraded ? "degraded"
				   : well   ? "ok"
					    : "unavailable"));
	if (answer == NULL) {
		struct error error;

		error_set(&error, ERROR_UNAVAILABLE, "out of memory");
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	response_json(&exchange->response, well ? 200 : 503, "");
	write_answer(&exchange->response.body, answer);
	json_object_put(answer);
	return EXCHANGE_ANSWERED;
}
