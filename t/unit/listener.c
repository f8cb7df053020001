/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/listener. Linked with --wrap=accept4, which may wait or fail,
 * --wrap=realloc, which may fail, and --wrap=clock_gettime, by which time passes.
 */
#include "config.h"

#include "unit.h"

#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "listener.h"
#include "settings.h"

/* A request without parameters and body: BEGIN_REQUEST, PARAMS, STDIN. */
static const unsigned char request[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0,
    0, 0, 0, 1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0};

static const struct settings patient = {
    .workers = 2, .header_timeout = 60000, .request_timeout = 60000};
static struct settings settings;

static struct sockaddr_un address;
static socklen_t address_length;
static struct listener *listener;

/* What accept4() does. */
static bool waits;
static int fails; /* errno, once */
static sem_t entered, go_on;

UNIT_WRAP_REALLOC

/* How much later it is, s. */
static time_t later;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_clock_gettime(clockid_t clock, struct timespec *now);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc = __real_clock_gettime(clock, now);

	now->tv_sec += later;
	return rc;
}

int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags);
int __real_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags);

int
__wrap_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags)
{
	if (waits) {
		sem_post(&entered);
		sem_wait(&go_on);
	}
	if (fails != 0) {
		errno = fails;
		fails = 0;
		return -1;
	}
	return __real_accept4(fd, peer, length, flags);
}

static int
begin(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error error;

	(void)state;
	settings = patient;
	/* The kernel chooses a name that is no file's. */
	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	address_length = sizeof(address);
	assert_int_equal(
	    getsockname(fd, (struct sockaddr *)&address, &address_length), 0);
	assert_int_equal(listen(fd, 16), 0);
	listener = listener_new(fd, &settings, &error);
	assert_non_null(listener);
	waits = false;
	fails = 0;
	later = 0;
	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	listener_free(listener);
	sem_destroy(&entered);
	sem_destroy(&go_on);
	return 0;
}

static int
open_peer(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
	    connect(fd, (struct sockaddr *)&address, address_length), 0);
	return fd;
}

/* What a worker does: waits for the next event, which it gives. */
static void *
work(void *fd_out)
{
	unsigned char *scratch = malloc(listener_scratch_size);
	static enum listener_event event;

	event = listener_wait(listener, scratch, fd_out);
	free(scratch);
	return &event;
}

/* Drops what is there; how many bytes that were. */
static size_t
read_all(int fd)
{
	char bytes[256];
	size_t all = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		all += (size_t)n;
	return all;
}

static enum listener_event
join(pthread_t thread)
{
	void *event;

	assert_int_equal(pthread_join(thread, &event), 0);
	return *(enum listener_event *)event;
}

static void
test_request(void **state)
{
	int peer = open_peer(), fd = -1;
	pthread_t thread;

	(void)state;
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	pthread_create(&thread, NULL, work, &fd);
	assert_int_equal(join(thread), LISTENER_REQUEST);
	assert_true(fd >= 0);
	assert_int_equal(listener_open_count(listener), 1);
	listener_closed(listener, fd);
	assert_int_equal(listener_open_count(listener), 0);
	close(fd);
	close(peer);
}

/* Whoever counts what is open, to end when there is none, counts a connection
 * that a thread is about to accept. */
static void
test_drain_while_accepting(void **state)
{
	int peer = open_peer(), fd = -1;
	pthread_t thread;

	(void)state;
	waits = true;
	pthread_create(&thread, NULL, work, &fd);
	sem_wait(&entered);
	listener_drain(listener);
	assert_true(listener_open_count(listener) > 0);
	sem_post(&go_on);
	/* Its request comes later. */
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	assert_int_equal(join(thread), LISTENER_REQUEST);
	assert_int_equal(listener_open_count(listener), 1);
	listener_closed(listener, fd);
	assert_int_equal(listener_open_count(listener), 0);
	close(fd);
	close(peer);
}

