/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Errors, and the table of their fixed texts.
 */
#include "config.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	const char *name;
	const char *public_text;
};

static const struct text texts[ERROR_MAX] = {
    [ERROR_NONE] = {"none", "No error."},
    [ERROR_NOT_FOUND] = {"not_found", "There is nothing at this path."},
    [ERROR_METHOD_NOT_ALLOWED] = {"method_not_allowed",
	"This path does not take this method."},
    [ERROR_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type",
	"The body must be application/json, UTF-8, not compressed."},
    [ERROR_BAD_CONTENT_LENGTH] = {"bad_content_length",
	"Content-Length is not a number of bytes."},
    [ERROR_BODY_TRUNCATED] = {"body_truncated",
	"The body is shorter than Content-Length."},
    [ERROR_BODY_MISMATCH] = {"body_mismatch",
	"The body is longer than Content-Length."},
    [ERROR_BODY_TOO_LARGE] = {"body_too_large", "The body is too large."},
    [ERROR_UNAUTHORIZED] = {"unauthorized", "Please log in."},
    [ERROR_INVALID_TOKEN] = {"invalid_token",
	"The token is not valid, or not any more; please log in again."},
    [ERROR_CROSS_SITE] = {"cross_site",
	"Pages of other sites may not do this."},
    [ERROR_TOO_FAST] = {"too_fast",
	"Too many mutations for now; try again later."},
    [ERROR_INVALID_JSON] = {"invalid_json", "The body is not valid JSON."},
    [ERROR_TOO_DEEP] = {"too_deep", "The body is nested too deeply."},
    [ERROR_TOO_MANY_TOKENS] = {"too_many_tokens",
	"The body has too many values."},
    [ERROR_INVALID_REQUEST] = {"invalid_request",
	"The body is not a request of the Replicache protocol."},
    [ERROR_INVALID_ID] = {"invalid_id",
	"A mutation ID is not an integer from 1 to 2^53-1."},
    [ERROR_CLIENT_TOO_OLD] = {"client_too_old",
	"This app has a client of Replicache 12 or older. This server needs "
	"Replicache 13 or later: load the app anew, or update it."},
    [ERROR_MUTATION_GAP] = {"mutation_gap",
	"A mutation of this client is missing before the first one sent."},
    [ERROR_FORBIDDEN] = {"forbidden", "The client group is not yours."},
    [ERROR_UNAVAILABLE] = {"unavailable",
	"The service is unavailable for now; try again."},
    [ERROR_POKE_FULL] = {"poke_full",
	"Too many clients wait for changes; try again later."},
    [ERROR_POKE_USER_FULL] = {"poke_user_full",
	"Too many of your clients wait for changes."},
    [ERROR_COOKIE_FROM_FUTURE] = {"cookie_from_future",
	"The database is older than what the client has seen."},
    [ERROR_INTERNAL] = {"internal", "The server failed."},
    [ERROR_CLIENT_STATE_NOT_FOUND] = {"ClientStateNotFound",
	"The server does not know this client."},
    [ERROR_VERSION_NOT_SUPPORTED_PUSH] = {"VersionNotSupported",
	"This version of the push request is not supported."},
    [ERROR_VERSION_NOT_SUPPORTED_PULL] = {"VersionNotSupported",
	"This version of the pull request is not supported."},
    [ERROR_VERSION_NOT_SUPPORTED_SCHEMA] = {"VersionNotSupported",
	"This schema version is not supported."},
    [ERROR_CONFIG] = {"config", "The server is not configured."},
};

/* The row of CODE; any number is safe. */
static const struct text *
find_text(enum error_code code)
{
	unsigned index = (unsigned)code;

	return &texts[index < ERROR_MAX ? index : ERROR_INTERNAL];
}

int
error_set(struct error *error, enum error_code code, const char *format, ...)
{
	va_list args;

	error->code = code;
	error->sqlstate[0] = '\0';
	va_start(args, format);
	if (vsnprintf(error->message, sizeof(error->message), format, args) < 0)
		error->message[0] = '\0';
	va_end(args);
	return -1;
}

int
error_set_sqlstate(struct error *error, const char *sqlstate)
{
	error->sqlstate[0] = '\0';
	if (sqlstate != NULL && strlen(sqlstate) == ERROR_SQLSTATE_SIZE - 1)
		memcpy(error->sqlstate, sqlstate, ERROR_SQLSTATE_SIZE);
	return -1;
}

void
error_reset(struct error *error)
{
	error->code = ERROR_NONE;
	error->sqlstate[0] = '\0';
	error->message[0] = '\0';
}

const char *
error_name(enum error_code code)
{
	return find_text(code)->name;
}

const char *
error_public_text(enum error_code code)
{
	return find_text(code)->public_text;
}
