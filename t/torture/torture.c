/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is to fail, and who called.
 */
#include "config.h"

#include "torture.h"

#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The program and its libraries. */
#define OBJECTS_MAX 64

/* Frames of a way. */
#define FRAMES 24

struct object {
	uintptr_t from, to;
	char name[32]; /* "" is the program */
};

static struct torture_shared *shared;
static atomic_bool over;
static _Thread_local bool spared;
static struct object objects[OBJECTS_MAX];
static size_t object_count;

static int
add_object(struct dl_phdr_info *info, size_t size, void *unused)
{
	const char *slash = strrchr(info->dlpi_name, '/');
	const char *name = slash == NULL ? info->dlpi_name : slash + 1;

	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		struct object *object = &objects[object_count];

		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0 ||
		    object_count == OBJECTS_MAX)
			continue;
		object->from = info->dlpi_addr + part->p_vaddr;
		object->to = object->from + part->p_memsz;
		strncpy(object->name, name, sizeof(object->name) - 1);
		object_count++;
	}
	return 0;
}

/* What was loaded after the start is a library. */
const char *
torture_caller(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	for (size_t i = 0; i < object_count; i++)
		if (at >= objects[i].from && at < objects[i].to)
			return objects[i].name;
	return "another";
}

static void
note(char *to, const char *name, const char *caller)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t room = sizeof(shared->first);
	size_t n = strnlen(name, room / 2);

	pthread_mutex_lock(&lock);
	memcpy(to, name, n);
	to[n++] = ' ';
	strncpy(to + n, caller[0] == '\0' ? "program" : caller, room - n - 1);
	to[room - 1] = '\0';
	pthread_mutex_unlock(&lock);
}

/* What called what, up to the call that fails: frames by their place in their
 * object, which is the same in the next process. */
static uint64_t
hash_way(const char *name)
{
	static _Thread_local bool within;
	void *frames[FRAMES];
	uint64_t hash = 0xcbf29ce484222325u;
	int n = 0;

	if (!within) {
		within = true;
		n = backtrace(frames, FRAMES);
		within = false;
	}
	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	for (int i = 0; i < n; i++) {
		uintptr_t at = (uintptr_t)frames[i];

		for (size_t o = 0; o < object_count; o++)
			if (at >= objects[o].from && at < objects[o].to)
				hash =
				    (hash ^ (at - objects[o].from) ^ o << 48) *
				    0x100000001b3u;
	}
	return hash;
}

/* Whether the call NAME by CALLER is one by which a request is read. */
static bool
reads(const char *name, const char *caller)
{
	static const char *const names[] = {
	    "read", "recv", "poll", "FCGX_GetStr", "FCGX_GetError"};

	if (strncmp(caller, "libpq", 5) == 0)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
decide(enum torture_kind kind, const char *name, const char *caller)
{
	uint64_t number, mode = shared->mode;

	if ((shared->kinds & (uint64_t)1 << kind) == 0)
		return false;
	number = ++shared->count;
	if (mode == TORTURE_COUNT && number <= TORTURE_WAYS)
		shared->ways[number - 1] = hash_way(name);
	if (mode != TORTURE_ONCE && mode != TORTURE_ON)
		return false;
	if (number < shared->at ||
	    (number > shared->at && mode == TORTURE_ONCE))
		return false;
	if (shared->failed++ == 0)
		note(shared->first, name, caller);
	if (strncmp(caller, "libc.", 5) != 0)
		note(shared->last, name, caller);
	shared->unread += reads(name, caller);
	return true;
}

static bool
is_on(void)
{
	return shared != NULL && !atomic_load(&over) && !spared &&
	       shared->mode != TORTURE_OFF;
}

void
torture_spare(bool now)
{
	spared = now;
}

bool
torture_fails(enum torture_kind kind, const char *name, const void *caller)
{
	return is_on() && decide(kind, name, torture_caller(caller));
}

bool
torture_fails_to_allocate(const char *name, const void *caller)
{
	const char *object;

	if (!is_on())
		return false;
	object = torture_caller(caller);
	return decide(
	    object[0] == '\0' ? TORTURE_OWN : TORTURE_LIBRARY, name, object);
}

unsigned
torture_variant(unsigned count)
{
	return (unsigned)(shared->variant % count);
}

void
torture_count_blocks(int64_t n)
{
	if (shared != NULL)
		shared->blocks += n;
}

void
torture_count_descriptors(int64_t n)
{
	if (shared != NULL)
		shared->descriptors += n;
}

void
torture_count_turn(void)
{
	if (shared != NULL)
		shared->turns++;
}

void
torture_count_wait(void)
{
	if (shared != NULL)
		shared->waits++;
}

static void
stop(void)
{
	atomic_store(&over, true);
}

/* Before main(), but after the libraries have started. */
__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("TORTURE");
	long fd;
	void *at;

	if (path == NULL)
		return;
	dl_iterate_phdr(add_object, NULL);
	/* Not by functions that are counted. */
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	at = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
	    (int)fd, 0);
	if (at == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	/* What is still done after what is done at exit is not the program's: a
	 * build that counts lines writes its counts, and needs memory. */
	if (atexit(stop) != 0)
		abort();
	/* It loads a library the first time. */
	(void)hash_way("");
	shared = at;
	shared->blocks = shared->descriptors = 0;
}
