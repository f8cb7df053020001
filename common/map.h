/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Map: from strings to indexes, for the distinct IDs of a push or a batch.
 *
 * Keys get the indexes 0, 1, 2 ... in the order in which they are first
 * added, so that what belongs to a key lives in an array of the caller's.
 * The keys are borrowed and must outlive the map; its memory comes from
 * an arena and ends with that.
 */
#ifndef REPLICACHE_MAP_H
#define REPLICACHE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* What map_find() says of an absent key, and map_add() without memory. */
#define MAP_NONE SIZE_MAX

struct arena;

struct map {
	struct arena *arena;
	const char **keys; /* by index; room for a power of two of them */
	size_t count;
	size_t *slots; /* index + 1, 0 = free; open addressing */
	size_t size;   /* slots: a power of two, at most half full */
	uint64_t seed;
};

/* An empty map that takes its memory from ARENA. */
void map_init(struct map *map, struct arena *arena);

/* The index of KEY, or MAP_NONE. */
size_t map_find(const struct map *map, const char *key);

/* The index of KEY, which is added if it is absent; MAP_NONE when there is
 * no memory. Whether it was new is seen by map->count. */
size_t map_add(struct map *map, const char *key);

#endif
