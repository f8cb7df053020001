/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/socket where there are no descriptors. Linked with --wrap=socket,
 * which may fail.
 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "socket.h"

static char folder[] = "/tmp/replicache-socket-XXXXXX";
static char path[sizeof(folder) + 8];
static struct error error;

/* So many sockets are to be had. */
static int left;

int __wrap_socket(int domain, int type, int protocol);
int __real_socket(int domain, int type, int protocol);

int
__wrap_socket(int domain, int type, int protocol)
{
	if (left-- > 0)
		return __real_socket(domain, type, protocol);
	errno = EMFILE;
	return -1;
}

static int
begin(void **state)
{
	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	error_reset(&error);
	left = 100;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void
without_a_socket_it_says_so(void **state)
{
	(void)state;
	left = 0;
	assert_int_equal(socket_bind(path, &error), -1);
	assert_int_equal(error.code, ERROR_CONFIG);
	assert_non_null(strstr(error.message, strerror(EMFILE)));
}

static void
what_a_dead_one_left_is_replaced(void **state)
{
	int fd = socket_bind(path, &error);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	fd = socket_bind(path, &error);
	assert_true(socket_listens(fd));
	close(fd);
}

/* Also when nobody can look whether it lives. */
static void
a_live_one_is_left_alone(void **state)
{
	struct stat before, after;

	(void)state;
	for (int sockets = 1; sockets <= 2; sockets++) {
		int fd;

		left = 1;
		fd = socket_bind(path, &error);
		assert_true(fd >= 0);
		assert_int_equal(stat(path, &before), 0);
		left = sockets;
		assert_int_equal(socket_bind(path, &error), -1);
		assert_int_equal(error.code, ERROR_CONFIG);
		assert_int_equal(stat(path, &after), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		close(fd);
		unlink(path);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(without_a_socket_it_says_so),
	    TEST(what_a_dead_one_left_is_replaced),
	    TEST(a_live_one_is_left_alone),
	};

	return unit_run(tests);
}
