/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is asking.
 */
#ifndef REPLICACHE_AUTH_H
#define REPLICACHE_AUTH_H

struct error;
struct request;
struct settings;

/*
 * Gives the user of REQUEST, "" for the one user of `auth = none`. It is
 * valid as long as the request.
 */
int auth_user(const struct request *request, const struct settings *settings,
    const char **user_out, struct error *error);

#endif
