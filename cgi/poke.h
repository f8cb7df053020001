/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The endpoint /poke; see the comment at the top of poke.c.
 */
#ifndef REPLICACHE_POKE_H
#define REPLICACHE_POKE_H

#include "exchange.h"

enum exchange_state poke_handle(struct exchange *exchange);

#endif
