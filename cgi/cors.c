/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Looking an origin up.
 */
#include "config.h"

#include "cors.h"

#include <string.h>

const char *
cors_allow(const char *allowed, const char *origin, int *length_out)
{
	size_t length = strlen(origin);

	*length_out = 0;
	if (length == 0 || length > CORS_ORIGIN_MAX ||
	    strcmp(origin, "null") == 0)
		return "";
	while (*allowed != '\0') {
		size_t entry = strcspn(allowed, " ");

		if ((entry == length && memcmp(allowed, origin, entry) == 0) ||
		    (entry == 1 && *allowed == '*')) {
			*length_out = (int)entry;
			return allowed;
		}
		allowed += entry;
		allowed += strspn(allowed, " ");
	}
	return "";
}
