/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What Replicache clients send, and what a server must answer.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static void
begin(struct client *client, const char *path, const char *body, size_t length)
{
	char headers[160 + LOAD_TOKEN_MAX], where[128];
	const struct options *o = &client->load->options;

	snprintf(headers, sizeof(headers),
	    "Accept: */*\r\nAuthorization: %s\r\n"
	    "X-Replicache-RequestID: %s%09d-1f2e3d4c-0\r\n",
	    o->token, o->tag, client->number);
	snprintf(where, sizeof(where), "%s%s", o->prefix, path);
	http_begin(&client->http, where, headers, body, length);
}

/* A push of the mutations after FROM. */
static void
push_from(struct client *client, long from)
{
	struct load *load = client->load;
	const struct options *o = &load->options;
	/* A message of a number is none: its mutator raises an error. */
	const char *quote = client->number < o->failing ? "" : "\"";
	char *at = load->body;

	at += sprintf(at,
	    "{\"profileID\":\"p%s\",\"clientGroupID\":\"%s-g%08d\","
	    "\"mutations\":[",
	    o->tag, o->tag, client->number);
	for (long id = from + 1; id <= from + o->mutations; id++)
		at += sprintf(at,
		    "%s{\"id\":%ld,\"name\":\"createMessage\",\"args\":"
		    "{\"id\":\"%s-%d-%ld\",\"from\":%s%d%s,"
		    "\"content\":\"%s\",\"order\":%ld},"
		    "\"timestamp\":%ld.25,\"clientID\":\"%s-c%08d\"}",
		    id > from + 1 ? "," : "", id, o->tag, client->number, id,
		    quote, client->number, quote, load->text, id, 1000 + id,
		    o->tag, client->number);
	at += sprintf(at, "],\"pushVersion\":1,\"schemaVersion\":\"\"}");
	begin(client, "/push", load->body, (size_t)(at - load->body));
}

static void
request_push(struct client *client)
{
	push_from(client, client->confirmed);
}

static void
request_duplicate(struct client *client)
{
	push_from(client, client->confirmed - client->load->options.mutations);
}

static void
request_pull(struct client *client)
{
	struct load *load = client->load;
	const struct options *o = &load->options;
	int length = sprintf(load->body,
	    "{\"profileID\":\"p%s\",\"clientGroupID\":\"%s-g%08d\","
	    "\"cookie\":%s,\"pullVersion\":1,\"schemaVersion\":\"\"}",
	    o->tag, o->tag, client->number, load->cookie);

	begin(client, "/pull", load->body, (size_t)length);
}

static void
request_first(struct client *client)
{
	struct load *load = client->load;

	snprintf(
	    load->cookie, sizeof(load->cookie), "%s", load->options.cookie);
	request_pull(client);
}

/* Answers: what is wrong with one, or NULL. */

static const char *
fault_push(struct client *client)
{
	if (strcmp(http_body(&client->http), "{}") != 0)
		return "a push was not answered {}";
	client->confirmed += client->load->options.mutations;
	return NULL;
}

static const char *
fault_duplicate(struct client *client)
{
	return strcmp(http_body(&client->http), "{}") == 0
		   ? NULL
		   : "a repeated push was not answered {}";
}

/* Copies the cookie of a pull's answer; false if it has none. */
static bool
read_cookie(const struct client *client, char *cookie, size_t size)
{
	const char *body = http_body(&client->http);
	const char *at = strstr(body, "\"cookie\":");
	size_t length, whole = client->http.body_length;

	if (at == NULL || whole == 0 || body[whole - 1] != '}')
		return false;
	at += strlen("\"cookie\":");
	length = strspn(at, "0123456789");
	if (length == 0 || length >= size)
		return false;
	memcpy(cookie, at, length);
	cookie[length] = '\0';
	return true;
}

static const char *
fault_idle(struct client *client)
{
	char cookie[32];

	if (!read_cookie(client, cookie, sizeof(cookie)) ||
	    strcmp(cookie, client->load->cookie) != 0)
		return "a pull of nothing brought another cookie";
	return strstr(http_body(&client->http), "\"patch\":[]") != NULL
		   ? NULL
		   : "a pull of nothing brought something";
}

