/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading the request.
 */
#include "config.h"

#include "request.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "error.h"
#include "settings.h"
#include "transport.h"

/* Room for a first part of a body whose length is not told. */
#define BODY_FIRST 16384

static const char *
param(struct transport *transport, const char *name)
{
	const char *value = transport->ops->param(transport, name);

	return value == NULL ? "" : value;
}

static enum request_method
parse_method(const char *name)
{
	static const struct {
		const char *name;
		enum request_method method;
	} methods[] = {{"POST", METHOD_POST}, {"GET", METHOD_GET},
	    {"HEAD", METHOD_HEAD}, {"OPTIONS", METHOD_OPTIONS}};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	return METHOD_OTHER;
}

/* The last segment of a URL's path, or "" unless it is one of plain letters: a
 * web server that sets no PATH_INFO has not decoded it either. */
static const char *
last_segment(const char *uri)
{
	static const char *const known[] = {
	    "/push", "/pull", "/poke", "/health", "/metrics"};
	size_t length = strcspn(uri, "?");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i]);

		if (n <= length && memcmp(uri + length - n, known[i], n) == 0)
			return known[i];
	}
	return "";
}

static void
copy_id(char *to, const char *from)
{
	size_t length =
	    strspn(from, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789_.:-");

	to[0] = '\0';
	if (length <= REQUEST_ID_MAX && from[length] == '\0')
		memcpy(to, from, length + 1);
}

/* The value of the header NAME, as CGI has it (RFC 3875 section 4.1.18). */
static const char *
header(struct transport *transport, const char *name)
{
	char variable[8 + SETTINGS_HEADER_MAX] = "HTTP_";
	size_t n = strlen(variable);

	if (name[0] == '\0')
		return "";
	for (; *name != '\0' && n + 1 < sizeof(variable); name++)
		variable[n++] =
		    (char)(*name == '-' ? '_' : toupper((unsigned char)*name));
	variable[n] = '\0';
	return param(transport, variable);
}

/* The first that is there: a header of the operator's choice, the usual one,
 * and what Apache makes of that with mod_rewrite and FcgidPassHeader. */
static const char *
read_authorization(struct transport *transport, const struct settings *settings)
{
	static const char *const names[] = {"HTTP_AUTHORIZATION",
	    "REDIRECT_HTTP_AUTHORIZATION", "Authorization"};
	const char *value = header(transport, settings->jwt_header);

	for (size_t i = 0;
	     value[0] == '\0' && i < sizeof(names) / sizeof(names[0]); i++)
		value = param(transport, names[i]);
	return value;
}

static const char *
read_user(struct transport *transport)
{
	const char *user = param(transport, "REMOTE_USER");

	return user[0] != '\0' ? user
			       : param(transport, "REDIRECT_REMOTE_USER");
}

void
request_read_head(struct request *request, struct transport *transport,
    const struct settings *settings)
{
	memset(request, 0, sizeof(*request));
	request->method = parse_method(param(transport, "REQUEST_METHOD"));
	request->path = transport->ops->param(transport, "PATH_INFO");
	if (request->path == NULL)
		request->path = last_segment(param(transport, "REQUEST_URI"));
	copy_id(request->id, param(transport, "HTTP_X_REPLICACHE_REQUESTID"));
	request->origin = param(transport, "HTTP_ORIGIN");
	request->requested_headers =
	    param(transport, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");
	request->site = param(transport, "HTTP_SEC_FETCH_SITE");
	request->host = param(transport, "HTTP_HOST");
	request->authorization = read_authorization(transport, settings);
	request->cookie = param(transport, "HTTP_COOKIE");
	request->user = read_user(transport);
	request->accept = param(transport, "HTTP_ACCEPT");
	request->query = param(transport, "QUERY_STRING");
	request->last_event_id = param(transport, "HTTP_LAST_EVENT_ID");
	request->content_type = param(transport, "CONTENT_TYPE");
	request->content_encoding = param(transport, "HTTP_CONTENT_ENCODING");
	request->content_length = param(transport, "CONTENT_LENGTH");
}

/* True for application/json, alone or with charset=utf-8. */
static bool
is_json(const char *type)
{
	static const char json[] = "application/json";
	static const char charset[] = "charset=";

	if (strncasecmp(type, json, sizeof(json) - 1) != 0)
		return false;
	type += sizeof(json) - 1;
	type += strspn(type, " \t");
	if (*type == '\0')
		return true;
	if (*type++ != ';')
		return false;
	type += strspn(type, " \t");
	if (strncasecmp(type, charset, sizeof(charset) - 1) != 0)
		return *type == '\0';
	type += sizeof(charset) - 1;
	return strcasecmp(type, "utf-8") == 0 ||
	       strcasecmp(type, "\"utf-8\"") == 0;
}

static int
check_media_type(const struct request *request, struct error *error)
{
	if (!is_json(request->content_type))
		return error_set(error, ERROR_UNSUPPORTED_MEDIA_TYPE,
		    "Content-Type is not application/json");
	if (request->content_encoding[0] != '\0' &&
	    strcasecmp(request->content_encoding, "identity") != 0)
		return error_set(error, ERROR_UNSUPPORTED_MEDIA_TYPE,
		    "Content-Encoding is not supported");
	return 0;
}

/* Reads CONTENT_LENGTH: digits only; empty means unknown, SIZE_MAX. */
static int
parse_length(const char *text, size_t max, size_t *out, struct error *error)
{
	size_t length = 0;

	*out = SIZE_MAX;
	if (text[0] == '\0')
		return 0;
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 18)
		return error_set(error, ERROR_BAD_CONTENT_LENGTH,
		    "CONTENT_LENGTH is not a number of bytes");
	for (; *text != '\0'; text++)
		length = length * 10 + (size_t)(*text - '0');
	if (length > max)
		return error_set(error, ERROR_BODY_TOO_LARGE,
		    "CONTENT_LENGTH is above max_body");
	*out = length;
	return 0;
}

/* Reads up to SIZE bytes, fewer only at the end of the body. */
static int
read_full(struct transport *transport, char *to, size_t size, size_t *got,
    struct error *error)
{
	*got = 0;
	while (*got < size) {
		ssize_t n =
		    transport->ops->read(transport, to + *got, size - *got);

		if (n < 0)
			return error_set(error, ERROR_BODY_TRUNCATED,
			    "the body did not arrive whole");
		if (n == 0)
			return 0;
		*got += (size_t)n;
	}
	return 0;
}

/* A body of known length. */
static int
read_known(struct request *request, struct transport *transport, size_t length,
    struct arena *arena, struct error *error)
{
	char extra;
	size_t got;
	ssize_t more;

	request->body = arena_alloc(arena, length + 1);
	if (request->body == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	if (read_full(transport, request->body, length, &got, error) < 0)
		return -1;
	if (got < length)
		return error_set(error, ERROR_BODY_TRUNCATED,
		    "the body is shorter than CONTENT_LENGTH");
	more = transport->ops->read(transport, &extra, 1);
	if (more < 0)
		return error_set(error, ERROR_BODY_TRUNCATED,
		    "the request was cut behind its body");
	if (more > 0)
		return error_set(error, ERROR_BODY_MISMATCH,
		    "the body is longer than CONTENT_LENGTH");
	request->body_length = length;
	return 0;
}

/* A body that ends where it ends. */
static int
read_unknown(struct request *request, struct transport *transport, size_t max,
    struct arena *arena, struct error *error)
{
	size_t room = BODY_FIRST, used = 0, got;
	char *body = arena_alloc(arena, room + 1);

	for (;;) {
		char *larger;

		if (body == NULL)
			return error_set(
			    error, ERROR_UNAVAILABLE, "out of memory");
		if (read_full(
			transport, body + used, room - used, &got, error) < 0)
			return -1;
		used += got;
		if (used > max)
			return error_set(error, ERROR_BODY_TOO_LARGE,
			    "the body is above max_body");
		if (used < room)
			break;
		room *= 2;
		larger = arena_alloc(arena, room + 1);
		if (larger != NULL)
			memcpy(larger, body, used);
		body = larger;
	}
	request->body = body;
	request->body_length = used;
	return 0;
}

int
request_read_body(struct request *request, struct transport *transport,
    const struct settings *settings, struct arena *arena, struct error *error)
{
	size_t max = (size_t)settings->max_body, length;
	int rc;

	if (check_media_type(request, error) < 0 ||
	    parse_length(request->content_length, max, &length, error) < 0)
		return -1;
	if (length == SIZE_MAX)
		rc = read_unknown(request, transport, max, arena, error);
	else
		rc = read_known(request, transport, length, arena, error);
	if (rc == 0)
		request->body[request->body_length] = '\0';
	return rc;
}
