/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Allocation, for the program and for all its libraries.
 */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "torture.h"

/* What really allocates: libc, or the sanitizer that stands before it. */
#ifdef SANITIZED_MALLOC
#define REAL(name) __interceptor_##name

/* What libraries leave behind, for which the sanitizer has to see through them:
 * the dynamic linker, what the sanitizer knows to be its by who has called
 * malloc(), which is us, here; OpenSSL 3.0, its default context if there is no
 * memory to make it, which it tries but once, and names it could not add to its
 * own. */
const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:_dl_map_object_deps\n"
	       "leak:OSSL_LIB_CTX_get0_global_default\n"
	       "leak:EVP_KEYMGMT_do_all_provided\n"
	       "leak:OBJ_NAME_do_all\n";
}

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);
void REAL(free)(void *block);

#define FAILS(name)                                                            \
	torture_fails_to_allocate(#name, __builtin_return_address(0))

static void *
counted(void *block)
{
	if (block != NULL)
		torture_count_blocks(1);
	return block;
}

static void *
refused(void)
{
	errno = ENOMEM;
	return NULL;
}

void *
malloc(size_t size)
{
	return FAILS(malloc) ? refused() : counted(REAL(malloc)(size));
}

void *
calloc(size_t count, size_t size)
{
	return FAILS(calloc) ? refused() : counted(REAL(calloc)(count, size));
}

void *
realloc(void *block, size_t size)
{
	bool fresh = block == NULL;
	void *larger;

	if (FAILS(realloc))
		return refused();
	larger = REAL(realloc)(block, size);
	if (fresh)
		return counted(larger);
	if (larger == NULL && size == 0)
		torture_count_blocks(-1);
	return larger;
}

void *
memalign(size_t alignment, size_t size)
{
	return FAILS(memalign) ? refused()
			       : counted(REAL(memalign)(alignment, size));
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return FAILS(aligned_alloc) ? refused()
				    : counted(REAL(memalign)(alignment, size));
}

int
posix_memalign(void **block_out, size_t alignment, size_t size)
{
	if (FAILS(posix_memalign))
		return ENOMEM;
	*block_out = counted(REAL(memalign)(alignment, size));
	return *block_out == NULL ? ENOMEM : 0;
}

void
free(void *block)
{
	if (block != NULL)
		torture_count_blocks(-1);
	REAL(free)(block);
}
