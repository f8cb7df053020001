/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Writing the answer.
 */
#include "config.h"

#include "response.h"

#include <inttypes.h>
#include <stdio.h>

#include "cors.h"
#include "error.h"
#include "faults.h"
#include "jsonw.h"
#include "request.h"
#include "transport.h"

/* What one row may take (patch.h), and the piece before it. A browser has no
 * longer strings. */
#define RESPONSE_BODY_MAX ((size_t)512 * 1024 * 1024)

/* Error -> HTTP (protocol section 1). Replicache understands only 200 and
 * 401; any other status makes it try again later. */
static const struct {
	int status;
	const char *header;
} answers[ERROR_MAX] = {
    [ERROR_NONE] = {500, ""},
    [ERROR_NOT_FOUND] = {404, ""},
    [ERROR_METHOD_NOT_ALLOWED] = {405, ""},
    [ERROR_UNSUPPORTED_MEDIA_TYPE] = {415, ""},
    [ERROR_BAD_CONTENT_LENGTH] = {400, ""},
    [ERROR_BODY_TRUNCATED] = {400, ""},
    [ERROR_BODY_MISMATCH] = {400, ""},
    [ERROR_BODY_TOO_LARGE] = {413, ""},
    /* 401 has the client ask for a new token (protocol section 7.4), so it
     * is for nothing else. RFC 6750 section 3 has the header. */
    [ERROR_UNAUTHORIZED] = {401, "WWW-Authenticate: Bearer\r\n"},
    [ERROR_INVALID_TOKEN] = {401,
	"WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"},
    [ERROR_CROSS_SITE] = {403, ""},
    [ERROR_TOO_FAST] = {429, "Retry-After: 1\r\n"},
    [ERROR_INVALID_JSON] = {400, ""},
    [ERROR_TOO_DEEP] = {400, ""},
    [ERROR_TOO_MANY_TOKENS] = {413, ""},
    [ERROR_INVALID_REQUEST] = {400, ""},
    [ERROR_INVALID_ID] = {400, ""},
    /* A client that sends version 0 does not know VersionNotSupported: it
     * takes a push for done, and is offline for ever without a word. At
     * ClientStateNotFound it loads the page again and again. A status has its
     * console show the message, and it keeps what it has not pushed. */
    [ERROR_CLIENT_TOO_OLD] = {400, ""},
    [ERROR_MUTATION_GAP] = {409, ""},
    [ERROR_FORBIDDEN] = {403, ""},
    [ERROR_UNAVAILABLE] = {503, "Retry-After: 1\r\n"},
    [ERROR_POKE_FULL] = {503, "Retry-After: 30\r\n"},
    [ERROR_POKE_USER_FULL] = {429, "Retry-After: 30\r\n"},
    [ERROR_COOKIE_FROM_FUTURE] = {503, "Retry-After: 60\r\n"},
    [ERROR_INTERNAL] = {500, ""},
    [ERROR_CLIENT_STATE_NOT_FOUND] = {200, ""},
    [ERROR_VERSION_NOT_SUPPORTED_PUSH] = {200, ""},
    [ERROR_VERSION_NOT_SUPPORTED_PULL] = {200, ""},
    [ERROR_VERSION_NOT_SUPPORTED_SCHEMA] = {200, ""},
    [ERROR_CONFIG] = {500, ""},
};

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 415:
		return "Unsupported Media Type";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

void
response_init(struct response *response, struct transport *transport)
{
	*response = (struct response){.transport = transport,
	    .header = "",
	    .type = "application/json",
	    .cache = "no-store"};
	buffer_init(&response->body, RESPONSE_BODY_MAX);
}

void
response_fini(struct response *response)
{
	buffer_fini(&response->body);
}

void
response_json(struct response *response, int status, const char *body)
{
	buffer_reset(&response->body);
	buffer_append_string(&response->body, body);
	response->status = status;
	response->header = "";
}

void
response_empty(struct response *response, int status, const char *header)
{
	buffer_reset(&response->body);
	response->status = status;
	response->header = header;
}

/* The two errors that Replicache reads out of a 200 (protocol section 6). */
static void
write_told_error(struct buffer *body, enum error_code code)
{
	buffer_append_string(body, "{\"error\":\"");
	buffer_append_string(body, error_name(code));
	buffer_append_byte(body, '"');
	if (code == ERROR_VERSION_NOT_SUPPORTED_PUSH)
		buffer_append_string(body, ",\"versionType\":\"push\"");
	if (code == ERROR_VERSION_NOT_SUPPORTED_PULL)
		buffer_append_string(body, ",\"versionType\":\"pull\"");
	if (code == ERROR_VERSION_NOT_SUPPORTED_SCHEMA)
		buffer_append_string(body, ",\"versionType\":\"schema\"");
	buffer_append_byte(body, '}');
}

