/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The transport of plain CGI.
 */
#include "config.h"

#include "oneshot.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "clock.h"
#include "exchange.h"
#include "settings.h"
#include "transport.h"

extern char **environ;

struct oneshot {
	struct transport base;
	int64_t deadline; /* clock_ms() by which the request must be there */
	bool length_known;
	size_t left; /* of CONTENT_LENGTH */
};

bool
oneshot_wanted(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL ||
	       getenv("REQUEST_METHOD") != NULL;
}

void
oneshot_clean_environment(void)
{
	/* HTTP_PROXY is the client's Proxy header ("httpoxy"). */
	unsetenv("HTTP_PROXY");
	for (char **entry = environ; entry != NULL && *entry != NULL;) {
		char name[64];
		size_t length = strcspn(*entry, "=");

		if (strncmp(*entry, "PG", 2) != 0 || length >= sizeof(name)) {
			entry++;
			continue;
		}
		memcpy(name, *entry, length);
		name[length] = '\0';
		unsetenv(name);
		entry = environ;
	}
}

static const char *
get_param(struct transport *transport, const char *name)
{
	(void)transport;
	return getenv(name);
}

/* Waits until standard input can be read; false when it is too late. */
static bool
wait_input(int64_t deadline)
{
	struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
	int64_t left = deadline - clock_ms();

	if (left < 0)
		left = 0;
	return poll(&pfd, 1, left > INT_MAX ? INT_MAX : (int)left) > 0;
}

/*
 * A web server may leave the pipe open behind the body (RFC 3875 section 4.2),
 * so nothing is waited for beyond CONTENT_LENGTH; but more that is there
 * already is read, to be refused.
 */
static ssize_t
read_body(struct transport *transport, char *to, size_t size)
{
	struct oneshot *oneshot = (struct oneshot *)transport;
	bool beyond = oneshot->length_known && oneshot->left == 0;
	ssize_t n;

	if (!wait_input(beyond ? 0 : oneshot->deadline))
		return beyond ? 0 : -1;
	if (oneshot->length_known && !beyond && size > oneshot->left)
		size = oneshot->left;
	do {
		n = read(STDIN_FILENO, to, size);
	} while (n < 0 && errno == EINTR);
	if (n > 0 && oneshot->length_known && !beyond)
		oneshot->left -= (size_t)n;
	return n < 0 && beyond ? 0 : n;
}

static int
write_answer(struct transport *transport, const char *bytes, size_t size)
{
	(void)transport;
	while (size > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * The process ends with the request, and so does its output: what was cut does
 * not parse (pull.c). A body that was refused is read to its end first:
 * Apache's mod_cgid has one socket for both directions, which, closed with
 * bytes unread in it, loses the answer. Where no length was told there may be
 * no body, and nothing is waited for, unless it comes in chunks.
 */
static void
end(struct transport *transport, bool whole)
{
	struct oneshot *oneshot = (struct oneshot *)transport;
	char rest[4096];

	(void)whole;
	if (!oneshot->length_known && getenv("HTTP_TRANSFER_ENCODING") == NULL)
		oneshot->deadline = 0;
	while (read_body(transport, rest, sizeof(rest)) > 0)
		;
}

static const struct transport_ops ops = {
    .param = get_param,
    .read = read_body,
    .write = write_answer,
    .end = end,
};

/* With one thread a parked exchange is resumed before it was left. */
static void
resume(struct app *app, struct exchange *exchange)
{
	(void)app;
	exchange_resume(exchange);
}

void
oneshot_run(struct app *app)
{
	const char *length = getenv("CONTENT_LENGTH");
	struct oneshot oneshot = {.base.ops = &ops,
	    .deadline = clock_ms() + app->settings->request_timeout};

	if (length != NULL && length[0] != '\0') {
		oneshot.length_known = true;
		oneshot.left = (size_t)strtoull(length, NULL, 10);
	}
	app->resume = resume;
	exchange_run(app, &oneshot.base);
}
