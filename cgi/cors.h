/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cross-origin requests (the Fetch standard, "CORS protocol"): which pages of
 * other hosts may read the answers.
 */
#ifndef REPLICACHE_CORS_H
#define REPLICACHE_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "origin.h"

/* The longest list of headers in the answer to a preflight: those of ours, one
 * that jwt_header names, and a dozen that the page sends. */
#define CORS_HEADERS_MAX 768

/* What a preflight of an allowed origin is answered besides: the method, and to
 * ask again tomorrow. */
#define CORS_PREFLIGHT                                                         \
	"Access-Control-Allow-Methods: POST\r\n"                               \
	"Access-Control-Max-Age: 86400\r\n"                                    \
	"Vary: Access-Control-Request-Headers\r\n"                             \
	"Access-Control-Allow-Headers: "

/* Lets the pages of an origin have their user's cookies sent. */
#define CORS_CREDENTIALS "Access-Control-Allow-Credentials: true\r\n"

/*
 * The origin to be named in answers to a page of ORIGIN: ALLOWED's own text for
 * it, else "*", or "" if it is not in the list ALLOWED (spaces between; "*" is
 * any). "null", which any page can make itself, is not "*" but only "null".
 * *LENGTH_OUT is its length.
 */
const char *cors_allow(
    const char *allowed, const char *origin, int *length_out);

/*
 * True if ALLOWED names ORIGIN: a page of it may act in its user's name, with
 * cookies and the like. Neither "*" nor "null" names anybody.
 */
bool cors_is_named(const char *allowed, const char *origin);

/*
 * Writes the headers that a page of an allowed origin may send to TO, with
 * commas between: those that Replicache sends, EXTRA unless it is "", and
 * those that it REQUESTED (Access-Control-Request-Headers), as far as they are
 * names and there is room. Gives the length.
 *
 * Whatever else it sends, as scripts do that trace requests (sentry-trace,
 * baggage, traceparent), means nothing here, and may be sent by any program
 * anyway. What a page may do in its user's name is decided by its origin.
 */
size_t cors_headers(
    const char *extra, const char *requested, char to[CORS_HEADERS_MAX]);

/*
 * True if a request, as far as the browser that sent it tells, was made by a
 * page of another site, and one that is not in ALLOWED by name: SITE is its
 * Sec-Fetch-Site, or else its ORIGIN is compared to the HOST it was sent to. To
 * be asked before a browser is believed who its user is, for cookies and the
 * like are sent along whatever page asks.
 */
bool cors_is_foreign(const char *allowed, const char *origin, const char *site,
    const char *host);

#endif
