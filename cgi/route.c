/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes.
 */
#include "config.h"

#include "route.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "auth.h"
#include "cors.h"
#include "error.h"
#include "faults.h"
#include "health.h"
#include "metrics_handle.h"
#include "poke.h"
#include "pull.h"
#include "push.h"
#include "settings.h"

struct route {
	const char *path;
	enum metrics_route name;
	unsigned methods; /* enum request_method, or-ed */
	bool identified;  /* it matters who asks */
	const char *allow;
	enum exchange_state (*handle)(struct exchange *exchange);
};

static const struct route routes[] = {
    {"/push", METRICS_PUSH, METHOD_POST, true, "Allow: POST, OPTIONS\r\n",
	push_handle},
    {"/pull", METRICS_PULL, METHOD_POST, true, "Allow: POST, OPTIONS\r\n",
	pull_handle},
    {"/poke", METRICS_POKE, METHOD_GET | METHOD_HEAD, true,
	"Allow: GET, HEAD, OPTIONS\r\n", poke_handle},
    {"/health", METRICS_HEALTH, METHOD_GET | METHOD_HEAD, false,
	"Allow: GET, HEAD, OPTIONS\r\n", health_handle},
    {"/metrics", METRICS_METRICS, METHOD_GET | METHOD_HEAD, false,
	"Allow: GET, HEAD, OPTIONS\r\n", metrics_handle},
};

static const struct route *
find(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	return NULL;
}

void
route_refuse(struct exchange *exchange, const struct error *error)
{
	exchange->error = *error;
	response_error(&exchange->response, &exchange->request, error);
}

static enum exchange_state
refuse(struct exchange *exchange, enum error_code code)
{
	struct error error;

	error_set(&error, code, "%s", exchange->request.path);
	route_refuse(exchange, &error);
	return EXCHANGE_ANSWERED;
}

/* On errors too: else a page could not tell 401 from no network. */
static void
allow_origin(struct exchange *exchange)
{
	const struct settings *settings = exchange->app->settings;
	const char *allowed = settings->allowed_origins;
	struct response *response = &exchange->response;

	response->vary = allowed[0] != '\0';
	response->origin = cors_allow(
	    allowed, exchange->request.origin, &response->origin_length);
	response->credentials =
	    auth_is_ambient(settings) &&
	    cors_is_named(allowed, exchange->request.origin);
}

/* What the preflight of a page of an allowed origin is answered. */
static const char *
preflight(struct exchange *exchange)
{
	static const char head[] = CORS_PREFLIGHT;
	char *text =
	    arena_alloc(&exchange->arena, sizeof(head) + CORS_HEADERS_MAX + 2);
	size_t n = sizeof(head) - 1;

	if (text == NULL)
		return "";
	memcpy(text, head, n);
	n += cors_headers(exchange->app->settings->jwt_header,
	    exchange->request.requested_headers, text + n);
	memcpy(text + n, "\r\n", 3);
	return text;
}

/* What can be refused before the body is read, and after. */
static int
admit(struct exchange *exchange, const struct route *route, struct error *error)
{
	struct request *request = &exchange->request;
	struct app *app = exchange->app;

	if (route->identified &&
	    auth_identify(app->auth, request, &exchange->arena,
		&exchange->identity, error) < 0)
		return -1;
	if (request->method != METHOD_POST)
		return 0;
	return request_read_body(request, exchange->transport, app->settings,
	    &exchange->arena, error);
}

enum exchange_state
route_dispatch(struct exchange *exchange)
{
	struct request *request = &exchange->request;
	const struct route *route = find(request->path);
	struct error error;

	exchange->response.head_only = request->method == METHOD_HEAD;
	allow_origin(exchange);
	if (route == NULL)
		return refuse(exchange, ERROR_NOT_FOUND);
	/* The transport may be gone before the exchange is. */
	request->path = route->path;
	exchange->route = route->name;
	exchange->response.header = route->allow;
	if (request->method == METHOD_OPTIONS) {
		response_empty(&exchange->response, 204,
		    exchange->response.origin_length > 0 ? preflight(exchange)
							 : route->allow);
		return EXCHANGE_ANSWERED;
	}
	if ((request->method & route->methods) == 0)
		return refuse(exchange, ERROR_METHOD_NOT_ALLOWED);
	exchange->response.header = "";
	if (admit(exchange, route, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	FAULT(REQUEST_READ);
	return route->handle(exchange);
}
