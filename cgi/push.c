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

#include "allowance.h"
#include "app.h"
#include "clock.h"
#include "error.h"
#include "faults.h"
#include "metrics.h"
#include "route.h"
#include "scan.h"
#include "settings.h"

/* How many mutations a user may have a second; 0, any number. */
static long
rate_of(const struct settings *settings)
{
	return settings->auth == AUTH_NONE ? 0 : settings->user_mutations;
}

/* Only what is new counts. It is not known yet how many mutations are, and a
 * push repeats what the client has not heard of, so all are taken, and what was
 * too much is given back. */
static int
take_allowance(struct exchange *exchange, struct error *error)
{
	struct app *app = exchange->app;
	long rate = rate_of(app->settings);

	if (rate > 0 && !allowance_take(app->allowance, exchange->identity.user,
			    exchange->push.mutation_count, rate, clock_ms()))
		return error_set(error, ERROR_TOO_FAST,
		    "the user has had %ld mutations a second", rate);
	return 0;
}

static void
give_allowance(struct exchange *exchange, size_t applied)
{
	struct app *app = exchange->app;
	long rate = rate_of(app->settings);

	if (rate > 0)
		allowance_give(app->allowance, exchange->identity.user,
		    exchange->push.mutation_count - applied, rate, clock_ms());
}

/* The batch knows the result. Runs in any thread. */
static void
answer(struct batch_job *job)
{
	struct exchange *exchange =
	    (struct exchange *)(void *)((char *)job -
					offsetof(struct exchange, job));

	give_allowance(exchange, job->applied);

	if (job->error.code == ERROR_NONE)
		metrics_count(
		    METRICS_SKIPPED, job->push->mutation_count - job->applied);
	if (job->error.code == ERROR_NONE)
		response_json(&exchange->response, 200, "{}");
	else
		route_refuse(exchange, &job->error);
	FAULT(PUSH_DONE);
	exchange->app->resume(exchange->app, exchange);
}

enum exchange_state
push_handle(struct exchange *exchange)
{
	const struct settings *settings = exchange->app->settings;
	const struct scan_limits limits = {
	    .tokens = (size_t)settings->max_tokens,
	    .depth = (size_t)settings->max_depth,
	    .written = (size_t)settings->max_body};
	struct batch_job *job = &exchange->job;
	struct error error;

	if (protocol_parse_push(exchange->request.body,
		exchange->request.body_length, &limits, &exchange->arena,
		&exchange->push, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	if (exchange->push.mutation_count == 0) {
		response_json(&exchange->response, 200, "{}");
		return EXCHANGE_ANSWERED;
	}
	if (take_allowance(exchange, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	job->identity = exchange->identity;
	job->push = &exchange->push;
	job->arena = &exchange->arena;
	job->done = answer;
	batch_submit(exchange->app->batch, job);
	return EXCHANGE_PARKED;
}
