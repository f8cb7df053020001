/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /metrics; see the comment at the top of metrics_handle.c.
 */
#ifndef REPLICACHE_METRICS_HANDLE_H
#define REPLICACHE_METRICS_HANDLE_H

#include "exchange.h"

enum exchange_state metrics_handle(struct exchange *exchange);

#endif
