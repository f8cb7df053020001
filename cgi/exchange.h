/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Exchange: one request and its answer, from the transport and back.
 *
 * An exchange lives on the heap, so that it can wait for its batch without a
 * thread: its handler parks it, and whoever knows the answer resumes it.
 */
#ifndef REPLICACHE_EXCHANGE_H
#define REPLICACHE_EXCHANGE_H

#include <stdint.h>

#include "arena.h"
#include "batch.h"
#include "error.h"
#include "identity.h"
#include "metrics.h"
#include "protocol.h"
#include "request.h"
#include "response.h"

struct app;
struct pulling;
struct transport;

enum exchange_state {
	EXCHANGE_ANSWERED, /* the response is filled in */
	EXCHANGE_PARKED,   /* not the caller's any more; it will be resumed */
	EXCHANGE_CUT,      /* failed while it was being sent */
	EXCHANGE_TAKEN,    /* its connection was taken out of the transport */
};

struct exchange {
	struct app *app;
	struct transport *transport;
	struct arena arena; /* all memory of the request */
	struct request request;
	struct response response;
	struct identity identity; /* of who asks, if the route needs it */
	struct error error;       /* why it was refused, for the log */
	enum metrics_route route;
	int64_t started;       /* clock_us() */
	struct exchange *next; /* the server's */

	/* How it goes on when it is resumed; NULL: it is answered. */
	enum exchange_state (*go_on)(struct exchange *exchange);

	/* A push, while it is parked: */
	struct push push;
	struct batch_job job;

	/* A pull, likewise: */
	struct pulling *pulling;
};

/* Serves the request on TRANSPORT, which it takes over, to its end; unless it
 * is parked. */
void exchange_run(struct app *app, struct transport *transport);

/* Goes on with an exchange that was parked: to its answer and end, unless it is
 * parked again. */
void exchange_resume(struct exchange *exchange);

#endif
