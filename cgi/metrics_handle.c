/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: what was counted, and how the pool and the streams stand, for
 * Prometheus. Off unless it is configured: it is nobody's business but the
 * operator's, whom the web server has to tell from others.
 */
#include "config.h"

#include "metrics_handle.h"

#include <inttypes.h>

#include "app.h"
#include "buffer.h"
#include "error.h"
#include "metrics.h"
#include "pool.h"
#include "route.h"
#include "settings.h"
#include "streams.h"

static void
write_others(struct buffer *to, const struct app *app)
{
	size_t open, lent;

	pool_count(app->pool, &open, &lent);
	metrics_write_head(to, "pool_connections", "gauge",
	    "Connections to the database, by whether they are in use.");
	metrics_write_line(
	    to, "replicache_pool_connections{state=\"used\"} %zu\n", lent);
	metrics_write_line(to,
	    "replicache_pool_connections{state=\"idle\"} %zu\n", open - lent);
	metrics_write_head(to, "pool_limit", "gauge", "The most there may be.");
	metrics_write_line(
	    to, "replicache_pool_limit %ld\n", app->settings->pool);
	if (app->streams == NULL ||
	    streams_version(app->streams) == STREAM_VERSION_NONE)
		return;
	metrics_write_head(
	    to, "version", "gauge", "The version streams know of.");
	metrics_write_line(to, "replicache_version %" PRId64 "\n",
	    streams_version(app->streams));
}

enum exchange_state
metrics_handle(struct exchange *exchange)
{
	struct response *response = &exchange->response;
	struct error error;

	if (!exchange->app->settings->metrics) {
		error_set(&error, ERROR_NOT_FOUND, "metrics are off");
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	response_json(response, 200, "");
	response->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(&response->body);
	write_others(&response->body, exchange->app);
	return EXCHANGE_ANSWERED;
}
