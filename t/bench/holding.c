/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One event stream: what an EventSource does, in no more memory than it needs.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hold.h"

/* As a browser that is told nothing. */
#define RETRY_MS 3000

/* After an answer other than 200, as poke.js does. */
#define REFUSED_MS 1000

/* What a stream's reader buffers in the kernel at most, so that one that stops
 * reading is felt on the other side soon: the least that Linux gives. */
#define RECEIVE_BUFFER 2304

/* A port is used once between two addresses: with some addresses of our own
 * there are enough of them. */
#define SOURCES 8

void
holding_init(struct holding *holding, struct hold *hold, int64_t version)
{
	*holding = (struct holding){.hold = hold,
	    .fd = -1,
	    .state = HOLDING_AWAY,
	    .version = version,
	    .retry_ms = RETRY_MS};
	hold->in[HOLDING_AWAY]++;
}

static void
set_state(struct holding *holding, enum holding_state state)
{
	holding->hold->in[holding->state]--;
	holding->state = state;
	holding->hold->in[state]++;
}

/* Waits for it no more. */
static void
forgo(struct holding *holding)
{
	if (holding->awaited)
		holding->hold->awaited--;
	holding->awaited = false;
}

static void
leave(struct holding *holding, int64_t ms)
{
	if (!holding->hold->all)
		forgo(holding);
	close(holding->fd);
	holding->fd = -1;
	holding->again_us = http_clock_us() + ms * 1000;
	set_state(holding, HOLDING_AWAY);
}

/* From an address of its own kind, if the server has one of the Internet's. */
static void
bind_source(const struct holding *holding, int fd)
{
	const struct hold *hold = holding->hold;
	struct sockaddr_in from = {.sin_family = AF_INET};
	int on = 1;

	if (hold->address.storage.ss_family != AF_INET)
		return;
	from.sin_addr.s_addr = htonl(
	    INADDR_LOOPBACK + (uint32_t)((holding - hold->holdings) % SOURCES));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		hold_die("bind");
}

/* Never waits: a port may be refused for a second after its last use. */
static int
open_socket(const struct holding *holding)
{
	const struct http_address *to = &holding->hold->address;
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int size = RECEIVE_BUFFER;
	int fd = socket(to->storage.ss_family, type, 0);

	if (fd < 0)
		hold_die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	bind_source(holding, fd);
	if (connect(fd, (const struct sockaddr *)&to->storage, to->length) <
		0 &&
	    errno != EINPROGRESS)
		hold_die("connect");
	return fd;
}

static void
watch(struct holding *holding, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = holding};

	if (epoll_ctl(holding->hold->epoll, operation, holding->fd, &event) < 0)
		hold_die("epoll_ctl");
}

void
holding_open(struct holding *holding)
{
	holding->fd = open_socket(holding);
	holding->asked = false;
	holding->part = HOLDING_STATUS;
	holding->line_length = holding->event_length = 0;
	holding->id = holding->data = -1;
	holding->is_poke = false;
	set_state(holding, HOLDING_ASKING);
	watch(holding, EPOLL_CTL_ADD, EPOLLOUT);
}

/* It is connected. */
static void
ask(struct holding *holding)
{
	char text[512], id[64] = "";
	int length;

	if (holding->version > 0)
		snprintf(id, sizeof(id), "Last-Event-ID: %lld\r\n",
		    (long long)holding->version);
	length = snprintf(text, sizeof(text),
	    "GET %s/poke HTTP/1.1\r\nHost: hold\r\n"
	    "Accept: text/event-stream\r\n%s\r\n",
	    holding->hold->prefix, id);
	if (send(holding->fd, text, (size_t)length, MSG_NOSIGNAL) != length) {
		holding->hold->cut++;
		leave(holding, holding->retry_ms);
		return;
	}
	holding->asked = true;
	watch(holding, EPOLL_CTL_MOD, EPOLLIN);
}

static void
take_poke(struct holding *holding, int64_t version)
{
	struct hold *hold = holding->hold;

	if (version < holding->version)
		hold_error(hold, "a poke went back to", version);
	holding->version = version;
	holding->pokes++;
	if (version > hold->known)
		hold->known = version;
	if (holding->awaited && version >= hold->target) {
		forgo(holding);
		hold->told(hold, holding);
	}
}