static size_t
count_puts(const struct client *client)
{
	size_t puts = 0;

	for (const char *at = http_body(&client->http);
	     (at = strstr(at, "\"op\":\"put\"")) != NULL; at++)
		puts++;
	return puts;
}

static const char *
fault_behind(struct client *client)
{
	char cookie[32];

	if (!read_cookie(client, cookie, sizeof(cookie)) ||
	    strcmp(cookie, client->load->cookie) == 0)
		return "a pull behind brought no new cookie";
	return count_puts(client) == (size_t)client->load->options.mutations
		   ? NULL
		   : "a pull behind did not bring what was written";
}

static const char *
fault_first(struct client *client)
{
	struct load *load = client->load;

	if (!read_cookie(client, load->cookie, sizeof(load->cookie)))
		return "a first pull is not whole";
	load->bytes = client->http.body_length;
	return NULL;
}

static const char *
fault_none(struct client *client)
{
	return client->http.body_length > 0 ? NULL : "an empty answer";
}

/* The modes. */

static void
run_push(struct load *load)
{
	clients_loop(load, request_push, fault_push);
}

static void
run_duplicate(struct load *load)
{
	clients_once(
	    load, 0, load->options.connections, request_push, fault_push);
	clients_loop(load, request_duplicate, fault_duplicate);
}

static void
run_idle(struct load *load)
{
	clients_once(load, 0, 1, request_first, fault_first);
	clients_loop(load, request_pull, fault_idle);
}

static void
run_constant(struct load *load)
{
	strcpy(load->cookie, "1");
	clients_loop(load, request_pull, fault_none);
}

/* One writes, then all pull at once what was written. Only the pulls count. */
static void
run_storm(struct load *load)
{
	const struct options *o = &load->options;
	int64_t now, warm_us, end_us;
	int writer = o->connections;

	clients_once(load, 0, 1, request_first, fault_first);
	now = http_clock_us();
	warm_us = now + (int64_t)(o->warmup * 1e6);
	end_us = warm_us + (int64_t)(o->seconds * 1e6);
	while (now < end_us || load->done == 0) {
		clients_once(
		    load, writer, writer + 1, request_push, fault_push);
		load->measuring = now >= warm_us;
		clients_once(
		    load, 0, o->connections, request_pull, fault_behind);
		load->measuring = false;
		read_cookie(
		    &load->clients[0], load->cookie, sizeof(load->cookie));
		now = http_clock_us();
	}
}

static void
run_first(struct load *load)
{
	for (long i = 0; i <= load->options.count; i++) {
		load->measuring = i > 0;
		clients_once(load, 0, load->options.connections, request_first,
		    fault_first);
	}
	load->rows = count_puts(&load->clients[0]);
}

const struct traffic traffic[] = {
    {"push", "new mutations", run_push},
    {"duplicate", "one push, again and again", run_duplicate},
    {"idle", "pulls that bring nothing", run_idle},
    {"storm", "one writes, then all pull at once", run_storm},
    {"first", "pulls with --cookie, --count times", run_first},
    {"constant", "as idle, whatever is answered", run_constant},
    {NULL, NULL, NULL},
};

/* Words such as a chat has: an escape and a few letters beyond ASCII. */
static char *
make_text(int length)
{
	static const char words[] = "the na\xc3\xafve \\\"bench\\\" says ";
	size_t each = sizeof(words) - 1, size = (size_t)length + 1;
	char *text = malloc(size + each);

	if (text == NULL)
		load_die("malloc");
	text[0] = '\0';
	for (size_t n = 0; n + each < size; n += each)
		memcpy(text + n, words, each + 1);
	for (size_t n = strlen(text); n < size - 1; n++)
		memcpy(text + n, ".", 2);
	return text;
}

void
traffic_prepare(struct load *load)
{
	const struct options *o = &load->options;

	load->text = make_text(o->content);
	load->body =
	    malloc(1024 + (size_t)o->mutations * ((size_t)o->content + 320));
	if (load->body == NULL)
		load_die("malloc");
}
