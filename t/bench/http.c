/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The little of HTTP/1.1 that nginx speaks.
 */
#include "config.h"

#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fastcgi.h"

/* The first size of a buffer; it doubles. */
#define BUFFER_SIZE ((size_t)16384)

int64_t
http_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
grow(char **data, size_t *size, size_t wanted)
{
	size_t next = *size == 0 ? BUFFER_SIZE : *size;

	while (next < wanted)
		next *= 2;
	if (next == *size)
		return;
	*data = realloc(*data, next);
	if (*data == NULL) {
		fputs("load: out of memory\n", stderr);
		exit(1);
	}
	*size = next;
}

static int
unix_address(struct http_address *address, const char *path)
{
	struct sockaddr_un *to = (struct sockaddr_un *)&address->storage;

	if (strlen(path) >= sizeof(to->sun_path))
		return -1;
	to->sun_family = AF_UNIX;
	strcpy(to->sun_path, path);
	address->length = sizeof(*to);
	return 0;
}

int
http_address(struct http_address *address, const char *text)
{
	struct sockaddr_in *to = (struct sockaddr_in *)&address->storage;
	const char *colon = strrchr(text, ':');
	char host[64];

	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0)
		return unix_address(address, text + 5);
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return -1;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)atoi(colon + 1));
	address->length = sizeof(*to);
	return inet_pton(AF_INET, host, &to->sin_addr) == 1 ? 0 : -1;
}

int
http_connect(struct http *http, const struct http_address *address)
{
	int family = address->storage.ss_family, on = 1;

	if (http->fd >= 0)
		close(http->fd);
	http->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->fd < 0)
		return -1;
	if (family == AF_INET)
		setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(http->fd, (const struct sockaddr *)&address->storage,
		address->length) == 0)
		return 0;
	close(http->fd);
	http->fd = -1;
	return -1;
}

void
http_begin(struct http *http, const char *path, const char *headers,
    const char *body, size_t length)
{
	int head = 0;

	grow(&http->out, &http->out_size,
	    length + strlen(path) + strlen(headers) + FASTCGI_MORE);
	if (http->fastcgi)
		http->out_length = fastcgi_begin(http->out, path, body, length);
	else if (body == NULL)
		head = sprintf(http->out,
		    "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path, headers);
	else
		head = sprintf(http->out,
		    "POST %s HTTP/1.1\r\nHost: bench\r\n%s"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    path, headers, length);
	if (!http->fastcgi) {
		if (body != NULL)
			memcpy(http->out + head, body, length);
		http->out_length = (size_t)head + length;
	}
	http->out_sent = 0;
	http->in_length = http->head = http->body_length = 0;
	http->expected = http->chunk_at = http->write_at = 0;
	http->chunked = http->close = false;
	http->status = 0;
	http->first_us = 0;
}

enum http_state
http_send(struct http *http)
{
	while (http->out_sent < http->out_length) {
		ssize_t n = send(http->fd, http->out + http->out_sent,
		    http->out_length - http->out_sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? HTTP_MORE : HTTP_BROKEN;
		http->out_sent += (size_t)n;
	}
	return HTTP_DONE;
}

static void
read_header(struct http *http, const char *line)
{
	if (strncasecmp(line, "Content-Length:", 15) == 0)
		http->expected = strtoull(line + 15, NULL, 10);
	else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0)
		http->chunked = true;
	else if (strncasecmp(line, "Connection: close", 17) == 0)
		http->close = true;
}

/* True when the head is whole. */
static bool
read_head(struct http *http)
{
	char *end = memmem(http->in, http->in_length, "\r\n\r\n", 4);

	if (end == NULL)
		return false;
	*end = '\0';
	http->head = (size_t)(end + 4 - http->in);
	/* HTTP/1.1 200, or Status: 200 */
	http->status =
	    (int)strtol(http->in + (http->fastcgi ? 8 : 9), NULL, 10);
	for (char *at = strstr(http->in, "\r\n"); at != NULL;
	     at = strstr(at + 2, "\r\n"))
		read_header(http, at + 2);
	http->chunk_at = http->write_at = http->head;
	return true;
}

/* Joins the chunks that have arrived whole; true at the last one. */
static bool
read_chunks(struct http *http)
{
	for (;;) {
		char *line = http->in + http->chunk_at;
		size_t left = http->in_length - http->chunk_at;
		char *end = memmem(line, left, "\r\n", 2);
		size_t size, data;

		if (end == NULL)
			return false;
		size = strtoull(line, NULL, 16);
		data = (size_t)(end + 2 - http->in);
		if (http->in_length < data + size + 2)
			return false;
		if (size == 0)
			return true;
		memmove(http->in + http->write_at, http->in + data, size);
		http->write_at += size;
		http->chunk_at = data + size + 2;
	}
}

static bool
read_answer(struct http *http)
{
	if (http->fastcgi && !fastcgi_join(http->in, &http->in_length))
		return false;
	if (http->head == 0 && !read_head(http))
		return false;
	if (http->first_us == 0 && http->in_length > http->head)
		http->first_us = http_clock_us();
	if (http->chunked) {
		if (!read_chunks(http))
			return false;
		http->body_length = http->write_at - http->head;
	} else {
		if (http->in_length < http->head + http->expected)
			return false;
		http->body_length = http->expected;
	}
	http->in[http->head + http->body_length] = '\0';
	return true;
}

enum http_state
http_receive(struct http *http)
{
	for (;;) {
		size_t room;
		ssize_t n;

		if (http->in_size < http->in_length + BUFFER_SIZE / 2)
			grow(&http->in, &http->in_size,
			    http->in_length + BUFFER_SIZE);
		room = http->in_size - http->in_length - 1;
		n = recv(
		    http->fd, http->in + http->in_length, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return HTTP_MORE;
		if (n <= 0)
			return HTTP_BROKEN;
		http->in_length += (size_t)n;
		if (read_answer(http))
			return HTTP_DONE;
		if ((size_t)n < room)
			return HTTP_MORE;
	}
}

const char *
http_body(const struct http *http)
{
	return http->in + http->head;
}
