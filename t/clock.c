/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Clocks that are wrong, for a program it is preloaded into (LD_PRELOAD): they
 * are off by as many seconds as the file CLOCK_FILE says at that moment, by two
 * int64, for the time of day and for the monotonic clock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offsets;

__attribute__((constructor)) static void
map_offsets(void)
{
	const char *path = getenv("CLOCK_FILE");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, 2 * sizeof(*offsets), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		offsets = at;
}

int
clock_gettime(clockid_t id, struct timespec *time)
{
	int rc = (int)syscall(SYS_clock_gettime, id, time);

	if (rc != 0 || offsets == NULL)
		return rc;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		time->tv_sec += offsets[0];
	else if (id == CLOCK_MONOTONIC)
		time->tv_sec += offsets[1];
	return rc;
}

int
gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;
	int rc = clock_gettime(CLOCK_REALTIME, &now);

	(void)zone;
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return rc;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
