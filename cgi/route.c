/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes.
 */
#include "config.h"

#include "route.h"

#include <stddef.h>
#include <string.h>

#include "app.h"
#include "cors.h"
#include "error.h"
#include "health.h"
#include "log.h"
#include "metrics_handle.h"
#include "poke.h"
#include "pull.h"
#include "push.h"
#include "settings.h"

struct route {
	const char *path;
	enum metrics_route name;
	unsigned methods; /* enum request_method, or-ed */
	const char *allow;
	enum exchange_state (*handle)(struct exchange *exchange);
};

static const struct route routes[] = {
    {"/push", METRICS_PUSH, METHOD_POST, "Allow: POST, OPTIONS\r\n",
	push_handle},
    {"/pull", METRICS_PULL, METHOD_POST, "Allow: POST, OPTIONS\r\n",
	pull_handle},
    {"/poke", METRICS_POKE, METHOD_GET | METHOD_HEAD,
	"Allow: GET, HEAD, OPTIONS\r\n", poke_handle},
    {"/health", METRICS_HEALTH, METHOD_GET | METHOD_HEAD,
	"Allow: GET, HEAD, OPTIONS\r\n", health_handle},
    {"/metrics", METRICS_METRICS, METHOD_GET | METHOD_HEAD,
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
	const char *path = exchange->request.path;

	response_error(&exchange->response, &exchange->request, error);
	if (exchange->response.status >= 500)
		log_warning("%s %d %s: %s%s%s (request %s)", path,
		    exchange->response.status, error_name(error->code),
		    error->sqlstate, error->sqlstate[0] == '\0' ? "" : " ",
		    error->message, exchange->request.id);
	else
		log_debug("%s %d %s: %s", path, exchange->response.status,
		    error_name(error->code), error->message);
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
	const char *allowed = exchange->app->settings->allowed_origins;
	struct response *response = &exchange->response;

	response->vary = allowed[0] != '\0';
	response->origin = cors_allow(
	    allowed, exchange->request.origin, &response->origin_length);
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
		    exchange->response.origin_length > 0 ? CORS_PREFLIGHT
							 : route->allow);
		return EXCHANGE_ANSWERED;
	}
	if ((request->method & route->methods) == 0)
		return refuse(exchange, ERROR_METHOD_NOT_ALLOWED);
	exchange->response.header = "";
	if (request->method == METHOD_POST &&
	    request_read_body(request, exchange->transport,
		exchange->app->settings, &exchange->arena, &error) < 0) {
		route_refuse(exchange, &error);
		return EXCHANGE_ANSWERED;
	}
	return route->handle(exchange);
}
