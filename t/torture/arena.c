/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Allocation from an arena, which is one of memory only when the arena has none
 * left: so each of them fails by itself, too, as it may at the arena's limit.
 */
#include "config.h"

#include "arena.h"
#include "torture.h"
#include "wrap.h"

#define FAILS(name)                                                            \
	torture_fails(TORTURE_ARENA, #name, __builtin_return_address(0))

WRAPPED(void *, arena_alloc, struct arena *arena, size_t size)
{
	return FAILS(arena_alloc) ? NULL : REAL(arena_alloc)(arena, size);
}

WRAPPED(void *, arena_calloc, struct arena *arena, size_t count, size_t size)
{
	return FAILS(arena_calloc) ? NULL
				   : REAL(arena_calloc)(arena, count, size);
}

WRAPPED(char *, arena_strdup, struct arena *arena, const char *text)
{
	return FAILS(arena_strdup) ? NULL : REAL(arena_strdup)(arena, text);
}

WRAPPED(char *, arena_strndup, struct arena *arena, const char *text, size_t n)
{
	return FAILS(arena_strndup) ? NULL
				    : REAL(arena_strndup)(arena, text, n);
}
