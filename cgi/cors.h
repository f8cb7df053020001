/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cross-origin requests (the Fetch standard, "CORS protocol"): which pages of
 * other hosts may read the answers.
 */
#ifndef REPLICACHE_CORS_H
#define REPLICACHE_CORS_H

#include <stdbool.h>

/* The longest origin that is allowed. */
#define CORS_ORIGIN_MAX 255

/* What a preflight of an allowed origin is told besides: the method, the
 * headers Replicache sends (protocol section 1), and to ask again tomorrow. */
#define CORS_PREFLIGHT                                                         \
	"Access-Control-Allow-Methods: POST\r\n"                               \
	"Access-Control-Max-Age: 86400\r\n"                                    \
	"Access-Control-Allow-Headers: authorization, content-type, "          \
	"x-replicache-requestid"

/* Lets the pages of an origin have their user's cookies sent. */
#define CORS_CREDENTIALS "Access-Control-Allow-Credentials: true\r\n"

/*
 * The origin to be named in answers to a page of ORIGIN: ALLOWED's own text for
 * it, else "*", or "" if it is not in the list ALLOWED (spaces between; "*" is
 * any). "null", which any page can make itself, is in no list. *LENGTH_OUT is
 * its length.
 */
const char *cors_allow(
    const char *allowed, const char *origin, int *length_out);

/*
 * True if a request, as far as the browser that sent it tells, was made by a
 * page of another site, and one that is not in ALLOWED by name ("*" names
 * nobody): SITE is its Sec-Fetch-Site, or else its ORIGIN is compared to the
 * HOST it was sent to. To be asked before a browser is believed who its user
 * is, for cookies and the like are sent along whatever page asks.
 */
bool cors_is_foreign(const char *allowed, const char *origin, const char *site,
    const char *host);

#endif
