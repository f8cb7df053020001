/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Origins, as they stand in settings: an origin is compared byte by byte to
 * what a browser sends (RFC 6454 section 6.2, the URL standard's
 * serialisation), so one that is written otherwise would never be met.
 */
#ifndef REPLICACHE_ORIGIN_H
#define REPLICACHE_ORIGIN_H

struct error;

/* The longest origin: a host name has 253 characters at most. */
#define ORIGIN_MAX 255

/*
 * Checks LIST: origins with spaces between, "*" or "null" among them. Returns
 * -1 with ERROR_CONFIG and the first one that no browser sends, with what it
 * sends instead where that can be known.
 */
int origin_check(const char *list, struct error *error);

#endif
