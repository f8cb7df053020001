/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/fastcgi: what can't be seen of it from outside. Linked with
 * --wrap=FCGX_Init, in which a signal may come, and --wrap=FCGX_InitRequest, which
 * may fail.
 */
#include "config.h"

#include "unit.h"

#include <fcgiapp.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fastcgi.h"

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ends_us_ends_us_as_it_starts),
	    cmocka_unit_test(a_peer_that_goes_does_not_end_us),
	    cmocka_unit_test(a_request_that_is_not_ready_is_not_begun),
	};

	return unit_run(tests);
}
