/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * System calls, those of the libraries too. Each fails with one of the errors
 * its manual has for a call that is sound in itself; short reads and writes are
 * a way to fail. Where the kernel has made a promise, nothing fails: an event
 * counter takes what is written, what is watched can be let go.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

/* In a list of errors: not one, but half of the work is done. */
#define SHORT 0

/* libc's function NAME, whose prototype is that of ours. */
#define FIND(name)                                                             \
	static __typeof__(name) *real;                                         \
	if (real == NULL)                                                      \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

/* True if NAME is to fail: with errno one of the ERRORS, which may be SHORT. */
#define FAILS(name, ...)                                                       \
	fails(#name, __builtin_return_address(0), (const int[]){__VA_ARGS__},  \
	    sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static bool
fails(const char *name, const void *caller, const int *errors, size_t count)
{
	if (!torture_fails(TORTURE_SYSTEM, name, caller))
		return false;
	errno = errors[torture_variant((unsigned)count)];
	return true;
}

/* Descriptors that are event counters. */
#define COUNTERS_MAX 4096
static bool counters[COUNTERS_MAX];

static bool
is_counter(int fd)
{
	return fd >= 0 && fd < COUNTERS_MAX && counters[fd];
}

static int
opened(int fd)
{
	if (fd >= 0)
		torture_count_descriptors(1);
	return fd;
}

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	FIND(accept4);
	return FAILS(accept4, EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR)
		   ? -1
		   : opened(real(fd, address, length, flags));
}

int
accept(int fd, struct sockaddr *address, socklen_t *length)
{
	FIND(accept);
	return FAILS(accept, EMFILE, ENFILE, ENOMEM, ECONNABORTED, EINTR)
		   ? -1
		   : opened(real(fd, address, length));
}

int
socket(int domain, int type, int protocol)
{
	FIND(socket);
	return FAILS(socket, EMFILE, ENFILE, ENOMEM, ENOBUFS)
		   ? -1
		   : opened(real(domain, type, protocol));
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	FIND(connect);
	return FAILS(connect, ECONNREFUSED, EAGAIN, ENOENT, EACCES)
		   ? -1
		   : real(fd, address, length);
}

int
bind(int fd, const struct sockaddr *address, socklen_t length)
{
	FIND(bind);
	return FAILS(bind, EACCES, EADDRINUSE, ENOMEM)
		   ? -1
		   : real(fd, address, length);
}

int
listen(int fd, int backlog)
{
	FIND(listen);
	return FAILS(listen, EADDRINUSE) ? -1 : real(fd, backlog);
}

int
getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	FIND(getsockname);
	return FAILS(getsockname, ENOBUFS) ? -1 : real(fd, address, length);
}

int
setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	FIND(setsockopt);
	return FAILS(setsockopt, ENOMEM, ENOBUFS)
		   ? -1
		   : real(fd, level, name, value, length);
}

int
epoll_create1(int flags)
{
	FIND(epoll_create1);
	return FAILS(epoll_create1, EMFILE, ENFILE, ENOMEM)
		   ? -1
		   : opened(real(flags));
}

int
epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	FIND(epoll_ctl);
	return operation != EPOLL_CTL_DEL && FAILS(epoll_ctl, ENOMEM, ENOSPC)
		   ? -1
		   : real(epoll, operation, fd, event);
}

int
epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
	FIND(epoll_wait);
	torture_count_wait();
	return FAILS(epoll_wait, EINTR) ? -1 : real(epoll, events, most, ms);
}

int
eventfd(unsigned count, int flags)
{
	FIND(eventfd);
	int fd = FAILS(eventfd, EMFILE, ENFILE, ENOMEM)
		     ? -1
		     : opened(real(count, flags));

	if (fd >= 0 && fd < COUNTERS_MAX)
		counters[fd] = true;
	return fd;
}

int
poll(struct pollfd *fds, nfds_t count, int ms)
{
	FIND(poll);
	return FAILS(poll, EINTR, ENOMEM) ? -1 : real(fds, count, ms);
}

int
open(const char *path, int flags, ...)
{
	FIND(open);
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(args, mode_t);
	va_end(args);
	return FAILS(open, EMFILE, ENFILE, ENOMEM, EACCES)
		   ? -1
		   : opened(real(path, flags, mode));
}

FILE *
fopen(const char *path, const char *mode)
{
	FIND(fopen);
	return FAILS(fopen, EMFILE, ENFILE, ENOMEM, EACCES) ? NULL
							    : real(path, mode);
}

