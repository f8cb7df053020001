/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inherited, or made.
 */
#include "config.h"

#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

/* Connections that may wait to be accepted; the kernel's own limit
 * (net.core.somaxconn, 4096 by default) is below. */
#define LISTEN_BACKLOG 4096

/* Where systemd puts the first of its sockets. */
#define SYSTEMD_FD 3

bool
socket_listens(int fd)
{
	int listens = 0;
	socklen_t length = sizeof(listens);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) ==
		   0 &&
	       listens != 0;
}

int
socket_inherited(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (socket_listens(STDIN_FILENO))
		return STDIN_FILENO;
	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != getpid() ||
	    strtol(count, NULL, 10) < 1 || !socket_listens(SYSTEMD_FD))
		return -1;
	fcntl(SYSTEMD_FD, F_SETFD, FD_CLOEXEC);
	return SYSTEMD_FD;
}

bool
socket_is_fcgid(int fd)
{
	/* One byte more than fits: a path may be there without its NUL. */
	union {
		struct sockaddr_un address;
		char bytes[sizeof(struct sockaddr_un) + 1];
	} own = {.bytes = {0}};
	socklen_t length = sizeof(own.address);

	return getsockname(fd, (struct sockaddr *)&own.address, &length) == 0 &&
	       own.address.sun_family == AF_UNIX &&
	       strstr(own.address.sun_path, "fcgid") != NULL;
}

static bool
is_socket_file(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* True if it is known that nobody accepts connections at ADDRESS. */
static bool
is_dead(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool dead = fd >= 0 &&
		    connect(fd, (const struct sockaddr *)address,
			sizeof(*address)) < 0 &&
		    (errno == ECONNREFUSED || errno == ENOENT);

	if (fd >= 0)
		close(fd);
	return dead;
}

static int
bind_to(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(0117);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	umask(mask);
	return rc;
}

static int
bind_listen(int fd, const struct sockaddr_un *address, struct error *error)
{
	const char *path = address->sun_path;
	int rc = bind_to(fd, address);

	if (rc < 0 && errno == EADDRINUSE) {
		if (!is_socket_file(path))
			return error_set(error, ERROR_CONFIG,
			    "%s: is there, and no socket", path);
		if (!is_dead(address))
			return error_set(error, ERROR_CONFIG,
			    "%s: another program listens there", path);
		unlink(path);
		rc = bind_to(fd, address);
	}
	if (rc < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return error_set(
		    error, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	return 0;
}

int
socket_bind(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, ERROR_CONFIG,
		    "%s: longer than the %zu bytes a socket's path may have",
		    path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(
		    error, ERROR_CONFIG, "socket: %s", strerror(errno));
	if (bind_listen(fd, &address, error) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
