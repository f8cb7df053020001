/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /pull; see the comment at the top of pull.c.
 */
#ifndef REPLICACHE_PULL_H
#define REPLICACHE_PULL_H

#include "exchange.h"

enum exchange_state pull_handle(struct exchange *exchange);

#endif
