/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Connecting, with a deadline for each host.
 *
 * libpq's own connect_timeout does not hold for who connects without blocking,
 * and a host that takes the connection but never answers would be waited for as
 * long as the caller likes. There is no asking libpq to leave it for the next
 * one, so it begins anew with those hosts that are left.
 */
#include "config.h"

#include "db_connect.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "settings.h"

/* Where to connect to, in place of what the conninfo says: lists with commas.
 * NULL: the conninfo's. */
struct hosts {
	char *host, *hostaddr, *port;
};

enum outcome {
	CONNECTED,
	REFUSED, /* by all */
	SILENT,  /* the one that is tried now */
};

static void
hosts_fini(struct hosts *hosts)
{
	free(hosts->host);
	free(hosts->hostaddr);
	free(hosts->port);
}

static size_t
list_length(const char *list)
{
	size_t n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* Element N of LIST, and its length; of a list of one, that one. */
static const char *
list_at(const char *list, size_t n, size_t *length_out)
{
	if (list_length(list) == 1)
		n = 0;
	for (; n > 0; n--)
		list += strcspn(list, ",") + 1;
	*length_out = strcspn(list, ",");
	return list;
}

static bool
list_has(const char *list, size_t n, const char *text)
{
	size_t length;
	const char *at = list_at(list, n, &length);

	return strlen(text) == length && memcmp(at, text, length) == 0;
}

/* Takes element N out of LIST, unless it is one for all. */
static void
list_drop(char *list, size_t n)
{
	size_t length;
	char *at = list + (list_at(list, n, &length) - list);

	if (list_length(list) == 1)
		return;
	if (at[length] == ',')
		memmove(at, at + length + 1, strlen(at + length + 1) + 1);
	else
		at[-1] = '\0';
}

/* A copy of what KEYWORD is, "" if nothing is said. */
static char *
copy_option(const PQconninfoOption *options, const char *keyword)
{
	while (
	    options->keyword != NULL && strcmp(options->keyword, keyword) != 0)
		options++;
	return strdup(options->keyword == NULL || options->val == NULL
			  ? ""
			  : options->val);
}

/* What the conninfo came to: also by a service or the environment. */
static int
read_hosts(PGconn *conn, struct hosts *hosts)
{
	PQconninfoOption *options = PQconninfo(conn);

	if (options == NULL)
		return -1;
	hosts->host = copy_option(options, "host");
	hosts->hostaddr = copy_option(options, "hostaddr");
	hosts->port = copy_option(options, "port");
	PQconninfoFree(options);
	return hosts->host == NULL || hosts->hostaddr == NULL ||
		       hosts->port == NULL
		   ? -1
		   : 0;
}

/* Takes the host that CONN is at out of HOSTS; false if no other is left. */
static bool
leave_host(PGconn *conn, struct hosts *hosts)
{
	const char *names;

	if (hosts->host == NULL && read_hosts(conn, hosts) < 0)
		return false;
	names = hosts->host[0] != '\0' ? hosts->host : hosts->hostaddr;
	for (size_t n = 0, count = list_length(names); n < count; n++) {
		if (count == 1 || !list_has(names, n, PQhost(conn)) ||
		    !list_has(hosts->port, n, PQport(conn)))
			continue;
		list_drop(hosts->host, n);
		list_drop(hosts->hostaddr, n);
		list_drop(hosts->port, n);
		return true;
	}
	return false;
}

bool
db_connect_wait(PGconn *conn, short events, int64_t deadline)
{
	struct pollfd pfd = {.fd = PQsocket(conn), .events = events};

	for (;;) {
		int64_t left = deadline - clock_ms();
		int n;

		if (left <= 0)
			return false;
		n = poll(&pfd, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static PGconn *
start(const char *database, const struct hosts *hosts)
{
	/* The later wins: ours are defaults, but for the encoding. */
	const char *const keywords[] = {"fallback_application_name",
	    "keepalives_idle", "keepalives_interval", "keepalives_count",
	    "tcp_user_timeout", "dbname", "client_encoding", "host", "hostaddr",
	    "port", NULL};
	const char *const values[] = {program_invocation_short_name, "15", "5",
	    "3", "10000", database, "UTF8", hosts->host, hosts->hostaddr,
	    hosts->port, NULL};

	return PQconnectStartParams(keywords, values, 1);
}

static enum outcome
await(PGconn *conn, long patience)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	int64_t deadline = clock_ms() + patience;
	const char *host = PQhost(conn);

	while (PQstatus(conn) != CONNECTION_BAD) {
		if (state == PGRES_POLLING_OK)
			return CONNECTED;
		if (state == PGRES_POLLING_FAILED)
			return REFUSED;
		if (!db_connect_wait(conn,
			state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			deadline))
			return SILENT;
		state = PQconnectPoll(conn);
		/* libpq lends the same text as long as it is at a host. */
		if (PQhost(conn) != host) {
			host = PQhost(conn);
			deadline = clock_ms() + patience;
		}
	}
	return REFUSED;
}

static void
fail(struct error *error, const char *sqlstate, const char *message)
{
	error_set(error, ERROR_UNAVAILABLE, "%s", message);
	snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
}

PGconn *
db_connect(
    const struct settings *settings, const char *database, struct error *error)
{
	struct hosts hosts = {NULL, NULL, NULL};
	PGconn *conn;

	fail(error, "53200", "out of memory");
	while ((conn = start(database, &hosts)) != NULL) {
		enum outcome outcome = await(conn, settings->connect_timeout);

		if (outcome == CONNECTED)
			break;
		if (outcome == REFUSED)
			fail(error, "08001", PQerrorMessage(conn));
		else
			fail(error, "08001",
			    "no connection within connect_timeout");
		if (outcome == REFUSED || !leave_host(conn, &hosts)) {
			PQfinish(conn);
			conn = NULL;
			break;
		}
		PQfinish(conn);
	}
	hosts_fini(&hosts);
	return conn;
}
