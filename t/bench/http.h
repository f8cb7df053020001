/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Http: one kept-alive HTTP/1.1 connection of the load driver. Made to cost
 * next to nothing, since the servers measured share the machine with it: one
 * send and one receive a request, no copies.
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct http_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

struct http {
	int fd;       /* -1: not connected */
	bool fastcgi; /* there is no web server: fastcgi.h */
	/* The request. */
	char *out;
	size_t out_length, out_sent, out_size;
	/* The answer so far. */
	char *in;
	size_t in_length, in_size;
	size_t head;        /* bytes of the head, 0: not there yet */
	size_t body_length; /* known when the answer is whole */
	size_t expected;    /* Content-Length */
	size_t chunk_at;    /* the next chunk's size line */
	size_t write_at;    /* behind the chunks joined so far */
	bool chunked, close;
	int status;
	int64_t first_us; /* when the body's first byte was there, 0: not yet */
};

enum http_state {
	HTTP_MORE,   /* wait for the socket */
	HTTP_DONE,   /* the answer is whole */
	HTTP_BROKEN, /* the connection is lost */
};

/* "unix:PATH" or "HOST:PORT", HOST as a dotted IPv4 address; -1 if neither. */
int http_address(struct http_address *address, const char *text);

/* Connects, closing what was. 0, or -1 with errno. */
int http_connect(struct http *http, const struct http_address *address);

/* Starts a request: POST with a body, GET when BODY is NULL. HEADERS are whole
 * lines, or ""; by FastCGI they are left out. */
void http_begin(struct http *http, const char *path, const char *headers,
    const char *body, size_t length);

/* Sends what is left of the request. HTTP_DONE: all sent. */
enum http_state http_send(struct http *http);

/* Receives what is there. */
enum http_state http_receive(struct http *http);

/* The body of a whole answer, NUL-terminated. */
const char *http_body(const struct http *http);

/* Microseconds of a monotonic clock. */
int64_t http_clock_us(void);

#endif
