/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /health; see the comment at the top of health.c.
 */
#ifndef REPLICACHE_HEALTH_H
#define REPLICACHE_HEALTH_H

#include <stdint.h>

#include "exchange.h"

struct app;

enum exchange_state health_handle(struct exchange *exchange);

/* Tells that a pull was refused by ERROR_COOKIE_FROM_FUTURE in EPOCH. */
void health_lost_history(struct app *app, int64_t epoch);

#endif
