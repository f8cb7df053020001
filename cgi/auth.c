/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is asking.
 */
#include "config.h"

#include "auth.h"

#include "error.h"
#include "identity.h"
#include "settings.h"

int
auth_identify(const struct request *request, const struct settings *settings,
    struct identity *identity, struct error *error)
{
	(void)request;
	if (settings->auth != AUTH_NONE)
		return error_set(error, ERROR_INTERNAL, "auth is not set");
	identity->user = identity->claims = "";
	return 0;
}
