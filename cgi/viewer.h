/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Viewer: whose view a cookie is of (cookie.h).
 */
#ifndef REPLICACHE_VIEWER_H
#define REPLICACHE_VIEWER_H

#include "cookie.h"

struct arena;
struct error;
struct identity;

/*
 * Writes what stands in cookies for those who see what IDENTITY sees: 96 bits
 * of a hash of the user, and of the claims that views may ask for. CLAIMS names
 * these, with spaces between; "" are all but those that are another in each
 * token, or in each session, of the same user (viewer.c lists them). The order
 * of claims in the token does not matter. ARENA gives memory for a while.
 * ERROR_UNAVAILABLE.
 */
int viewer_write(const struct identity *identity, const char *claims,
    struct arena *arena, char of[COOKIE_OF_SIZE], struct error *error);

#endif
