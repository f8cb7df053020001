/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * libfcgi, for one request on an accepted connection.
 */
#include "config.h"

#include "fastcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "faults.h"
#include "record.h"

/* At most so much of an unwanted body is read before the connection is closed:
 * closing earlier resets it, and the web server would lose our refusal. What
 * drips is ended by listener_tick(). */
#define DRAIN_MAX (64 * 1024 * 1024)

/* What a Unix socket takes at once, for sure: only a longer answer waits. So
 * much is written past libfcgi, which copies, and has records of 8 kB. */
#define SOCKET_TAKES 65536

/* Records of one system call: a piece of an answer (response.h) has two. */
#define RECORDS 4

struct fastcgi {
	struct transport base;
	FCGX_Request request; /* its streams point back at it: never moved */
	long write_timeout;   /* ms; 0 once it is set on the socket */
	struct fastcgi_owner owner;
};

static const char *
get_param(struct transport *transport, const char *name)
{
	struct fastcgi *fastcgi = (struct fastcgi *)transport;

	return FCGX_GetParam(name, fastcgi->request.envp);
}

static ssize_t
read_body(struct transport *transport, char *to, size_t size)
{
	struct fastcgi *fastcgi = (struct fastcgi *)transport;
	int want = size > INT_MAX ? INT_MAX : (int)size;
	int got = FCGX_GetStr(to, want, fastcgi->request.in);

	/* A peer that went away looks like the end, but for the error. */
	return FCGX_GetError(fastcgi->request.in) != 0 ? -1 : got;
}

/* From the first long write on, a reader that takes nothing is given up. */
static void
limit_writes(struct fastcgi *fastcgi)
{
	struct timeval limit = {.tv_sec = fastcgi->write_timeout / 1000,
	    .tv_usec = fastcgi->write_timeout % 1000 * 1000};

	setsockopt(fastcgi->request.ipcFd, SOL_SOCKET, SO_SNDTIMEO, &limit,
	    sizeof(limit));
	fastcgi->write_timeout = 0;
}

