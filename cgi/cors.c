/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Looking an origin up.
 */
#include "config.h"

#include "cors.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "settings.h"

const char *
cors_allow(const char *allowed, const char *origin, int *length_out)
{
	size_t length = strlen(origin);
	const char *found = "";

	*length_out = 0;
	if (length == 0 || length > ORIGIN_MAX)
		return "";
	while (*allowed != '\0') {
		size_t entry = strcspn(allowed, " ");

		if (entry == length && memcmp(allowed, origin, entry) == 0) {
			*length_out = (int)entry;
			return allowed;
		}
		if (entry == 1 && *allowed == '*' &&
		    strcmp(origin, "null") != 0) {
			*length_out = (int)entry;
			found = allowed;
		}
		allowed += entry;
		allowed += strspn(allowed, " ");
	}
	return found;
}

bool
cors_is_named(const char *allowed, const char *origin)
{
	int length;
	const char *named = cors_allow(allowed, origin, &length);

	return length > 0 && named[0] != '*' && strcmp(origin, "null") != 0;
}

/* Is NAME, of LENGTH bytes, a token (RFC 9110 section 5.6.2)? */
static bool
is_token(const char *name, size_t length)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < length; i++)
		if (name[i] == '\0' || (!isalnum((unsigned char)name[i]) &&
					   strchr(others, name[i]) == NULL))
			return false;
	return length > 0;
}

/* Is NAME in LIST, with commas and spaces between, whatever its case? */
static bool
is_listed(const char *list, const char *name, size_t length)
{
	while (*list != '\0') {
		size_t entry = strcspn(list, ", ");

		if (entry == length && strncasecmp(list, name, entry) == 0)
			return true;
		list += entry;
		list += strspn(list, ", ");
	}
	return false;
}

size_t
cors_headers(
    const char *extra, const char *requested, char to[CORS_HEADERS_MAX])
{
	/* Protocol section 1. */
	size_t n = (size_t)snprintf(to, CORS_HEADERS_MAX,
	    "authorization, content-type, x-replicache-requestid%s%.*s",
	    extra[0] == '\0' ? "" : ", ", SETTINGS_HEADER_MAX, extra);

	while (*requested != '\0') {
		size_t length = strcspn(requested, ", \t");

		if (is_token(requested, length) &&
		    !is_listed(to, requested, length) &&
		    n + 2 + length < CORS_HEADERS_MAX)
			n += (size_t)snprintf(to + n, CORS_HEADERS_MAX - n,
			    ", %.*s", (int)length, requested);
		requested += length;
		requested += strspn(requested, ", \t");
	}
	return n;
}

/* Is ORIGIN, a scheme and a host, of HOST? The scheme may be another one
 * before a web server that a balancer talks to. */
static bool
is_host(const char *origin, const char *host)
{
	const char *at = strstr(origin, "://");

	return at != NULL && host[0] != '\0' && strcasecmp(at + 3, host) == 0;
}

bool
cors_is_foreign(
    const char *allowed, const char *origin, const char *site, const char *host)
{
	if (cors_is_named(allowed, origin))
		return false;
	/* "none" is the user's own doing, as by the address bar. */
	if (site[0] != '\0')
		return strcmp(site, "same-origin") != 0 &&
		       strcmp(site, "none") != 0;
	return origin[0] != '\0' && !is_host(origin, host);
}