/* The descriptor is gone, whatever close() says. */
int
close(int fd)
{
	FIND(close);
	int rc = real(fd);

	if (rc == 0)
		torture_count_descriptors(-1);
	if (fd >= 0 && fd < COUNTERS_MAX)
		counters[fd] = false;
	return FAILS(close, EINTR, EIO) ? -1 : rc;
}

ssize_t
read(int fd, void *to, size_t size)
{
	FIND(read);
	if (is_counter(fd) ||
	    !FAILS(read, EIO, EINTR, ECONNRESET, ENOMEM, SHORT))
		return real(fd, to, size);
	return errno == SHORT ? real(fd, to, (size + 1) / 2) : -1;
}

/* A log that can't be written is nobody's concern, and tells what failed. */
ssize_t
write(int fd, const void *from, size_t size)
{
	FIND(write);
	if (is_counter(fd) || fd == STDERR_FILENO ||
	    !FAILS(write, EPIPE, EINTR, EIO, ENOSPC, SHORT))
		return real(fd, from, size);
	return errno == SHORT ? real(fd, from, (size + 1) / 2) : -1;
}

/* A connection of which errno says that it is lost really is. */
static ssize_t
lost(int fd)
{
	int reason = errno;

	if (reason == EPIPE || reason == ECONNRESET)
		syscall(SYS_shutdown, fd, SHUT_RDWR);
	errno = reason;
	return -1;
}

ssize_t
recv(int fd, void *to, size_t size, int flags)
{
	FIND(recv);
	if (!FAILS(recv, ECONNRESET, EINTR, ENOMEM))
		return real(fd, to, size, flags);
	return lost(fd);
}

ssize_t
send(int fd, const void *from, size_t size, int flags)
{
	FIND(send);
	if (!FAILS(send, EPIPE, EINTR, ECONNRESET, SHORT))
		return real(fd, from, size, flags);
	if (errno == SHORT)
		return real(fd, from, (size + 1) / 2, flags);
	return lost(fd);
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec part;
	struct msghdr half = {.msg_iov = &part, .msg_iovlen = 1};

	FIND(sendmsg);
	if (!FAILS(sendmsg, EPIPE, EINTR, EAGAIN, SHORT))
		return real(fd, message, flags);
	if (errno != SHORT)
		return lost(fd);
	part = message->msg_iov[0];
	part.iov_len = (part.iov_len + 1) / 2;
	return real(fd, &half, flags);
}

int
shutdown(int fd, int how)
{
	FIND(shutdown);
	return FAILS(shutdown, ENOTCONN) ? -1 : real(fd, how);
}

int
fstat(int fd, struct stat *status)
{
	FIND(fstat);
	return FAILS(fstat, EIO, ENOMEM) ? -1 : real(fd, status);
}

ssize_t
readlink(const char *path, char *to, size_t size)
{
	FIND(readlink);
	return FAILS(readlink, EACCES, ENOENT) ? -1 : real(path, to, size);
}

int
setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
	FIND(setrlimit);
	return FAILS(setrlimit, EPERM) ? -1 : real(what, limit);
}

int
nanosleep(const struct timespec *time, struct timespec *left)
{
	FIND(nanosleep);
	return FAILS(nanosleep, EINTR) ? -1 : real(time, left);
}

int
sigtimedwait(
    const sigset_t *set, siginfo_t *info, const struct timespec *patience)
{
	FIND(sigtimedwait);
	torture_count_turn();
	return real(set, info, patience);
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
    void *(*work)(void *), void *argument)
{
	FIND(pthread_create);
	return FAILS(pthread_create, EAGAIN)
		   ? EAGAIN
		   : real(thread, attributes, work, argument);
}

#ifdef SANITIZED_MALLOC
/* A sanitizer asks where the stack of a new thread is, and ends the program if
 * libc has no memory to tell. */
int
pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	FIND(pthread_getattr_np);
	int rc;

	torture_spare(true);
	rc = real(thread, attributes);
	torture_spare(false);
	return rc;
}

/* libconfuse's scanner ends the program when it has no memory, while threads are at
 * work. What OpenSSL frees at exit is then still theirs, which is no news. */
void
exit(int status)
{
	FIND(exit);
	if (strncmp(torture_caller(__builtin_return_address(0)), "libconfuse",
		10) == 0)
		_exit(status);
	real(status);
	abort();
}
#endif