/* Sends all of PARTS, which are COUNT, none of them empty. */
static int
send_parts(int fd, struct iovec *parts, size_t count)
{
	while (count > 0) {
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		while (count > 0 && (size_t)n >= parts->iov_len) {
			n -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (n > 0) {
			parts->iov_base = (char *)parts->iov_base + n;
			parts->iov_len -= (size_t)n;
		}
	}
	return 0;
}

/* Sends BYTES as records of our own, behind what libfcgi has. */
static int
write_long(FCGX_Request *request, const char *bytes, size_t size)
{
	unsigned char headers[RECORDS][RECORD_HEADER];
	struct iovec parts[2 * RECORDS];

	if (FCGX_FFlush(request->out) != 0)
		return -1;
	while (size > 0) {
		size_t count = 0;

		for (; size > 0 && count < RECORDS; count++) {
			size_t n = size < RECORD_CONTENT_MAX
				       ? size
				       : RECORD_CONTENT_MAX;
			union {
				const char *in;
				void *out; /* an iovec may be read into */
			} content = {.in = bytes};

			record_stdout(
			    headers[count], (unsigned)request->requestId, n);
			parts[2 * count].iov_base = headers[count];
			parts[2 * count].iov_len = RECORD_HEADER;
			parts[2 * count + 1].iov_base = content.out;
			parts[2 * count + 1].iov_len = n;
			bytes += n;
			size -= n;
		}
		if (send_parts(request->ipcFd, parts, 2 * count) < 0)
			return -1;
	}
	return 0;
}

static int
write_answer(struct transport *transport, const char *bytes, size_t size)
{
	struct fastcgi *fastcgi = (struct fastcgi *)transport;

	if (size >= SOCKET_TAKES && fastcgi->write_timeout > 0)
		limit_writes(fastcgi);
	if (size >= SOCKET_TAKES)
		return write_long(&fastcgi->request, bytes, size);
	while (size > 0) {
		int n = size > INT_MAX ? INT_MAX : (int)size;

		if (FCGX_PutStr(bytes, n, fastcgi->request.out) != n)
			return -1;
		bytes += n;
		size -= (size_t)n;
	}
	return FCGX_GetError(fastcgi->request.out) != 0 ? -1 : 0;
}

/* Reads what is left of the body, within bounds. True if it was read to its
 * end. */
static bool
drain(FCGX_Request *request)
{
	char scrap[8192];

	for (int left = DRAIN_MAX; left > 0; left -= (int)sizeof(scrap))
		if (FCGX_GetStr(scrap, sizeof(scrap), request->in) <
		    (int)sizeof(scrap))
			break;
	return FCGX_GetError(request->in) == 0 &&
	       FCGX_HasSeenEOF(request->in) != 0;
}

static void
end(struct transport *transport, bool whole)
{
	struct fastcgi *fastcgi = (struct fastcgi *)transport;
	FCGX_Request *request = &fastcgi->request;
	const struct fastcgi_owner *owner = &fastcgi->owner;
	int fd = request->ipcFd;
	/* With END_REQUEST the web server may send the next request, which must
	 * not be read for the rest of this one. */
	bool keep = whole && request->keepConnection != 0 &&
		    owner->may_keep(owner->context, fd) && drain(request);

	if (whole) {
		FAULT(ANSWER_UNSENT);
		/* Closing the streams sends their ends and END_REQUEST. */
		FCGX_FClose(request->err);
		if (FCGX_FClose(request->out) != 0)
			keep = false;
		FAULT(ANSWER_SENT);
		if (!keep)
			drain(request);
	}
	FCGX_Free(request, 0);
	if (keep) {
		owner->answered(owner->context, fd);
	} else {
		owner->closed(owner->context, fd);
		close(fd);
	}
	free(fastcgi);
}

static int
take(struct transport *transport, struct transport_taken *taken)
{
	struct fastcgi *fastcgi = (struct fastcgi *)transport;
	FCGX_Request *request = &fastcgi->request;

	/* The end of the body may lie in libfcgi's buffer or in the socket. */
	if (!drain(request))
		return -1;
	taken->fd = request->ipcFd;
	taken->id = (unsigned)request->requestId;
	FCGX_Free(request, 0);
	fastcgi->owner.closed(fastcgi->owner.context, taken->fd);
	free(fastcgi);
	return 0;
}

static const struct transport_ops ops = {
    .param = get_param,
    .read = read_body,
    .write = write_answer,
    .end = end,
    .take = take,
};

int
fastcgi_init(void)
{
	sigset_t all, before;
	int rc;

	/* FCGX_Init() sets handlers of its own; signals are main.c's. One that
	 * ends us must not come to them, where it would be lost. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	rc = FCGX_Init();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : -1;
}

struct transport *
fastcgi_open(int fd, long write_timeout, const struct fastcgi_owner *owner)
{
	struct fastcgi *fastcgi = malloc(sizeof(*fastcgi));

	if (fastcgi == NULL ||
	    FCGX_InitRequest(&fastcgi->request, -1, 0) != 0) {
		owner->closed(owner->context, fd);
		close(fd);
		free(fastcgi);
		return NULL;
	}
	fastcgi->base.ops = &ops;
	fastcgi->write_timeout = write_timeout;
	fastcgi->owner = *owner;
	/* A connection that is open already: FCGX_Accept_r() goes on with it,
	 * and fails with no listener to turn to. What the web server says of
	 * keeping it is there afterwards. */
	fastcgi->request.ipcFd = fd;
	fastcgi->request.keepConnection = 1;
	if (FCGX_Accept_r(&fastcgi->request) < 0) {
		/* libfcgi has closed FD. */
		owner->closed(owner->context, fd);
		free(fastcgi);
		return NULL;
	}
	return &fastcgi->base;
}
