/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The program with every call that can fail under the control of a test: the
 * allocations, its own and its libraries', the calls to libpq and libfcgi, and
 * the system calls. A test counts the calls of some kinds, has the Nth fail, or
 * all from the Nth on (t/lib/Rig/Torture.pm).
 *
 * The test and the program share a file, which TORTURE names; without it
 * nothing ever fails.
 */
#ifndef REPLICACHE_TORTURE_H
#define REPLICACHE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

/* What a call is. The test names them by their bits. */
enum torture_kind {
	TORTURE_OWN,     /* an allocation of the program's own code */
	TORTURE_LIBRARY, /* one made by a library, libc's among them */
	TORTURE_PQ,
	TORTURE_FCGX,
	TORTURE_SYSTEM, /* a system call, or what starts a thread */
	TORTURE_ARENA,  /* an allocation from an arena, by our own code */
};

enum torture_mode {
	TORTURE_OFF,
	TORTURE_COUNT,
	TORTURE_ONCE,
	TORTURE_ON, /* from the one named on, until the test says otherwise */
};

/* So many calls have their way noted. */
#define TORTURE_WAYS 8192

/* The shared file. The test writes the first four while it is off. */
struct torture_shared {
	_Atomic uint64_t mode;
	uint64_t kinds;   /* bits 1 << kind */
	uint64_t at;      /* the number of the call, from 1 */
	uint64_t variant; /* of the ways a call can fail */
	_Atomic uint64_t count, failed;
	_Atomic int64_t blocks;      /* allocated and not freed */
	_Atomic int64_t descriptors; /* opened and not closed */
	_Atomic uint64_t turns;      /* of the main thread's loop */
	_Atomic uint64_t waits;      /* for a connection, by any thread */
	char first[64]; /* the first that failed: its name and its caller */
	char last[64];  /* the last of those that failed, but for libc's */
	_Atomic uint64_t unread; /* of those that failed, ones that read a request */
	uint64_t pad[5];
	/* While it counts: of each call, what stands for the way there. */
	uint64_t ways[TORTURE_WAYS];
};

/* Counts a call of NAME by the code at CALLER; true: it is to fail. */
bool torture_fails(
    enum torture_kind kind, const char *name, const void *caller);

/* The same of an allocation, whose kind is its caller's. */
bool torture_fails_to_allocate(const char *name, const void *caller);

/* The file name of the library that has the code at CALLER; "" is the program. */
const char *torture_caller(const void *caller);

/* From here on no call of this thread's fails, or is counted; or again it may. */
void torture_spare(bool spared);

/* Of COUNT ways to fail, the one that is wanted. */
unsigned torture_variant(unsigned count);

/* Counts blocks and descriptors that come, or go. */
void torture_count_blocks(int64_t n);
void torture_count_descriptors(int64_t n);

/* The main thread has done what there was to do; a thread waits for a
 * connection: it is not starting any more. */
void torture_count_turn(void);
void torture_count_wait(void);

#endif
