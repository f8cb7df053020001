/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is asking.
 */
#ifndef REPLICACHE_AUTH_H
#define REPLICACHE_AUTH_H

struct error;
struct identity;
struct request;
struct settings;

/*
 * Fills IDENTITY with who REQUEST is from; with `auth = none`, everybody is the
 * user "". It is valid as long as the request.
 */
int auth_identify(const struct request *request,
    const struct settings *settings, struct identity *identity,
    struct error *error);

#endif
