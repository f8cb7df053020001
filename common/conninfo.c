/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a connection string says.
 */
#include "config.h"

#include "conninfo.h"

#include <string.h>

#include <libpq-fe.h>

#include "error.h"

static bool
is_password(const PQconninfoOption *option)
{
	if (option->val == NULL || option->val[0] == '\0')
		return false;
	return strcmp(option->keyword, "password") == 0 ||
	       strcmp(option->keyword, "sslpassword") == 0;
}

/* libpq quotes what it does not understand, which may be a part of a
 * password: only its complaint of an option's name is handed on. */
static int
refuse(const char *complaint, struct error *error)
{
	static const char known[] = "invalid connection option";

	if (complaint == NULL)
		return error_set(error, ERROR_CONFIG, "out of memory");
	if (strncmp(complaint, known, sizeof(known) - 1) == 0)
		return error_set(error, ERROR_CONFIG, "%.*s",
		    (int)strcspn(complaint, "\n"), complaint);
	return error_set(error, ERROR_CONFIG,
	    "not a connection string or URI that libpq understands");
}

int
conninfo_check(const char *text, bool *password_out, struct error *error)
{
	char *complaint = NULL;
	PQconninfoOption *options = PQconninfoParse(text, &complaint);
	int rc = 0;

	*password_out = false;
	if (options == NULL)
		rc = refuse(complaint, error);
	else
		for (const PQconninfoOption *o = options; o->keyword != NULL;
		     o++)
			*password_out = *password_out || is_password(o);
	PQconninfoFree(options);
	PQfreemem(complaint);
	return rc;
}