static void
end_event(struct holding *holding)
{
	if (holding->state == HOLDING_ASKING) {
		if (holding->opened_us != 0)
			holding->hold->reopened++;
		holding->opened_us = http_clock_us();
		set_state(holding, HOLDING_OPEN);
	}
	if (holding->is_poke && holding->id == holding->data)
		take_poke(holding, holding->data);
	else if (holding->is_poke || holding->data >= 0)
		hold_error(holding->hold, "an event that is no poke", 0);
	holding->id = holding->data = -1;
	holding->is_poke = false;
}

/* A line of the event stream. */
static void
take_event_line(struct holding *holding)
{
	const char *line = holding->event;

	holding->event[holding->event_length] = '\0';
	holding->event_length = 0;
	if (line[0] == '\0')
		end_event(holding);
	else if (strcmp(line, "event: poke") == 0)
		holding->is_poke = true;
	else if (strncmp(line, "id: ", 4) == 0)
		holding->id = strtoll(line + 4, NULL, 10);
	else if (strncmp(line, "data: ", 6) == 0)
		holding->data = strtoll(line + 6, NULL, 10);
	else if (strncmp(line, "retry: ", 7) == 0)
		holding->retry_ms = strtol(line + 7, NULL, 10);
	else if (line[0] != ':')
		hold_error(holding->hold, "a line of no event", 0);
}

static void
take_event_byte(struct holding *holding, char byte)
{
	if (byte == '\n')
		take_event_line(holding);
	else if (holding->event_length + 1 < sizeof(holding->event))
		holding->event[holding->event_length++] = byte;
	else
		hold_error(holding->hold, "an event too long", 0);
}

/* A line of HTTP. -1: the answer is none of ours. */
static int
take_line(struct holding *holding)
{
	const char *line = holding->line;

	holding->line[holding->line_length] = '\0';
	holding->line_length = 0;
	switch (holding->part) {
	case HOLDING_STATUS:
		if (strncmp(line, "HTTP/1.1 200 ", 13) != 0) {
			holding->hold->refused++;
			return -1;
		}
		holding->part = HOLDING_HEADER;
		break;
	case HOLDING_HEADER:
		if (line[0] == '\0')
			holding->part = HOLDING_CHUNK;
		else if (strncasecmp(line, "Content-Length:", 15) == 0)
			hold_error(holding->hold, "an answer with a length", 0);
		break;
	case HOLDING_CHUNK:
		holding->left = strtoul(line, NULL, 16);
		holding->part = holding->left == 0 ? HOLDING_END : HOLDING_DATA;
		break;
	case HOLDING_BEHIND:
		holding->part = HOLDING_CHUNK;
		break;
	case HOLDING_DATA:
	case HOLDING_END:
		break;
	}
	return 0;
}

static int
take_byte(struct holding *holding, char byte)
{
	if (holding->part == HOLDING_DATA) {
		take_event_byte(holding, byte);
		if (--holding->left == 0)
			holding->part = HOLDING_BEHIND;
	} else if (byte == '\n') {
		return take_line(holding);
	} else if (byte != '\r' &&
		   holding->line_length + 1 < sizeof(holding->line)) {
		holding->line[holding->line_length++] = byte;
	}
	return 0;
}

void
holding_attend(struct holding *holding)
{
	char bytes[4096];
	ssize_t n;

	if (!holding->asked) {
		ask(holding);
		return;
	}
	do {
		n = recv(holding->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	for (ssize_t i = 0; i < n; i++) {
		if (take_byte(holding, bytes[i]) < 0) {
			leave(holding, REFUSED_MS);
			return;
		}
	}
	if (n <= 0 || holding->part == HOLDING_END) {
		if (holding->part != HOLDING_END)
			holding->hold->cut++;
		leave(holding, holding->retry_ms);
	}
}

void
holding_freeze(struct holding *holding)
{
	struct hold *hold = holding->hold;

	if (epoll_ctl(hold->epoll, EPOLL_CTL_DEL, holding->fd, NULL) < 0)
		hold_die("epoll_ctl");
	forgo(holding);
	set_state(holding, HOLDING_FROZEN);
}

void
holding_close(struct holding *holding)
{
	if (holding->fd >= 0)
		leave(holding, 0);
	holding->again_us = INT64_MAX;
}
