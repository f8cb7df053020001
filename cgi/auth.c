/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is asking.
 */
#include "config.h"

#include "auth.h"

#include "error.h"
#include "settings.h"

int
auth_user(const struct request *request, const struct settings *settings,
    const char **user_out, struct error *error)
{
	(void)request;
	if (settings->auth != AUTH_NONE)
		return error_set(error, ERROR_INTERNAL, "auth is not set");
	*user_out = "";
	return 0;
}