/* Another process of the socket has it, or may. */
static void
test_accept_in_vain(void **state)
{
	int peer = open_peer(), fd = -1;
	pthread_t thread;

	(void)state;
	fails = EAGAIN;
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	pthread_create(&thread, NULL, work, &fd);
	assert_int_equal(join(thread), LISTENER_REQUEST);
	assert_int_equal(listener_open_count(listener), 1);
	listener_closed(listener, fd);
	assert_int_equal(listener_open_count(listener), 0);
	close(fd);
	close(peer);
}

/* Who can't be served is turned away, and the next one is served. */
static void
test_no_descriptors(void **state)
{
	int first = open_peer(), second, fd = -1;
	char byte;
	pthread_t thread;

	(void)state;
	fails = EMFILE;
	pthread_create(&thread, NULL, work, &fd);
	assert_int_equal(read(first, &byte, 1), 0);
	close(first);
	second = open_peer();
	assert_int_equal(
	    write(second, request, sizeof(request)), sizeof(request));
	assert_int_equal(join(thread), LISTENER_REQUEST);
	listener_closed(listener, fd);
	close(fd);
	close(second);
}

/* The same where there is no memory to remember it. */
static void
test_no_memory(void **state)
{
	int first = open_peer(), second, fd = -1;
	char byte;

	(void)state;
	assert_int_equal(
	    write(first, request, sizeof(request)), sizeof(request));
	no_memory = true;
	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	no_memory = false;
	assert_int_equal(listener_open_count(listener), 0);
	/* It has not read what it was sent. */
	assert_int_equal(recv(first, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	close(first);
	second = open_peer();
	assert_int_equal(
	    write(second, request, sizeof(request)), sizeof(request));
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_int_equal(listener_open_count(listener), 1);
	listener_closed(listener, fd);
	close(fd);
	close(second);
}

/* A peer that has been accepted, with nothing sent yet. */
static int
open_silent_peer(void)
{
	int peer = open_peer(), fd = -1;

	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	assert_int_equal(listener_open_count(listener), 1);
	return peer;
}

static void
test_silence(void **state)
{
	int peer = open_silent_peer();
	char byte;

	(void)state;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 1);
	settings.header_timeout = -1;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 0);
	assert_int_equal(read(peer, &byte, 1), 0);
	close(peer);
}

/* A peer whose first request was answered, and its connection kept. */
static int
keep_peer(void)
{
	int peer = open_peer(), fd = -1;

	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_int_equal(listener_busy_count(listener), 1);
	/* As libfcgi does. */
	assert_int_equal(read_all(fd), sizeof(request));
	listener_answered(listener, fd);
	return peer;
}

static void
test_kept(void **state)
{
	int peer = keep_peer(), fd = -1;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(listener_open_count(listener), 1);
		assert_int_equal(listener_busy_count(listener), 0);
		/* Of the next request nothing is known. */
		if (fd >= 0)
			assert_false(listener_may_keep(listener, fd));
		assert_int_equal(
		    write(peer, request, sizeof(request)), sizeof(request));
		assert_int_equal(
		    *(enum listener_event *)work(&fd), LISTENER_REQUEST);
		assert_int_equal(listener_busy_count(listener), 1);
		assert_int_equal(read_all(fd), sizeof(request));
		listener_answered(listener, fd);
	}
	close(peer);
	/* Its end is seen before we are woken. */
	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	assert_int_equal(listener_open_count(listener), 0);
}

/* The web server says when, and not the time for a first request; but a next
 * one that has begun has to go on. */
static void
test_kept_silence(void **state)
{
	int peer = keep_peer(), fd = -1;

	(void)state;
	settings.header_timeout = -1;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 1);
	assert_int_equal(write(peer, request, 5), 5);
	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	listener_wake(listener);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_WOKEN);
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 0);
	close(peer);
}

/* It outlasts nginx's patience with it, 60 s, but not for ever. */
static void
test_kept_for_long(void **state)
{
	int peer = keep_peer();
	char byte;

	(void)state;
	later = 70;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 1);
	later = 80;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 0);
	assert_int_equal(read(peer, &byte, 1), 0);
	close(peer);
}

