/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * For a unit test in which there is no memory now and then: it is linked with
 * --wrap=malloc or --wrap=realloc, and has the function that stands before it by
 * UNIT_WRAP_MALLOC or UNIT_WRAP_REALLOC.
 */
#ifndef REPLICACHE_UNIT_MEMORY_H
#define REPLICACHE_UNIT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* True: none is to be had. */
static bool no_memory;

#define UNIT_WRAP_MALLOC                                                       \
	void *__wrap_malloc(size_t size);                                      \
	void *__real_malloc(size_t size);                                      \
	void *__wrap_malloc(size_t size)                                       \
	{                                                                      \
		return no_memory ? NULL : __real_malloc(size);                 \
	}

#define UNIT_WRAP_REALLOC                                                      \
	void *__wrap_realloc(void *block, size_t size);                        \
	void *__real_realloc(void *block, size_t size);                        \
	void *__wrap_realloc(void *block, size_t size)                         \
	{                                                                      \
		return no_memory ? NULL : __real_realloc(block, size);         \
	}

#endif
