/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * POST /push: `{}` with 200 only if every mutation of the body is at or below
 * its client's stored lastMutationID, because the client does not send again
 * what got a 200 (protocol section 4).
 */
#include "config.h"

#include "push.h"

#include <stddef.h>

#include "app.h"
#include "error.h"
#include "metrics.h"
#include "route.h"
#include "settings.h"

/* The batch knows the result. Runs in any thread. */
static void
answer(struct batch_job *job)
{
	struct exchange *exchange =
	    (struct exchange *)(void *)((char *)job -
					offsetof(struct exchange, job));

	if (job->error.code == ERROR_NONE)
		metrics_count(
		    METRICS_SKIPPED, job->push->mutation_count - job->applied);
	if (job->error.code == ERROR_NONE)
		response_json(&exchange->response, 200, "{}");
	else
		route_refuse(exchange, &job->error);
	exchange->app->resume(exchange->app, exchange);
}

enum exchange_state
push_handle(struct exchange *exchange)
{
	const struct settings *settings = exchange->app->settings;
	struct batch_job *job = &exchange->job;
	struct error error;

	if (protocol_parse_push(exchange->request.body,
		exchange->request.body_length, (size_t)settings->max_tokens,
		&exchange->arena, &exchange->push, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	if (exchange->push.mutation_count == 0) {
		response_json(&exchange->response, 200, "{}");
		return EXCHANGE_ANSWERED;
	}
	job->identity = exchange->identity;
	job->push = &exchange->push;
	job->arena = &exchange->arena;
	job->done = answer;
	batch_submit(exchange->app->batch, job);
	return EXCHANGE_PARKED;
}
