/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A hash table with linear probing.
 */
#include "config.h"

#include "map.h"

#include <string.h>

#include "arena.h"
#include "clock.h"

#define MAP_FIRST 16

void
map_init(struct map *map, struct arena *arena)
{
	memset(map, 0, sizeof(*map));
	map->arena = arena;
	/* Clients choose the keys: they may not choose the collisions too. */
	map->seed = (uint64_t)clock_us() ^ (uint64_t)(uintptr_t)map;
}

/* FNV-1a, begun at the seed, with a last mix for the low bits. */
static size_t
hash(const struct map *map, const char *key)
{
	uint64_t h = 0xcbf29ce484222325u ^ map->seed;

	for (; *key != '\0'; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return (size_t)(h ^ (h >> 29));
}

/* The slot that has KEY, or the free one where it belongs. */
static size_t
probe(const struct map *map, const char *key)
{
	size_t slot = hash(map, key) & (map->size - 1);

	while (map->slots[slot] != 0 &&
	       strcmp(map->keys[map->slots[slot] - 1], key) != 0)
		slot = (slot + 1) & (map->size - 1);
	return slot;
}

static int
grow(struct map *map)
{
	size_t size = map->size == 0 ? MAP_FIRST : map->size * 2;
	const char **keys = arena_alloc(map->arena, size / 2 * sizeof(*keys));
	size_t *slots = arena_calloc(map->arena, size, sizeof(*slots));

	if (keys == NULL || slots == NULL)
		return -1;
	if (map->count > 0)
		memcpy(keys, map->keys, map->count * sizeof(*keys));
	map->keys = keys;
	map->slots = slots;
	map->size = size;
	for (size_t i = 0; i < map->count; i++)
		map->slots[probe(map, keys[i])] = i + 1;
	return 0;
}

size_t
map_find(const struct map *map, const char *key)
{
	size_t slot;

	if (map->count == 0)
		return MAP_NONE;
	slot = map->slots[probe(map, key)];
	return slot == 0 ? MAP_NONE : slot - 1;
}

size_t
map_add(struct map *map, const char *key)
{
	size_t slot;

	if (map->count * 2 >= map->size && grow(map) < 0)
		return MAP_NONE;
	slot = probe(map, key);
	if (map->slots[slot] == 0) {
		map->keys[map->count++] = key;
		map->slots[slot] = map->count;
	}
	return map->slots[slot] - 1;
}
