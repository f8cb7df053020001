/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Routes: which path and method goes to which handler.
 */
#ifndef REPLICACHE_ROUTE_H
#define REPLICACHE_ROUTE_H

#include "exchange.h"

struct error;

/*
 * Finds the route of the exchange's request, reads its body if it has one, and
 * runs its handler. What can be refused without the handler is refused here:
 * 404, 405, 401 and 403 for who asks, 415, and whatever the body is.
 */
enum exchange_state route_dispatch(struct exchange *exchange);

/* Puts the answer to ERROR into the response; it is told in the request's line
 * of the log. */
void route_refuse(struct exchange *exchange, const struct error *error);

#endif