void
response_error(struct response *response, const struct request *request,
    const struct error *error)
{
	struct buffer *body = &response->body;
	const char *header = answers[error->code].header;

	if (error->code == ERROR_METHOD_NOT_ALLOWED)
		header = response->header; /* the route's Allow */
	buffer_reset(body);
	response->status = answers[error->code].status;
	response->header = header;
	if (response->status == 200) {
		write_told_error(body, error->code);
		return;
	}
	buffer_append_string(body, "{\"error\":\"");
	buffer_append_string(body, error_name(error->code));
	buffer_append_string(body, "\",\"message\":\"");
	buffer_append_string(body, error_public_text(error->code));
	buffer_append_string(body, "\",\"requestID\":\"");
	buffer_append_string(body, request->id);
	buffer_append_string(body, "\"}");
}

size_t
response_head(const struct response *response, size_t body, char *to)
{
	char length[64] = "", type[64] = "", cors[128 + ORIGIN_MAX] = "";
	int n;

	if (body != RESPONSE_UNSIZED && response->status != 204)
		snprintf(
		    length, sizeof(length), "Content-Length: %zu\r\n", body);
	if (response->status != 204)
		snprintf(
		    type, sizeof(type), "Content-Type: %s\r\n", response->type);
	if (response->origin_length > 0)
		snprintf(cors, sizeof(cors),
		    "Access-Control-Allow-Origin: %.*s\r\n%s",
		    response->origin_length, response->origin,
		    response->credentials ? CORS_CREDENTIALS : "");
	n = snprintf(to, RESPONSE_HEAD_MAX,
	    "Status: %d %s\r\n%s%s%s%s%s"
	    "Cache-Control: %s\r\n"
	    "X-Content-Type-Options: nosniff\r\n\r\n",
	    response->status, reason(response->status), type, length,
	    response->header, cors, response->vary ? "Vary: Origin\r\n" : "",
	    response->cache);
	return (size_t)n;
}

/* Sends the headers. */
static int
send_head(struct response *response, bool whole)
{
	struct transport *transport = response->transport;
	char head[RESPONSE_HEAD_MAX];
	/* The length of what HEAD is not told is not known either. */
	bool sized =
	    whole && (!response->head_only || response->body.length > 0);
	size_t n = response_head(
	    response, sized ? response->body.length : RESPONSE_UNSIZED, head);

	response->started = true;
	return transport->ops->write(transport, head, n);
}

/* The answer of which there is no memory for one. */
static int
send_unwritten(struct response *response)
{
	static const char text[] =
	    "{\"error\":\"unavailable\",\"message\":\"The service is "
	    "unavailable for now; try again.\",\"requestID\":\"\"}";
	struct transport *transport = response->transport;
	char head[RESPONSE_HEAD_MAX];
	size_t n;

	response->status = answers[ERROR_UNAVAILABLE].status;
	response->header = answers[ERROR_UNAVAILABLE].header;
	response->type = "application/json";
	response->cache = "no-store";
	n = response_head(response, sizeof(text) - 1, head);
	response->started = true;
	if (transport->ops->write(transport, head, n) < 0)
		return -1;
	if (response->head_only)
		return 0;
	response->sent += sizeof(text) - 1;
	return transport->ops->write(transport, text, sizeof(text) - 1);
}

static int
send_body(struct response *response, bool whole)
{
	struct buffer *body = &response->body;
	struct transport *transport = response->transport;
	int rc = 0;

	if (response->broken)
		return -1;
	if (!response->started)
		rc = send_head(response, whole);
	if (rc == 0 && body->length > 0 && !response->head_only)
		rc = transport->ops->write(transport, body->data, body->length);
	response->sent += body->length;
	buffer_reset(body);
	response->broken = rc < 0;
	return rc;
}

int
response_flush(struct response *response)
{
	if (response->broken || response->body.failure != BUFFER_GOOD)
		return -1;
	if (response->body.length < RESPONSE_PIECE)
		return 0;
	response->status = 200;
	if (send_body(response, false) < 0)
		return -1;
	FAULT(PIECE_SENT);
	return 0;
}

bool
response_end(struct response *response)
{
	if (response->body.failure == BUFFER_GOOD)
		return send_body(response, true) == 0;
	/* An empty 200 would be taken for the answer. */
	return !response->started && send_unwritten(response) == 0;
}
