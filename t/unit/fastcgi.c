/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/fastcgi: what can't be seen of it from outside. Linked with
 * --wrap=FCGX_Init, in which a signal may come.
 */
#include "config.h"

#include "unit.h"

#include <signal.h>
#include <stdlib.h>
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ends_us_ends_us_as_it_starts),
	    cmocka_unit_test(a_peer_that_goes_does_not_end_us),
	};

	return unit_run(tests);
}
