/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Plain CGI (RFC 3875): one request per process, from the environment and
 * standard input to standard output.
 */
#ifndef REPLICACHE_ONESHOT_H
#define REPLICACHE_ONESHOT_H

#include <stdbool.h>

struct app;

/* True if the process was started as a CGI program. */
bool oneshot_wanted(void);

/*
 * Takes out of the environment what a web server's client or the account may
 * have put there and libpq or others would obey. Before anything reads it.
 */
void oneshot_clean_environment(void);

/* Serves the one request. */
void oneshot_run(struct app *app);

#endif
