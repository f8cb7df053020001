/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One request, from its first byte to its line in the log.
 */
#include "config.h"

#include "exchange.h"

#include <stdlib.h>

#include "app.h"
#include "clock.h"
#include "error.h"
#include "log.h"
#include "metrics.h"
#include "route.h"
#include "settings.h"
#include "transport.h"

/* What a request may take besides its body: a body's values in our structs,
 * and a body whose length was not told is copied as it grows. */
#define EXCHANGE_ARENA_MAX(settings)                                           \
	((size_t)(settings)->max_body * 3 + (size_t)128 * 1024 * 1024)

/* What the operator should know, and what tells why somebody is not let in; all
 * else is for whoever looks closely. */
static enum log_level
choose_level(const struct exchange *exchange)
{
	int status = exchange->response.status;

	if (exchange->error.code == ERROR_NONE)
		return LOG_LEVEL_DEBUG;
	if (status >= 500)
		return LOG_LEVEL_WARNING;
	return status == 401 || status == 403 || status == 429 ||
		       exchange->error.code == ERROR_CLIENT_TOO_OLD
		   ? LOG_LEVEL_INFO
		   : LOG_LEVEL_DEBUG;
}

/* The one line of the request. */
static void
write_log(const struct exchange *exchange, bool whole, int64_t us)
{
	const struct request *request = &exchange->request;
	const struct error *error = &exchange->error;
	bool refused = error->code != ERROR_NONE;
	enum log_level level = choose_level(exchange);
	const struct log_field fields[] = {
	    {"path", request->path, 0, false},
	    {"status", NULL, exchange->response.status, false},
	    {"error", refused ? error_name(error->code) : "", 0, false},
	    {"reason", refused ? error->message : "", 0, false},
	    {"sqlstate", refused ? error->sqlstate : "", 0, false},
	    {"request", request->id, 0, false},
	    /* 255 bytes at most: no two users look alike. */
	    {"user", exchange->identity.user, 0, true},
	    {"us", NULL, us, false},
	    {"bytes", NULL, (int64_t)exchange->response.sent, false},
	    {"mutations", NULL, (int64_t)exchange->push.mutation_count, false},
	    {"applied", NULL, (int64_t)exchange->job.applied, false},
	};
	size_t count = sizeof(fields) / sizeof(fields[0]);

	if (log_enabled(level))
		log_event(level, whole ? "request" : "request, cut", fields,
		    exchange->route == METRICS_PUSH ? count : count - 2);
}

static void
end(struct exchange *exchange, bool whole)
{
	int64_t us = clock_us() - exchange->started;

	metrics_request(exchange->route, whole ? exchange->response.status : 0,
	    (uint64_t)us);
	if (exchange->route == METRICS_PULL)
		metrics_count(METRICS_PULL_BYTES, exchange->response.sent);
	write_log(exchange, whole, us);
	if (exchange->transport != NULL)
		exchange->transport->ops->end(exchange->transport, whole);
	response_fini(&exchange->response);
	arena_fini(&exchange->arena);
	free(exchange);
}

static void
settle(struct exchange *exchange, enum exchange_state state)
{
	switch (state) {
	case EXCHANGE_ANSWERED:
		if (exchange->response.body.failure != BUFFER_GOOD)
			error_set(&exchange->error, ERROR_UNAVAILABLE,
			    "no memory for the answer");
		end(exchange, response_end(&exchange->response));
		break;
	case EXCHANGE_CUT:
		end(exchange, false);
		break;
	case EXCHANGE_TAKEN:
		exchange->transport = NULL;
		end(exchange, true);
		break;
	case EXCHANGE_PARKED:
		break;
	}
}

void
exchange_resume(struct exchange *exchange)
{
	enum exchange_state (*go_on)(struct exchange *) = exchange->go_on;

	exchange->go_on = NULL;
	settle(exchange, go_on == NULL ? EXCHANGE_ANSWERED : go_on(exchange));
}

void
exchange_run(struct app *app, struct transport *transport)
{
	struct exchange *exchange = malloc(sizeof(*exchange));

	if (exchange == NULL) {
		transport->ops->end(transport, false);
		return;
	}
	exchange->app = app;
	exchange->transport = transport;
	exchange->started = clock_us();
	exchange->route = METRICS_OTHER;
	exchange->go_on = NULL;
	exchange->push.mutation_count = exchange->job.applied = 0;
	error_reset(&exchange->error);
	exchange->identity = (struct identity){.user = "", .claims = ""};
	arena_init(&exchange->arena, EXCHANGE_ARENA_MAX(app->settings));
	response_init(&exchange->response, transport);
	request_read_head(&exchange->request, transport, app->settings);
	settle(exchange, route_dispatch(exchange));
}
