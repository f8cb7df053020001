/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * GET /poke: tells a client when there is something to pull.
 *
 * With `Accept: text/event-stream`, a stream: `event: poke` with the version as
 * `id:` and `data:` for each change. Else a poll: `{"version":M}`, once the
 * version has passed the client's or poke_wait is over. A client states the
 * version it knows by Last-Event-ID or `?version=N`; one that is behind, or
 * states none, is told at once, so nothing is missed between two requests.
 *
 * A version tells nobody anything of the data, so there is none to keep from
 * whoever may pull.
 *
 * As a CGI program, and below mod_fcgid, where a process serves one request at
 * a time and its output is held back, nothing can wait: a stream is answered by
 * 204, which tells an EventSource to stop, and a poll at once.
 */
#include "config.h"

#include "poke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "db.h"
#include "error.h"
#include "faults.h"
#include "pool.h"
#include "route.h"
#include "settings.h"
#include "stream.h"
#include "streams.h"
#include "transport.h"

/* Digits of a version: any below 2^53 has 16. */
#define POKE_DIGITS_MAX 18

/* The version TEXT begins with, up to its end or an END; 0 if that is none. */
static int64_t
parse_version(const char *text, char end)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > POKE_DIGITS_MAX ||
	    (text[digits] != '\0' && text[digits] != end))
		return 0;
	return strtoll(text, NULL, 10);
}

/* What the client knows of. EventSource repeats the URL that it was opened
 * with, so the ID of the last event is newer than what that says. */
static int64_t
known_version(const struct request *request)
{
	static const char name[] = "version=";
	int64_t version = parse_version(request->last_event_id, '\0');
	const char *at = request->query;

	while (version == 0 && at != NULL) {
		if (strncmp(at, name, sizeof(name) - 1) == 0)
			version = parse_version(at + sizeof(name) - 1, '&');
		at = strchr(at, '&');
		if (at != NULL)
			at++;
	}
	return version;
}

static int
read_version(struct app *app, int64_t *version, struct error *error)
{
	struct db *db = pool_get(app->pool, error);
	struct db_result *result = NULL;
	int rc = -1;

	if (db != NULL &&
	    db_send_id(db, STATEMENT_CURRENT_VERSION, 0, NULL, error) == 0 &&
	    db_sync(db, error) == 0 && db_take(db, &result, error) == 0)
		rc = db_finish(db, error);
	if (rc == 0)
		*version = db_int64(result, 0, 0);
	db_result_free(result);
	pool_put(app->pool, db);
	return rc;
}

static enum exchange_state
refuse(struct exchange *exchange, const struct error *error)
{
	route_refuse(exchange, error);
	return EXCHANGE_ANSWERED;
}

static enum exchange_state
answer(struct exchange *exchange, int64_t version)
{
	char body[64];

	snprintf(body, sizeof(body), STREAM_ANSWER, version);
	response_json(&exchange->response, 200, body);
	return EXCHANGE_ANSWERED;
}

/* Answers with the version of the database as it is. */
static enum exchange_state
answer_at_once(struct exchange *exchange)
{
	struct error error;
	int64_t version = 0;

	if (read_version(exchange->app, &version, &error) < 0)
		return refuse(exchange, &error);
	return answer(exchange, version);
}

/* Hands the request over to the streams. */
static enum exchange_state
hold(struct exchange *exchange, struct stream *stream)
{
	struct response *response = &exchange->response;
	struct streams *streams = exchange->app->streams;
	struct transport_taken taken;
	char head[RESPONSE_HEAD_MAX];
	size_t length;

	response->status = 200;
	stream->origin = response->origin;
	stream->origin_length = response->origin_length;
	stream->vary = response->vary;
	length = response_head(response, RESPONSE_UNSIZED, head);
	if (exchange->transport->ops->take(exchange->transport, &taken) < 0) {
		streams_dismiss(streams, stream);
		return EXCHANGE_CUT;
	}
	FAULT(STREAM_TAKEN);
	streams_add(streams, stream, &taken, head, length);
	FAULT(STREAM_ADDED);
	return EXCHANGE_TAKEN;
}

/* An event stream's head. */
static void
begin_events(struct response *response)
{
	response->status = 200;
	response->type = "text/event-stream";
	response->cache = "no-cache, no-transform";
	response->header = "X-Accel-Buffering: no\r\n";
}

static bool
wants_events(const struct request *request)
{
	return strcasestr(request->accept, "text/event-stream") != NULL;
}

/* What can be held of KIND here. */
static bool
may_hold(const struct exchange *exchange, enum stream_kind kind)
{
	const struct app *app = exchange->app;

	if (app->streams == NULL || exchange->transport->ops->take == NULL)
		return false;
	return app->poke == POKE_STREAM ||
	       (app->poke == POKE_LONGPOLL && kind == STREAM_POLL);
}

enum exchange_state
poke_handle(struct exchange *exchange)
{
	const struct settings *settings = exchange->app->settings;
	const struct request *request = &exchange->request;
	enum stream_kind kind =
	    wants_events(request) ? STREAM_EVENTS : STREAM_POLL;
	struct streams *streams = exchange->app->streams;
	int64_t known = known_version(request);
	bool holds = may_hold(exchange, kind);
	struct stream *stream;
	struct error error;

	if (kind == STREAM_EVENTS && !holds) {
		response_empty(&exchange->response, 204, "");
		return EXCHANGE_ANSWERED;
	}
	if (kind == STREAM_EVENTS && request->method == METHOD_HEAD) {
		begin_events(&exchange->response);
		return EXCHANGE_ANSWERED;
	}
	if (!holds || request->method == METHOD_HEAD)
		return answer_at_once(exchange);
	if (kind == STREAM_POLL && streams_version(streams) > known)
		return answer(exchange, streams_version(streams));
	stream = streams_admit(streams, kind, known,
	    settings->auth == AUTH_NONE ? NULL : exchange->identity.user,
	    &error);
	if (stream == NULL)
		return refuse(exchange, &error);
	if (kind == STREAM_EVENTS)
		begin_events(&exchange->response);
	return hold(exchange, stream);
}
