/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /push; see the comment at the top of push.c.
 */
#ifndef REPLICACHE_PUSH_H
#define REPLICACHE_PUSH_H

#include "exchange.h"

enum exchange_state push_handle(struct exchange *exchange);

#endif
