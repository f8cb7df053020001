/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Looking an origin up.
 */
#include "config.h"

#include "cors.h"

#include <string.h>
#include <strings.h>

const char *
cors_allow(const char *allowed, const char *origin, int *length_out)
{
	size_t length = strlen(origin);
	const char *found = "";

	*length_out = 0;
	if (length == 0 || length > CORS_ORIGIN_MAX ||
	    strcmp(origin, "null") == 0)
		return "";
	while (*allowed != '\0') {
		size_t entry = strcspn(allowed, " ");

		if (entry == length && memcmp(allowed, origin, entry) == 0) {
			*length_out = (int)entry;
			return allowed;
		}
		if (entry == 1 && *allowed == '*') {
			*length_out = (int)entry;
			found = allowed;
		}
		allowed += entry;
		allowed += strspn(allowed, " ");
	}
	return found;
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
	int length;
	const char *named = cors_allow(allowed, origin, &length);

	if (length > 0 && named[0] != '*')
		return false;
	/* "none" is the user's own doing, as by the address bar. */
	if (site[0] != '\0')
		return strcmp(site, "same-origin") != 0 &&
		       strcmp(site, "none") != 0;
	return origin[0] != '\0' && !is_host(origin, host);
}
