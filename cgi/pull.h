/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /pull; see the comment at the top of pull.c.
 */
#ifndef REPLICACHE_PULL_H
#define REPLICACHE_PULL_H

#include "exchange.h"
#include "gather.h"

enum exchange_state pull_handle(struct exchange *exchange);

/* Looks for all pulls of ROUND: the work of app->pulls. CONTEXT is the app. */
void pull_look(void *context, struct gather_queue *round);

#endif
