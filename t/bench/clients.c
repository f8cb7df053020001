/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The loop: requests out, answers in, times noted.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load.h"

#define ANSWER_SECONDS 120 /* longer than any server's own patience */
#define ERRORS_MAX 100000

static void
watch(struct client *client, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = client};

	if (epoll_ctl(client->load->epoll, operation, client->http.fd, &event) <
	    0)
		load_die("epoll_ctl");
}

static void
connect_client(struct client *client)
{
	client->http.fastcgi = client->load->options.fastcgi;
	if (http_connect(&client->http, &client->load->options.address) < 0)
		load_die("connect");
	watch(client, EPOLL_CTL_ADD, EPOLLIN);
}

static void
note_error(struct client *client, const char *what)
{
	struct load *load = client->load;

	if (load->first_error[0] == '\0')
		snprintf(load->first_error, sizeof(load->first_error),
		    "%s: status %d: %.160s", what, client->http.status,
		    client->http.head > 0 ? http_body(&client->http) : "");
	if (++load->errors > ERRORS_MAX) {
		fprintf(stderr, "load: %s\n", load->first_error);
		exit(1);
	}
}

static void
start(struct client *client)
{
	client->left--;
	client->began_us = http_clock_us();
	client->load->request(client);
	if (http_send(&client->http) == HTTP_MORE)
		watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static uint32_t *
grow(uint32_t *list, size_t size)
{
	list = realloc(list, size * sizeof(*list));
	if (list == NULL)
		load_die("realloc");
	return list;
}

static void
measure(struct client *client)
{
	struct load *load = client->load;
	int64_t now = http_clock_us(), begun = client->began_us;

	if (!load->measuring || now > load->end_us ||
	    client->number < load->options.failing)
		return;
	if (load->done == load->size) {
		load->size = load->size == 0 ? 65536 : load->size * 2;
		load->latency = grow(load->latency, load->size);
		load->first = grow(load->first, load->size);
	}
	load->latency[load->done] = (uint32_t)(now - begun);
	load->first[load->done] = (uint32_t)(client->http.first_us - begun);
	load->done++;
}

static void
finish(struct client *client)
{
	struct load *load = client->load;
	const char *fault =
	    client->http.status != 200 ? "not 200" : load->fault(client);

	if (fault != NULL)
		note_error(client, fault);
	else
		measure(client);
	if (client->http.close)
		connect_client(client);
	if (client->left > 0 && http_clock_us() < load->end_us)
		start(client);
	else
		load->busy--;
}

static void
handle(struct client *client, uint32_t events)
{
	enum http_state state = HTTP_MORE;

	if (events & EPOLLOUT && http_send(&client->http) == HTTP_DONE)
		watch(client, EPOLL_CTL_MOD, EPOLLIN);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		state = http_receive(&client->http);
	if (state == HTTP_DONE) {
		finish(client);
	} else if (state == HTTP_BROKEN) {
		note_error(client, "connection lost");
		connect_client(client);
		start(client);
	}
}

/* Lets clients send requests until the time is over or each has sent LIMIT,
 * then waits for the last answers. */
static void
phase(struct load *load, int from, int to, long limit, double seconds)
{
	struct epoll_event events[256];
	int64_t began_us = http_clock_us();

	load->end_us = began_us + (int64_t)(seconds * 1e6);
	for (int i = from; i < to; i++) {
		load->clients[i].left = limit;
		load->busy++;
		start(&load->clients[i]);
	}
	while (load->busy > 0) {
		int n =
		    epoll_wait(load->epoll, events, 256, ANSWER_SECONDS * 1000);

		if (n == 0) {
			fputs("load: no answer\n", stderr);
			exit(1);
		}
		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr, events[i].events);
	}
	if (load->measuring)
		load->elapsed_us += limit == INT32_MAX
					? load->end_us - began_us
					: http_clock_us() - began_us;
}

void
clients_loop(struct load *load, void (*request)(struct client *),
    const char *(*fault)(struct client *))
{
	const struct options *o = &load->options;

	load->request = request;
	load->fault = fault;
	phase(load, 0, o->connections, INT32_MAX, o->warmup);
	load->measuring = true;
	phase(load, 0, o->connections, INT32_MAX, o->seconds);
	load->measuring = false;
}

void
clients_once(struct load *load, int from, int to,
    void (*request)(struct client *), const char *(*fault)(struct client *))
{
	load->request = request;
	load->fault = fault;
	phase(load, from, to, 1, ANSWER_SECONDS);
}

void
clients_start(struct load *load)
{
	int count = load->options.connections + 1;

	load->clients = calloc((size_t)count, sizeof(*load->clients));
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load->clients == NULL || load->epoll < 0)
		load_die("start");
	for (int i = 0; i < count; i++) {
		load->clients[i].load = load;
		load->clients[i].number = i;
		load->clients[i].http.fd = -1;
		connect_client(&load->clients[i]);
	}
}
