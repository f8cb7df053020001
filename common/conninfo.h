/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a connection string says, without connecting.
 */
#ifndef REPLICACHE_CONNINFO_H
#define REPLICACHE_CONNINFO_H

#include <stdbool.h>

struct error;

/*
 * Checks that libpq understands TEXT, a connection string or URI; "" is one.
 * *PASSWORD_OUT tells whether it has a password. Returns -1 with ERROR_CONFIG
 * and a message that quotes nothing of TEXT but the name of an option that
 * does not exist.
 */
int conninfo_check(const char *text, bool *password_out, struct error *error);

#endif