/* The time of a request begins with the request. */
static void
test_kept_request_in_time(void **state)
{
	int peer = keep_peer(), fd = -1;
	char byte;

	(void)state;
	settings.request_timeout = 30000;
	later = 70;
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_int_equal(read_all(fd), sizeof(request));
	listener_tick(listener);
	/* Not shut down: there may be more to read. */
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	later = 101;
	listener_tick(listener);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
	/* What was cut is not kept. */
	listener_answered(listener, fd);
	assert_int_equal(listener_open_count(listener), 0);
	close(peer);
}

/* The one that was silent for the longest time makes room for a new one. */
static void
test_kept_makes_room(void **state)
{
	int first, second, third, fd = -1;
	char byte;

	(void)state;
	later = 1;
	second = keep_peer();
	later = 0;
	first = keep_peer();
	third = open_peer();
	assert_int_equal(
	    write(third, request, sizeof(request)), sizeof(request));
	fails = EMFILE;
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_int_equal(listener_open_count(listener), 2);
	assert_int_equal(listener_busy_count(listener), 1);
	assert_int_equal(read(first, &byte, 1), 0);
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
	listener_closed(listener, fd);
	close(fd);
	close(first);
	close(second);
	close(third);
}

/* Of one whose request ends while we drain, or with more behind it, none is kept. */
static void
test_not_kept(void **state)
{
	unsigned char byte = 1;
	int peer, fd = -1;

	(void)state;
	peer = open_peer();
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	assert_int_equal(write(peer, &byte, 1), 1);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_false(listener_may_keep(listener, fd));
	listener_closed(listener, fd);
	close(fd);
	close(peer);

	peer = open_peer();
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	assert_true(listener_may_keep(listener, fd));
	listener_drain(listener);
	assert_false(listener_may_keep(listener, fd));
	listener_answered(listener, fd);
	assert_int_equal(listener_open_count(listener), 0);
	close(peer);
}

/* A request that came before the time was up is served, though it is found
 * after: the process had been stopped. */
static void
test_found_late(void **state)
{
	int peer = open_silent_peer(), fd = -1;

	(void)state;
	assert_int_equal(
	    write(peer, request, sizeof(request)), sizeof(request));
	settings.header_timeout = -1;
	listener_tick(listener);
	assert_int_equal(listener_open_count(listener), 1);
	assert_int_equal(*(enum listener_event *)work(&fd), LISTENER_REQUEST);
	listener_closed(listener, fd);
	close(fd);
	close(peer);
}

static void
test_stop(void **state)
{
	int fd = -1;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, work, &fd);
	listener_stop(listener);
	assert_int_equal(join(thread), LISTENER_STOPPED);
}

static void
test_no_socket(void **state)
{
	struct error error;
	int closed = dup(STDIN_FILENO);

	(void)state;
	close(closed);
	assert_null(listener_new(closed, &settings, &error));
	assert_int_equal(error.code, ERROR_CONFIG);
	assert_non_null(strstr(error.message, "listening"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_request, begin, end),
	    cmocka_unit_test_setup_teardown(
		test_drain_while_accepting, begin, end),
	    cmocka_unit_test_setup_teardown(test_accept_in_vain, begin, end),
	    cmocka_unit_test_setup_teardown(test_no_descriptors, begin, end),
	    cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
	    cmocka_unit_test_setup_teardown(test_silence, begin, end),
	    cmocka_unit_test_setup_teardown(test_found_late, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept_silence, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept_for_long, begin, end),
	    cmocka_unit_test_setup_teardown(
		test_kept_request_in_time, begin, end),
	    cmocka_unit_test_setup_teardown(test_kept_makes_room, begin, end),
	    cmocka_unit_test_setup_teardown(test_not_kept, begin, end),
	    cmocka_unit_test_setup_teardown(test_stop, begin, end),
	    cmocka_unit_test(test_no_socket),
	};

	return unit_run(tests);
}
