/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The part of check that asks the web server; and what status asks it.
 */
#ifndef REPLICACHE_CHECK_H
#define REPLICACHE_CHECK_H

struct admin;
struct error;
struct findings;

/*
 * Asks replicache.fcgi, behind the web server at admin->url, what shows whether
 * requests reach it as they should: its path and its headers, bodies up to
 * max_body, events as they happen, and nothing from a cache. It changes
 * nothing. -1 if the token can't be read.
 */
int check_url(
    struct admin *admin, struct findings *findings, struct error *error);

/* Reads from /metrics at admin->url how many wait for changes there: 0 and the
 * number, or -1 if that is not to be had. */
int check_streams(
    struct admin *admin, long long *streams_out, struct error *error);

#endif
