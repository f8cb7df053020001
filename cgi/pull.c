/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * POST /pull: what changed since the client's cookie (design section 4).
 *
 * A pull has two stages:
 *
 *	look	(pull_look.c) one statement, so one snapshot, for all pulls that
 *		wait for it: where the database stands, and how far the groups'
 *		clients are. If that is where a client stands, or if other pulls
 *		have read what lies between (share.h), that is its answer.
 *	rows	(pull_rows.c) one snapshot with the same again, tombstones and
 *		rows, which are streamed.
 */
#include "config.h"

#include "pull.h"

#include <inttypes.h>
#include <stdio.h>

#include "app.h"
#include "error.h"
#include "pull_stage.h"
#include "route.h"
#include "scan.h"
#include "server.h"
#include "settings.h"

void
pull_answered(struct pulling *p)
{
	struct exchange *exchange = p->exchange;

	exchange->response.status = 200;
	exchange->app->resume(exchange->app, exchange);
}

void
pull_refuse(struct pulling *p, const struct error *error)
{
	route_refuse(p->exchange, error);
	p->exchange->app->resume(p->exchange->app, p->exchange);
}

void
pull_submit(struct pulling *p)
{
	struct app *app = p->exchange->app;
	struct error error;

	if (p->tries >= PULL_TRIES_MAX) {
		error_set(&error, ERROR_UNAVAILABLE,
		    "the database changes too fast for this pull");
		pull_refuse(p, &error);
		return;
	}
	gather_add(&app->pulls, &p->link);
	/* From here on P may be gone. */
	while (gather_lead(&app->pulls))
		if (gather_waits(&app->pulls))
			server_relieve(app);
}

enum exchange_state
pull_handle(struct exchange *exchange)
{
	const struct settings *settings = exchange->app->settings;
	const struct scan_limits limits = {
	    .tokens = (size_t)settings->max_tokens,
	    .depth = (size_t)settings->max_depth};
	struct request *request = &exchange->request;
	struct pulling *p = arena_calloc(&exchange->arena, 1, sizeof(*p));
	struct error error;
	int rc = -1;

	if (p == NULL)
		error_set(&error, ERROR_UNAVAILABLE, "out of memory");
	else
		rc = protocol_parse_pull(request->body, request->body_length,
		    &limits, &exchange->arena, &p->request, &error);
	if (rc < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	p->exchange = exchange;
	p->identity = exchange->identity;
	exchange->pulling = p;
	snprintf(p->since, sizeof(p->since), "%" PRId64,
	    p->request.cookie.kind == COOKIE_VERSION ||
		    p->request.cookie.kind == COOKIE_VIEW
		? p->request.cookie.version
		: -1);
	pull_submit(p);
	return EXCHANGE_PARKED;
}
