/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/fastcgi: what can't be seen of it from outside. Linked with
 * --wrap=FCGX_Init, in which a signal may come, --wrap=FCGX_InitRequest, which may
 * fail, and --wrap=sendmsg, which may be interrupted and take little.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <fcgiapp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fastcgi.h"
#include "transport.h"

static int signal_within;

int __wrap_FCGX_Init(void);
int __real_FCGX_Init(void);

int
__wrap_FCGX_Init(void)
{
	int rc = __real_FCGX_Init();

	if (signal_within != 0)
		kill(getpid(), signal_within);
	return rc;
}

static bool request_fails;

int __wrap_FCGX_InitRequest(FCGX_Request *request, int fd, int flags);
int __real_FCGX_InitRequest(FCGX_Request *request, int fd, int flags);

int
__wrap_FCGX_InitRequest(FCGX_Request *request, int fd, int flags)
{
	return request_fails ? -1 : __real_FCGX_InitRequest(request, fd, flags);
}

/* How a process ends that has a signal come while libfcgi is made ready. */
static int
status_of_start(int number)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		/* A shell has its background ignore this one. */
		signal(SIGINT, SIG_DFL);
		signal_within = number;
		_exit(fastcgi_init() < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* libfcgi has handlers for two of them by then, and its functions that would
 * tell of it are not used. */
static void
what_ends_us_ends_us_as_it_starts(void **state)
{
	static const int signals[] = {SIGTERM, SIGUSR1, SIGINT};

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int status = status_of_start(signals[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
}

static void
a_peer_that_goes_does_not_end_us(void **state)
{
	(void)state;
	assert_int_equal(status_of_start(SIGPIPE), 0);
	assert_int_equal(status_of_start(0), 0);
}

static void
count(void *context, int fd)
{
	(void)fd;
	++*(int *)context;
}

/* Nothing is known of a request that libfcgi has not made ready. */
static void
a_request_that_is_not_ready_is_not_begun(void **state)
{
	int closed = 0, pair[2];
	char byte;
	const struct fastcgi_owner owner = {
	    .closed = count, .context = &closed};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	/* Whoever reads comes to the end. */
	shutdown(pair[1], SHUT_WR);
	/* What malloc() gives is not zero. */
	mallopt(M_PERTURB, 0x5a);
	request_fails = true;
	assert_null(fastcgi_open(pair[0], 1000, &owner));
	request_fails = false;
	mallopt(M_PERTURB, 0);
	assert_int_equal(closed, 1);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0);
	close(pair[1]);
}

/* At most so many bytes are sent at once, and each time EINTR comes before; 0: as
 * the system does it. */
static size_t sendmsg_takes;
static int sendmsg_error;

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	static bool interrupted;
	char bytes[4096];
	size_t size = 0;

	if (sendmsg_error != 0) {
		errno = sendmsg_error;
		return -1;
	}
	if (sendmsg_takes == 0)
		return __real_sendmsg(fd, message, flags);
	interrupted = !interrupted;
	if (interrupted) {
		errno = EINTR;
		return -1;
	}
	assert_true(sendmsg_takes <= sizeof(bytes));
	for (size_t i = 0; i < message->msg_iovlen && size < sendmsg_takes;
	     i++) {
		size_t n = message->msg_iov[i].iov_len;

		assert_true(n > 0);
		if (n > sendmsg_takes - size)
			n = sendmsg_takes - size;
		memcpy(bytes + size, message->msg_iov[i].iov_base, n);
		size += n;
	}
	return send(fd, bytes, size, flags);
}

/* Longer than the records of one system call, and no round number. */
#define ANSWER ((size_t)300001)

static char answer[ANSWER], received[2 * ANSWER];
static size_t received_size;

static void *
receive(void *fd)
{
	ssize_t n;

	received_size = 0;
	while ((n = recv(*(int *)fd, received + received_size,
		    sizeof(received) - received_size, 0)) > 0)
		received_size += (size_t)n;
	return NULL;
}

static bool
never(void *context, int fd)
{
	(void)context;
	(void)fd;
	return false;
}

/* BEGIN_REQUEST of a responder, no parameters, no body (FastCGI specification,
 * section 8), of the request 258. */
static const unsigned char request[] = {1, 1, 1, 2, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0,
    0, 0, 1, 4, 1, 2, 0, 0, 0, 0, 1, 5, 1, 2, 0, 0, 0, 0};

/* Takes what was received for records; the content of STDOUT replaces it. */
static size_t
read_stdout(bool *ended_out)
{
	size_t size = 0, at = 0;

	*ended_out = false;
	while (at < received_size) {
		unsigned char *header = (unsigned char *)received + at;
		size_t content = (size_t)header[4] << 8 | header[5];

		assert_true(received_size - at >= 8 + content + header[6]);
		assert_int_equal(header[0], 1);
		assert_int_equal(header[2] << 8 | header[3], 258);
		at += 8 + content + header[6];
		if (header[1] == 6) {
			memmove(received + size, header + 8, content);
			size += content;
		} else {
			assert_int_equal(header[1], 3);
			*ended_out = true;
		}
	}
	return size;
}

/* A short text, a long one, and a short one; what write() of them gave. */
static int
send_answer(size_t takes, int error)
{
	int closed = 0, pair[2], rc;
	const struct fastcgi_owner owner = {
	    .closed = count, .may_keep = never, .context = &closed};
	struct transport *transport;
	pthread_t reader;

	assert_int_equal(fastcgi_init(), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(send(pair[1], request, sizeof(request), 0),
	    sizeof(request));
	assert_int_equal(pthread_create(&reader, NULL, receive, &pair[1]), 0);
	transport = fastcgi_open(pair[0], 1000, &owner);
	assert_non_null(transport);
	for (size_t i = 0; i < ANSWER; i++)
		answer[i] = (char)(i * 7 + i / 251);
	sendmsg_takes = takes;
	sendmsg_error = error;
	rc = transport->ops->write(transport, answer, 100);
	assert_int_equal(rc, 0);
	rc = transport->ops->write(transport, answer + 100, ANSWER - 200);
	if (rc == 0)
		rc = transport->ops->write(transport, answer + ANSWER - 100, 100);
	transport->ops->end(transport, rc == 0);
	sendmsg_takes = 0;
	sendmsg_error = 0;
	assert_int_equal(closed, 1);
	assert_int_equal(pthread_join(reader, NULL), 0);
	close(pair[1]);
	return rc;
}

static void
a_long_answer_comes_whole(void **state)
{
	static const size_t takes[] = {0, 1, 7, 8, 9, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
		bool ended;

		assert_int_equal(send_answer(takes[i], 0), 0);
		assert_int_equal(read_stdout(&ended), ANSWER);
		assert_true(ended);
		assert_memory_equal(received, answer, ANSWER);
	}
}

/* As it is when a reader takes nothing for write_timeout. */
static void
an_answer_that_can_not_go_on_has_no_end(void **state)
{
	bool ended;

	(void)state;
	assert_int_equal(send_answer(0, EAGAIN), -1);
	assert_int_equal(read_stdout(&ended), 100);
	assert_false(ended);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ends_us_ends_us_as_it_starts),
	    cmocka_unit_test(a_peer_that_goes_does_not_end_us),
	    cmocka_unit_test(a_request_that_is_not_ready_is_not_begun),
	    cmocka_unit_test(a_long_answer_comes_whole),
	    cmocka_unit_test(an_answer_that_can_not_go_on_has_no_end),
	};

	return unit_run(tests);
}
