/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /health; see the comment at the top of health.c.
 */
#ifndef REPLICACHE_HEALTH_H
#define REPLICACHE_HEALTH_H

#include "exchange.h"

enum exchange_state health_handle(struct exchange *exchange);

#endif
